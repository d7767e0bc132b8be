"""The envelope set on disk: the same examples as `corpus.py` makes, written down for other programs and for checks.

The audio shards hold the targets; the basic signals and the labels are side arrays. What is read is what would be made:
the settings are in the header, so a set can be made anew, or made longer, from its folder alone.
"""

import dataclasses
from pathlib import Path
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.config import build
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.envelopes.corpus import EnvelopeBatch, EnvelopeLabels, EnvelopeSettings
from retimbre.data.manifest import HEADER_FILE, Fractions, Header, read_header
from retimbre.data.side_arrays import SideArray, SideRows
from retimbre.data.splits import indices_of
from retimbre.data.store import AudioShards

SETTINGS = "envelopes"
"""The group of the header's options that holds the settings."""


def side_arrays(settings: EnvelopeSettings) -> dict[str, SideArray]:
    """What lies beside the targets, by the name of the field that it holds."""
    stages = ", ".join(settings.levels)
    arrays = (
        SideArray("basic", "float32", (settings.num_samples,), "the signal before its envelope"),
        SideArray(
            "values", "float64", (4,), "attack, decay, sustain, release: fractions of the clip, and a level"
        ),
        SideArray(
            "classes", "int16", (len(settings.levels),), f"the places of {stages} in the settings' lists"
        ),
        SideArray("carrier", "int16", (), "the place of the carrier in the settings' list"),
        SideArray("cycles", "float64", (), "cycles of the carrier in the clip"),
    )
    return {array.name: array for array in arrays}


def settings_of(folder: Path, header: Header) -> EnvelopeSettings:
    """The settings that a set was made with.

    Raises:
        DatasetError: It is no envelope set, or they are damaged.
    """
    if header.kind != "procedural" or SETTINGS not in header.options:
        raise DatasetError(f"{folder} is a {header.kind} data set, but an envelope set is needed")
    try:
        return build(EnvelopeSettings, header.options[SETTINGS], SETTINGS)
    except ConfigError as error:
        raise DatasetError(f"{folder / HEADER_FILE}: {error}") from error


def parts_of(rows: Int[Tensor, " rows"], fractions: Fractions) -> Int[Tensor, " rows"]:
    """The part of each example, as an index into `splits.SPLITS`: a function of its number alone."""
    place = random.uniform(0, "split of an envelope", rows, 1)[:, 0]
    held_out = fractions.validation + fractions.test
    return (place < held_out).long() + (place < fractions.test).long()


@final
@dataclasses.dataclass(frozen=True, eq=False)
class EnvelopeSet:
    """An envelope set on disk."""

    folder: Path
    header: Header
    settings: EnvelopeSettings
    shards: AudioShards
    arrays: dict[str, SideRows]

    @classmethod
    def open(cls, folder: str | Path) -> "EnvelopeSet":
        """Opens a set and checks all but the checksums.

        Raises:
            DatasetError: It is missing, unfinished, foreign or damaged; the message says which file.
        """
        folder = Path(folder)
        header = read_header(folder)
        settings = settings_of(folder, header)
        arrays = {name: SideRows.open(folder, header, name) for name in side_arrays(settings)}
        return cls(folder, header, settings, AudioShards.open(folder, header), arrays)

    def __len__(self) -> int:
        return self.header.size

    def batch(self, rows: Int[Tensor, " rows"]) -> EnvelopeBatch:
        """The examples of these numbers, in this order."""
        entries = {name: torch.from_numpy(array.read(rows)) for name, array in self.arrays.items()}
        classes, carrier = entries["classes"].long(), entries["carrier"].long()
        labels = EnvelopeLabels(entries["values"], classes, carrier, entries["cycles"])
        return EnvelopeBatch(self.shards.read(rows), entries["basic"], labels)

    def split(self, name: str) -> Int[Tensor, " rows"]:
        """The examples of `train`, `validation` or `test`."""
        return indices_of(parts_of(torch.arange(len(self)), self.header.split), name)
