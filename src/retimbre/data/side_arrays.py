"""Labels too large for a list: arrays that lie beside the audio, a row per clip, read a clip at a time.

Some of what is known about a clip is itself a signal: which of 88 keys are down, 512 times a second; the signal before
its envelope. Such a *side array* has as many rows as its set has clips and lies in shards of the same rows as the
audio: `NAME-00000.npy` ... `side_arrays.json` lists them with their sizes and SHA-256 checksums, and with the
fingerprint of the set they belong to: arrays of another set, or of this one before it was made anew, count as none.

A shard has as many rows as one of audio, whatever a row of it takes, so it is never in memory as one: it is written
some rows at a time. It appears whole and is listed after that, so an interrupted run goes on where it stopped. A set
that is not whole without a side array says so in its header (the option `side_arrays`, among the filters of its corpus
if it has any): so a check notices when the array was never begun.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.config import build
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.core.files import sha256_of, write_json
from retimbre.data.manifest import Header, Shard
from retimbre.data.store import SHARD_BYTES, map_array, write_array_in_blocks

SIDE_ARRAYS_FILE = "side_arrays.json"
FORMAT = "retimbre side arrays"
VERSION = 1

# How much of a shard is in memory at a time; as large as a shard of audio.
_BLOCK_BYTES = SHARD_BYTES

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class SideArray:
    """What a side array is.

    Attributes:
        name: What its files' names begin with.
        shape: Of one clip's entry.
        about: What the numbers mean, for a reader.
    """

    name: str
    dtype: Literal["uint8", "int16", "int32", "float32", "float64"]
    shape: tuple[int, ...]
    about: str

    def __post_init__(self) -> None:
        # A name with a path in it would reach files outside the folder.
        if not self.name.isidentifier():
            raise ConfigError(f"a side array's name is letters, digits and _, not {self.name!r}")

    def file_of(self, shard: int) -> str:
        """The name of a shard's file."""
        return f"{self.name}-{shard:05d}.npy"


@final
@dataclasses.dataclass(frozen=True)
class _Listed:
    """A side array and its finished shards."""

    array: SideArray
    shards: tuple[Shard, ...]


def write_side_array(
    folder: Path,
    header: Header,
    array: SideArray,
    rows_of: Callable[[range], NDArray[Any]],
    progress: Progress | None = None,
) -> int:
    """Writes the shards that are not there yet, and returns how many that were.

    Args:
        rows_of: The entries of some clips, `[clips, *shape]`. It is asked for ascending ranges, parts of shards.
        progress: Called with the shards that are done and the shards there are.

    Raises:
        DatasetError: What is listed there cannot be read.
    """
    listed = _read_list(folder, header)
    there = listed.get(array.name)
    if there is None or there.array != array:
        _remove_shards(folder, array.name)
        done = {}
    else:
        done = _finished(folder, there)
    written = 0
    for shard in range(header.num_shards):
        if shard not in done:
            done[shard] = _write_shard(folder, array, shard, (header.rows_of(shard), rows_of))
            shards = tuple(done[number] for number in sorted(done))
            listed[array.name] = _Listed(array, shards)
            _write_list(folder, header, listed.values())
            written += 1
        if progress:
            progress(shard + 1, header.num_shards)
    return written


@final
@dataclasses.dataclass(frozen=True, eq=False)
class SideRows:
    """A side array of a set, mapped into memory."""

    header: Header
    array: SideArray
    shards: tuple[NDArray[Any], ...]

    @classmethod
    def open(cls, folder: str | Path, header: Header, name: str) -> "SideRows":
        """Maps every shard and checks all but the checksums.

        Raises:
            DatasetError: The set has no such array, or it is unfinished, of another set, or damaged.
        """
        folder = Path(folder)
        listed = _read_list(folder, header)
        if name not in listed:
            raise DatasetError(f"{folder} has no side array {name!r}; {near_miss(name, listed)}")
        array, shards = listed[name].array, {entry.shard: entry for entry in listed[name].shards}
        missing = [shard for shard in range(header.num_shards) if shard not in shards]
        if missing:
            raise DatasetError(
                f"{folder}: {len(missing)} of {header.num_shards} shards of {name!r} are missing; "
                "run the command that made it again"
            )
        return cls(
            header, array, tuple(_open(folder, header, array, shards[i]) for i in range(header.num_shards))
        )

    def read(self, rows: Int[Tensor, " rows"]) -> Shaped[np.ndarray, "rows ..."]:
        """The entries of these clips, in this order.

        Raises:
            IndexError: A number is not one of the set's.
        """
        wanted = rows.cpu().numpy()
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.header.size:
            raise IndexError(f"clips are 0 to {self.header.size - 1}, got {wanted.min()} to {wanted.max()}")
        entries = np.empty((len(wanted), *self.array.shape), dtype=self.array.dtype)
        shard_of, row_of = np.divmod(wanted, self.header.shard_rows)
        for shard in np.unique(shard_of):
            here = shard_of == shard
            entries[here] = self.shards[shard][row_of[here]]
        return entries


def side_array_names(folder: str | Path, header: Header) -> tuple[str, ...]:
    """The side arrays of a set; none if it has none.

    Raises:
        DatasetError: The list cannot be read.
    """
    return tuple(_read_list(Path(folder), header))


def remove_side_arrays(folder: Path) -> None:
    """Removes the list, if there is one, and then every array that it names."""
    path = folder / SIDE_ARRAYS_FILE
    try:
        arrays = json.loads(path.read_text(encoding="utf-8"))["arrays"]
        names = [str(each["array"]["name"]) for each in arrays]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        names = []  # what a damaged list names is not known, and without a list it does not count
    path.unlink(missing_ok=True)
    for name in names:
        if name.isidentifier():
            _remove_shards(folder, name)


def check_side_arrays(folder: str | Path, header: Header) -> list[str]:
    """Reads every side array of a set: what is wrong with them, or missing, a line each.

    Raises:
        DatasetError: The list cannot be read.
    """
    folder = Path(folder)
    arrays = _read_list(folder, header)
    promised = header.options.get("filters", header.options).get("side_arrays", [])
    missing = [name for name in promised if name not in arrays]
    problems = [f"{name}: not made yet; run the command that made the set again" for name in missing]
    for name, listed in arrays.items():
        entries = {entry.shard: entry for entry in listed.shards}
        for shard in range(header.num_shards):
            problem = _problem(folder, header, listed.array, entries.get(shard))
            if problem:
                problems.append(f"{listed.array.file_of(shard)}: {problem}")
        stray = sorted(shard for shard in entries if shard >= header.num_shards)
        if stray:
            problems.append(f"{name}: lists shard {stray[0]}, but the set has {header.num_shards}")
    return problems


def _remove_shards(folder: Path, name: str) -> None:
    for path in sorted(folder.glob(f"{name}-[0-9][0-9][0-9][0-9][0-9].npy")):
        path.unlink()


def _problem(folder: Path, header: Header, array: SideArray, entry: Shard | None) -> str:
    """What is wrong with a shard; empty where nothing is."""
    if entry is None:
        return "not made yet; run the command that made the set again"
    try:
        _open(folder, header, array, entry)
    except DatasetError as error:
        return str(error)
    if sha256_of(folder / entry.file) != entry.sha256:
        return "its checksum is not the listed one; it was changed or damaged"
    return ""


def _write_shard(
    folder: Path, array: SideArray, shard: int, content: tuple[range, Callable[[range], NDArray[Any]]]
) -> Shard:
    rows, rows_of = content
    path = folder / array.file_of(shard)
    entry_bytes = np.dtype(array.dtype).itemsize * math.prod(array.shape)
    at_once = max(1, _BLOCK_BYTES // max(1, entry_bytes))
    blocks = (rows_of(rows[start : start + at_once]) for start in range(0, len(rows), at_once))
    write_array_in_blocks(path, dtype=array.dtype, shape=(len(rows), *array.shape), blocks=blocks)
    return Shard(shard, path.name, len(rows), path.stat().st_size, sha256_of(path))


def _open(folder: Path, header: Header, array: SideArray, entry: Shard) -> NDArray[Any]:
    # The name follows from the array and the shard, so the list cannot lead to files outside the folder.
    path = folder / array.file_of(entry.shard)
    if entry.file != path.name:
        raise DatasetError(f"{folder}: the list names {entry.file!r} where {path.name!r} is meant")
    if path.is_file() and path.stat().st_size != entry.bytes:
        raise DatasetError(
            f"{path}: has {path.stat().st_size} bytes, but {entry.bytes} are listed; it is damaged"
        )
    shape = (len(header.rows_of(entry.shard)), *array.shape)
    return map_array(path, dtype=np.dtype(array.dtype).type, shape=shape)


def _finished(folder: Path, listed: _Listed) -> dict[int, Shard]:
    """The listed shards whose files are there in their full size."""
    sizes = {
        entry.shard: folder / entry.file for entry in listed.shards if Path(entry.file).name == entry.file
    }
    return {
        entry.shard: entry
        for entry in listed.shards
        if entry.shard in sizes
        and sizes[entry.shard].is_file()
        and sizes[entry.shard].stat().st_size == entry.bytes
    }


def _write_list(folder: Path, header: Header, listed: Iterable[_Listed]) -> None:
    table = {
        "format": FORMAT,
        "version": VERSION,
        "set": header.fingerprint,
        "arrays": [dataclasses.asdict(each) for each in listed],
    }
    write_json(folder / SIDE_ARRAYS_FILE, table)


def _read_list(folder: Path, header: Header) -> dict[str, _Listed]:
    """The listed arrays by name; none where there is no list or it is that of another set."""
    path = folder / SIDE_ARRAYS_FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(table, dict) or table.get("format") != FORMAT or table.get("version") != VERSION:
        raise DatasetError(
            f'{path}: not a list of side arrays: "format" should be {FORMAT!r}, version {VERSION}'
        )
    if table.get("set") != header.fingerprint:
        return {}
    try:
        listed = [build(_Listed, each, "arrays") for each in table.get("arrays", [])]
    except (ConfigError, TypeError) as error:
        raise DatasetError(f"{path}: {error}") from error
    return {each.array.name: each for each in listed}
