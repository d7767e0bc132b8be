"""The note measures of every row: the columns of a report that speak of keys, attacks, phases and copies.

Distances say how far a set is from the real sounds; these say in what. They are those of `retimbre evaluate notes`, in
their units. Real/real stands in for the real notes: the models that answer real sounds have answered just these, so
that envelopes are compared note by note, and a quantity with no better direction of its own is better the nearer it is
to theirs.

Copies are looked for among the training sounds; where none are given, among the reference half, which no honest set has
heard. Real clips that are training sounds themselves are not compared with themselves, and neither is what was made of
them by spoiling them: how near new sounds come is what they are to say.

The envelope error is not judged. It compares note by note, and real sounds have no second take of each note, so there
is no real/real figure: beside itself every note has 0, and anything would look worse. Likewise for the very clips of
real/real in other sets.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Int
from torch import Tensor

from retimbre.listening.catalog import embedder
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.notes.catalog import NOTE_MEASURES, NoteMeasure
from retimbre.metrics.notes.copies import near_copies, near_copy_threshold
from retimbre.metrics.notes.readings import Readings
from retimbre.workflows.evaluation.note_readings import (
    nearest_training,
    own_rows,
    read_notes,
    training_distance,
)
from retimbre.workflows.evaluation.report.anchors import ONE_INSTRUMENT, REAL, SPOILED
from retimbre.workflows.evaluation.report.expectations import judge
from retimbre.workflows.evaluation.report.variety import same_sounds
from retimbre.workflows.evaluation.sets.clips import Clips

Row = dict[str, Any]

# In which the nearest training sound is looked for, as `retimbre evaluate notes` does.
_EMBEDDER = "statistics"

# What no note of a set is where a set has no figure, if that is not in its sounds.
_LACKING = {
    "envelope_error": "has a real note beside it other than itself",
    "training_distance": "is new: all are training sounds",
}

# The tables of the page: what belongs together.
BLOCKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Pitch": (
        "By an estimator that was not trained, against the labels.",
        ("pitch_in_tune", "pitch_error", "pitch_octave_errors", "pitch_unpitched"),
    ),
    "Course of a note": (
        "How notes begin and end.",
        ("attack_time", "log_attack_time", "decay_slope", "envelope_error"),
    ),
    "Partials and timbre": (
        "Overtones, their phases, and the timbre from key to key.",
        ("inharmonicity", "phase_coherence", "timbral_consistency"),
    ),
    "Copies": (
        "How near each note is to a training sound.",
        ("training_distance", "waveform_distance", "near_copies"),
    ),
}


def note_columns(
    rows: Mapping[str, Clips], training: Clips, how: Bootstrap, advance: Callable[[], None] = lambda: None
) -> list[Row]:
    """The columns, as `judging` makes its own; measures that apply to no row are left out.

    Args:
        rows: The sets by name, real/real among them.
        training: Where copies are looked for.
        how: Of the intervals; each measure has its own statistic.
        advance: Called after every set.
    """
    readings: dict[str, dict[str, Readings]] = {}
    for name, clips in rows.items():
        own = _own_rows(name, rows, training)
        columns = dict(read_notes(clips, rows[REAL]))
        if "envelope_error" in columns:
            columns["envelope_error"] = _besides(columns["envelope_error"], clips, rows[REAL])
        columns["waveform_distance"] = nearest_training(clips, training, own=own).distance
        columns["training_distance"] = training_distance(
            clips, training, embedder(_EMBEDDER, clips.sample_rate), own=own
        )
        readings[name] = columns
        advance()
    real = readings[REAL]["waveform_distance"]
    if len(real.known):
        threshold = near_copy_threshold(real)
        for columns in readings.values():
            columns["near_copies"] = near_copies(columns["waveform_distance"], threshold)
    doubt = same_sounds(rows[REAL])
    return [
        _column(metric, block, {name: columns.get(metric) for name, columns in readings.items()}, how, doubt)
        for block, (_, metrics) in BLOCKS.items()
        for metric in metrics
        if any(metric in columns for columns in readings.values())
    ]


def _own_rows(name: str, rows: Mapping[str, Clips], training: Clips) -> Int[Tensor, " clips"] | None:
    """Which training clip each clip of a row is or was made of; None for sets that are to be new sounds throughout."""
    if name in SPOILED:
        # Clip by clip those of real/real.
        return own_rows(rows[REAL], training)
    return own_rows(rows[name], training) if name in (REAL, ONE_INSTRUMENT) else None


def _besides(errors: Readings, clips: Clips, real: Clips) -> Readings:
    """The errors of the clips that are no real clips themselves, which have nothing to be compared with."""
    return Readings.of(errors.values, errors.measured & (own_rows(clips, real) < 0))


def _column(
    metric: str, block: str, readings: Mapping[str, Readings | None], how: Bootstrap, doubt: str
) -> Row:
    measure = NOTE_MEASURES[metric]
    lacking = _LACKING.get(metric, "has it")
    figures = {name: _figure(each, measure, how, lacking) for name, each in readings.items()}
    title = metric.replace("_", " ")
    return {
        "id": metric,
        "metric": metric,
        "embedder": _EMBEDDER if metric == "training_distance" else "",
        "label": title,
        "block": block,
        "column": title,
        "about": BLOCKS[block][0],
        "better": measure.better,
        "unit": "" if measure.unit == "1" else measure.unit,
        "settings": {"measure": metric, "description": measure.description, **_chance(measure, how)},
        "remarks": [f"{title}: {measure.description}", *_unmeasured(title, readings)],
        "figures": figures,
        "verdict": dataclasses.asdict(judge(metric, measure.better, figures, doubt)),
    }


def _chance(measure: NoteMeasure, how: Bootstrap) -> Row:
    """How intervals are made, as settings."""
    made = {"statistic": measure.statistic, "interval": measure.interval_method}
    return dataclasses.asdict(how) | made


def _figure(readings: Readings | None, measure: NoteMeasure, how: Bootstrap, lacking: str) -> Row:
    """The statistic of the notes that have the property; a single one has no interval."""
    if readings is None:
        return {"refused": "it does not apply to this set"}
    if not len(readings.known):
        return {
            "refused": f"none of {len(readings.values)} notes {lacking}",
            "unmeasured": readings.num_unmeasured,
        }
    found = measure.figure(readings.known, how)
    figure = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    if found.n == 1:
        figure |= {"low": None, "high": None}
    return figure | {"unmeasured": readings.num_unmeasured}


def _unmeasured(title: str, readings: Mapping[str, Readings | None]) -> list[str]:
    """How many notes of each set lack the property."""
    lacking = [
        f"{name} {each.num_unmeasured} of {len(each.values)}"
        for name, each in readings.items()
        if each is not None and each.num_unmeasured
    ]
    return [f"{title}: notes without it: {', '.join(lacking)}"] if lacking else []
