"""Laws of the constant-Q transform by windowed tones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp.wavelets import WaveletSettings, inverse_wavelet_transform, wavelet_transform

GOLDEN = Path(__file__).parents[1] / "golden" / "cqt.npz"
SMALL = WaveletSettings(sample_rate=2_000, hop_length=40, bins=30, f_min_hz=80.0)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, "wavelets", *shape), dtype=torch.float64)


def test_coefficients_are_those_of_librosas_wavelets_at_the_full_rate() -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    coefficients = wavelet_transform(torch.from_numpy(golden["sound"])[None], WaveletSettings())[0]
    expected = torch.from_numpy(golden["direct"])
    # Both in float64; sums of 8,192 products in another order.
    torch.testing.assert_close(coefficients, expected, rtol=0, atol=1e-12 * expected.abs().max().item())


def test_librosas_own_transform_differs_by_its_resampling_and_by_the_kernels_that_it_thins_out() -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    magnitudes = np.abs(golden["direct"])
    deviation = np.linalg.norm(magnitudes - golden["librosa"]) / np.linalg.norm(magnitudes)
    assert 1e-4 < deviation < 0.05


def test_a_tone_peaks_at_its_note() -> None:
    time_s = torch.arange(16_000, dtype=torch.float64) / 16_000
    settings = WaveletSettings()
    for note in range(24, 84, 7):
        tone = torch.sin(2 * torch.pi * settings.note_hz(note) * time_s)
        magnitudes = wavelet_transform(tone[None], settings)[0].abs()
        assert int(magnitudes[:, 10:20].mean(dim=1).argmax()) == note


def test_the_inverse_has_the_coefficients_and_no_sound_that_has_them_is_smaller() -> None:
    sound = noise(2, 400)
    coefficients = wavelet_transform(sound, SMALL)
    estimate = inverse_wavelet_transform(coefficients, SMALL, num_samples=400, iterations=200)
    error = (wavelet_transform(estimate, SMALL) - coefficients).norm() / coefficients.norm()
    assert error < 0.05  # directions below 1 / 200 of the strongest are left out
    assert (estimate.norm(dim=1) < sound.norm(dim=1)).all()


def test_more_iterations_come_closer_to_the_coefficients() -> None:
    coefficients = wavelet_transform(noise(1, 400), SMALL)
    errors = []
    for iterations in (4, 16, 64):
        estimate = inverse_wavelet_transform(coefficients, SMALL, num_samples=400, iterations=iterations)
        errors.append((wavelet_transform(estimate, SMALL) - coefficients).norm().item())
    assert errors == sorted(errors, reverse=True)


def test_analysis_and_inverse_are_linear_with_gradients_that_are_the_slopes() -> None:
    sound = noise(1, 60).requires_grad_()
    coefficients = wavelet_transform(sound, SMALL).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda audio: wavelet_transform(audio, SMALL), (sound,), fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda values: inverse_wavelet_transform(values, SMALL, num_samples=60, iterations=8),
        (coefficients,),
        fast_mode=True,
    )


@pytest.mark.parametrize("num_samples", [1, 39, 40, 41])
def test_clips_shorter_than_the_longest_window_have_a_frame_per_hop(num_samples: int) -> None:
    coefficients = wavelet_transform(noise(1, num_samples), SMALL)
    assert coefficients.shape == (1, 30, 1 + num_samples // 40)
    estimate = inverse_wavelet_transform(coefficients, SMALL, num_samples=num_samples, iterations=4)
    assert estimate.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sample_rate": 4_000}, "84 notes from 32.7032 to 3951.07 Hz do not lie between 0 Hz and half"),
        ({"f_min_hz": 0.0}, "do not lie between 0 Hz"),
        ({"hop_length": 0}, "must be at least 1, got 16000, 0, 84 and 12"),
    ],
)
def test_settings_that_define_no_transform_are_refused(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        WaveletSettings(**settings)


def test_coefficients_of_another_length_are_refused() -> None:
    coefficients = wavelet_transform(noise(1, 400), SMALL)
    with pytest.raises(ConfigError, match=r"= \(30, 11\) are not those of 300 samples, which are \(30, 8\)"):
        inverse_wavelet_transform(coefficients, SMALL, num_samples=300, iterations=4)
