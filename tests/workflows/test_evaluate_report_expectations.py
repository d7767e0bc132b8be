"""Laws of the table of expectations: each cell is what toy sounds show, heard by ears that are made here.

The sounds are notes of three plucked instruments over four octaves, each a little different from the next. The ears
are as plain as can be: levels in bands, and energies at the keys. Every cell is looked at: what the table calls worse
has to come out worse than other notes of the same kind do, and what it calls invisible must not.
"""

import functools
import itertools
import math

import pytest
import torch

from retimbre.core import random
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.listening.catalog import embedder
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Score, Vectors
from retimbre.metrics.distances.profiles import PROFILES
from retimbre.workflows.evaluation.report import damage
from retimbre.workflows.evaluation.report.anchors import (
    ANCHORS,
    COPY,
    LOW_PASS,
    NOISE,
    ONE_INSTRUMENT,
    PHASE,
    REAL,
    SEMITONE,
    SILENCE,
)
from retimbre.workflows.evaluation.report.expectations import EXPECTATIONS, compare
from retimbre.workflows.evaluation.report.judging import BY_EMBEDDER, BY_LISTENER
from retimbre.workflows.evaluation.report.notes import note_columns
from retimbre.workflows.evaluation.sets.clips import ClipLabels, HeldClips

RATE, SECONDS = 16_000, 0.4
KEYS = range(60, 100)
INSTRUMENTS = 3
BANDS_HZ = (0.0, 500.0, 1_000.0, 2_000.0, 3_500.0, 5_000.0, 8_001.0)
OF_SETS = {each.metric: each for each in (*BY_EMBEDDER, *BY_LISTENER)}
OF_NOTES = sorted(set(EXPECTATIONS) - set(OF_SETS))
HOW = Bootstrap(resamples=100)


def note(midi, instrument, chance):
    """A plucked note whose partials, decay and phases are a little its own."""
    moments_s = torch.arange(round(SECONDS * RATE), dtype=torch.float64) / RATE
    numbers = torch.arange(1, 60, dtype=torch.float64)
    pitch_hz = 440.0 * 2 ** ((midi - 69) / 12)
    numbers = numbers[numbers * pitch_hz < 7_800.0]
    levels_db = -(20.0, 36.0, 48.0)[instrument] * numbers.log10()
    levels_db = levels_db + 2.0 * torch.randn(len(numbers), generator=chance, dtype=torch.float64)
    phases = 2.0 * math.pi * torch.rand(len(numbers), generator=chance, dtype=torch.float64)
    decay = (1.0, 4.0, 8.0)[instrument] * float(1.0 + 0.1 * torch.randn(1, generator=chance))
    turns = 2.0 * math.pi * pitch_hz * numbers[:, None] * moments_s + phases[:, None]
    sound = (10.0 ** (levels_db / 20.0) @ turns.sin()) * (-decay * moments_s).exp()
    sound = sound * (moments_s / 0.005).clamp(max=1.0)
    return (0.5 * sound / sound.abs().max()).float()


def notes(seed, instruments=range(INSTRUMENTS)):
    """As many notes of each key, whatever the instruments."""
    chance = random.generator(seed, "toy notes", 0)
    cells = [
        (midi, tuple(instruments)[turn % len(instruments)]) for midi in KEYS for turn in range(INSTRUMENTS)
    ]
    return cells, torch.stack([note(midi, instrument, chance) for midi, instrument in cells])


@functools.cache
def world():
    """The sounds of the reference and of every row, and the cells of the notes."""
    (cells, reference), (_, other) = notes(0), notes(1)
    rows = range(len(other))
    return {
        "reference": reference,
        REAL: other,
        LOW_PASS: damage.low_passed(other, RATE),
        NOISE: damage.noisy(other, rows, 0),
        PHASE: damage.phase_scrambled(other, rows, 0),
        SEMITONE: damage.semitone_up(other, RATE),
        ONE_INSTRUMENT: notes(2, range(1))[1],
        COPY: reference,
        SILENCE: torch.zeros_like(other),
    }, cells


def levels_db(audio):
    """Levels in six bands, beside the loudest and no lower than 80 dB under it: an ear for timbre."""
    power = magnitude(audio, StftSettings(n_fft=1024, hop_length=256)).square().mean(dim=-1).double()
    hz = torch.linspace(0.0, RATE / 2, power.shape[1])
    bands = torch.stack(
        [power[:, (low <= hz) & (hz < high)].sum(dim=1) for low, high in itertools.pairwise(BANDS_HZ)], dim=1
    )
    loudest = bands.amax(dim=1, keepdim=True)
    return 10.0 * (bands / loudest.clamp_min(1e-12)).clamp_min(1e-8).log10()


def at_keys(audio):
    """The share of the energy at each key and one key beyond: an ear for pitch."""
    moments_s = torch.arange(audio.shape[1], dtype=torch.float64) / RATE
    pitches_hz = 440.0 * 2 ** ((torch.tensor([*KEYS, KEYS[-1] + 1], dtype=torch.float64) - 69) / 12)
    window = torch.hann_window(audio.shape[1], dtype=torch.float64)
    carriers = window * torch.exp(-2j * math.pi * pitches_hz[:, None] * moments_s)
    energy = (audio.to(carriers) @ carriers.T).abs().square()
    return energy / energy.sum(dim=1, keepdim=True).clamp_min(1e-12)


def of_families(audio):
    """How well the course of each instrument fits, as logits: an ear that is asked for the family."""
    half = audio.shape[1] // 2
    early, late = (part.double().square().sum(dim=1) for part in (audio[:, :half], audio[:, half:]))
    fall_db = 10.0 * ((early + 1e-12) / (late + 1e-12)).log10()
    expected_db = 20.0 * math.log10(math.e) * SECONDS / 2 * torch.tensor([1.0, 4.0, 8.0], dtype=torch.float64)
    return -((fall_db[:, None] - expected_db) ** 2)


EARS = {
    "pis": lambda audio: 30.0 * at_keys(audio),
    "pkid": lambda audio: 3.0 * at_keys(audio),
    "iis": of_families,
}


@functools.cache
def figures(command, key):
    """What a measure says of every row through its ear."""
    sounds, _ = world()
    ear = EARS.get(command, levels_db)
    distance = PROFILES["default"].distance(command)
    heard = {name: Vectors.of(ear(audio)) for name, audio in sounds.items()}
    found = {}
    for name in ANCHORS:
        if isinstance(distance, Score):
            measured = distance.measure(heard[name], HOW)
        else:
            measured = distance.measure(heard["reference"], heard[name], HOW)
        figure = measured.values[key]
        found[name] = {"value": figure.value, "low": figure.low, "high": figure.high}
    return found


@functools.cache
def note_figures():
    sounds, cells = world()
    labels = ClipLabels(pitch=tuple(midi for midi, _ in cells))
    # Every fifth note: all keys and all instruments in turn, in a fifth of the time.
    rows = range(0, len(cells), 5)
    clips = {
        name: HeldClips(name, audio[list(rows)], RATE, labels.chosen(rows)) for name, audio in sounds.items()
    }
    training = clips.pop("reference")
    return {each["metric"]: each["figures"] for each in note_columns(clips, training, HOW)}


@pytest.mark.parametrize("metric", sorted(OF_SETS))
def test_a_measure_of_sets_sees_in_toy_sounds_what_the_table_says_and_nothing_else(metric):
    reported = OF_SETS[metric]
    found = figures(reported.command, reported.key)
    seen = {
        anchor: compare(found[anchor], found[REAL], reported.better) == "worse"
        for anchor in EXPECTATIONS[metric]
    }
    assert seen == {anchor: each.kind == "worse" for anchor, each in EXPECTATIONS[metric].items()}


@pytest.mark.parametrize("metric", OF_NOTES)
def test_a_measure_of_notes_moves_by_the_faults_it_is_for_and_hardly_by_others(metric):
    found = note_figures()[metric]
    real = found[REAL]["value"]
    worse = [anchor for anchor, each in EXPECTATIONS[metric].items() if each.kind == "worse"]
    step = max((found[anchor]["value"] - real for anchor in worse), key=abs)
    assert all(compare(found[anchor], found[REAL], "as real") == "worse" for anchor in worse)
    # What hardly moves goes less than a third of the way that the plainest fault does.
    moved = {
        anchor: (found[anchor]["value"] - real) / step > 1 / 3
        for anchor in EXPECTATIONS[metric]
        if found[anchor].get("value") is not None
    }
    assert moved == {anchor: anchor in worse for anchor in moved}


def test_copies_of_real_sounds_may_be_better_by_any_measure_of_sets_but_not_worse():
    bounded = {
        (metric, anchor)
        for metric, told in EXPECTATIONS.items()
        for anchor, each in told.items()
        if each.kind == "not worse"
    }
    assert bounded == {(metric, COPY) for metric in OF_SETS}


@pytest.mark.parametrize("name", ["statistics", "random-features", "listener"])
def test_the_embedders_of_a_report_hear_scrambled_phases_as_the_same_note(name):
    sounds, _ = world()
    ear = embedder(name, RATE)
    kept = range(0, len(sounds[REAL]), 7)
    whole, scrambled = (ear(sounds[row][list(kept)]).double() for row in (REAL, PHASE))
    among = torch.pdist(whole).quantile(0.5)
    # Magnitudes come back to -20 dB, a tenth.
    assert float((whole - scrambled).norm(dim=1).quantile(0.5) / among) < 0.3
