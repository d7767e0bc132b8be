"""MAESTRO: some 200 hours of piano performances, each recorded twice at once: by microphones, and by the piano as MIDI.

A Disklavier plays and writes down every key and pedal as the performer moves it, so audio and MIDI agree to about
3 ms. `table.py` reads the folder; here the pieces that are wanted are chosen and looked at.

Pieces are taken by name, or shuffled by a seed, until the next would pass a number of hours: the same pieces on every
machine. A piece whose audio or MIDI is missing or of no use is named and left out. The MIDI is read, since only so is a
file without notes found. Of the audio the headers are read, which say how long it is; where hours are limited all of it
is, since a piece that turns out to be of no use must not cost some of them.

References:
    Hawthorne et al., "Enabling Factorized Piano Music Modeling and Generation with the MAESTRO Dataset", ICLR 2019,
    https://arxiv.org/abs/1810.12247
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal, final

import torch

from retimbre.core import random
from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError, DatasetError, MidiError, near_miss
from retimbre.core.files import fingerprint, sha256_of
from retimbre.corpora.maestro.midi_states import MIDI_STATES, read_piano
from retimbre.corpora.maestro.table import TABLES, Piece, find_table, read_pairs, read_table
from retimbre.data.source import Reject, Scan, Source, Value
from retimbre.data.splits import SPLITS, Split
from retimbre.dsp import audiofile
from retimbre.dsp.decode import survey

SAMPLE_RATE, CHUNK_SAMPLES = 16_000, 16_384  # 1.024 s a chunk, as in the earlier system

Content = Literal["both", "audio", "midi"]


@final
@dataclasses.dataclass(frozen=True)
class MaestroFilters:
    """Which pieces, and what of them.

    Attributes:
        content: Chunks of audio with their MIDI states, or one of the two alone; what is not wanted need not be there.
        hours: Stop before the piece that would pass this; 0 takes all.
        years: Only these; empty takes all.
        parts: Only these of `train`, `validation` and `test`; empty takes all.
        composers: Only those whose name contains one of these, in any case; empty takes all.
        order: By name, or shuffled by `seed`: it decides which pieces make up the hours.
    """

    content: Content = "both"
    hours: float = 0.0
    years: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    composers: tuple[str, ...] = ()
    order: Literal["name", "shuffled"] = "name"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.hours >= 0:
            raise ConfigError(f"hours is {self.hours:g}; it takes a positive number, or 0 for all")
        for part in self.parts:
            if part not in SPLITS:
                raise ConfigError(f"there is no part {part!r}; {near_miss(part, SPLITS)}")

    @property
    def needs_table(self) -> bool:
        """Whether a filter asks for what only the table knows."""
        return bool(self.years or self.parts or self.composers)


@final
@dataclasses.dataclass(frozen=True)
class Performance:
    """A piece that can be used.

    Attributes:
        source: The recording, or the MIDI file where no audio is wanted.
        midi: The MIDI file; None where no MIDI is wanted.
        seconds: How long the recording is, as its header says, or as it is where hours are limited; without audio,
            until the last movement.
    """

    source: Source
    midi: Path | None
    seconds: float


@final
@dataclasses.dataclass(frozen=True)
class MaestroScan:
    """What was found: the wanted pieces in the order they were taken, and those that cannot be used."""

    filters: MaestroFilters
    performances: tuple[Performance, ...]
    rejects: tuple[Reject, ...]

    @property
    def sources(self) -> Scan:
        """The same as any corpus gives it; the content of the MIDI files is one of its options."""
        midi = [[each.source.name, sha256_of(each.midi)] for each in self.performances if each.midi]
        arrays = [] if self.filters.content == "audio" else [MIDI_STATES.name]
        options = {**dump(self.filters), "midi": fingerprint(midi), "side_arrays": arrays}
        return Scan(tuple(each.source for each in self.performances), self.rejects, options)


def scan(raw: str | Path, filters: MaestroFilters | None = None) -> MaestroScan:
    """Finds the pieces of a folder.

    Raises:
        DatasetError: The folder is missing, has no pieces, or its table cannot be read.
        ConfigError: A filter needs the table, and there is none.
    """
    filters = filters or MaestroFilters()
    folder, pieces = _pieces(Path(raw), filters)
    performances: list[Performance] = []
    rejects: list[Reject] = []
    seconds = 0.0
    names: set[str] = set()
    for piece in _ordered(pieces, filters):
        found = _performance(folder, piece, filters)
        if isinstance(found, Performance) and found.source.name in names:
            found = Reject(found.source.name, "failed", "the table lists it twice")
        if isinstance(found, Reject):
            rejects.append(found)
            continue
        seconds += found.seconds
        if filters.hours and seconds > filters.hours * 3600:
            break
        performances.append(found)
        names.add(found.source.name)
    return MaestroScan(filters, tuple(performances), tuple(rejects))


def _pieces(raw: Path, filters: MaestroFilters) -> tuple[Path, list[Piece]]:
    """The folder that paths are below, and the pieces that pass the filters."""
    if not raw.is_dir():
        raise DatasetError(f"{raw} is not a folder")
    tables = " or ".join(TABLES)
    table = find_table(raw)
    if table is None and filters.needs_table:
        raise ConfigError(
            f"{raw} has no table ({tables}), so nothing can be chosen by year, part or composer"
        )
    folder, pieces = (raw, read_pairs(raw)) if table is None else (table.parent, read_table(table))
    wanted = [piece for piece in pieces if _is_wanted(piece, filters)]
    if not pieces:
        raise DatasetError(f"{raw} has neither a table of MAESTRO ({tables}) nor sounds with MIDI files")
    if not wanted:
        raise DatasetError(f"{raw}: none of {len(pieces)} pieces passes the filters")
    return folder, wanted


def _is_wanted(piece: Piece, filters: MaestroFilters) -> bool:
    composer = piece.composer.casefold()
    return (
        (not filters.years or piece.year in filters.years)
        and (not filters.parts or piece.part in filters.parts)
        and (not filters.composers or any(name.casefold() in composer for name in filters.composers))
    )


def _ordered(pieces: Iterable[Piece], filters: MaestroFilters) -> list[Piece]:
    by_name = sorted(pieces, key=lambda piece: piece.name)
    if filters.order == "name":
        return by_name
    turns = torch.randperm(len(by_name), generator=random.generator(filters.seed, "order of pieces"))
    return [by_name[turn] for turn in turns.tolist()]


def _performance(folder: Path, piece: Piece, filters: MaestroFilters) -> Performance | Reject:
    """The piece, if what is wanted of it is there and of use."""
    content = filters.content
    name = piece.midi if content == "midi" else piece.audio
    reason = _fault(folder, piece, content)
    if reason:
        return Reject(name or piece.name, "failed", reason)
    midi, audio = folder / piece.midi, folder / piece.audio
    try:
        movements = read_piano(midi) if content != "audio" else ()
        if content == "midi" and movements:
            seconds = float(movements[-1].at_s)
        else:
            seconds = _seconds_of(audio, through=filters.hours > 0)
    except (AudioError, MidiError) as error:
        return Reject(name, "failed", str(error).replace(f"{folder}/", "").removeprefix(f"{name}: "))
    return Performance(_source(folder, piece, name), None if content == "audio" else midi, seconds)


def _seconds_of(audio: Path, *, through: bool) -> float:
    """How long a recording is: as its header says, or, when it is gone through, as what can be used of it is."""
    if not through:
        return audiofile.probe(audio).seconds
    found = survey(audio)
    return found.num_frames / found.info.sample_rate


def _source(folder: Path, piece: Piece, name: str) -> Source:
    known: dict[str, Value] = {"composer": piece.composer, "title": piece.title, "year": piece.year}
    if piece.part is None:
        known = {}  # there is no table
    return Source(folder / name, name, label=piece.composer, attributes=known, split=_split(piece))


def _split(piece: Piece) -> Split | None:
    for part in SPLITS:
        if part == piece.part:
            return part
    return None


def _fault(folder: Path, piece: Piece, content: Content) -> str:
    """Why a piece cannot be used, as far as can be said without opening its files; empty where it can."""
    if piece.part is not None and piece.part not in SPLITS:
        return f"its split is {piece.part!r}, not one of {', '.join(SPLITS)}"
    needed = {"audio": piece.audio, "midi": piece.midi}
    faults = (_file_fault(folder, kind, needed[kind]) for kind in needed if content in ("both", kind))
    return next((fault for fault in faults if fault), "")


def _file_fault(folder: Path, kind: str, below: str) -> str:
    if not below:
        return f"it has no {kind} file"
    place = PurePosixPath(below)
    if place.is_absolute() or ".." in place.parts:
        return f"its {kind} file {below!r} is outside the corpus"
    return "" if (folder / below).is_file() else f"its {kind} file {below!r} is missing"
