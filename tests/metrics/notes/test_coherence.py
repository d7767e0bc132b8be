import math
from pathlib import Path

import pytest
import torch
from note_sounds import RATE, noise, oddities, stretched, tone
from torch import Tensor

from retimbre.core.random import generator
from retimbre.dsp.audiofile import read
from retimbre.dsp.level import fit_length
from retimbre.metrics.notes.coherence import phase_coherence
from retimbre.metrics.notes.pitch import fundamentals
from retimbre.metrics.notes.readings import Readings

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def coherence_of(*sounds: Tensor, rate: int = RATE) -> Readings:
    audio = torch.stack(list(sounds)).float()
    return phase_coherence(audio, rate, fundamentals(audio, rate))


def with_random_phases(audio: Tensor, n_fft: int = 1024) -> Tensor:
    """The same magnitudes of the short-time Fourier transform, every phase drawn anew: trap of careless generators."""
    window, hop = torch.hann_window(n_fft, dtype=audio.dtype), n_fft // 4
    spectrum = torch.stft(audio, n_fft, hop, window=window, return_complex=True)
    turns = torch.rand(spectrum.shape, generator=generator(0, "phases"), dtype=audio.dtype)
    random = torch.polar(spectrum.abs(), 2 * math.pi * turns)
    return torch.istft(random, n_fft, hop, window=window, length=audio.shape[-1])


@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
@pytest.mark.parametrize("pitch_hz", [41.2, 440.0, 1_760.0])
def test_a_steady_tone_is_coherent(rate: int, pitch_hz: float) -> None:
    assert float(coherence_of(tone(pitch_hz, rate=rate), rate=rate).values) > 0.999


def test_stretched_partials_are_as_coherent_as_harmonic_ones() -> None:
    assert float(coherence_of(stretched(220.0, 1e-3, 10)).values) > 0.999


def test_an_error_of_the_pitch_does_no_harm() -> None:
    wrong_hz = Readings.of(torch.tensor([442.0]), torch.tensor([True]))
    assert float(phase_coherence(tone(440.0)[None].float(), RATE, wrong_hz).values) > 0.999


def test_random_phases_are_not_coherent_although_the_magnitudes_are_those_of_a_tone() -> None:
    tones = torch.stack([tone(pitch_hz) for pitch_hz in (110.0, 220.0, 440.0, 880.0)])
    pitch_hz = fundamentals(tones.float(), RATE)
    assert float(phase_coherence(tones.float(), RATE, pitch_hz).values.min()) > 0.999
    scrambled = phase_coherence(with_random_phases(tones).float(), RATE, pitch_hz)
    assert float(scrambled.values.max()) < 0.35


@pytest.mark.parametrize("name", ["rhodes_g3", "electric_bass_c2", "french_horn_f3"])
def test_a_recorded_note_is_far_more_coherent_than_its_magnitudes_with_random_phases(name: str) -> None:
    note = fit_length(read(EXAMPLES / f"{name}.flac", sample_rate=RATE).samples, RATE)
    pitch_hz = fundamentals(note[None], RATE)
    real = float(phase_coherence(note[None], RATE, pitch_hz).values)
    scrambled = float(phase_coherence(with_random_phases(note[None]), RATE, pitch_hz).values)
    assert real > 0.75
    assert scrambled < 0.4


def test_noise_at_a_given_pitch_is_not_coherent() -> None:
    given_hz = Readings.of(torch.full((20,), 300.0), torch.ones(20, dtype=torch.bool))
    found = phase_coherence(noise(20), RATE, given_hz)
    # The bias is taken out in square; cut off at 0 and rooted, about 0.1 remains of 25 stretches.
    assert float(found.values.mean()) < 0.2


def test_what_has_no_pitch_or_no_time_has_no_coherence() -> None:
    sounds = oddities()
    found = coherence_of(*(sounds[name] for name in ("silence", "offset", "noise", "click")))
    assert not found.measured.any()
    for num_samples in (0, 1, 2_000):
        given_hz = Readings.of(torch.tensor([100.0]), torch.tensor([True]))
        assert not phase_coherence(torch.ones(1, num_samples), RATE, given_hz).measured.any()


def test_coherence_knows_neither_level_nor_batch() -> None:
    note = tone(330.0) + noise()[0]
    found = coherence_of(note, 0.01 * note, tone(100.0)).values
    alone = coherence_of(note).values
    torch.testing.assert_close(found[:2], alone.expand(2), rtol=1e-4, atol=0)
