"""A small set of performances for the tests: drawn pieces played by decaying sines, as files and as a set."""

import math
from pathlib import Path

import torch

from retimbre.corpora.performances.performer import write_performance
from retimbre.corpora.performances.score import draw_piece
from retimbre.dsp import audiofile
from retimbre.workflows.dataset.performances import Chunks, import_performances

RATE, CHUNK = 4_000, 1_024


def played(movements, num_samples: int, rate: int = RATE) -> torch.Tensor:
    """Each stroke a sine of its key that falls by a factor of e in 0.3 s; the dampers are left off."""
    sound = torch.zeros(num_samples)
    for movement in movements:
        onset = round(float(movement.at_s) * rate)
        if movement.key is None or not movement.value or onset >= num_samples:
            continue
        time_s = torch.arange(num_samples - onset) / rate
        hz = 440.0 * 2.0 ** ((movement.key - 69) / 12)
        if hz < 0.45 * rate:
            wave = torch.sin(2.0 * math.pi * hz * time_s) * torch.exp(-time_s / 0.3)
            sound[onset:] += 0.1 * movement.value / 127 * wave
    return sound.clamp(-1.0, 1.0)


def write_pieces(raw: Path, count: int, seconds: float, rate: int = RATE) -> Path:
    """A folder of pairs of sound and MIDI."""
    raw.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        movements = draw_piece(5, number, seconds)
        write_performance(raw / f"piece-{number}.mid", movements)
        audiofile.write(raw / f"piece-{number}.wav", played(movements, round(seconds * rate), rate), rate)
    return raw


def make_set(folder: Path, count: int = 8, seconds: float = 8.0) -> Path:
    """A prepared set of chunks of a quarter of a second."""
    raw = write_pieces(folder / "raw", count, seconds)
    import_performances(raw, folder / "set", chunks=Chunks(RATE, CHUNK))
    return folder / "set"
