"""Reading the weights of other people's networks from a file on this machine, and trusting none of it.

A published network is a file of named tensors. To use it, its layers are written anew in plain PyTorch and the tensors
are poured in by name. Two things can go wrong. The file may be more than tensors: `.pt`, `.pth` and `.bin` files are
pickles, which can run programs when they are opened. They are read by PyTorch's restricted reader, which makes
tensors, plain containers and nothing else; a file that asks for more is refused. Safetensors files need no such care,
nor do NumPy's `.npz`, whose pickled contents are never opened. Nothing is ever downloaded.

And the tensors may not be those of the network: a network with one layer missing, or with the weights of its sibling,
still gives numbers, only wrong ones. So `pour` names every tensor that is missing, has another shape, holds a value
that is no number or has no place, and takes the file whole or not at all.

References:
    The format that needs no care: https://github.com/huggingface/safetensors
"""

import contextlib
import pickle  # noqa: TID251 (for the name of an error that torch.load raises)
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError

FORMATS = "a .safetensors, .npz, .pt, .pth or .bin file"
# What a training's record may keep its weights under, beside much else.
NESTS = ("state_dict", "model")
_MOST_NAMED = 3
_COUNT = "num_batches_tracked"


@final
class _Ignored:
    """Stands in for the NumPy values in others' records of training, which the restricted reader would refuse."""

    def __init__(self, *about: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_IGNORED_NAMES = (
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.dtypes.Float64DType",
    "numpy.dtypes.Float32DType",
    "numpy.dtypes.Int64DType",
)
# What the restricted reader raises depends on where it stumbles over a damaged byte.
_DAMAGED = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def every(name: str) -> bool:
    """Wants every tensor."""
    return True


def read_tensors(
    path: Path, wanted: Callable[[str], bool] = every, *, takes: str = FORMATS
) -> dict[str, Tensor]:
    """The tensors of a file by name, as they are stored; a `module.` before a name is cut off.

    Args:
        path: Of the file. Its suffix says how it is read: `.safetensors`, `.npz`, and any other as PyTorch's.
        wanted: By the name in the file, whether a tensor is read at all.
        takes: What the error about a missing file says that is taken.

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; takes {takes}")
    read = {".safetensors": _safetensors, ".npz": _arrays}.get(path.suffix, _pickled)
    return {name.removeprefix("module."): weights for name, weights in read(path, wanted)}


def _safetensors(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                if wanted(name):
                    yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file: {error}") from error


def _arrays(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """NumPy's archives, such as a dump of TensorFlow's variables, whose names may end in `:0`."""
    try:
        with contextlib.closing(np.load(path, allow_pickle=False)) as archive:
            for name in archive.files:
                if wanted(name):
                    yield name.removesuffix(":0"), torch.from_numpy(archive[name])
    except (
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError(f"{path}: damaged or no archive of NumPy arrays: {_reason(error)}") from error


def _pickled(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file of PyTorch's; many keep them under a name of their own, beside the state of training."""
    try:
        with torch.serialization.safe_globals([(_Ignored, name) for name in _IGNORED_NAMES]):
            # Many published weights exist in this form only; weights_only runs no code of the file's.
            held = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: damaged, or holds more than weights: {_reason(error)}") from error
    for name, weights in _named(path, held).items():
        if isinstance(name, str) and isinstance(weights, Tensor) and wanted(name):
            yield name, weights


def _named(path: Path, held: Any) -> dict[Any, Any]:
    if isinstance(held, dict):
        held = next((held[nest] for nest in NESTS if isinstance(held.get(nest), dict)), held)
    if not isinstance(held, dict):
        raise CheckpointError(f"{path}: holds a {type(held).__name__}, not named tensors")
    return held


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def tensor(path: Path, stored: Mapping[str, Tensor], name: str) -> Float[Tensor, "..."]:
    """One tensor, by which a network's sizes are told.

    Raises:
        CheckpointError: There is none of that name, or it is a single number.
    """
    if name not in stored or not stored[name].dim():
        raise CheckpointError(f"{path}: lacks the tensor {name!r}")
    return stored[name].float()


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network that a file must hold, by our names: all but the counts of batches seen."""
    return {name: here for name, here in network.state_dict().items() if not name.endswith(_COUNT)}


def pour(
    path: Path, stored: Mapping[str, Tensor], network: nn.Module, *, ignored: tuple[str, ...] = ()
) -> None:
    """Gives a network the tensors under its own names, then freezes it and leaves it in evaluation mode.

    Args:
        path: Of the file they are from, for the error.
        stored: The tensors, of any precision.
        network: The network, which may be on the device "meta", so that its first weights need not be drawn; unchanged
            if anything does not fit.
        ignored: Parts of names of tensors that may be there and are not needed. Counts of batches are never needed.

    Raises:
        CheckpointError: A tensor is missing, one too many, of another shape or not finite; each kind of fault is named
            with its first tensors.
    """
    wanted = weights_of(network)
    unneeded = (_COUNT, *ignored)
    extra = [
        name for name in sorted(stored) if name not in wanted and not any(part in name for part in unneeded)
    ]
    refuse_faults(path, faults(stored, {name: here.shape for name, here in wanted.items()}), extra)
    # Copies: where a file's bytes lie unaligned in memory, sums are taken in another order and round otherwise.
    state = {name: stored[name].float().clone(memory_format=torch.contiguous_format) for name in wanted}
    counts = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(_COUNT)}
    network.load_state_dict(state | counts, assign=True)
    network.requires_grad_(False).eval()


def faults(stored: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> list[str]:
    """What is wrong with the tensors that are needed, as parts of a message."""
    missing = [name for name in shapes if name not in stored]
    found = {name: stored[name] for name in shapes if name in stored}
    misshapen = [name for name, weights in found.items() if weights.shape != shapes[name]]
    spoilt = [name for name, weights in found.items() if not bool(weights.isfinite().all())]
    parts = [f"lacks the tensor {_some(missing)}"] if missing else []
    parts += [
        f"{name!r} is {list(found[name].shape)}, but takes {list(shapes[name])}"
        for name in misshapen[:_MOST_NAMED]
    ]
    more = len(misshapen) - _MOST_NAMED
    parts += [f"and {more} more have another shape"] if more > 0 else []
    return parts + ([f"{_some(spoilt)} holds values that are not finite"] if spoilt else [])


def refuse_faults(path: Path, found: list[str], extra: list[str], hint: str = "") -> None:
    """Raises one error about all faults of a file, if it has any.

    Raises:
        CheckpointError: It has.
    """
    parts = found + ([f"has no place for the tensor {_some(extra)}"] if extra else [])
    if parts:
        raise CheckpointError(f"{path}: {'; '.join(parts)}{hint}")


def _some(names: list[str]) -> str:
    """The first names, and how many there are besides."""
    listed = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{listed} and {more} more" if more > 0 else listed
