"""What inverters are trained on: sounds with the knobs that made them.

A synthesizer can make as many pairs as are wanted, so training need not see any twice. `PairSource` renders
each batch on the device that trains. Its pairs have addresses: pair `i` of a split is a function of (seed,
split, i) and nothing else, so batches can be made in any order, a resumed run sees what an unbroken one sees,
and no data set has to be kept.

Held-out pairs must be about patches that training never sees, or the figures measure memory. Every vector of
classes belongs to one split, by its hash (`data.splits`): a tenth of all vectors to validation, a tenth to
test. A split draws until it has vectors of its own. So the splits have no class vector in common, whatever
their seeds and however many pairs are drawn, and a data set on disk is parted by the same hash.

`FileSource` gives the same batches from a data set on disk.
"""

import copy
import dataclasses
import hashlib
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.core.files import sha256_of
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import HEADER_FILE, MANIFEST_FILE
from retimbre.data.splits import SPLITS, Folds, Split, balanced, indices_of
from retimbre.matching.source import Source
from retimbre.synth.base import Note, Synth
from retimbre.synth.compiled import CompiledRenderer
from retimbre.synth.parameters import ParameterSpace

# A tenth of all class vectors to validation, a tenth to test.
HELD_OUT = Folds(count=10, fold=0)

# With shuffled labels, a pair has those of the pair this far away, which no run ever hears.
SHUFFLE_DISTANCE = 1 << 40

# A split of a tenth misses this many times in a row for one pair in 10^46, unless it has no class vector at all.
MOST_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class NoteRange:
    """The key presses that sounds are made with: pitch even in octaves, gate even in seconds, velocity full.

    Full velocity is no loss: what listens is blind to level.
    """

    pitch_low_hz: float = 440.0
    pitch_high_hz: float = 440.0
    gate_low_s: float = 0.75
    gate_high_s: float = 0.75

    def __post_init__(self) -> None:
        """Refuses ranges that are empty or that no key has."""
        if not 1.0 <= self.pitch_low_hz <= self.pitch_high_hz <= 20_000.0:
            pitches = f"{self.pitch_low_hz:g} to {self.pitch_high_hz:g} Hz"
            raise ConfigError(f"pitch from {pitches}: takes an ascending range in 1 to 20000 Hz")
        if not 0.0 <= self.gate_low_s <= self.gate_high_s:
            raise ConfigError(
                f"gate from {self.gate_low_s:g} to {self.gate_high_s:g} s: takes an ascending range from 0 s up"
            )

    def draw(self, uniform: Float[Tensor, "batch 2"], noise_seed: Int[Tensor, " batch"]) -> Note:
        """Notes from uniform numbers in [0, 1)."""
        ratio = self.pitch_high_hz / self.pitch_low_hz
        span_s = self.gate_high_s - self.gate_low_s
        return Note(
            pitch_hz=(self.pitch_low_hz * ratio ** uniform[:, 0]).float(),
            velocity=torch.ones(len(uniform), device=uniform.device),
            gate_s=(self.gate_low_s + span_s * uniform[:, 1]).float(),
            noise_seed=noise_seed,
        )


@dataclasses.dataclass(frozen=True)
class PairSource(Source):
    """Endless pairs, rendered when asked for.

    Attributes:
        synth: What renders them, at the rate wanted.
        space: Which knobs vary, and the levels of their classes.
        num_samples: Length of a clip.
        notes: The key presses.
        draw: `classes` draws knobs at their levels, as in the paper; `continuous` anywhere in their travel.
        seed: Which pairs.
        compiled: Whether rendering is compiled: several times faster after the seconds that compiling takes, and
            equal up to rounding.
        distinct: How many training pairs there are before they begin again, each further pass in an order of its own;
            0 for no end.
        shuffled_labels: Whether training sounds come with the labels of other sounds: the control that shows what
            a score is worth when there is nothing to learn.
        folds: Which class vectors are held out.
    """

    synth: Synth
    space: ParameterSpace
    num_samples: int
    notes: NoteRange
    draw: Literal["classes", "continuous"] = "classes"
    seed: int = 0
    compiled: bool = False
    distinct: int = 0
    shuffled_labels: bool = False
    folds: Folds = HELD_OUT

    @property
    def num_distinct(self) -> int:
        """How many different training pairs there are; 0 for no end."""
        return self.distinct

    def numbers(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, " batch"]:
        """The rows themselves, until the training pairs begin again."""
        return self._within_passes(rows) if split == "train" and self.distinct else rows

    def audio(self, numbers: Int[Tensor, " batch"], split: Split) -> Float[Tensor, "batch samples"]:
        """The sounds, rendered on the device of `numbers`."""
        knobs = self.space.from_unit(self.patches(numbers, split)[1])
        render = CompiledRenderer(self.synth).render if self.compiled else self.synth.render_in_chunks
        with torch.no_grad():
            return render(knobs, self.note(numbers, split), num_samples=self.num_samples)

    def labels(
        self, numbers: Int[Tensor, " batch"], split: Split
    ) -> tuple[Int[Tensor, "batch searched"], Float[Tensor, "batch width"], Note]:
        """The patches that were rendered, or others if labels are shuffled; the notes are true in any case."""
        told = numbers + SHUFFLE_DISTANCE if split == "train" and self.shuffled_labels else numbers
        return *self.patches(told, split), self.note(numbers, split)

    def note(self, numbers: Int[Tensor, " batch"], split: Split) -> Note:
        """The key presses of these pairs."""
        return self.notes.draw(random.uniform(self.seed, f"{split} notes", numbers, 2), numbers)

    def identity(self) -> dict[str, Any]:
        """The synthesizer, its knobs, the notes and how they are drawn."""
        described = {
            "synth": self.synth,
            "knobs": self.space.parameters,
            "fixed": self.space.fixed,
            "notes": self.notes,
            "held out": self.folds,
        }
        options = {"draw": self.draw, "seed": self.seed, "compiled": self.compiled, "distinct": self.distinct}
        return {
            **{what: repr(each) for what, each in described.items()},
            **options,
            "samples": self.num_samples,
        }

    def truthful(self) -> "PairSource":
        """The same pairs with their own labels."""
        return dataclasses.replace(self, shuffled_labels=False)

    def _within_passes(self, rows: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """The pairs heard at these places of the training: the first pass in their own order, the others in others."""
        laps, places = rows // self.distinct, rows % self.distinct
        for lap in laps.unique().tolist():
            if lap:
                order = torch.randperm(
                    self.distinct, generator=random.generator(self.seed, "order of a pass", lap)
                )
                here = laps == lap
                places[here] = order.to(rows.device)[places[here]]
        return places

    def patches(
        self, rows: Int[Tensor, " batch"], split: Split
    ) -> tuple[Int[Tensor, "batch searched"], Float[Tensor, "batch width"]]:
        """The classes and the points of the unit cube of these pairs.

        Raises:
            ConfigError: The space has too few class vectors for a split of its own.
        """
        classes, unit = self._draw(rows, split, 0)
        wrong = self._strangers(classes, split)
        for attempt in range(1, MOST_DRAWS):
            if not len(wrong):
                return classes, unit
            classes[wrong], unit[wrong] = self._draw(rows[wrong], split, attempt)
            wrong = wrong[self._strangers(classes[wrong], split)]
        raise ConfigError(
            f"the {self.space.grid_size} class vectors of {self.synth.name} leave none for the {split} split; "
            "search more knobs"
        )

    def _draw(self, rows: Tensor, split: Split, attempt: int) -> tuple[Tensor, Tensor]:
        uniform = random.uniform(self.seed, f"{split} pairs {attempt}", rows, len(self.space.searched))
        if self.draw == "classes":
            classes = self.space.draw_classes(uniform)
            return classes, self.space.to_unit(self.space.from_classes(classes))
        unit = self.space.draw_unit(uniform)
        return self.space.to_classes(self.space.from_unit(unit)), unit

    def _strangers(self, classes: Tensor, split: Split) -> Tensor:
        """Positions of the class vectors that belong to another split."""
        return torch.nonzero(self.folds.part(classes) != SPLITS.index(split)).flatten()


class FileSource(Source):
    """The pairs of a data set on disk, each pass in an order of its own.

    Args:
        balance: A searched knob whose classes are to be equally frequent in each training pass; empty for none.
        folds: Which class vectors are held out; none for the set's own split.
        shuffled_labels: Whether training sounds come with the labels of other sounds of the split.

    Raises:
        ConfigError: The knob is not searched.
    """

    def __init__(
        self,
        data: RenderedSet,
        seed: int,
        balance: str = "",
        *,
        folds: Folds | None = None,
        shuffled_labels: bool = False,
    ) -> None:
        self.data = data
        self.seed = seed
        self.balance = balance
        self.rows = {split: _rows(data, split, folds) for split in SPLITS}
        self._labels_of = torch.arange(len(data.classes))
        if shuffled_labels:
            train = self.rows["train"]
            generator = random.generator(seed, "shuffled labels")
            self._labels_of[train] = train[torch.randperm(len(train), generator=generator)]
        if balance and balance not in data.columns.knobs:
            known = near_miss(balance, data.columns.knobs)
            raise ConfigError(f"{data.folder}: no knob {balance!r} is searched; {known}")

    @property
    def num_distinct(self) -> int:
        """How many clips the training part has."""
        return len(self.rows["train"])

    def numbers(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, " batch"]:
        """Places in the part, clip by clip; past its end, a further pass in another order."""
        size = len(self.rows[split])
        if not size:
            raise DatasetError(f"{self.data.folder}: its {split} split is empty; make a larger set")
        turns = [divmod(row, size) for row in rows.tolist()]
        places = [self._order(lap, split)[place] for lap, place in turns]
        return torch.stack(places).to(rows.device)

    def audio(self, numbers: Int[Tensor, " batch"], split: Split) -> Float[Tensor, "batch samples"]:
        """The clips at these places, read from disk."""
        return self.data.audio(self.rows[split][numbers.cpu()]).to(numbers.device)

    def labels(
        self, numbers: Int[Tensor, " batch"], split: Split
    ) -> tuple[Int[Tensor, "batch searched"], Float[Tensor, "batch width"], Note]:
        """What the set says of the clips at these places, or of others if labels are shuffled."""
        chosen, device = self.rows[split][numbers.cpu()], numbers.device
        labels, told = self.data.labels, self._labels_of[chosen]
        notes = labels.notes[chosen].to(device)
        note = Note(notes[:, 0], notes[:, 1], notes[:, 2], chosen.to(device))
        return labels.classes[told].to(device), labels.unit[told].to(device), note

    def identity(self) -> dict[str, Any]:
        """The checksums of the set, and which of its clips are trained on."""
        files = {name: sha256_of(self.data.folder / name) for name in (HEADER_FILE, MANIFEST_FILE)}
        members = self.rows["train"].numpy().tobytes()
        return {**files, "train": hashlib.sha256(members).hexdigest()}

    def truthful(self) -> "FileSource":
        """The same clips with their own labels."""
        twin = copy.copy(self)
        twin._labels_of = torch.arange(len(self.data.classes))
        return twin

    def _order(self, lap: int, split: Split) -> Tensor:
        """The order of a pass; validation and test stay in the order of the files."""
        size = len(self.rows[split])
        if split != "train":
            return torch.arange(size)
        # One pass is asked for many times in a row, and shuffling anew for each pair would be slow.
        if self._lap[0] != lap:
            self._lap = (lap, self._shuffled(lap))
        return self._lap[1]

    def _shuffled(self, lap: int) -> Tensor:
        if self.balance:
            column = self.data.columns.knobs.index(self.balance)
            labels = self.data.classes[self.rows["train"], column]
            return balanced(labels, len(labels), seed=self.seed, step=lap)
        generator = random.generator(self.seed, "order of a pass", lap)
        return torch.randperm(len(self.rows["train"]), generator=generator)

    _lap: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))


def _rows(data: RenderedSet, split: Split, folds: Folds | None) -> Int[Tensor, " members"]:
    return data.split(split) if folds is None else indices_of(folds.part(data.classes), split)
