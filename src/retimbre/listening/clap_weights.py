"""Reading the audio half of a published CLAP from a file on this machine.

The weights are spread in two dialects. Hugging Face's files (`model.safetensors`, or the older `pytorch_model.bin`)
hold query, key and value of an attention as three matrices; LAION's own `.pt` files hold them as one, under shorter
names, beside what was needed to go on with the training. Both also hold the half that reads text, which is passed
over. Names and sizes are checked to the last tensor, since a network with one layer missing still gives vectors, only
wrong ones.

`.bin` and `.pt` files are pickles, which can run programs when they are opened. They are read by PyTorch's restricted
reader, which makes tensors, plain containers and nothing else; a file that asks for more is refused. Safetensors files
need no such care and should be preferred. Nothing is ever downloaded.

References:
    The files: https://huggingface.co/laion/clap-htsat-unfused, https://github.com/LAION-AI/CLAP
"""

import pickle  # noqa: TID251 (for the name of an error that torch.load raises)
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError
from retimbre.listening.htsat import Htsat, HtsatConfig

# By the width of the first stage: "tiny" and "base" of LAION's CLAP.
SIZES = {config.width: config for config in (HtsatConfig(), HtsatConfig(width=128, depths=(2, 2, 12, 2)))}


@final
class AudioHalf(nn.Module):
    """The tower that listens, and the two layers that lead from it into the space shared with texts."""

    def __init__(self, config: HtsatConfig, dim: int) -> None:
        super().__init__()
        self.tower = Htsat(config)
        self.dim = dim
        self.projection = nn.Sequential(nn.Linear(config.dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, log_mels: Float[Tensor, "batch frames mels"]) -> Float[Tensor, "batch dim"]:
        """Vectors of length 1, so that their product is the cosine of their angle."""
        return nn.functional.normalize(self.projection(self.tower(log_mels)), dim=-1)


@final
@dataclass(frozen=True)
class Dialect:
    """How a family of files names the tensors of `AudioHalf`.

    Attributes:
        renames: Parts of our names and what stands for them, applied in order.
        thirds: What stands for the three thirds of a `qkv` tensor; empty if it is stored whole.
        ignored: Ends and parts of names that belong to no embedding: tables that follow from sizes, counts, and the
            classifier of sound events.
    """

    renames: tuple[tuple[str, str], ...]
    thirds: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def prefixes(self) -> tuple[str, str]:
        """How the names of the tower and of the projection begin."""
        return self.renames[0][1], self.renames[1][1]

    def names(self, ours: str) -> tuple[str, ...]:
        """The names in the file whose tensors, stacked, are one of ours."""
        name = ours
        for part, other in self.renames:
            name = name.replace(part, other)
        return tuple(name.replace("qkv", third) for third in self.thirds) if "qkv" in name else (name,)


HUGGING_FACE = Dialect(
    renames=(
        ("tower.", "audio_model.audio_encoder."),
        ("projection.", "audio_projection."),
        ("audio_projection.0", "audio_projection.linear1"),
        ("audio_projection.2", "audio_projection.linear2"),
        ("bn0", "batch_norm"),
        ("attn.proj", "attention.output.dense"),
        ("attn.", "attention.self."),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
    ),
    thirds=("query", "key", "value"),
    ignored=("relative_position_index", "num_batches_tracked"),
)
LAION = Dialect(
    renames=(("tower.", "audio_branch."), ("projection.", "audio_projection.")),
    thirds=("qkv",),
    ignored=(
        "relative_position_index",
        "num_batches_tracked",
        "attn_mask",
        "spectrogram_extractor.",
        "logmel_extractor.",
        "tscam_conv.",
        "audio_branch.head.",
    ),
)


def read_audio_half(path: Path) -> AudioHalf:
    """Reads the network that listens; its parameters take no gradients.

    Raises:
        CheckpointError: The file is missing, damaged, holds no unfused HTSAT of a known size, or lacks a tensor, has
            one too many or one of another shape; the first of them is named.
    """
    stored = dict(_stored(path))
    dialect = next((found for found in (HUGGING_FACE, LAION) if _speaks(found, stored)), None)
    if dialect is None:
        raise CheckpointError(
            f"{path}: no audio half of a CLAP: no tensor's name begins with "
            f"{HUGGING_FACE.prefixes[0]!r} or {LAION.prefixes[0]!r}"
        )
    dim = _rows(path, dialect, stored, "projection.2.weight")
    network = AudioHalf(_size(path, dialect, stored), dim)
    wanted = {name: here.shape for name, here in network.state_dict().items() if "num_batches" not in name}
    _refuse_unexpected(path, dialect, stored, {file for ours in wanted for file in dialect.names(ours)})
    for ours, shape in wanted.items():
        names = dialect.names(ours)
        part = torch.Size((shape[0] // len(names), *shape[1:]))
        weights = torch.cat([_tensor(path, stored, name, part) for name in names])
        network.state_dict()[ours].copy_(weights)
    return network.requires_grad_(False).eval()


def _speaks(dialect: Dialect, stored: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(dialect.prefixes[0]) for name in stored)


def _size(path: Path, dialect: Dialect, stored: Mapping[str, Tensor]) -> HtsatConfig:
    """The sizes of the tower, told by its width."""
    width = _rows(path, dialect, stored, "tower.patch_embed.proj.weight")
    if width not in SIZES:
        known = " or ".join(str(size) for size in SIZES)
        raise CheckpointError(f"{path}: its tower is {width} wide, but those known are {known} wide")
    return SIZES[width]


def _rows(path: Path, dialect: Dialect, stored: Mapping[str, Tensor], ours: str) -> int:
    """The length of a tensor that all others are measured by."""
    name = dialect.names(ours)[0]
    if name not in stored or not stored[name].dim():
        raise CheckpointError(f"{path}: lacks the tensor {name!r}")
    return len(stored[name])


def _tensor(path: Path, stored: Mapping[str, Tensor], name: str, shape: torch.Size) -> Float[Tensor, "..."]:
    if name not in stored:
        raise CheckpointError(f"{path}: lacks the tensor {name!r}")
    weights = stored[name].float()
    if weights.shape != shape:
        raise CheckpointError(f"{path}: {name!r} is {list(weights.shape)}, but takes {list(shape)}")
    if not bool(weights.isfinite().all()):
        raise CheckpointError(f"{path}: {name!r} holds values that are not finite")
    return weights


def _refuse_unexpected(
    path: Path, dialect: Dialect, stored: Mapping[str, Tensor], expected: set[str]
) -> None:
    """Refuses the first tensor of the audio half that has no place in ours: it would change the vectors."""
    for name in sorted(stored):
        known = name in expected or any(part in name for part in dialect.ignored)
        if not name.startswith(dialect.prefixes) or known:
            continue
        fused = "; this is a fused CLAP, take the unfused one" if "fusion_model" in name else ""
        raise CheckpointError(f"{path}: has no place for the tensor {name!r}{fused}")


def _stored(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file that may belong to the audio half, by name."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; takes model.safetensors, pytorch_model.bin or a .pt file"
        )
    read = _safetensors if path.suffix == ".safetensors" else _pickled
    for name, weights in read(path):
        yield name.removeprefix("module."), weights


def _safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                # The half that reads text is four fifths of the file.
                if "audio_" in name:
                    yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file: {error}") from error


@final
class _Ignored:
    """Stands in for the NumPy numbers in LAION's records of training, which the restricted reader would refuse."""

    def __init__(self, *about: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_IGNORED_NAMES = (
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
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


def _pickled(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file of PyTorch's; LAION keeps them under `state_dict`, beside the state of training."""
    try:
        with torch.serialization.safe_globals([(_Ignored, name) for name in _IGNORED_NAMES]):
            # Many published weights exist in this form only; weights_only runs no code of the file's.
            held = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or holds more than weights: {reason}") from error
    named = held.get("state_dict", held) if isinstance(held, dict) else None
    if not isinstance(named, dict):
        raise CheckpointError(f"{path}: holds a {type(held).__name__}, not named tensors")
    for name, weights in named.items():
        if isinstance(name, str) and isinstance(weights, Tensor) and "audio_" in name:
            yield name, weights
