"""The two ways in which piano performances lie in a folder: with MAESTRO's table, and as bare pairs of files.

MAESTRO is a folder per year and a table of pieces, as CSV and as JSON:

    canonical_composer, canonical_title, split, year, midi_filename, audio_filename, duration

The JSON of versions 1 and 2 is a list of rows, that of version 3 a table of columns; MIDI files end in `.midi` or
`.mid`. All of these are read. In a folder without a table, a sound file and the MIDI file of the same name beside it
are a piece, and nothing else is known of it.

Nothing is checked here but the form: whether a file is there and of use is seen when it is wanted.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from retimbre.core.errors import DatasetError
from retimbre.dsp.decode import SUFFIXES

MIDI_SUFFIXES = (".midi", ".mid")
TABLES = ("maestro*.csv", "maestro*.json")  # by name; the first that is there is read

_COLUMNS = ("canonical_composer", "canonical_title", "split", "year", "midi_filename", "audio_filename")


@final
@dataclasses.dataclass(frozen=True)
class Piece:
    """A performance, as the table or the folder has it.

    Attributes:
        audio: Path below the corpus's folder; empty where there is none.
        midi: Path below the corpus's folder; empty where there is none.
        part: The split that the table gives; None where there is no table.
        year: Of the competition; 0 where it is not known.
    """

    audio: str
    midi: str
    part: str | None = None
    composer: str = ""
    title: str = ""
    year: int = 0

    @property
    def name(self) -> str:
        """What it is sorted by."""
        return self.audio or self.midi


def find_table(raw: Path) -> Path | None:
    """The table in a folder or, where an archive was unpacked into it, in the one folder inside; None without one."""
    inside = [path for path in sorted(raw.iterdir()) if path.is_dir() and path.name.startswith("maestro")]
    for folder in [raw, *(inside if len(inside) == 1 else [])]:
        for pattern in TABLES:
            found = sorted(folder.glob(pattern))
            if found:
                return found[-1]  # the highest version
    return None


def read_table(path: Path) -> list[Piece]:
    """Reads the table of pieces: CSV, a JSON list of rows, or a JSON table of columns.

    Raises:
        DatasetError: It cannot be read, or a column is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _csv_rows(text) if path.suffix == ".csv" else _json_rows(json.loads(text))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise DatasetError(f"{path}: not a table of MAESTRO: {str(error).splitlines()[0]}") from error
    if not rows:
        raise DatasetError(f"{path}: a table of MAESTRO without rows")
    for column in _COLUMNS:
        if column not in rows[0]:
            raise DatasetError(f"{path}: not a table of MAESTRO: it has no column {column!r}")
    return [_piece(row) for row in rows]


def _csv_rows(text: str) -> list[Mapping[str, Any]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _json_rows(table: Any) -> list[Mapping[str, Any]]:
    """The rows of either form of the JSON.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(table, list) and all(isinstance(row, dict) for row in table):
        return table
    if isinstance(table, dict) and all(isinstance(column, dict) for column in table.values()):
        keys = next(iter(table.values()), {})
        return [{name: column.get(key) for name, column in table.items()} for key in keys]
    raise ValueError("neither a list of rows nor a table of columns")


def _piece(row: Mapping[str, Any]) -> Piece:
    def text(column: str) -> str:
        return "" if row.get(column) is None else str(row[column]).strip()

    year = text("year")
    return Piece(
        audio=text("audio_filename"),
        midi=text("midi_filename"),
        part=text("split"),
        composer=text("canonical_composer"),
        title=text("canonical_title"),
        year=int(year) if year.isdecimal() and len(year) <= 4 else 0,
    )


def read_pairs(raw: Path) -> list[Piece]:
    """The pieces of a folder without a table: what has the same name but for its ending belongs together.

    A sound without MIDI and a MIDI file without sound are pieces, too: of half the use.
    """
    audio, midi = _by_stem(raw, SUFFIXES), _by_stem(raw, MIDI_SUFFIXES)
    return [Piece(audio.get(stem, ""), midi.get(stem, "")) for stem in sorted(audio.keys() | midi.keys())]


def _by_stem(raw: Path, suffixes: Sequence[str]) -> dict[str, str]:
    found = {}
    for path in sorted(raw.rglob("*")):
        below = path.relative_to(raw)
        hidden = any(part.startswith(".") for part in below.parts)
        if not hidden and path.suffix.lower() in suffixes and path.is_file():
            found.setdefault(below.with_suffix("").as_posix(), below.as_posix())
    return found
