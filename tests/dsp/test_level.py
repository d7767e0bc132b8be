"""Laws of level: what a gain does to each measure, and what happens to silence."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retimbre.dsp.level import (
    active_region,
    fade_out,
    fit_length,
    from_db,
    is_silent,
    match_level,
    normalise_peak,
    peak,
    rms,
    to_db,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


@given(st.floats(1e-3, 1e3))
def test_a_gain_multiplies_peak_and_rms(gain: float) -> None:
    samples = noise(3, 1_000)
    torch.testing.assert_close(rms(samples * gain), rms(samples) * gain)
    torch.testing.assert_close(peak(samples * gain), peak(samples) * gain)


def test_a_sine_has_an_rms_3_db_below_its_peak() -> None:
    sine = torch.sin(2 * math.pi * torch.arange(1_000, dtype=torch.float64) / 100)
    assert float(to_db(rms(sine)) - to_db(peak(sine))) == pytest.approx(10 * math.log10(0.5), abs=1e-9)


@given(st.floats(-119, 60))
def test_decibels_and_amplitudes_undo_each_other(level_db: float) -> None:
    level = torch.tensor(level_db, dtype=torch.float64)
    torch.testing.assert_close(to_db(from_db(level)), level)


@pytest.mark.parametrize("floor_db", [-120.0, -60.0])
def test_silence_is_at_the_floor(floor_db: float) -> None:
    assert float(to_db(torch.tensor(0.0), floor_db=floor_db)) == pytest.approx(floor_db, abs=1e-4)


@pytest.mark.parametrize("function", [rms, peak, to_db, normalise_peak])
def test_gradients_are_finite_at_silence(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    samples = torch.zeros(10, requires_grad=True)
    function(samples).sum().backward()
    assert bool(samples.grad.isfinite().all())


@given(st.floats(0.01, 2.0))
def test_normalising_brings_the_largest_absolute_sample_to_the_level_asked(to: float) -> None:
    # The largest absolute sample is negative: dividing by the largest sample would miss it.
    samples = torch.tensor([[0.1, -0.4, 0.2], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(peak(normalise_peak(samples, to=to)), torch.tensor([to, 0.0]))


@given(st.floats(1e-3, 1e3))
def test_the_matching_gain_gives_the_reference_level(gain: float) -> None:
    reference, estimate = noise(2, 500), noise(2, 800, seed=1) * gain
    matched = estimate * match_level(reference, estimate)[:, None]
    torch.testing.assert_close(rms(matched), rms(reference))


def test_no_gain_is_given_to_a_silent_estimate() -> None:
    assert match_level(noise(1, 10), torch.zeros(1, 10)).tolist() == [1.0]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_a_fade_leaves_the_start_alone_and_ends_at_zero(fraction: float) -> None:
    faded = fade_out(torch.ones(2, 1_000), fraction=fraction)
    kept = round(1_000 * (1 - fraction))
    assert torch.equal(faded[:, :kept], torch.ones(2, kept))
    tail = faded[0, kept:]
    assert bool((tail.diff() <= 0).all())
    if fraction:
        assert float(tail[-1]) == pytest.approx(0, abs=1e-6)
        assert float(tail[len(tail) // 2 - 1]) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_a_fade_covers_a_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        fade_out(torch.ones(10), fraction=fraction)


@given(st.integers(0, 20), st.integers(0, 20))
def test_fitting_keeps_what_fits_and_adds_only_silence(num_samples: int, wanted: int) -> None:
    samples = noise(2, num_samples)
    fitted = fit_length(samples, wanted)
    shared = min(num_samples, wanted)
    assert fitted.shape == (2, wanted)
    assert torch.equal(fitted[:, :shared], samples[:, :shared])
    assert not fitted[:, shared:].any()


def test_a_length_is_not_negative() -> None:
    with pytest.raises(ValueError, match="not negative"):
        fit_length(torch.ones(3), -1)


@given(st.integers(0, 3_000), st.integers(500, 3_000), st.integers(0, 3_000))
def test_the_active_region_is_the_sound_to_within_5_ms(before: int, length: int, after: int) -> None:
    samples = torch.cat([torch.zeros(before), noise(length), torch.zeros(after)])
    start, stop = active_region(samples, 16_000)
    assert before - 80 <= start <= before + 80  # 80 samples are 5 ms
    assert before + length - 80 <= stop <= before + length + 80
    assert stop <= len(samples)


def test_silence_has_no_active_region() -> None:
    assert active_region(torch.zeros(1_000), 16_000) == (0, 0)
    assert active_region(torch.zeros(0), 16_000) == (0, 0)


@pytest.mark.parametrize(("amplitude", "silent"), [(0.0, True), (5e-5, True), (2e-4, False), (1.0, False)])
def test_silence_is_what_stays_below_the_floor_of_minus_80_db(amplitude: float, *, silent: bool) -> None:
    assert is_silent(torch.tensor([0.0, -amplitude])) == silent
    assert is_silent(torch.zeros(0))
