"""Features in a file: an `.npz` that says how to turn them back, written and read a segment at a time.

    features      [segments, channels, ...], as `Representation.decode` takes them; equal lengths, the last one padded
    header        JSON text: representation, settings, sample rate, how the segments follow one another, versions
    statistics    what standardised features are restored with, if they are: the bytes of a safetensors file

An `.npz` is a zip of `.npy` arrays, so numpy opens it too, and nothing in it is ever unpickled. The size of an array
stands before its data, and is known before the first segment is encoded; so segments go to disk as they are made.
"""

import contextlib
import dataclasses
import io
import json
import math
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.lib import format as npy
from torch import Tensor

from retimbre.core.config import build, dump
from retimbre.core.errors import ConfigError, DatasetError, ExistsError
from retimbre.core.files import whole_file
from retimbre.representation.base import Representation
from retimbre.representation.catalog import representation as find_representation
from retimbre.representation.standardized import Standardized, Statistics

FORMAT = "retimbre-features-1"

Advance = Callable[[float], object]
"""Told the seconds of sound done since the last call."""

# What reading a damaged zip or array raises.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    OSError,
)


@runtime_checkable
class _Member(Protocol):
    """A file of a zip, open for reading."""

    def read(self, num_bytes: int = -1, /) -> bytes:
        """So many bytes, or all that are left."""
        ...


@final
@dataclasses.dataclass(frozen=True)
class Cuts:
    """How a sound is cut into segments of equal length.

    Attributes:
        num_samples: Of the sound.
        length: Of a segment, in samples; what the last one lacks is silence.
        step: From the start of a segment to that of the next, in samples; less than `length` where they overlap.
    """

    num_samples: int
    length: int
    step: int

    def __post_init__(self) -> None:
        """Refuses cuts that leave gaps."""
        if not (self.num_samples >= 1 and 1 <= self.step <= self.length):
            raise ConfigError(f"segments of {self.length} samples every {self.step} do not cover a sound")

    @property
    def overlap(self) -> int:
        """Samples that two segments share."""
        return self.length - self.step

    @property
    def num_segments(self) -> int:
        """Segments until every sample was in one."""
        return 1 + max(0, math.ceil((self.num_samples - self.length) / self.step))


def equal_cuts(num_samples: int, longest: int, overlap: int) -> Cuts:
    """The fewest segments of at most `longest` samples, all equally long, that overlap by `overlap` samples."""
    if num_samples <= longest:
        return Cuts(num_samples, num_samples, num_samples)
    count = math.ceil((num_samples - overlap) / (longest - overlap))
    step = math.ceil((num_samples - overlap) / count)
    return Cuts(num_samples, step + overlap, step)


@final
@dataclasses.dataclass(frozen=True)
class Header:
    """What decoding needs beside the features.

    Attributes:
        representation: Its name in the catalog.
        settings: What was set over the catalog's entry.
        identity: Of the representation as it was; another one now means that the program has changed.
        sample_rate: Of the audio, in Hz.
        cuts: How the sound was cut.
        versions: Of the programs that wrote the file.
    """

    representation: str
    settings: dict[str, Any]
    identity: str
    sample_rate: int
    cuts: Cuts
    versions: dict[str, str]
    format: str = FORMAT


@final
@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """A feature file that is there.

    Attributes:
        shape: Of all features: segments first.
        statistics: The bytes of the statistics; empty if the features are not standardised.
    """

    path: Path
    header: Header
    shape: tuple[int, ...]
    statistics: bytes

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.header.cuts.num_samples / self.header.sample_rate

    def segments(self) -> Iterator[Float[Tensor, "1 channels ..."]]:
        """The features, a segment at a time as a batch of one.

        Raises:
            DatasetError: The file is damaged, or a value is not a finite number.
        """
        with (
            _damage_named(self.path),
            zipfile.ZipFile(self.path) as archive,
            archive.open("features.npy") as member,
        ):
            _, dtype = _array_header(member)
            num_bytes = math.prod(self.shape[1:]) * dtype.itemsize
            for index in range(self.shape[0]):
                values = np.frombuffer(_exactly(member, num_bytes), dtype=dtype)
                if not np.isfinite(values).all():
                    raise DatasetError(f"{self.path}: segment {index} holds values that are NaN or infinite")
                yield torch.from_numpy(values.astype(np.float32)).reshape(1, *self.shape[1:])
            _exactly(member, 0)


def write_features(
    path: Path, header: Header, segments: Iterable[Float[Tensor, "1 channels ..."]], statistics: bytes = b""
) -> tuple[int, ...]:
    """Writes a feature file; it appears whole or not at all.

    Args:
        path: Ends in `.npz`.
        header: What decoding needs.
        segments: As many as `header.cuts` says, all of one shape, each a batch of one.
        statistics: The bytes of the statistics that they were standardised with, if they were.

    Returns:
        The shape of all features, segments first.
    """
    shape: tuple[int, ...] = ()
    with whole_file(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        _write_array(archive, "header", np.array(json.dumps(dump(header))))
        if statistics:
            _write_array(archive, "statistics", np.frombuffer(statistics, dtype=np.uint8))
        with archive.open("features.npy", "w", force_zip64=True) as member:
            for segment in segments:
                values = segment.detach().cpu().to(torch.float32).contiguous().numpy()
                if not shape:
                    shape = (header.cuts.num_segments, *values.shape[1:])
                    described = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    npy.write_array_header_2_0(member, described)
                member.write(values.astype("<f4", copy=False).tobytes())
    return shape


def open_features(path: Path) -> FeatureFile:
    """Reads what a feature file says of itself.

    Raises:
        DatasetError: It is missing, no feature file, or damaged.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path}: not an .npz file of features, or one that was cut short")
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if not {"header.npy", "features.npy"} <= names:
            raise DatasetError(f"{path}: an .npz file without features; 'retimbre encode' writes them")
        header = _header(path, str(_read_array(archive, "header")))
        statistics = _read_array(archive, "statistics").tobytes() if "statistics.npy" in names else b""
        with archive.open("features.npy") as member:
            shape, _ = _array_header(member)
    if len(shape) not in {3, 4} or shape[0] != header.cuts.num_segments:
        raise DatasetError(
            f"{path}: features of shape {shape} do not fit {header.cuts.num_segments} segments"
        )
    return FeatureFile(path, header, shape, statistics)


def _header(path: Path, text: str) -> Header:
    try:
        header = build(Header, json.loads(text), "header")
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}") from error
    if header.format != FORMAT:
        raise DatasetError(f"{path}: format {header.format!r}; this version reads {FORMAT!r}")
    return header


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turns what a damaged file raises into one line that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise DatasetError(f"{path}: damaged ({error or type(error).__name__})") from error


def _write_array(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    memory = io.BytesIO()
    npy.write_array(memory, values, allow_pickle=False)
    archive.writestr(f"{name}.npy", memory.getvalue())


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    return npy.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


def _array_header(member: _Member) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array of floats, rows last; ValueError for any other array."""
    version = npy.read_magic(member)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if fortran_order or dtype.kind != "f":
        raise ValueError(f"an array of {dtype} where features in rows are due")
    return shape, dtype


def _exactly(member: _Member, num_bytes: int) -> bytes:
    """So many bytes, or all that are left if 0: then there must be none, and the checksum has been compared."""
    found = member.read(num_bytes) if num_bytes else member.read()
    if len(found) != num_bytes:
        raise EOFError(f"{len(found)} bytes where {num_bytes} are due")
    return found


def check_target(out: Path, suffixes: Sequence[str], *, force: bool) -> None:
    """Refuses a file to write that has another ending, or is there and may not be overwritten."""
    if out.suffix.lower() not in suffixes:
        raise ConfigError(f"{out}: the file to write ends in {' or '.join(suffixes)}, not {out.suffix!r}")
    if out.exists() and not force:
        raise ExistsError(f"{out} is already there; --force overwrites it")


def configured(name: str, sample_rate: int, settings: Mapping[str, Any], statistics: bytes) -> Representation:
    """The representation of that name with settings and, unless they are empty, statistics to standardise with."""
    chosen = find_representation(name, sample_rate, settings)
    if not statistics:
        return chosen
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "statistics.safetensors"
        copy.write_bytes(statistics)
        return Standardized(chosen, Statistics.load(copy))
