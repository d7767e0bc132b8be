"""Audio on disk as shards: plain NumPy files of float32 rows that are mapped into memory, never loaded whole.

A shard is a `.npy` file with one clip per row. Opening one costs a page of memory; reading a clip reads that clip.
The samples are float32, the product's own type, so that what is read is bit for bit what was rendered. Each shard
is written aside and renamed, so there is no half a shard, and its checksum goes into the manifest.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of, whole_file
from retimbre.data.manifest import Header, Shard, read_manifest

# About 16 MiB a shard: large enough to read at the disk's full speed, small enough to lose to an interruption.
SHARD_BYTES = 1 << 24
_SAMPLE_BYTES = 4


def rows_per_shard(num_samples: int) -> int:
    """How many clips of a length go into a shard."""
    return max(1, SHARD_BYTES // (_SAMPLE_BYTES * num_samples))


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Writes a whole `.npy` file."""
    with whole_file(path) as aside:
        np.save(aside, array, allow_pickle=False)


def write_array_in_blocks(
    path: Path, *, dtype: str, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]
) -> None:
    """Writes a whole `.npy` file of blocks that follow one another along the first axis; the bytes are `write_array`'s.

    Raises:
        ValueError: The blocks do not make up the shape.
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    rows = 0
    with whole_file(path) as aside, aside.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(f"{path}: a block of shape {block.shape} in an array of shape {shape}")
            file.write(np.ascontiguousarray(block, dtype=dtype).data)
            rows += len(block)
        if rows != shape[0]:
            raise ValueError(f"{path}: blocks of {rows} rows in an array of shape {shape}")


def map_array(path: Path, *, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """Maps a `.npy` file that should hold this type and shape.

    A header that promises more than the file has allocates nothing.

    Raises:
        DatasetError: The file is missing or damaged, or holds something else.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(f"{path}: not a readable array: {reason}") from error
    if array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {array.shape}"
        raise DatasetError(f"{path}: holds {found}, but this set has {np.dtype(dtype)} {shape}")
    return array


def write_shard(folder: Path, shard: int, audio: NDArray[np.float32]) -> Shard:
    """Writes a whole shard and returns its line of the manifest."""
    name = f"audio-{shard:05d}.npy"
    write_array(folder / name, audio)
    size, digest = (folder / name).stat().st_size, sha256_of(folder / name)
    return Shard(shard=shard, file=name, rows=len(audio), bytes=size, sha256=digest)


def finished_shards(folder: Path, header: Header) -> dict[int, Shard]:
    """The shards that are listed and whose files are there in their full size."""
    found = {}
    for entry in read_manifest(folder):
        path = folder / entry.file
        if entry.shard < header.num_shards and path.is_file() and path.stat().st_size == entry.bytes:
            found[entry.shard] = entry
    return found


def remove_audio(folder: Path, manifest: Path) -> None:
    """Removes the manifest and then every shard, in this order: what is not listed is never believed."""
    manifest.unlink(missing_ok=True)
    for path in sorted(folder.glob("audio-[0-9][0-9][0-9][0-9][0-9].npy")):
        path.unlink()


@final
@dataclasses.dataclass(frozen=True, eq=False)
class AudioShards:
    """The clips of a set, numbered through its shards."""

    header: Header
    arrays: tuple[NDArray[np.float32], ...]

    @classmethod
    def open(cls, folder: Path, header: Header) -> "AudioShards":
        """Maps every shard.

        Raises:
            DatasetError: A shard is missing, of another size than listed, or holds something else.
        """
        entries = {entry.shard: entry for entry in read_manifest(folder)}
        missing = [shard for shard in range(header.num_shards) if shard not in entries]
        if missing:
            raise DatasetError(
                f"{folder} is not finished: {len(missing)} of {header.num_shards} shards are missing; "
                "run the command that made it again"
            )
        return cls(header, tuple(open_shard(folder, header, entries[i]) for i in range(header.num_shards)))

    def read(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """The clips of these numbers, in this order.

        Raises:
            IndexError: A number is not one of the set's.
        """
        wanted = rows.cpu().numpy()
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.header.size:
            raise IndexError(f"clips are 0 to {self.header.size - 1}, got {wanted.min()} to {wanted.max()}")
        audio = np.empty((len(wanted), self.header.num_samples), dtype=np.float32)
        shard_of, row_of = np.divmod(wanted, self.header.shard_rows)
        for shard in np.unique(shard_of):
            here = shard_of == shard
            audio[here] = self.arrays[shard][row_of[here]]
        return torch.from_numpy(audio)


def open_shard(folder: Path, header: Header, entry: Shard) -> NDArray[np.float32]:
    """Maps one shard.

    Raises:
        DatasetError: It is missing, of another size than listed, or holds something else.
    """
    # A name with a path in it would read files outside the folder.
    if Path(entry.file).name != entry.file:
        raise DatasetError(f"{folder}: the manifest names {entry.file!r}, which is not a file of the folder")
    path = folder / entry.file
    if path.is_file() and path.stat().st_size != entry.bytes:
        raise DatasetError(
            f"{path}: has {path.stat().st_size} bytes, but {entry.bytes} are listed; it is damaged"
        )
    return map_array(path, dtype=np.float32, shape=(len(header.rows_of(entry.shard)), header.num_samples))
