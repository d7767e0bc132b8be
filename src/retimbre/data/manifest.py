"""What lies in the folder of a data set, said in two small files that are read before anything else.

`dataset.json` is the header: what the set holds, how it is cut into shards, and every option that its content
depends on, with a fingerprint of them all. Two sets with one fingerprint have the same content; change any option
and the fingerprint changes, so a set is never taken for another one.

`manifest.jsonl` lists the shards that are finished, one JSON object per line, with their sizes and SHA-256
checksums. A shard that is not listed does not exist, whatever files lie around: that is how an interrupted run
knows where it was.

Both files are written whole. Neither is believed: sizes and versions are checked against the files when a set is
opened.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import Field

import retimbre
from retimbre.core.config import build, dump
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.core.files import fingerprint, write_json, write_text

FORMAT = "retimbre data set"
VERSION = 1
HEADER_FILE = "dataset.json"
MANIFEST_FILE = "manifest.jsonl"

Positive = Annotated[int, Field(gt=0)]


@final
@dataclasses.dataclass(frozen=True)
class Fractions:
    """How much of a set is held out. What is not validation or test is for training."""

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test <= 1):
            raise ConfigError(
                f"validation {self.validation:g} and test {self.test:g} are fractions whose sum is at most 1"
            )
        # A whole number would be written as 0 and read as 0.0, which is another text and so another fingerprint.
        object.__setattr__(self, "validation", float(self.validation))
        object.__setattr__(self, "test", float(self.test))


@final
@dataclasses.dataclass(frozen=True)
class Header:
    """What a data set is.

    Attributes:
        kind: `rendered` by a synthesizer, with knobs as labels; `recorded`, with names; `procedural`, from rules and a
            seed, with side arrays; or `labels`: the clips of recordings without their audio, with side arrays.
        size: Clips in the whole set.
        num_samples: Length of every clip.
        shard_rows: Clips in each shard but the last.
        split: How the held-out parts are chosen; see `splits.py`.
        options: Everything that the content depends on, by group.
        made_by: The program that wrote it, for a reader.
    """

    kind: Literal["rendered", "recorded", "procedural", "labels"]
    size: Positive
    sample_rate: Positive
    num_samples: Positive
    shard_rows: Positive
    split: Fractions
    options: dict[str, Any]
    made_by: str = f"retimbre {retimbre.__version__}"

    @property
    def fingerprint(self) -> str:
        """Equal for two sets whose content is equal, whichever version of the program wrote them."""
        content = dump(self)
        del content["made_by"]
        return fingerprint(content)

    @property
    def num_shards(self) -> int:
        """How many shards the whole set has."""
        return -(-self.size // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The clips of a shard."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.size))


@final
@dataclasses.dataclass(frozen=True)
class Shard:
    """One finished file of audio."""

    shard: Annotated[int, Field(ge=0)]
    file: str
    rows: Positive
    bytes: Positive
    sha256: str


def write_header(folder: Path, header: Header) -> None:
    """Writes `dataset.json`."""
    table = {
        "format": FORMAT,
        "version": VERSION,
        **dataclasses.asdict(header),
        "fingerprint": header.fingerprint,
    }
    write_json(folder / HEADER_FILE, table)


def read_header(folder: Path) -> Header:
    """Reads and checks `dataset.json`.

    Raises:
        DatasetError: It is missing, is not one of this program's, of another version, or was changed by hand.
    """
    path = folder / HEADER_FILE
    table = _read_json(path)
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise DatasetError(f'{path}: not a data set: "format" should be {FORMAT!r}')
    if table.get("version") != VERSION:
        raise DatasetError(
            f"{path}: version {table.get('version')!r}, but this program reads version {VERSION}"
        )
    rest = {key: table[key] for key in table if key not in {"format", "version", "fingerprint"}}
    try:
        header = build(Header, rest, "data set")
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}") from error
    if table.get("fingerprint") != header.fingerprint:
        raise DatasetError(
            f"{path}: its fingerprint does not fit its options; it was changed by hand or damaged"
        )
    return header


def write_manifest(folder: Path, shards: Iterable[Shard]) -> None:
    """Writes the list of finished shards, in order."""
    ordered = sorted(shards, key=lambda entry: entry.shard)
    write_jsonl(folder / MANIFEST_FILE, [dataclasses.asdict(entry) for entry in ordered])


def read_manifest(folder: Path) -> list[Shard]:
    """The finished shards; none if there is no manifest yet.

    Raises:
        DatasetError: A line is not understood.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        return []
    try:
        return [build(Shard, line, f"line {number}") for number, line in enumerate(read_jsonl(path), start=1)]
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}") from error


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Writes a whole file of one JSON value per line."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[Any]:
    """The JSON values of a file's lines.

    Raises:
        DatasetError: The file cannot be read, or a line is not JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: a line is not JSON: {error}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{path.parent} holds no data set: there is no {path.name}") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not a JSON file: {error}") from error
