"""Laws of loudness: the standard's own calibration, and what must not change it."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.dsp.loudness import loudness_lufs


def tone(frequency_hz: float, sample_rate: int, seconds: float = 2.0) -> Tensor:
    return torch.sin(2 * math.pi * frequency_hz * torch.arange(round(seconds * sample_rate)) / sample_rate)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_full_scale_sine_of_997_hz_has_the_loudness_that_the_standard_calibrates_with(
    sample_rate: int,
) -> None:
    # BS.1770-4 states -3.01; the rest is the ramp of the filters at the ends of two seconds.
    assert loudness_lufs(tone(997.0, sample_rate), sample_rate) == pytest.approx(-3.01, abs=0.01)


def test_the_weighting_is_that_of_the_standard_s_filters_run_in_time() -> None:
    from scipy.signal import lfilter

    noise = torch.randn(48_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.1
    shelf = (
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
    )
    high_pass = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])
    filtered = lfilter(*high_pass, lfilter(*shelf, noise.numpy()))
    # The blocks of one second of steady noise all pass both gates.
    blocks = [filtered[start : start + 19_200] for start in range(0, 28_801, 4_800)]
    expected = -0.691 + 10 * math.log10(sum((block**2).mean() for block in blocks) / len(blocks))
    # A circular spectrum rings into the padding instead of for ever: 60 dB down, 0.001 of an amplitude.
    assert loudness_lufs(noise.float(), 48_000) == pytest.approx(expected, abs=0.01)


def test_twice_the_amplitude_is_six_lu_louder_however_soft() -> None:
    sound = tone(440.0, 16_000)
    for gain in (1.0, 1e-2, 1e-4):
        # float32 samples: 1e-4 relative at most.
        assert loudness_lufs(sound * gain * 2, 16_000) - loudness_lufs(sound * gain, 16_000) == pytest.approx(
            20 * math.log10(2), abs=1e-3
        )


def test_silence_after_a_note_makes_it_no_softer_but_for_the_blocks_at_its_edge() -> None:
    note = tone(440.0, 16_000)
    padded = torch.cat([note, torch.zeros(160_000)])
    # Three of twenty blocks straddle the edge and hold 3/4, 1/2 and 1/4 of the power.
    assert loudness_lufs(padded, 16_000) == pytest.approx(loudness_lufs(note, 16_000), abs=0.35)


def test_the_ear_hears_less_of_a_rumble_than_of_the_treble() -> None:
    low, middle, high = (loudness_lufs(tone(hz, 48_000), 48_000) for hz in (30.0, 1_000.0, 8_000.0))
    assert low < middle - 6.0
    assert high > middle + 2.5


@pytest.mark.parametrize("num_samples", [0, 1, 4_000])
def test_silence_is_infinitely_soft(num_samples: int) -> None:
    assert loudness_lufs(torch.zeros(num_samples), 16_000) == -math.inf


def test_a_sound_shorter_than_a_block_is_one_block() -> None:
    # 50 ms of a tone: the filters' start is a larger part of it.
    assert loudness_lufs(tone(997.0, 16_000, 0.05), 16_000) == pytest.approx(-3.01, abs=0.2)
