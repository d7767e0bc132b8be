"""Data sets as a program uses them: open a folder, ask for parts and clips.

A *rendered* set pairs each clip with the knobs that made it, in two spellings: classes (one per searched knob) and
the point of the unit cube. A *recorded* set pairs each clip with where it was cut from. Opening one reads the
small files and checks everything that can be checked without reading the audio; the audio stays on disk until it
is asked for.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
import pydantic
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from retimbre.core.config import build
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.data import splits
from retimbre.data.manifest import HEADER_FILE, Header, read_header
from retimbre.data.source import Value
from retimbre.data.store import AudioShards, map_array, write_array

CLASSES_FILE, UNIT_FILE, NOTES_FILE = "classes.npy", "unit.npy", "notes.npy"
CLIPS_FILE = "clips.jsonl"


@final
@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of the labels stand for; the header's group `columns`.

    Attributes:
        knobs: Names of the searched knobs.
        class_counts: How many classes each has.
        width: Columns of the unit cube.
    """

    knobs: tuple[str, ...]
    class_counts: tuple[int, ...]
    width: int


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """What is known about the clips of a rendered set.

    Attributes:
        classes: The class of each searched knob.
        unit: The searched knobs as points of the unit cube.
        notes: Pitch in hertz, velocity and gate in seconds. The noise seed of a clip is its number.
    """

    classes: Int[Tensor, "examples searched"]
    unit: Float[Tensor, "examples width"]
    notes: Float[Tensor, "examples 3"]

    def write(self, folder: Path) -> None:
        """Writes the three arrays."""
        write_array(folder / CLASSES_FILE, self.classes.numpy().astype(np.int32))
        write_array(folder / UNIT_FILE, self.unit.numpy())
        write_array(folder / NOTES_FILE, self.notes.numpy())


@final
@dataclasses.dataclass(frozen=True, eq=False)
class RenderedSet:
    """A set that a synthesizer made.

    Attributes:
        parts: The part of each example, as an index into `splits.SPLITS`.
    """

    folder: Path
    header: Header
    columns: Columns
    labels: Labels
    parts: Int[Tensor, " examples"]
    shards: AudioShards

    @classmethod
    def open(cls, folder: str | Path) -> "RenderedSet":
        """Opens a set and checks all but the checksums.

        Raises:
            DatasetError: It is missing, unfinished, foreign or damaged; the message says which file.
        """
        folder = Path(folder)
        header = _header_of(folder, "rendered")
        columns = read_columns(folder, header)
        labels = read_labels(folder, header, columns)
        parts = splits.split_by_classes(labels.classes, header.split)
        return cls(folder, header, columns, labels, parts, AudioShards.open(folder, header))

    def __len__(self) -> int:
        return self.header.size

    @property
    def classes(self) -> Int[Tensor, "examples searched"]:
        """The class of each searched knob."""
        return self.labels.classes

    @property
    def unit(self) -> Float[Tensor, "examples width"]:
        """The searched knobs as points of the unit cube."""
        return self.labels.unit

    def audio(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """The clips of these numbers, in this order."""
        return self.shards.read(rows)

    def split(self, name: str) -> Int[Tensor, " rows"]:
        """The clips of `train`, `validation` or `test`."""
        return splits.indices_of(self.parts, name)

    def balanced(self, name: str, knob: str, count: int, *, seed: int, step: int) -> Int[Tensor, " count"]:
        """`count` clips of a part in which every class of a knob has its equal share, to within one.

        Raises:
            ConfigError: The knob is not searched, or the part is empty.
        """
        knobs = self.columns.knobs
        if knob not in knobs:
            raise ConfigError(f"{self.folder}: no knob {knob!r} is searched; {near_miss(knob, knobs)}")
        rows = self.split(name)
        labels = self.classes[rows, knobs.index(knob)]
        return rows[splits.balanced(labels, count, seed=seed, step=step)]


@final
@dataclasses.dataclass(frozen=True)
class Clip:
    """Where a clip of a recorded set was cut from.

    Attributes:
        source: Path of the recording below the folder that was named.
        label: The first sub-folder in that path; empty at the top.
        start_s: Where the clip begins in the recording.
        seconds: How much of the clip is recording; the rest is padding.
        sha256: Of the recording's file.
        remarks: What a listener should know about the recording.
        attributes: What its corpus says about it, such as its pitch; every clip of a set has the same ones.
    """

    source: str
    label: str
    start_s: float
    seconds: float
    split: Literal["train", "validation", "test"]
    sha256: str
    source_rate: Annotated[int, Field(gt=0)]
    remarks: tuple[str, ...] = ()
    attributes: dict[str, Value] = dataclasses.field(default_factory=dict)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LabelColumn:
    """One attribute of all clips, as classes.

    Attributes:
        names: What each class stands for, ascending; only what occurs in the set.
    """

    names: tuple[Value, ...]
    classes: Int[Tensor, " clips"]

    def name_of(self, index: int) -> Value:
        """What a class stands for."""
        return self.names[index]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class RecordedSet:
    """A set that was cut from recordings."""

    folder: Path
    header: Header
    clips: tuple[Clip, ...]
    shards: AudioShards

    @classmethod
    def open(cls, folder: str | Path) -> "RecordedSet":
        """Opens a set and checks all but the checksums.

        Raises:
            DatasetError: It is missing, foreign or damaged; the message says which file.
        """
        folder = Path(folder)
        header = _header_of(folder, "recorded")
        clips = read_clips(folder / CLIPS_FILE, header)
        return cls(folder, header, clips, AudioShards.open(folder, header))

    def __len__(self) -> int:
        return self.header.size

    def audio(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """The clips of these numbers, in this order."""
        return self.shards.read(rows)

    def split(self, name: str) -> Int[Tensor, " rows"]:
        """The clips of `train`, `validation` or `test`."""
        parts = torch.tensor([splits.SPLITS.index(clip.split) for clip in self.clips])
        return splits.indices_of(parts, name)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes that the clips have, beside their label."""
        return tuple(self.clips[0].attributes)

    def column(self, name: str) -> LabelColumn:
        """An attribute of every clip as classes that map back to names; `label` is the label.

        Raises:
            ConfigError: The clips have no such attribute.
        """
        if name == "label":
            values: list[Value] = [clip.label for clip in self.clips]
        elif name in self.attributes:
            values = [clip.attributes[name] for clip in self.clips]
        else:
            known = ("label", *self.attributes)
            raise ConfigError(
                f"{self.folder}: its clips have no attribute {name!r}; {near_miss(name, known)}"
            )
        names = sorted(set(values), key=lambda value: (isinstance(value, str), value))
        index_of = {value: index for index, value in enumerate(names)}
        return LabelColumn(tuple(names), torch.tensor([index_of[value] for value in values]))

    def balanced(
        self, split: str, attribute: str, count: int, *, seed: int, step: int
    ) -> Int[Tensor, " count"]:
        """`count` clips of a part in which every class of an attribute has its equal share, to within one.

        Raises:
            ConfigError: The clips have no such attribute, or the part is empty.
        """
        rows = self.split(split)
        return rows[splits.balanced(self.column(attribute).classes[rows], count, seed=seed, step=step)]


def _header_of(folder: Path, kind: str) -> Header:
    header = read_header(folder)
    if header.kind != kind:
        raise DatasetError(f"{folder} is a {header.kind} data set, but a {kind} one is needed")
    return header


def read_columns(folder: Path, header: Header) -> Columns:
    """What the columns of the labels stand for.

    Raises:
        DatasetError: The header does not say.
    """
    try:
        return build(Columns, header.options.get("columns"), "columns")
    except ConfigError as error:
        raise DatasetError(f"{folder / HEADER_FILE}: {error}") from error


def read_labels(folder: Path, header: Header, columns: Columns) -> Labels:
    """Reads the three arrays.

    Raises:
        DatasetError: One is missing, damaged, or does not fit the header.
    """
    size, num_knobs = header.size, len(columns.knobs)
    classes = map_array(folder / CLASSES_FILE, dtype=np.int32, shape=(size, num_knobs))
    unit = map_array(folder / UNIT_FILE, dtype=np.float32, shape=(size, columns.width))
    notes = map_array(folder / NOTES_FILE, dtype=np.float32, shape=(size, 3))
    if classes.min() < 0 or not (classes < np.array(columns.class_counts)).all():
        raise DatasetError(
            f"{folder / CLASSES_FILE}: holds a class that its knob does not have; it is damaged"
        )
    for name, values in {UNIT_FILE: unit, NOTES_FILE: notes}.items():
        if not np.isfinite(values).all():
            raise DatasetError(f"{folder / name}: holds values that are not numbers; it is damaged")
    return Labels(torch.from_numpy(classes.astype(np.int64)), torch.tensor(unit), torch.tensor(notes))


_CLIP = pydantic.TypeAdapter(Clip)


def read_clips(path: Path, header: Header) -> tuple[Clip, ...]:
    """Reads the list of clips.

    Raises:
        DatasetError: It is missing, damaged, or does not fit the header.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        clips = tuple(_CLIP.validate_json(line, strict=True) for line in lines)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # undecodable bytes, and what pydantic raises
        raise DatasetError(f"{path}: not a list of clips: {str(error).splitlines()[0]}") from error
    if len(clips) != header.size:
        raise DatasetError(f"{path}: lists {len(clips)} clips, but the set has {header.size}")
    if any(clip.attributes.keys() != clips[0].attributes.keys() for clip in clips):
        raise DatasetError(f"{path}: not every clip has the same attributes; it is damaged")
    return clips
