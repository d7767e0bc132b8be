"""`retimbre evaluate report`: everything that is to be known of some sets of sounds, on one page.

    real -split-> reference, other half -spoil-> anchors ----.
    folders of sounds, answers of models -------------------- > rows -measure-> columns -judge-> verdicts, ranking
                                                                                   '-> scores.json, scores.csv, page

A single number says little and can be chosen to please. So the report takes all measures of the house over several
embedders, asks each of them about the anchors first, and lets only those speak that heard what they should. It is the
same for a generator (a folder of its sounds, of any program) and for an inverter (its answers to the real sounds).
"""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import torch

import retimbre
from retimbre.core.errors import ConfigError
from retimbre.core.files import free_files, write_json, write_text
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.training.devices import describe, pick_device
from retimbre.workflows.evaluation.report import damage
from retimbre.workflows.evaluation.report.anchors import (
    REAL,
    Halves,
    Split,
    make_anchors,
    split_halves,
)
from retimbre.workflows.evaluation.report.judging import check_embedders, measured_columns, num_figures
from retimbre.workflows.evaluation.report.listened import listened_clips
from retimbre.workflows.evaluation.report.notes import note_columns
from retimbre.workflows.evaluation.report.page import ListenedClip, write_page
from retimbre.workflows.evaluation.report.ranking import METRIC, rank
from retimbre.workflows.evaluation.report.rows import JudgedSet, anchor_rows, model_rows
from retimbre.workflows.evaluation.report.scores import scores_csv
from retimbre.workflows.evaluation.sets.clips import ClipOptions, Clips, open_clips
from retimbre.workflows.evaluation.sets.measure import NO_CACHE_NAME, MeasureOptions
from retimbre.workflows.evaluation.sets.pairing import num_shared

SCORES_FILE, TABLE_FILE, PAGE_FILE = "scores.json", "scores.csv", "report.html"
DEFAULT_EMBEDDERS = ("statistics", "random-features", "listener")

Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many."""
Row = dict[str, Any]


@final
@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """What a report compares, and how.

    Attributes:
        fakes: Folders of sounds that are judged beside the models.
        train: The folder that the generators were trained on; empty if it is not at hand.
        clips: Rate, length and number of the clips, and the seed of every draw.
        embedders: What the distances hear through, by name; `NAME=FILE` for one whose weights are in a file. `listener`
            brings the scores of pitch and family.
        split: Whether no instrument is in both halves of the real sounds, or clips are drawn; `auto` takes the first
            where there are enough instruments.
        notes: Whether the measures of notes are part of it; sounds without keys need none.
        resamples: Of every interval.
        cache: The folder where vectors are kept; empty for the user's own, `none` for nowhere.
        device: Where networks listen and models run: `auto`, `cpu` or `cuda`.
        listened: How many clips the page carries of each set.
    """

    fakes: tuple[str, ...] = ()
    train: str = ""
    clips: ClipOptions = dataclasses.field(default_factory=ClipOptions)
    embedders: tuple[str, ...] = DEFAULT_EMBEDDERS
    split: Split = "auto"
    notes: bool = True
    resamples: int = 200
    cache: str = ""
    device: str = "auto"
    listened: int = 4

    def __post_init__(self) -> None:
        """Refuses embedders that are named twice or cannot be had, and counts that are none."""
        pick_device(self.device)
        names = self.hearing.keys()
        if not names or len(names) < len(self.embedders):
            raise ConfigError(
                f"embedders are {', '.join(self.embedders) or 'none'}; takes each once, at least one"
            )
        check_embedders(self.hearing, self.clips.sample_rate)
        if not 0 <= self.listened <= 16:
            raise ConfigError(f"listened is {self.listened}, but takes 0 to 16 clips")

    @property
    def hearing(self) -> dict[str, str]:
        """The file of each embedder, by its name; empty for those without."""
        parted = (name.partition("=") for name in self.embedders)
        return {name: file for name, _, file in parted}


def evaluate_report(
    models: Sequence[str],
    real: str | Path,
    out: str | Path = "",
    options: ReportOptions | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Row:
    """Judges sets of sounds by all measures, and the measures by anchors.

    Args:
        models: Run folders, checkpoint files, shipped names, or folders of sounds; there may be none.
        real: A folder of real sounds.
        out: The folder for the page and the tables; nothing is written if it is empty.
        options: What else is compared, and how; the defaults if left out.
        force: Whether files that are there already are replaced.
        progress: Told of every step.

    Returns:
        `value`, `low`, `high`, `n` and `settings` (the ranking measure of the first model, of real/real without one),
        `rows`, `measures` with figures and verdicts, `ranking`, and `failed`: what could not be used, a line each.

    Raises:
        UserError: The real sounds cannot be used, or the only model cannot.
        ExistsError: There is a report already, or `out` is a file.
    """
    options = options or ReportOptions()
    files = free_files(out, SCORES_FILE, TABLE_FILE, PAGE_FILE, force=force)
    judged = _Judged.gathered([*models, *options.fakes], Path(real), options, progress)
    result = judged.result(progress)
    if files:
        write_page(files[PAGE_FILE], result, judged.listened())
        write_text(files[TABLE_FILE], scores_csv(result))
        write_json(files[SCORES_FILE], result)
    return result


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Judged:
    """The sets of a report.

    Attributes:
        left_out: For each anchor that is not there, why.
        failed: What could not be used, a line each.
    """

    real: Clips
    halves: Halves
    training: Clips | None
    rows: tuple[JudgedSet, ...]
    left_out: dict[str, str]
    failed: tuple[str, ...]
    options: ReportOptions

    @classmethod
    def gathered(
        cls, names: Sequence[str], real: Path, options: ReportOptions, progress: Progress
    ) -> "_Judged":
        """Opens, splits, spoils and renders.

        Raises:
            UserError: The real sounds cannot be used, or the only model cannot.
        """
        sounds = open_clips(real, options.clips)
        halves = split_halves(sounds, options.split, options.clips.seed)
        training = _training(options, sounds)
        steps = _Steps(len(names) + 1, progress)
        anchors, left_out = make_anchors(halves, training, options.clips.seed)
        rows = anchor_rows(anchors)
        steps.advance()
        made, failures = model_rows(names, halves, options.clips, pick_device(options.device), steps.advance)
        if len(names) == 1 and failures:
            raise next(iter(failures.values()))
        failed = [f"{name}: {error}" for name, error in failures.items()]
        failed += [line for clips in (sounds, *(row.clips for row in made)) for line in clips.passed_over]
        return cls(sounds, halves, training, (*made, *rows), left_out, tuple(failed), options)

    def result(self, progress: Progress) -> Row:
        """Everything that `scores.json` holds."""
        sets = {row.name: row.clips for row in self.rows}
        hearing = self.options.hearing
        steps = _Steps(len(sets) * (num_figures(tuple(hearing)) + self.options.notes), progress)
        with tempfile.TemporaryDirectory() as folder:
            # Without a cache every measure would hear every set again.
            cache = folder if self.options.cache == NO_CACHE_NAME else self.options.cache
            how = MeasureOptions(
                resamples=self.options.resamples,
                cache=cache,
                seed=self.options.clips.seed,
                device=self.options.device,
            )
            reference = self.halves.reference
            measures = measured_columns(reference, sets, hearing, how, steps.advance)
        if self.options.notes:
            chance = Bootstrap(resamples=how.resamples, seed=how.seed)
            measures += note_columns(sets, self.training or reference, chance, steps.advance)
        models = [row for row in self.rows if row.kind == "model"]
        held = {row.name: (num_shared(reference, row.clips), len(row.clips)) for row in self.rows}
        ranking = rank(measures, [row.name for row in models], held)
        return {
            **_headline(measures, self.rows, ranking.by),
            "settings": self._settings(),
            "rows": [_row(row) | {"in_reference": held[row.name][0]} for row in self.rows],
            "left_out": self.left_out,
            "measures": measures,
            "ranking": {
                "by": list(ranking.by),
                "places": ranking.places,
                "pairs": list(ranking.pairs),
                "says": list(ranking.says),
            },
            "failed": list(self.failed),
            "remarks": [f"real sounds: {remark}" for remark in self.real.remarks],
            "machine": describe(),
            "versions": {"retimbre": retimbre.__version__, "torch": torch.__version__},
        }

    def _settings(self) -> Row:
        """Everything that all figures of the report depend on."""
        halves, options = self.halves, self.options
        return {
            "real": self.real.name,
            "train": options.train,
            "halves": {
                "by": halves.by,
                "reference": len(halves.reference),
                "other": len(halves.other),
                "says": halves.says,
            },
            "sample_rate": self.real.sample_rate,
            "seconds": self.real.num_samples / self.real.sample_rate,
            "most": options.clips.most,
            "embedders": list(options.embedders),
            "resamples": options.resamples,
            "confidence": 0.95,
            "seed": options.clips.seed,
            "device": pick_device(options.device).type,
            "worse": "the 95 % intervals of an anchor and of real/real do not overlap",
            "anchors": {
                "cutoff_hz": damage.CUTOFF_HZ,
                "noise_snr_db": damage.NOISE_SNR_DB,
                "scrambled_frames": dataclasses.asdict(damage.SCRAMBLED_FRAMES),
                "semitone_cents": 100.0,
            },
        }

    def listened(self) -> list[ListenedClip]:
        """The clips that the page carries: evenly chosen from the real ones, and what each set has for them."""
        return listened_clips(self.rows, self.halves.other, self.options.listened)


@final
class _Steps:
    """Counts steps for a progress."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def advance(self) -> None:
        """One more."""
        self.done += 1
        self.progress(self.done, self.total)


def _training(options: ReportOptions, real: Clips) -> Clips | None:
    if not options.train:
        return None
    length_s = real.num_samples / real.sample_rate
    # All of them: a copy of a sound that was left out would not be found.
    return open_clips(options.train, dataclasses.replace(options.clips, seconds=length_s, most=0))


def _headline(measures: Sequence[Row], rows: Sequence[JudgedSet], by: Sequence[str]) -> Row:
    """The ranking measure of the first model, through an embedder that can be believed if there is one."""
    name = next((row.name for row in rows if row.kind == "model"), REAL)
    ranking = [measure for measure in measures if measure["metric"] == METRIC]
    measure = next((measure for measure in ranking if measure["id"] in by), ranking[0])
    figure = measure["figures"].get(name, {})
    shown = {key: figure.get(key) for key in ("value", "low", "high", "n")}
    return {"metric": METRIC, "embedder": measure["embedder"], "set": name, **shown}


def _row(row: JudgedSet) -> Row:
    clips = row.clips
    return {
        "name": row.name,
        "kind": row.kind,
        "says": row.says,
        "clips": len(clips),
        "key": clips.key,
        "remarks": list(row.remarks),
    }
