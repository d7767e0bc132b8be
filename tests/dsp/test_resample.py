"""Laws of resampling: a tone keeps its frequency, level and place, and what the new rate cannot hold is gone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retimbre.dsp.level import rms
from retimbre.dsp.resample import resample, resampled_length

RATES = st.sampled_from([8_000, 16_000, 16_384, 22_050, 44_100, 48_000, 75_264, 96_000, 192_000])


def tone(frequency_hz: float, sample_rate: int, seconds: float = 0.5) -> torch.Tensor:
    time_s = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return torch.sin(2 * math.pi * frequency_hz * time_s)


def middle(samples: torch.Tensor) -> torch.Tensor:
    """Without the ends, where a cut tone rings."""
    tenth = samples.shape[-1] // 10
    return samples[..., tenth : -tenth or None]


@given(RATES, RATES, st.floats(0.01, 0.9))
@settings(max_examples=60, deadline=None)
def test_a_tone_keeps_its_pitch_level_and_place_through_resampling(
    from_hz: int, to_hz: int, height: float
) -> None:
    frequency_hz = height * min(from_hz, to_hz) / 2
    resampled = resample(tone(frequency_hz, from_hz), from_hz, to_hz)
    expected = tone(frequency_hz, to_hz)[: resampled.shape[-1]]
    # 0.1 dB is a factor of 1.0116; the error of the waveform itself, phase included, stays below that.
    error = rms(middle(resampled[: len(expected)] - expected)) / rms(middle(expected))
    assert float(error) < 0.0116


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(48_000, 16_000), (44_100, 16_000), (96_000, 44_100), (192_000, 8_000)]
)
@pytest.mark.parametrize("above", [1.05, 1.3, 1.7])
def test_what_lies_above_the_new_nyquist_frequency_is_killed_by_80_db(
    from_hz: int, to_hz: int, above: float
) -> None:
    samples = tone(above * to_hz / 2, from_hz)
    assert float(rms(middle(resample(samples, from_hz, to_hz))) / rms(samples)) < 1e-4


@given(st.integers(0, 5_000), RATES, RATES)
@settings(max_examples=60, deadline=None)
def test_the_length_is_the_duration_to_the_nearest_sample(num_samples: int, from_hz: int, to_hz: int) -> None:
    resampled = resample(torch.ones(num_samples), from_hz, to_hz)
    assert len(resampled) == resampled_length(num_samples, from_hz, to_hz)
    exact = num_samples * to_hz / from_hz
    assert abs(len(resampled) - exact) <= 0.5 or (len(resampled) == 1 and 0 < exact < 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_resampled_alone_in_their_own_dtype(dtype: torch.dtype) -> None:
    batch = torch.randn(2, 3, 1_000, dtype=dtype, generator=torch.Generator().manual_seed(0))
    resampled = resample(batch, 16_000, 44_100)
    assert resampled.dtype == dtype
    assert torch.equal(resampled[1, 2], resample(batch[1, 2], 16_000, 44_100))


def test_the_same_rate_changes_nothing() -> None:
    samples = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resample(samples, 16_000, 16_000), samples)


def test_a_gradient_is_refused_rather_than_lost() -> None:
    with pytest.raises(ValueError, match="no gradient"):
        resample(torch.ones(10, requires_grad=True), 16_000, 8_000)


@pytest.mark.parametrize("rate", [0, -8_000])
def test_rates_are_positive(rate: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        resample(torch.ones(10), rate, 8_000)
