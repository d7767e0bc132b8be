import math
from collections.abc import Callable

import pytest
import torch

from retimbre.core.errors import AudioError
from retimbre.core.random import generator
from retimbre.metrics.catalog import METRICS
from retimbre.metrics.signal import (
    ft_correlation,
    log_spectral_frobenius,
    log_spectrogram,
    mfcc_distance,
    pearson,
    stft_correlation,
)

Measure = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
RATE = 16384
MEASURES = (stft_correlation, ft_correlation, log_spectral_frobenius, mfcc_distance)
IDEALS = {compute: METRICS[compute.__name__].identical for compute in MEASURES}


def noise(batch: int, num_samples: int = RATE) -> torch.Tensor:
    return 0.1 * torch.randn(batch, num_samples, generator=generator(0, "signal noise", batch, num_samples))


def tone(frequency_hz: float, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * frequency_hz / RATE * torch.arange(RATE))[None]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_sound_is_at_the_ideal_value_from_itself(measure: Measure) -> None:
    clips = torch.cat([noise(2), tone(440.0), torch.zeros(1, RATE)])
    torch.testing.assert_close(
        measure(clips, clips, RATE), torch.full((4,), IDEALS[measure]), rtol=0, atol=1e-6
    )


def test_a_full_scale_sine_is_at_zero_decibels_and_silence_at_the_floor() -> None:
    level = log_spectrogram(torch.cat([tone(1024.0), torch.zeros(1, RATE)]), RATE)
    assert level.shape == (2, 257, 65)
    assert level[0, 32, 10:50].mean().item() == pytest.approx(0.0, abs=0.01)
    assert level[1].unique().tolist() == pytest.approx([-80.0], abs=1e-4)


def test_pearson_gives_what_the_hand_finds() -> None:
    first = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    second = torch.tensor([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [1.0, -1.0, 0.0]])
    # The last by the formula: covariance 0 over anything.
    assert pearson(first, second).tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-6)


def test_correlations_of_constants_are_one_for_two_and_zero_for_one() -> None:
    # 0.1 is not representable: the rounding of its mean must not count as a shape.
    constant, shape = torch.full((1, 999), 0.1), noise(1, 999)
    assert pearson(constant, constant + 1).item() == 1.0
    assert pearson(constant, shape).item() == 0.0
    assert pearson(shape, constant).item() == 0.0


def test_silence_is_uncorrelated_with_sound() -> None:
    assert stft_correlation(torch.zeros(1, RATE), tone(440.0), RATE).item() == 0.0
    assert ft_correlation(torch.zeros(1, RATE), tone(440.0), RATE).item() == 0.0


def test_correlations_do_not_hear_level_and_distances_do() -> None:
    # Noise whose log-spectrum is far above the floor everywhere.
    clip = noise(1)
    assert stft_correlation(clip, 0.5 * clip, RATE).item() == pytest.approx(1.0, abs=1e-3)
    assert ft_correlation(clip, 0.5 * clip, RATE).item() == pytest.approx(1.0, abs=1e-6)
    cells = 257 * 65
    assert log_spectral_frobenius(clip, 0.5 * clip, RATE).item() == pytest.approx(6.02 * cells**0.5, rel=0.01)
    # A level shift moves the first coefficient alone, by 6.02 dB times the square root of 128 bands.
    assert mfcc_distance(clip, 0.5 * clip, RATE).item() == pytest.approx(6.02 * 128**0.5 / 13, rel=1e-3)


def test_a_pitch_error_lowers_both_correlations() -> None:
    reference = tone(440.0, 0.5)
    for measure in (stft_correlation, ft_correlation):
        near, far = (measure(reference, tone(frequency, 0.5), RATE).item() for frequency in (440.2, 1200.0))
        assert near > far + 0.1


@pytest.mark.parametrize("measure", MEASURES)
def test_a_score_does_not_depend_on_its_batch_and_one_reference_serves_many(measure: Measure) -> None:
    reference, estimates = noise(1), torch.cat([noise(2), tone(440.0)])
    whole = measure(reference, estimates, RATE)
    alone = torch.cat([measure(reference, estimate[None], RATE) for estimate in estimates])
    torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-5)
    assert whole.dtype == torch.float32


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("num_samples", [1, 40])
def test_short_clips_have_a_finite_value(measure: Measure, num_samples: int) -> None:
    assert bool(measure(noise(2, num_samples), noise(2, num_samples).flip(0), RATE).isfinite().all())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("lengths", [(100, 101), (0, 0)])
def test_lengths_that_differ_or_vanish_are_refused(measure: Measure, lengths: tuple[int, int]) -> None:
    with pytest.raises(AudioError, match="one length"):
        measure(torch.zeros(1, lengths[0]), torch.zeros(1, lengths[1]), RATE)
