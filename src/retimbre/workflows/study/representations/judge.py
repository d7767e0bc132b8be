"""How near a set of clips is to real notes: every figure of the study, each with its 95 % interval.

Real notes that no network has heard are parted in two by instruments' luck alone: one half is the *reference* that all
sets are compared with, the other half is a set like those that are judged, and what it gets is what a perfect generator
would get. Whoever is judged is asked for the keys of that other half, so that differences of keys play no part.

    PIS, IIS               inception scores of pitch and of family, by the shipped listener
    PKID, IKID             kernel distances of what it hears of pitch and of family
    FAD, KAD               Frechet and kernel distances, through the listener and through statistics of mel bands
    recall, coverage       how much of what is real is made at all, through statistics of mel bands
    in tune, error         how far notes are from the key that was asked for, by an estimator without a network

A Frechet distance takes a covariance, and a small set has none worth the name: it is refused for sets of fewer than
two clips per dimension. `null` then stands in its place, with the reason.
"""

import dataclasses
from typing import Any, final

import torch

from retimbre.core.errors import ConfigError
from retimbre.listening.catalog import embedder
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.notes.catalog import NOTE_MEASURES
from retimbre.metrics.notes.pitch import fundamentals, pitch_errors
from retimbre.metrics.notes.readings import Readings
from retimbre.workflows.evaluation.sets.clips import ROWS_AT_ONCE, ClipLabels, Clips, HeldClips
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure
from retimbre.workflows.study.representations.contest import Contestant
from retimbre.workflows.training.gan_pool import clip_pool

Figure = dict[str, Any]
"""`value`, `low`, `high` and `n`; where there is no value, `why`."""

REFERENCE, OTHER_HALF = "reference", "real/real"

# Of the notes that judge: another corpus than that of any training, whose seeds count from 0.
_CORPUS_SEED = 1_000_003
_LEAST_CLIPS_PER_DIMENSION = 2
_RESAMPLES = 200


@final
@dataclasses.dataclass(frozen=True)
class Column:
    """A figure of the table.

    Attributes:
        name: In files.
        title: In print.
        better: Which direction is.
        metric: A measure of sets, or of notes.
        embedder: Through which sets are heard; empty where the measure has a listener of its own.
        part: Which figure of the measure.
    """

    name: str
    title: str
    better: str
    metric: str
    embedder: str = ""
    part: str = ""


_SETS = (
    Column("kad_listener", "KAD, listener", "lower", "kad", "listener"),
    Column("kad_statistics", "KAD, statistics", "lower", "kad", "statistics"),
    Column("fad_listener", "FAD, listener", "lower", "fad", "listener"),
    Column("fad_statistics", "FAD, statistics", "lower", "fad", "statistics"),
    Column("pkid", "PKID", "lower", "pkid"),
    Column("ikid", "IKID", "lower", "ikid"),
    Column("pis", "PIS", "higher", "pis"),
    Column("iis", "IIS", "higher", "iis"),
    Column("recall", "recall", "higher", "prdc", "statistics", "recall"),
    Column("coverage", "coverage", "higher", "prdc", "statistics", "coverage"),
)
_NOTES = (
    Column("in_tune", "in tune", "higher", "pitch_in_tune"),
    Column("pitch_error_cents", "error, cents", "lower", "pitch_error"),
)
COLUMNS: dict[str, Column] = {column.name: column for column in (*_SETS, *_NOTES)}
"""In the order of the tables."""


@final
@dataclasses.dataclass(frozen=True)
class Yardstick:
    """What sets are judged by.

    Attributes:
        reference: Real clips that all are compared with.
        other_half: As many others, with their keys.
        cache: The folder where vectors are kept.
        device: Where listeners run.
    """

    reference: HeldClips
    other_half: HeldClips
    cache: str
    device: str

    @property
    def keys(self) -> tuple[int, ...]:
        """The MIDI numbers that whoever is judged is asked for."""
        return self.other_half.labels.pitch

    @property
    def key(self) -> dict[str, str]:
        """What names the clips of both halves."""
        return {REFERENCE: self.reference.key, OTHER_HALF: self.other_half.key}


def yardstick(contestant: Contestant, cache: str, device: str) -> Yardstick:
    """The real notes of a budget; the same for every contestant.

    Raises:
        DatasetError: There are too few of them.
    """
    count = contestant.budget.test_clips
    config = contestant.run((1,) * len(contestant.model.weights), {}, seed=0)
    pool = clip_pool(config.data, config.task, "test", most=2 * count, seed=_CORPUS_SEED)
    if len(pool) < 2 * count:
        raise ConfigError(
            f"the held-out part of the corpus has {len(pool)} notes, but test_clips = {count} takes twice as many"
        )
    names = pool.classes["pitch"]
    keys = tuple(int(names[place]) for place in pool.labels["pitch"].tolist())
    halves = [
        HeldClips(
            name, pool.audio(torch.arange(*rows)), config.task.sample_rate, ClipLabels(keys[slice(*rows)])
        )
        for name, rows in ((REFERENCE, (0, count)), (OTHER_HALF, (count, 2 * count)))
    ]
    return Yardstick(halves[0], halves[1], cache, device)


def judge(clips: Clips, against: Yardstick) -> dict[str, Figure]:
    """All figures of a set whose clips were asked for the keys of the other half, by the names of `COLUMNS`."""
    found = {column.name: _of_set(column, clips, against) for column in _SETS}
    return found | _of_notes(clips)


def _of_set(column: Column, clips: Clips, against: Yardstick) -> Figure:
    if column.metric == "fad" and (why := _too_few(column, clips)):
        return {"value": None, "why": why}
    options = MeasureOptions(
        embedder=column.embedder or "listener",
        resamples=_RESAMPLES,
        cache=against.cache,
        device=against.device,
    )
    try:
        measured = measure(column.metric, against.reference, clips, options)
    except ConfigError as error:
        return {"value": None, "why": str(error)}
    found = measured[column.part] if column.part else measured
    return {name: found[name] for name in ("value", "low", "high", "n")}


def _too_few(column: Column, clips: Clips) -> str:
    """Why a Frechet distance is refused; empty if it is not."""
    dim = embedder(column.embedder, clips.sample_rate).dim
    least = _LEAST_CLIPS_PER_DIMENSION * dim
    return f"{len(clips)} clips of {dim} dimensions; takes {least} or more" if len(clips) < least else ""


def _of_notes(clips: Clips) -> dict[str, Figure]:
    """How far the clips are from their keys."""
    parts = [
        fundamentals(clips.audio(rows), clips.sample_rate)
        for start in range(0, len(clips), ROWS_AT_ONCE)
        if (rows := range(start, min(start + ROWS_AT_ONCE, len(clips))))
    ]
    errors = pitch_errors(Readings.joined(parts), torch.tensor(clips.labels.pitch, dtype=torch.float64))
    in_cents = Readings.of(errors.cents.values.abs(), errors.cents.measured)
    found: dict[str, Figure] = {}
    for column, readings in zip(_NOTES, (errors.in_tune, in_cents), strict=True):
        if len(readings.known):
            interval = NOTE_MEASURES[column.metric].figure(readings.known, Bootstrap())
            found[column.name] = dataclasses.asdict(interval)
        else:
            found[column.name] = {"value": None, "why": "no clip has a pitch"}
    return found
