"""The clips that an inverter is judged by: sounds of its synthesizer that no training can have seen.

There are two kinds. Endless clips are rendered when asked for, at the keys and in the manner that the inverter was
trained for, from the test split of class vectors. Stored clips come from a data set on disk.

Whether a class vector is held out is decided by its hash (`data.splits`), the same in every run, so held-out clips
share no class vector with any training on endless pairs, whatever the seeds. A data set may hold out more than that,
with other fractions; then those of its clips that lie in the training part of the hash are left out and counted. An
inverter that was trained on one fold of a cross-validation is judged by that fold's own part, rendered or stored. What
was used is said in `settings`, for the reader of a figure.
"""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.config import build, read_run_file
from retimbre.core.errors import DatasetError
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import HEADER_FILE, read_header
from retimbre.data.splits import SPLITS, Folds, indices_of
from retimbre.dsp.decode import SUFFIXES
from retimbre.dsp.level import normalise_peak
from retimbre.matching.inverter import Inverter
from retimbre.matching.pairs import HELD_OUT, PairSource
from retimbre.matching.source import PairBatch
from retimbre.synth.base import Note
from retimbre.synth.parameters import Knobs, ParameterSpace
from retimbre.training.shipped import MODEL_FILE
from retimbre.workflows.dataset.fits import first_misfit
from retimbre.workflows.dataset.plan import Plan, plan_from_header
from retimbre.workflows.training.matching_run import DataConfig, MatchingRun
from retimbre.workflows.training.run import RunFolder
from retimbre.workflows.training.settings import TrainConfig

HeldOutSplit = Literal["test", "validation"]


class HeldOutClips(abc.ABC):
    """Clips with the knobs that made them, by number."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many there are."""

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What was used, as JSON can hold it."""

    @abc.abstractmethod
    def pairs(self, rows: range, device: torch.device) -> PairBatch:
        """The clips of these numbers, from 0 to `count`."""

    @abc.abstractmethod
    def rerender(self, batch: PairBatch) -> Float[Tensor, "batch samples"]:
        """The clips of a batch made again from their labels alone, at the level at which they are kept."""

    def as_kept(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
        """A rendering at the level at which the clips are kept."""
        return audio


@final
@dataclasses.dataclass(frozen=True)
class EndlessClips(HeldOutClips):
    """Clips rendered on the fly.

    Attributes:
        source: What renders them.
        size: How many are used.
        origin: Where the manner of drawing is known from.
    """

    source: PairSource
    size: int
    split: HeldOutSplit
    origin: str

    @property
    def count(self) -> int:
        """How many are used."""
        return self.size

    @property
    def settings(self) -> dict[str, Any]:
        """Split, seed, manner and keys."""
        notes = self.source.notes
        return {
            "clips": "rendered on the fly",
            "split": self.split,
            "seed": self.source.seed,
            "draw": self.source.draw,
            "pitch_hz": [notes.pitch_low_hz, notes.pitch_high_hz],
            "gate_s": [notes.gate_low_s, notes.gate_high_s],
            "fold": _fold_setting(self.source.folds),
            "as": self.origin,
        }

    def pairs(self, rows: range, device: torch.device) -> PairBatch:
        """Renders the clips of these numbers."""
        return self.source.pairs(torch.arange(rows.start, rows.stop, device=device), self.split)

    def rerender(self, batch: PairBatch) -> Float[Tensor, "batch samples"]:
        """Renders the labels, by the levels of their classes where knobs were drawn at levels."""
        source = self.source
        knobs = _labelled_knobs(source.space, batch, at_levels=source.draw == "classes")
        return source.synth.render_in_chunks(knobs, batch.note, num_samples=source.num_samples)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class StoredClips(HeldOutClips):
    """Clips of a data set on disk.

    Attributes:
        members: Which clips of the set.
        left_out: Clips of the set's split that a training on endless pairs may have seen.
        plan: How the set was made.
        folds: Which class vectors the inverter's training held out; none for what is always held out.
    """

    data: RenderedSet
    split: HeldOutSplit
    members: Int[Tensor, " members"]
    left_out: int
    plan: Plan
    folds: Folds | None = None

    @property
    def count(self) -> int:
        """The whole split, but for what was left out."""
        return len(self.members)

    @property
    def settings(self) -> dict[str, Any]:
        """The set, by its fingerprint, and the split."""
        return {
            "clips": "data set",
            "data_set": str(self.data.folder),
            "fingerprint": self.data.header.fingerprint,
            "split": self.split,
            "fold": _fold_setting(self.folds or HELD_OUT),
            "left_out": self.left_out,
        }

    def pairs(self, rows: range, device: torch.device) -> PairBatch:
        """Reads the clips of these numbers; the noise seed of a clip is its number in the set."""
        chosen = self.members[rows.start : rows.stop]
        labels = self.data.labels
        notes = labels.notes[chosen].to(device)
        return PairBatch(
            audio=self.data.audio(chosen).to(device),
            classes=labels.classes[chosen].to(device),
            unit=labels.unit[chosen].to(device),
            note=Note(notes[:, 0], notes[:, 1], notes[:, 2], chosen.to(device)),
        )

    def rerender(self, batch: PairBatch) -> Float[Tensor, "batch samples"]:
        """Renders the labels with the set's own synthesizer and levels."""
        plan = self.plan
        knobs = _labelled_knobs(plan.space, batch, at_levels=plan.draw != "continuous")
        audio = plan.synth.render_in_chunks(knobs, batch.note, num_samples=plan.header.num_samples)
        return self.as_kept(audio)

    def as_kept(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
        """Scaled to a peak of 1 if the set's clips are."""
        return normalise_peak(audio) if self.plan.normalise else audio


def _labelled_knobs(space: ParameterSpace, batch: PairBatch, *, at_levels: bool) -> Knobs:
    """The knobs that labels stand for: the very levels, which the way through the unit cube would round."""
    return space.from_classes(batch.classes) if at_levels else space.from_unit(batch.unit)


def _fold_setting(folds: Folds) -> str:
    return f"{folds.fold} of {folds.count}"


# How an inverter was trained


def trained_on(name_or_path: str | Path, facts: Mapping[str, Any]) -> tuple[DataConfig, str]:
    """In what manner an inverter's training pairs were drawn, and where that is known from.

    A run folder says it in its run file, a checkpoint in the facts that were saved with it. Without either, the
    defaults of a run file stand in: knobs at their levels, at 440 Hz, for the synthesizer's own gate.
    """
    path = Path(name_or_path)
    folder = RunFolder(path.parent if path.name == MODEL_FILE else path)
    if folder.config.is_file():
        data = build(MatchingRun, read_run_file(folder.config), "").data
        return data, "the run file, which trained on a data set" if data.folder else "the run file"
    if facts.get("pairs"):
        return build(DataConfig, facts["pairs"], "pairs"), "the checkpoint"
    return DataConfig(), "default"


def endless_clips(
    inverter: Inverter, data: DataConfig, *, size: int, split: HeldOutSplit, seed: int, origin: str
) -> EndlessClips:
    """The first `size` clips of a split, drawn as a run with `data` draws them."""
    # What is of training alone, and compiling, which takes seconds for renderings that are equal up to rounding.
    data = dataclasses.replace(data, folder="", balance="", compiled=False)
    run = MatchingRun(inverter.config, TrainConfig(steps=1), data, seed=seed)
    return EndlessClips(run.pair_source(inverter), size, split, origin)


def stored_clips(
    inverter: Inverter, folder: str | Path, split: HeldOutSplit, folds: Folds | None = None
) -> StoredClips:
    """The whole held-out split of a data set.

    Args:
        folds: What the inverter's training held out, if it was a turn of a cross-validation: then the split is that
            fold's, whatever the set itself holds out.

    Raises:
        DatasetError: It is missing or damaged, is not of the inverter's synthesizer, knobs, levels, rate and length, or
            holds nothing out.
    """
    _check_labelled(Path(folder))
    data = RenderedSet.open(folder)
    plan = plan_from_header(data.header)
    if misfit := first_misfit(plan, inverter):
        raise DatasetError(f"{data.folder}: {misfit.against('model')}")
    if folds is None:
        rows = data.split(split)
        members = rows[HELD_OUT.part(data.classes[rows]) >= SPLITS.index(split)]
    else:
        rows = members = indices_of(folds.part(data.classes), split)
    if not len(members):
        raise DatasetError(
            f"{data.folder}: its {split} split holds no clip that training cannot have seen; make a larger set"
        )
    return StoredClips(data, split, members, len(rows) - len(members), plan, folds)


def _check_labelled(folder: Path) -> None:
    """Sends recordings, which have no labels to be right or wrong about, to the command that takes them."""
    if (folder / HEADER_FILE).is_file():
        recorded = read_header(folder).kind == "recorded"
    else:
        sounds = folder.rglob("*") if folder.is_dir() else [folder]
        recorded = any(path.suffix.lower() in SUFFIXES and path.is_file() for path in sounds)
    if recorded:
        raise DatasetError(
            f"{folder} holds recordings, which have no labels to measure an inversion by; it takes a data set made by "
            "`retimbre data synth`, and `retimbre evaluate recordings` takes these"
        )
