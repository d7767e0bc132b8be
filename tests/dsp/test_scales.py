"""Laws of the bands of a scale."""

import itertools

import pytest

from retimbre.core.errors import ConfigError
from retimbre.dsp.scales import SPACINGS, Scale, check_coverage, covering_bands

SCALES = [
    Scale(16_000, "log"),
    Scale(44_100, "log", 84, 32.7, 3951.0),
    Scale(16_000, "octave", 12, 27.5),
    Scale(16_000, "mel", 64, 40.0),
    Scale(16_000, "linear", 40, 200.0),
    Scale(16_000, "erb", 64),
]


@pytest.mark.parametrize("spacing", sorted(SPACINGS))
def test_a_scale_leads_to_hertz_and_back(spacing: str) -> None:
    to_scale, to_hz = SPACINGS[spacing]
    for hz in (20.0, 440.0, 7_999.0):
        assert to_hz(to_scale(hz)) == pytest.approx(hz, rel=1e-12)  # a few roundings of float64


def test_octaves_have_as_many_steps_as_asked_for_and_all_steps_of_a_logarithmic_scale_have_one_ratio() -> (
    None
):
    octaves = Scale(16_000, "octave", 12, 32.7)
    assert octaves.centre_hz(12) == pytest.approx(2.0 * octaves.centre_hz(0), rel=1e-12)
    assert octaves.num_centres == 96  # 32.7 Hz is 7.93 octaves below 8 kHz
    logarithmic = Scale(16_000, "log", 96)
    ratios = [logarithmic.centre_hz(step + 1) / logarithmic.centre_hz(step) for step in range(95)]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-12)


def test_an_ear_at_1_khz_has_a_bandwidth_of_133_hz() -> None:
    to_scale, to_hz = SPACINGS["erb"]
    # Glasberg and Moore, equation 3: 24.7 (4.37 f / kHz + 1) Hz; the scale's constant 21.4 is rounded to 0.3 %.
    width_hz = to_hz(to_scale(1000.0) + 0.5) - to_hz(to_scale(1000.0) - 0.5)
    assert width_hz == pytest.approx(24.7 * (4.37 + 1.0), rel=5e-3)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.spacing)
def test_bands_ascend_from_0_hz_to_half_the_sample_rate_and_leave_no_hole(scale: Scale) -> None:
    bands = covering_bands(scale)
    centres = [band.centre_hz for band in bands]
    assert centres == sorted(set(centres))
    assert (centres[0], centres[-1]) == (0.0, scale.nyquist_hz)
    for lower, upper in itertools.pairwise(bands):
        assert lower.centre_hz + lower.width_hz / 2 > upper.centre_hz - upper.width_hz / 2
        assert upper.centre_hz - upper.width_hz / 2 >= -1e-9  # rounding, in Hz


def test_bands_above_the_highest_note_are_as_wide_as_it() -> None:
    scale = Scale(44_100, "log", 84, 32.7, 3951.0)
    bands = covering_bands(scale)
    assert [band.centre_hz for band in bands[1:85]] == pytest.approx(
        [scale.centre_hz(note) for note in range(84)]
    )
    widths_hz = {round(band.width_hz, 6) for band in bands[85:]}
    assert len(widths_hz) == 1
    assert 0.9 * bands[84].width_hz < widths_hz.pop() <= bands[84].width_hz


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"f_min_hz": 0.0}, "f_min_hz must be above 0, got 0: .* no logarithmic step leads there"),
        ({"f_min_hz": float("nan")}, "f_min_hz must be above 0"),
        ({"f_max_hz": 9_000.0}, "f_max_hz is 9000, above half the sample rate"),
        ({"f_min_hz": 900.0, "f_max_hz": 800.0}, "f_min_hz = 900 must lie below f_max_hz = 800"),
        ({"bins": 1}, "1 bins from 20 to 8000 Hz are too few"),
        ({"spacing": "lgo"}, "did you mean 'log'"),
        ({"sample_rate": 0}, "sample_rate must be at least 1 Hz"),
    ],
)
def test_scales_that_give_no_bands_are_refused_with_the_reason(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Scale(**({"sample_rate": 16_000} | settings))


def test_bands_with_a_hole_are_refused_with_the_frequency() -> None:
    with pytest.raises(ConfigError, match=r"3 bands are too few .* at \d+ Hz .* take more bins"):
        check_coverage(covering_bands(Scale(16_000, "log", 2)))


def test_coverage_is_the_sum_of_squared_windows() -> None:
    # Hann windows a full width apart leave only zero between them.
    apart = covering_bands(Scale(16_000, "linear", 40, 200.0))[::2]
    with pytest.raises(ConfigError, match="too few"):
        check_coverage(apart)
