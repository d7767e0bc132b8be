"""How fast is the procedural note corpus made, beside a plain NumPy additive synthesizer, and is it in tune?

    python benchmarks/notes.py [--quick] [--device cpu|cuda]

Rates are notes per second of wall time, the best of several repeats after a warm-up, and everything is measured in one
run on the threads that torch has. The yardstick, `numpy_additive`, makes one note at a time in float64: for each
harmonic below the Nyquist frequency a sine under an exponential decay of its own, added up, with white noise under one
more envelope. It has no vibrato, formants or two-stage envelopes, so it does less than the corpus does. It plays the
same pitches.

Three more columns: seconds of audio per second, the largest distance in cents between a note's label and the pitch
that is heard (harmonic families, velocity 100, MIDI 48 to 72), and the corpus's hash, which should be the same
wherever this runs.
"""

import argparse
import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from retimbre.core.memory import keep_freed_memory
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.families import FAMILIES
from retimbre.corpora.notes.plan import NotesSettings
from retimbre.dsp.pitch import note_pitch

RATE = 16_000


def numpy_additive(pitch: int, seconds: float, random: np.random.Generator) -> np.ndarray:
    """One note of the yardstick."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    pitch_hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    sound = np.zeros(len(time_s))
    for harmonic in range(1, int(RATE / 2 / pitch_hz) + 1):
        decay = np.exp(-time_s * (1.0 + 0.3 * harmonic))
        sound += decay * np.sin(2.0 * np.pi * harmonic * pitch_hz * time_s) / harmonic
    return sound + 0.01 * random.standard_normal(len(time_s)) * np.exp(-20.0 * time_s)


def seconds_of(work: Callable[[], Any], repeats: int) -> float:
    """The best of several repeats, after one that does not count."""
    work()
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def worst_cents(notes_each: int) -> float:
    """The largest pitch error of harmonic families."""
    worst = 0.0
    for name in (name for name, family in FAMILIES.items() if family.harmonic):
        settings = NotesSettings(
            families=(name,), lowest_pitch=48, highest_pitch=72, velocities=(100,), seconds=1.0
        )
        notes = NotesCorpus(settings)
        rows = torch.arange(notes_each)
        for sound, pitch in zip(notes.audio(rows), notes.labels(rows).pitch.tolist(), strict=True):
            heard_hz = note_pitch(sound, RATE).pitch_hz
            worst = max(worst, abs(1200 * math.log2(heard_hz / 440) - 100 * (pitch - 69)))
    return worst


def rates(corpus: NotesCorpus, num_notes: int, repeats: int) -> tuple[float, float]:
    """Notes per second of the yardstick and of the corpus."""
    rows = torch.arange(num_notes)
    pitches = corpus.labels(rows[:8]).pitch.tolist()
    seconds, random = corpus.settings.seconds, np.random.default_rng(0)
    plain_s = seconds_of(lambda: [numpy_additive(pitch, seconds, random) for pitch in pitches], repeats)
    ours_s = seconds_of(lambda: corpus.audio(rows).sum().item(), repeats)
    return len(pitches) / plain_s, num_notes / ours_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer notes and repeats")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    keep_freed_memory()  # for the yardstick as well
    num_notes, repeats = (64, 2) if options.quick else (512, 5)
    cents = worst_cents(3 if options.quick else 10)
    print(f"{torch.get_num_threads()} threads, {options.device}; largest pitch error {cents:.1f} cents")
    print(f"{'seconds':>7}  {'maker':<15}{'notes/s':>9}{'audio-s/s':>11}{'ratio':>7}  hash of 32 notes")
    for seconds in (4.0, 1.0):
        corpus = NotesCorpus(NotesSettings(seconds=seconds), options.device)
        plain, ours = rates(corpus, num_notes, repeats)
        digest = hashlib.sha256(corpus.audio(torch.arange(32)).cpu().numpy().tobytes()).hexdigest()[:16]
        print(f"{seconds:>7g}  {'numpy_additive':<15}{plain:>9.1f}{seconds * plain:>11.0f}{1:>7.1f}")
        print(
            f"{seconds:>7g}  {'notes':<15}{ours:>9.1f}{seconds * ours:>11.0f}{ours / plain:>7.1f}  {digest}"
        )


if __name__ == "__main__":
    main()
