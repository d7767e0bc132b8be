"""What a corpus is made of before any of it is read: recordings, and what is known about each.

Corpora come in every layout: one JSON file for all notes, a folder per word, a table of pieces. Each has a
*scanner* that knows its layout and its filters, opens no audio, and says two things: which recordings are wanted
(`Source`), and which were named but cannot be had (`Reject`). Everything after that (reading, cutting, parting,
writing) is the same for all corpora and is done in one place, `workflows.dataset.recordings`.

    scanner: raw folder, filters  ->  Scan(sources, rejects)  ->  importer: shards, clips.jsonl, rejects.jsonl
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

from retimbre.core.errors import ConfigError
from retimbre.data.splits import Split

Value = str | int | float
"""What an attribute may be: a name, a number of something, or a measure."""


@final
@dataclasses.dataclass(frozen=True)
class Source:
    """A recording to read, and what its corpus says about it.

    Attributes:
        path: Where its file is.
        name: Its name in the corpus, the same on every machine: mostly the path below the corpus's folder, with `/`.
        label: What it is counted and balanced by; empty where nothing is known.
        attributes: Everything else that is known, such as its pitch. All sources of a set have the same names.
        split: The part that the corpus itself puts it into; None leaves that to the importer.
        group: Sources of one group go to one part, so that nothing leaks (a speaker, an instrument, a piece); empty
            stands for the name: every recording on its own.
        sha256: The checksum that the corpus lists for the file; empty where it lists none.
    """

    path: Path
    name: str
    label: str = ""
    attributes: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    split: Split | None = None
    group: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError(f"{self.path}: a source needs a name")

    @property
    def parted_as(self) -> str:
        """The group, or the name where there is none."""
        return self.group or self.name


@final
@dataclasses.dataclass(frozen=True)
class Reject:
    """Something that is not in the set.

    Attributes:
        path: The file, or its name in the corpus where it has none.
        kind: `failed` where it was wanted but could not be had, `dropped` where the caller's options leave it out,
            `passed over` where it is no recording.
        reason: One line.
        count: How many files this stands for; more than one only where they are too many to name.
    """

    path: str
    kind: Literal["failed", "dropped", "passed over"]
    reason: str
    count: int = 1


@final
@dataclasses.dataclass(frozen=True)
class Scan:
    """What a scanner found.

    Attributes:
        sources: The recordings that are wanted, in an order that is the same on every machine.
        rejects: What the corpus names and does not have, and what lies around and is no part of it. What a filter
            leaves out is not here: that is no fault.
        options: Every filter that the scan depended on, as plain values: they are part of what the set is.
        origin: `name`, `licence` and `citation`, of a folder that says so itself; they go before what the catalog of
            corpora says.
    """

    sources: tuple[Source, ...]
    rejects: tuple[Reject, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origin: Mapping[str, str] = dataclasses.field(default_factory=dict)
