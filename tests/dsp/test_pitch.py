"""Laws of pitch: a known pitch is found in every shape of tone, at every rate and loudness; noise has none."""

import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.dsp.pitch import PitchEstimate, YinSettings, note_pitch, yin

SHAPES = {
    "sine": lambda harmonic: (harmonic == 1).double(),
    "saw": lambda harmonic: 1 / harmonic,
    "square": lambda harmonic: (harmonic % 2) / harmonic,
    "pulse": lambda harmonic: torch.sin(0.1 * math.pi * harmonic).abs() / harmonic,
    "without its fundamental": lambda harmonic: (harmonic > 1) / harmonic,
}


def note(shape: str, pitch_hz: float, sample_rate: int, seconds: float = 0.5) -> torch.Tensor:
    """A band-limited tone that dies away by 20 dB a second."""
    time_s = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    harmonic = torch.arange(1, max(2, int(sample_rate / 2.1 / pitch_hz) + 1), dtype=torch.float64)
    harmonic = harmonic[:60]
    waves = torch.sin(2 * math.pi * pitch_hz * harmonic[:, None] * time_s)
    sound = (SHAPES[shape](harmonic)[:, None] * waves).sum(dim=0) * 10 ** (-time_s)
    return (0.5 * sound / sound.abs().max()).float()


def cents(estimate_hz: float, pitch_hz: float) -> float:
    return 1_200 * math.log2(estimate_hz / pitch_hz)


def white_noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_one_note_is_found_within_15_cents_from_a0_to_c7(shape: str, sample_rate: int) -> None:
    # 15 cents: a parabola through a dip 23 samples wide (C7 at 48 kHz) errs by 12 where the dip is sharp.
    for midi in range(21, 97, 5):
        pitch_hz = 440 * 2 ** ((midi - 69) / 12)
        estimate = note_pitch(note(shape, pitch_hz, sample_rate), sample_rate)
        assert abs(cents(estimate.pitch_hz, pitch_hz)) < 15, midi
        assert estimate.confidence > 0.8, midi


@pytest.mark.parametrize("sample_rate", [16_000, 48_000, 192_000])
def test_the_highest_key_of_a_piano_is_found(sample_rate: int) -> None:
    assert abs(cents(note_pitch(note("saw", 4_186, sample_rate), sample_rate).pitch_hz, 4_186)) < 15


@pytest.mark.parametrize("gain", [1e-4, 1.0, 100.0])
def test_loudness_does_not_change_the_pitch(gain: float) -> None:
    sound = note("saw", 220, 16_000)
    assert note_pitch(gain * sound, 16_000).pitch_hz == pytest.approx(
        note_pitch(sound, 16_000).pitch_hz, rel=1e-4
    )


def test_rumble_does_not_hide_a_note() -> None:
    time_s = torch.arange(16_000) / 16_000
    rumble = 0.3 * torch.sin(2 * math.pi * 24.5 * time_s)
    estimate = note_pitch(rumble + 0.1 * note("sine", 1_400, 16_000, seconds=1), 16_000)
    assert abs(cents(estimate.pitch_hz, 1_400)) < 10


def test_a_strong_second_harmonic_is_no_octave() -> None:
    # 10 dB above the fundamental, as on a steel string plucked near its bridge.
    low, high = (note("sine", pitch_hz, 44_100) for pitch_hz in (349.23, 698.46))
    assert abs(cents(note_pitch(0.316 * low + high, 44_100).pitch_hz, 349.23)) < 10


def test_silence_around_a_note_changes_neither_pitch_nor_confidence() -> None:
    sound = note("saw", 110, 16_000)
    padded = torch.cat([torch.zeros(8_000), sound, torch.zeros(32_000)])
    estimate = note_pitch(padded, 16_000)
    assert abs(cents(estimate.pitch_hz, 110)) < 5
    assert estimate.confidence > 0.8


@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.06])
def test_a_short_blip_has_a_pitch(seconds: float) -> None:
    assert abs(cents(note_pitch(note("sine", 1_000, 44_100, seconds), 44_100).pitch_hz, 1_000)) < 20


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_confidence_in_its_pitch(seed: int) -> None:
    estimate = note_pitch(white_noise(16_000, seed), 16_000)
    assert estimate.confidence < 0.1
    assert estimate.voiced_fraction < 0.1


def test_confidence_falls_as_noise_rises() -> None:
    sound = note("saw", 220, 16_000)
    noise = white_noise(8_000)
    found = [note_pitch(sound + level * noise, 16_000).confidence for level in (0.0, 0.3, 1.0, 3.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < 0.5


@pytest.mark.parametrize("samples", [torch.zeros(0), torch.zeros(1), torch.zeros(16_000)])
def test_silence_has_no_pitch(samples: torch.Tensor) -> None:
    assert note_pitch(samples, 16_000) == PitchEstimate(0.0, 0.0, 0.0)


@pytest.mark.parametrize("num_samples", [1, 2, 5, 50])
def test_a_few_samples_give_finite_numbers(num_samples: int) -> None:
    estimate = note_pitch(torch.ones(num_samples), 44_100)
    assert math.isfinite(estimate.pitch_hz)
    assert 0 <= estimate.confidence <= 1


def test_a_track_follows_a_glide() -> None:
    time_s = torch.arange(32_000, dtype=torch.float64) / 16_000
    pitch_hz = 200 * 2**time_s  # an octave a second
    phase = 2 * math.pi * pitch_hz.cumsum(dim=0) / 16_000
    track = yin(torch.sin(phase).float()[None], 16_000, YinSettings(lowest_hz=100.0))
    frame_centres = torch.arange(track.f0_hz.shape[1]) * 320 + 162
    expected = pitch_hz[frame_centres.clamp_max(31_999)].float()
    deviation = 1_200 * (track.f0_hz[0] / expected).log2()
    assert float(deviation.abs().max()) < 35  # a frame lasts 20 ms, over which the glide moves 24 cents
    assert float(track.aperiodicity.max()) < 0.1


def test_the_track_of_one_sound_does_not_depend_on_its_batch() -> None:
    sounds = torch.stack([note("saw", 110, 16_000), note("sine", 990, 16_000), white_noise(8_000)])
    together = yin(sounds, 16_000, YinSettings())
    for index in range(len(sounds)):
        alone = yin(sounds[index : index + 1], 16_000, YinSettings())
        torch.testing.assert_close(together.f0_hz[index : index + 1], alone.f0_hz)
        torch.testing.assert_close(together.aperiodicity[index : index + 1], alone.aperiodicity)


def test_a_track_of_silence_is_wholly_aperiodic() -> None:
    track = yin(torch.zeros(2, 100), 16_000, YinSettings())
    assert track.f0_hz.tolist() == [[0.0], [0.0]]
    assert track.aperiodicity.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("low_high", [(0.0, 100.0), (200.0, 100.0), (-5.0, 100.0)])
def test_a_search_runs_upwards_from_a_positive_pitch(low_high: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="0 < low < high"):
        YinSettings(lowest_hz=low_high[0], highest_hz=low_high[1])
    with pytest.raises(ConfigError, match="hop_s"):
        YinSettings(hop_s=0.0)


def test_a_pitch_above_half_the_rate_cannot_be_sought() -> None:
    with pytest.raises(ValueError, match="can be found at 8000 Hz"):
        yin(torch.zeros(1, 100), 8_000, YinSettings())
