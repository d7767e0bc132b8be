"""`retimbre evaluate notes` from folders to files: the sets are opened, measured, and the figures written.

The headline is the first measure of the catalog that the set allows: the share of notes in tune where keys are known.
`scores.json` holds the figures with everything they depend on, `scores.txt` the same for a reader, and `clips.csv` a
row per note with every reading, so that the note behind a strange figure can be found and heard.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch

import retimbre
from retimbre.core.errors import AudioError
from retimbre.core.files import csv_text, free_files, write_json, write_text
from retimbre.metrics.notes.readings import Readings
from retimbre.training.devices import pick_device
from retimbre.workflows.evaluation.note_readings import Progress, ignore, own_rows, partners
from retimbre.workflows.evaluation.notes import (
    MeasuredNotes,
    NoteOptions,
    figures,
    measured_notes,
    remarks_on_figures,
)
from retimbre.workflows.evaluation.sets.clips import ClipOptions, Clips, open_clips
from retimbre.workflows.evaluation.sets.models import sounds_of

SCORES_FILE, TEXT_FILE, CLIPS_FILE = "scores.json", "scores.txt", "clips.csv"

# Fewer real notes than this do not show what one in a hundred is like.
_FEWEST_FOR_THRESHOLD = 100


@final
@dataclasses.dataclass(frozen=True)
class NoteSets:
    """Which sounds are measured, with what beside them.

    Attributes:
        fake: A folder of generated notes, or a model that makes some.
        real: A folder of real notes; "" for none.
        train: The folder of notes that the generator was trained on; "" for none.
        clips: How folders are read. Of the training notes all are taken, or copies of the others would be missed.
        device: Where a model runs: `auto`, `cpu` or `cuda`.
    """

    fake: str
    real: str = ""
    train: str = ""
    clips: ClipOptions = dataclasses.field(default_factory=ClipOptions)
    device: str = "auto"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Opened:
    """The sets themselves."""

    fake: Clips
    real: Clips | None
    train: Clips | None

    def named(self) -> dict[str, Clips]:
        """Those that there are."""
        sets = {"fake": self.fake, "real": self.real, "train": self.train}
        return {name: each for name, each in sets.items() if each is not None}


def evaluate_notes(
    sets: NoteSets,
    out: str | Path = "",
    options: NoteOptions | None = None,
    *,
    force: bool = False,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Measures the notes of a folder or a model, and writes `scores.json`, `scores.txt` and `clips.csv`.

    Args:
        sets: Which notes.
        out: A folder; "" writes nothing.
        options: How they are measured.
        force: Whether files that are there are overwritten.
        progress: Told of every batch of each pass.

    Returns:
        What `scores.json` holds: the `headline` measure's `value`, `low`, `high` and `n`, then all `measures`,
        `settings`, `remarks`, and what was `passed_over` because it could not be read.

    Raises:
        AudioError: A folder without sounds, or nothing that can be measured.
        ConfigError: As `note_measures`.
        ExistsError: There are files already, or `out` is a file.
    """
    files = free_files(out, SCORES_FILE, TEXT_FILE, CLIPS_FILE, force=force)
    options = options or NoteOptions()
    opened = _open(sets, progress)
    measured = measured_notes(opened.fake, options, opened.real, opened.train, progress)
    found = figures(measured, options)
    headline = next((name for name, figure in found.items() if figure["value"] is not None), None)
    if headline is None:
        raise AudioError(f"{opened.fake.name}: none of its {len(opened.fake)} clips can be measured")
    result = {
        "metric": "notes",
        "headline": headline,
        **{key: found[headline][key] for key in ("value", "low", "high", "n")},
        "measures": found,
        "settings": _settings(opened, options, measured),
        # The folder of one set may be that of another, too.
        "remarks": _once([*_remarks(opened, measured), *remarks_on_figures(found, opened.fake)]),
        "passed_over": _once([line for each in opened.named().values() for line in each.passed_over]),
    }
    if files:
        write_text(files[CLIPS_FILE], _table(opened.fake, measured.columns))
        write_text(files[TEXT_FILE], "\n".join([*_lines(found), *result["remarks"]]) + "\n")
        write_json(files[SCORES_FILE], result)
    return result


def _open(sets: NoteSets, progress: Progress) -> _Opened:
    """The sets, before anything is measured, so that what is wrong with any of them is told at once."""
    device = pick_device(sets.device)
    real = open_clips(sets.real, sets.clips) if sets.real else None
    train = open_clips(sets.train, dataclasses.replace(sets.clips, most=0)) if sets.train else None
    return _Opened(sounds_of(sets.fake, real, sets.clips, progress, device=device), real, train)


def _settings(opened: _Opened, options: NoteOptions, measured: MeasuredNotes) -> dict[str, Any]:
    """Everything that the figures depend on; where vectors are kept is no part of it."""
    clips = opened.fake
    how = {name: value for name, value in dataclasses.asdict(options).items() if name != "cache"}
    sets = {
        name: {"name": each.name, "clips": len(each), "key": each.key}
        for name, each in opened.named().items()
    }
    return {
        "retimbre": retimbre.__version__,
        "torch": torch.__version__,
        "sample_rate": clips.sample_rate,
        "seconds": clips.num_samples / clips.sample_rate,
        **sets,
        "paired_by_name": len(partners(clips, opened.real)),
        "copy_threshold": measured.copy_threshold,
        **how,
    }


def _remarks(opened: _Opened, measured: MeasuredNotes) -> list[str]:
    """What a reader should know of the sets."""
    clips, real = opened.fake, opened.real
    remarks = [f"{each.name}: {remark}" for each in opened.named().values() for remark in each.remarks]
    if real is not None and not partners(clips, real):
        remarks.append(
            f"no clip of {clips.name} is named as one of {real.name}, so there is no envelope error"
        )
    if real is not None and opened.train is not None:
        trained_on = int((own_rows(real, opened.train) >= 0).sum())
        if trained_on:
            remarks.append(
                f"{trained_on} of {len(real)} real notes were trained on; none is compared with itself"
            )
    judges = real or opened.train
    if opened.train is not None and measured.copy_threshold is None:
        remarks.append("no note says how near is suspicious, so near copies are not counted")
    elif opened.train is not None and judges is not None and len(judges) < _FEWEST_FOR_THRESHOLD:
        remarks.append(
            f"the threshold for copies rests on {len(judges)} notes: it is that of the nearest one"
        )
    return remarks


def _once(lines: Sequence[str]) -> list[str]:
    """Each line once, in their order."""
    return [*dict.fromkeys(lines)]


def _lines(found: dict[str, dict[str, Any]]) -> list[str]:
    """A line per measure."""
    return [
        f"{name}: {_said(figure)} {figure['unit']}, {figure['statistic']} of {figure['n']}, "
        f"{figure['unmeasured']} unmeasured"
        + (f"; real: {_said(figure['reference'])}" if "reference" in figure else "")
        for name, figure in found.items()
    ]


def _said(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "nothing measured"
    if figure["low"] is None:
        return f"{figure['value']:.4g}"
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"


def _table(clips: Clips, columns: dict[str, Readings]) -> str:
    """A row per clip as CSV; a cell is empty where the clip lacks the property."""
    labels = clips.labels.known()
    titles = ["clip", *(f"label_{name}" for name in labels), *columns]
    lines = (
        [name, *(values[row] for values in labels.values()), *(_cell(each, row) for each in columns.values())]
        for row, name in enumerate(clips.names)
    )
    return csv_text([titles, *lines])


def _cell(readings: Readings, row: int) -> str:
    return f"{float(readings.values[row]):.6g}" if bool(readings.measured[row]) else ""
