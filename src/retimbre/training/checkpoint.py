"""Named states in one file, written whole and read without trust.

Everything that trains can hand over its state as a *state dict*: dictionaries, lists and tuples, nested at will,
whose leaves are tensors, numbers, words, truth values and None. PyTorch usually stores such a tree with pickle, and
a pickle can run any program it likes while it is being opened. Here the tree is cut in two instead. Its tensors go
into a safetensors file: raw bytes behind a header that lists each tensor's name, type, shape and place. Its shape
(which key leads to which tensor, and all the small values) becomes a line of JSON in that header, beside the name and
the version of this format, the *kind* of thing that was saved, and metadata for people and programs: the run's
settings, labels, quality. So a file can be identified from its header, copied to a stranger and opened safely.

A damaged or foreign file is refused with its reason, before a tensor is allocated: the header's promises are checked
against the size of the file. Files appear whole or not at all.

References:
    safetensors, format description: https://github.com/huggingface/safetensors#format
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from retimbre.core.errors import CheckpointError
from retimbre.core.files import whole_file

FORMAT = "retimbre-checkpoint"
VERSION = 1

# An optimizer nests about five deep. The limit keeps a hostile header from exhausting Python's stack.
_MAX_DEPTH = 64

# Where the bytes of a tensor's elements lie. Elementwise sums may differ in the last bit between layouts, so a resumed
# optimizer needs its moments laid out as they were.
_LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}

# How the formats that PyTorch pickles into begin: a zip archive, or a bare pickle of protocol 2 and later.
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


@dataclasses.dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself: the kind of thing it holds, and its metadata."""

    kind: str
    metadata: dict[str, Any]
    structure: str
    """The shape of the state, as JSON."""


def save(path: Path, state: Mapping[str, object], *, kind: str, metadata: Mapping[str, object]) -> None:
    """Writes a state as one whole file.

    Tensors may be of any type and on any device and may share memory: each is stored as a copy of its own.

    Args:
        path: the file to write; its folder is made, and a file already there is replaced.
        state: nested dictionaries (keys: words or integers), lists and tuples of tensors, numbers, words, truth
            values and None.
        kind: what the state is of, for `load` to insist on.
        metadata: anything that JSON can hold.

    Raises:
        TypeError: the state holds something else.
        ValueError: the metadata holds a NaN or an infinity.
        OSError: the file cannot be written, as on a full disk; one that was there stays.
    """
    tensors: dict[str, Tensor] = {}
    structure = _describe(state, "", tensors)
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "kind": kind,
        "structure": json.dumps(structure, separators=(",", ":"), allow_nan=False),
        "metadata": json.dumps(dict(metadata), allow_nan=False),
    }
    stored = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as aside:
        try:
            save_file(stored, aside, metadata=header)
        except SafetensorError as error:  # its own exception for a full disk, too
            raise OSError(f"{path}: cannot be written: {error}") from error
        _settle_header(aside)


def load(path: Path, *, kind: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a state and its metadata; tensors arrive on the CPU.

    Args:
        path: a file that `save` wrote.
        kind: the kind that it must be of; None takes any.

    Raises:
        CheckpointError: the file is missing, damaged, foreign, from a newer version, or of another kind.
    """
    with _opened(path) as file:
        header = _parse_header(path, file.metadata(), kind)
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
    try:
        state = _rebuild(json.loads(header.structure), tensors, 0)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # RecursionError is a RuntimeError
        raise CheckpointError(
            f"{path}: damaged checkpoint: its structure and its tensors disagree"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: damaged checkpoint: holds a {type(state).__name__}, not named states")
    return state, header.metadata


def read_header(path: Path, *, kind: str | None = None) -> Header:
    """Reads what a checkpoint says about itself, and none of its tensors. Raises as `load` does."""
    with _opened(path) as file:
        return _parse_header(path, file.metadata(), kind)


def named_tensors(state: Mapping[str, object]) -> dict[str, Shaped[Tensor, "..."]]:
    """Every tensor of a state, not copied, under the name it has in a file: its keys joined by slashes."""
    tensors: dict[str, Tensor] = {}
    _describe(state, "", tensors)
    return tensors


def _settle_header(path: Path) -> None:
    """Puts the keys of a header in order: the library writes them in a new one each time, and hashes would differ."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        # The same characters in another order; should the library ever spell them otherwise, its own order stays.
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """Opens a safetensors file, which checks its header against its size, and says what is wrong in one line."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: {'a folder, not a checkpoint' if path.is_dir() else 'no such checkpoint'}"
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: {_what_is_wrong(path, error)}") from error


def _what_is_wrong(path: Path, error: Exception) -> str:
    # Only of a file that failed to open: the length of a sound header may begin like a pickle.
    with path.open("rb") as file:
        if file.read(4).startswith(_PICKLE_STARTS):
            return "a pickle, as torch.save writes, which is never opened; takes safetensors"
    return f"damaged, or no safetensors file: {(str(error) or type(error).__name__).splitlines()[0]}"


def _parse_header(path: Path, header: Mapping[str, str] | None, kind: str | None) -> Header:
    if header is None or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a safetensors file, but no Retimbre checkpoint")
    if header.get("version") != str(VERSION):
        version = header.get("version")
        raise CheckpointError(f"{path}: checkpoint version {version}; this program reads version {VERSION}")
    try:
        found_kind, metadata, structure = header["kind"], json.loads(header["metadata"]), header["structure"]
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint: its header is incomplete") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path}: damaged checkpoint: its metadata is no table")
    if kind is not None and found_kind != kind:
        raise CheckpointError(f"{path}: a checkpoint of kind {found_kind!r}; takes {kind!r}")
    return Header(found_kind, metadata, structure)


def _describe(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """The shape of a state as JSON, where what JSON lacks is {what it is: content}; fills `tensors`."""
    if name.count("/") > _MAX_DEPTH:
        raise TypeError(f"state {name!r} nests more than {_MAX_DEPTH} deep")
    if isinstance(value, Tensor):
        return {"tensor": [_add(value, name, tensors), _layout(value)]}
    if isinstance(value, list | tuple):
        items = [_describe(item, _join(name, index), tensors) for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return {
            "dict": [
                [_key(key, name), _describe(item, _join(name, key), tensors)] for key, item in value.items()
            ]
        }
    return _describe_leaf(value, name)


def _describe_leaf(value: object, name: str) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    kind = type(value).__name__
    raise TypeError(
        f"state {name!r} is a {kind}; a checkpoint holds tensors, numbers, words, truth values and None"
    )


def _key(key: object, name: str) -> str | int:
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
        return key
    raise TypeError(f"state {name!r} has a key of type {type(key).__name__}; keys are words or integers")


def _join(name: str, key: object) -> str:
    """The name of an entry. A slash inside a key becomes a bar, so that slashes count the depth."""
    entry = str(key).replace("/", "|")
    return f"{name}/{entry}" if name else entry


def _add(tensor: Tensor, name: str, tensors: dict[str, Tensor]) -> str:
    """Names a tensor. The keys 1 and "1" of one dictionary read alike: the second gets a dash."""
    while name in tensors or name == "__metadata__":  # where safetensors keeps its own
        name += "'"
    tensors[name] = tensor
    return name


def _layout(tensor: Tensor) -> str:
    if tensor.is_contiguous():
        return "contiguous"
    layouts = {4: "channels_last", 5: "channels_last_3d"}
    layout = layouts.get(tensor.ndim, "contiguous")
    return layout if tensor.is_contiguous(memory_format=_LAYOUTS[layout]) else "contiguous"


def _rebuild(node: object, tensors: Mapping[str, Tensor], depth: int) -> Any:
    """The state that `_describe` described. Raises ValueError, KeyError or TypeError where it cannot be one."""
    if depth > 2 * _MAX_DEPTH:
        raise ValueError("nests too deep")
    if isinstance(node, list):
        return [_rebuild(item, tensors, depth + 1) for item in node]
    if isinstance(node, dict):
        ((tag, content),) = node.items()
        return _REBUILD[tag](content, tensors, depth + 1)
    return node


def _rebuild_dict(content: Any, tensors: Mapping[str, Tensor], depth: int) -> dict[str | int, Any]:
    return {_key(key, "of a file"): _rebuild(item, tensors, depth) for key, item in content}


def _rebuild_tuple(content: Any, tensors: Mapping[str, Tensor], depth: int) -> tuple[Any, ...]:
    return tuple(_rebuild(item, tensors, depth) for item in content)


def _rebuild_tensor(content: Any, tensors: Mapping[str, Tensor], depth: int) -> Tensor:
    name, layout = content
    return tensors[name].contiguous(memory_format=_LAYOUTS[layout])


def _rebuild_float(content: Any, tensors: Mapping[str, Tensor], depth: int) -> float:
    return float(content)


_REBUILD: dict[str, Callable[[Any, Mapping[str, Tensor], int], Any]] = {
    "dict": _rebuild_dict,
    "tuple": _rebuild_tuple,
    "tensor": _rebuild_tensor,
    "float": _rebuild_float,
}
