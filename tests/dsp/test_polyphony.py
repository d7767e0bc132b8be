"""Laws of polyphony: one note is one comb, a chord is not, and level and silence change nothing."""

import math

import pytest
import torch

from retimbre.dsp.polyphony import POLYPHONIC_ABOVE, polyphony

RATE = 16_000
SHAPES = {"saw": range(1, 21), "square": range(1, 21, 2), "sine": range(1, 2)}
CHORDS = {
    "minor second": (0, 1),
    "fifth": (0, 7),
    "major": (0, 4, 7),
    "minor seventh": (0, 3, 7, 10),
    "tenth": (0, 16),
}


def note(midi: float, shape: str = "saw") -> torch.Tensor:
    time_s = torch.arange(RATE) / RATE
    pitch_hz = 440 * 2 ** ((midi - 69) / 12)
    audible = [h for h in SHAPES[shape] if h * pitch_hz < RATE / 2]
    return 0.1 * torch.stack([torch.sin(2 * math.pi * pitch_hz * h * time_s) / h for h in audible]).sum(dim=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("midi", range(36, 97, 12))
def test_one_note_is_one(shape: str, midi: int) -> None:
    assert polyphony(note(midi, shape), RATE) < POLYPHONIC_ABOVE


@pytest.mark.parametrize("chord", CHORDS)
@pytest.mark.parametrize("root", [48, 55, 64, 72])
def test_a_chord_is_more(chord: str, root: int) -> None:
    assert polyphony(sum(note(root + step) for step in CHORDS[chord]), RATE) > POLYPHONIC_ABOVE


def test_level_changes_nothing() -> None:
    chord = note(60) + note(67)
    assert polyphony(0.01 * chord, RATE) == pytest.approx(polyphony(chord, RATE), abs=1e-4)


@pytest.mark.parametrize("samples", [torch.zeros(0), torch.zeros(RATE), torch.ones(1), torch.ones(100)])
def test_silence_and_scraps_are_not_polyphonic(samples: torch.Tensor) -> None:
    assert 0 <= polyphony(samples, RATE) <= 1
    if not samples.any():
        assert polyphony(samples, RATE) == 0
