import math

import pytest
import torch
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from retimbre.core.errors import ConfigError
from retimbre.dsp.lapped import LappedSettings, inverse_lapped, lapped
from retimbre.dsp.lapped_windows import (
    kaiser_bessel_derived_window,
    kaiser_prototype,
    paraunitary_window,
    sine_window,
)

EVERY = [
    LappedSettings(256),
    LappedSettings(512, window="kbd"),
    LappedSettings(16, 8, "kaiser", 12.0),
    LappedSettings(256, ends="wrap"),
    LappedSettings(16, 8, "kaiser", 12.0, ends="wrap"),
    LappedSettings(2),
]


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def snr_db(audio, again):
    error = (again.double() - audio.double()).square().sum()
    return 10 * math.log10(float(audio.double().square().sum()) / max(float(error), 1e-300))


even = st.integers(1, 24).map(lambda half: 2 * half)


@settings(max_examples=60, deadline=None)
@example(16, 20, 6.82, "silence", 4000)
@example(64, 20, 17.1, "wrap", 4000)
@given(even, st.integers(1, 32), st.floats(0, 40), st.sampled_from(["silence", "wrap"]), st.integers(1, 700))
def test_no_setting_and_no_length_loses_anything(num_bands, overlap, beta, ends, num_samples):
    try:
        chosen = LappedSettings(num_bands, overlap, "kaiser", beta, ends)
    except ConfigError:
        reject()  # a few are; see below
    for dtype, least_db in ((torch.float32, 110), (torch.float64, 280)):
        audio = noise(2, num_samples, dtype=dtype)
        again = inverse_lapped(lapped(audio, chosen), chosen, num_samples=num_samples)
        assert snr_db(audio, again) > least_db


def test_long_filters_are_refused_only_where_no_window_is_near():
    def accepted(beta):
        try:
            return bool(LappedSettings(10, 14, "kaiser", beta))
        except ConfigError as error:
            return "take another beta or a smaller overlap" not in str(error)

    betas = [0.5 * step for step in range(81)]
    assert sum(map(accepted, betas)) >= 0.9 * len(betas)


@pytest.mark.parametrize("chosen", EVERY)
def test_energy_is_kept(chosen):
    audio = noise(3, 5000, dtype=torch.float64)
    coefficients = lapped(audio, chosen)
    torch.testing.assert_close(coefficients.square().sum((1, 2)), audio.square().sum(1))


@pytest.mark.parametrize("chosen", EVERY)
def test_there_are_as_many_frames_as_the_settings_say(chosen):
    for num_samples in (1, 511, 512, 513, 4096):
        assert lapped(noise(1, num_samples), chosen).shape[1:] == (
            chosen.num_bands,
            chosen.num_frames(num_samples),
        )


def test_wrapped_ends_make_shapes_that_are_powers_of_two():
    chosen = LappedSettings(256, ends="wrap")
    assert lapped(noise(1, 16_384), chosen).shape == (1, 256, 64)


@pytest.mark.parametrize("num_bands", [2, 6, 16, 128])
@pytest.mark.parametrize("overlap", [1, 3])
def test_coefficients_are_those_of_the_formula(num_bands, overlap):
    chosen = LappedSettings(num_bands, overlap, "kaiser", 8.0)
    audio = noise(1, 5 * num_bands + 3, dtype=torch.float64)
    window = paraunitary_window(num_bands, overlap, 8.0).flatten()
    sample = torch.arange(2 * overlap * num_bands, dtype=torch.float64)
    band = torch.arange(num_bands, dtype=torch.float64)[:, None]
    cosines = torch.cos(math.pi / num_bands * (sample + (num_bands + 1) / 2) * (band + 0.5))
    basis = math.sqrt(2 / num_bands) * window * cosines
    frames = chosen.num_frames(audio.shape[-1])
    before = chosen.extra_frames * num_bands
    padded = torch.nn.functional.pad(audio, (before, frames * num_bands))
    expected = padded.unfold(-1, 2 * overlap * num_bands, num_bands)[:, :frames] @ basis.T
    torch.testing.assert_close(lapped(audio, chosen), expected.mT)


def test_a_tone_shows_in_its_band():
    second = torch.arange(16_000, dtype=torch.float64) / 16_000
    tone = torch.sin(2 * math.pi * 3210.0 * second)[None]
    for chosen in EVERY[:3]:
        energy = lapped(tone, chosen).square().sum((0, 2))
        assert int(energy.argmax()) == int(3210.0 / (8000 / chosen.num_bands))


@pytest.mark.parametrize("num_bands", [4, 16, 64])
def test_sub_bands_reject_what_is_more_than_a_band_away_by_50_db(num_bands):
    window = paraunitary_window(num_bands, 8, 12.0).flatten()
    response = torch.fft.rfft(window, 1 << 15).abs()
    frequency = torch.linspace(0, 0.5, len(response), dtype=torch.float64)  # cycles per sample
    rejected = response[frequency > 1 / (2 * num_bands)] / response[0]
    assert 20 * math.log10(float(rejected.max())) < -50


def test_the_prototype_is_hardly_changed_to_become_exact():
    before, after = kaiser_prototype(16, 8, 12.0), paraunitary_window(16, 8, 12.0)
    assert float((after - before).abs().max() / before.max()) < 0.005


@pytest.mark.parametrize("window", [sine_window(64), kaiser_bessel_derived_window(64, 4 * math.pi)])
def test_short_windows_meet_the_condition_of_princen_and_bradley(window):
    torch.testing.assert_close(window.square().sum(0), torch.ones(64, dtype=torch.float64))
    torch.testing.assert_close(window.flatten().flip(0), window.flatten())


@pytest.mark.parametrize("chosen", [LappedSettings(4), LappedSettings(4, 2, "kaiser", 6.0, "wrap")])
def test_both_ways_have_their_gradients(chosen):
    audio = noise(2, 21, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: lapped(x, chosen), audio)
    coefficients = lapped(audio, chosen).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: inverse_lapped(x, chosen, num_samples=21), coefficients)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_bands": 5}, "even number, got 5"),
        ({"num_bands": 0}, "even number, got 0"),
        ({"num_bands": 4, "overlap": 0}, "overlap must be at least 1, got 0"),
        ({"num_bands": 4, "overlap": 33, "window": "kaiser"}, "at most 32, got 33"),
        ({"num_bands": 4096, "overlap": 8, "window": "kaiser"}, "up to 32768 samples, .*got 65536"),
        ({"num_bands": 2**21}, "up to 1048576 bands"),
        ({"num_bands": 10, "overlap": 14, "window": "kaiser", "beta": 17.32}, "take another beta"),
        ({"num_bands": 4, "overlap": 2}, "window 'sine' has overlap 1 alone, got 2"),
        ({"num_bands": 4, "beta": 50.0}, "between 0 and 40, got 50"),
    ],
)
def test_what_could_not_be_undone_is_refused_with_the_reason(wrong, said):
    with pytest.raises(ConfigError, match=said):
        LappedSettings(**wrong)
