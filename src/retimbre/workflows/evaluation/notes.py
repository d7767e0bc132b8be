"""What a set of notes is like: pitch, overtones, attack, decay, phases, timbre from key to key, and copies.

Distances between sets say how far generated sounds are from real ones, not in what. Measures of notes say it in the
words of a musician, each in its unit, as a figure of the set with a 95 % interval over its notes (`metrics.notes`).
Notes that lack a property are counted and left out of its figure. If real notes are given, their own figures stand
beside, and an attack or a decay is judged by them. If the training notes are given as well, copies of them are looked
for, and the real notes, which are no copies, say how near is suspicious; without real notes, the training notes say
it among themselves.

What is missing leaves out what needs it: without labels there is no pitch error, without instruments no consistency.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, final

from jaxtyping import Int
from torch import Tensor

from retimbre.listening.catalog import embedder
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.notes.catalog import NOTE_MEASURES, NoteMeasure
from retimbre.metrics.notes.copies import near_copies, near_copy_threshold
from retimbre.metrics.notes.readings import Readings
from retimbre.workflows.evaluation.note_readings import (
    Progress,
    ignore,
    nearest_training,
    own_rows,
    read_notes,
    training_distance,
)
from retimbre.workflows.evaluation.sets.cache import cache_named
from retimbre.workflows.evaluation.sets.clips import Clips


@final
@dataclasses.dataclass(frozen=True)
class NoteOptions:
    """How notes are measured.

    Attributes:
        embedder: In which the nearest training note is looked for; a name in the catalog of embedders.
        embedder_file: Where its weights are, for one that has a file.
        resamples: Of the bootstrap intervals; those of shares are Wilson's.
        confidence: Of the intervals.
        seed: Of the resamples.
        cache: The folder where vectors are kept; empty for the user's own, `none` for nowhere.
    """

    embedder: str = "statistics"
    embedder_file: str = ""
    resamples: int = 2_000
    confidence: float = 0.95
    seed: int = 0
    cache: str = ""

    @property
    def chance(self) -> Bootstrap:
        """How intervals are made; each measure has its own statistic.

        Raises:
            ConfigError: No resamples, or a confidence outside 0..1.
        """
        return Bootstrap(resamples=self.resamples, confidence=self.confidence, seed=self.seed)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredNotes:
    """What was read of a set of notes, and of the real notes beside it.

    Attributes:
        columns: Readings by name: the measures that apply, and `pitch_hz` and `pitch_cents` for the table.
        reference: The same of the real notes; empty if there are none.
        copy_threshold: The waveform distance under which a note counts as a near copy; None where it was not sought.
    """

    columns: dict[str, Readings]
    reference: dict[str, Readings]
    copy_threshold: float | None


def note_measures(
    clips: Clips,
    options: NoteOptions | None = None,
    reference: Clips | None = None,
    training: Clips | None = None,
    progress: Progress = ignore,
) -> dict[str, dict[str, Any]]:
    """The figures of a set of notes, by the name of the measure.

    Each has `value`, `low`, `high`, `n` (notes that have the property), `unmeasured` (those that lack it), `unit`,
    `better`, `statistic`, `interval` (whose method), and `reference`, the same of the real notes if there are any.
    Where nothing can be said of any note the value is None; where a single note was measured, `low` and `high` are.

    Args:
        clips: The notes.
        options: How they are measured.
        reference: Real notes.
        training: What the generator was trained on.
        progress: Told of every batch of each pass.

    Raises:
        ConfigError: The sets are of different rates, or of different lengths where copies are looked for.
    """
    options = options or NoteOptions()
    return figures(measured_notes(clips, options, reference, training, progress), options)


def measured_notes(
    clips: Clips,
    options: NoteOptions,
    reference: Clips | None,
    training: Clips | None,
    progress: Progress = ignore,
) -> MeasuredNotes:
    """Reads all measures of the notes and of the real notes; arguments and errors as `note_measures`."""
    own = read_notes(clips, reference, progress)
    theirs = {} if reference is None else read_notes(reference, None, progress)
    if training is None:
        return MeasuredNotes(own, theirs, None)
    own |= _nearness(clips, training, options, progress)
    if reference is None:
        itself = own_rows(training, training)
        real = nearest_training(training, training, progress, own=itself).distance
    else:
        theirs |= _nearness(reference, training, options, progress, own=own_rows(reference, training))
        real = theirs["waveform_distance"]
    if not len(real.known):
        return MeasuredNotes(own, theirs, None)
    threshold = near_copy_threshold(real)
    for columns in filter(None, (own, theirs)):
        columns["near_copies"] = near_copies(columns["waveform_distance"], threshold)
    return MeasuredNotes(own, theirs, threshold)


def figures(measured: MeasuredNotes, options: NoteOptions) -> dict[str, dict[str, Any]]:
    """The figures of the measures that apply, in the order of the catalog."""
    found = {}
    for name, measure in NOTE_MEASURES.items():
        if name not in measured.columns:
            continue
        found[name] = _figure(measured.columns[name], measure, options) | {
            "unit": measure.unit,
            "better": measure.better,
            "statistic": measure.statistic,
            "interval": measure.interval_method,
        }
        if name in measured.reference:
            found[name]["reference"] = _figure(measured.reference[name], measure, options)
    return found


def remarks_on_figures(found: dict[str, dict[str, Any]], clips: Clips) -> Sequence[str]:
    """What a reader should know of figures that rest on few of the clips, or are missing for want of labels."""
    labels = clips.labels.known()
    remarks = [
        f"{clips.name}: the clips have no {label} labels, so the {measure} is left out"
        for label, measure in {"pitch": "pitch error", "instrument": "timbral consistency"}.items()
        if label not in labels
    ]
    remarks += [
        f"{name}: {figure['unmeasured']} of {len(clips)} clips cannot be measured"
        for name, figure in found.items()
        if figure["unmeasured"] > len(clips) / 2
    ]
    if len(clips) == 1:
        remarks.append("one clip says nothing about others: its figures have no interval")
    return remarks


def _nearness(
    clips: Clips,
    training: Clips,
    options: NoteOptions,
    progress: Progress,
    *,
    own: Int[Tensor, " clips"] | None = None,
) -> dict[str, Readings]:
    """The distances of a set to the training sounds."""
    hearing = embedder(options.embedder, clips.sample_rate, options.embedder_file, option="--embedder-file")
    return {
        "training_distance": training_distance(
            clips, training, hearing, own=own, cache=cache_named(options.cache)
        ),
        "waveform_distance": nearest_training(clips, training, progress, own=own).distance,
    }


def _figure(readings: Readings, measure: NoteMeasure, options: NoteOptions) -> dict[str, Any]:
    """The statistic of the clips that were measured, with its interval; none of a single one."""
    known = readings.known
    figure: dict[str, Any] = {"value": None, "low": None, "high": None}
    if len(known):
        interval = measure.figure(known, options.chance)
        figure["value"] = interval.value
        if len(known) > 1:
            figure |= {"low": interval.low, "high": interval.high}
    return figure | {"n": len(known), "unmeasured": readings.num_unmeasured}
