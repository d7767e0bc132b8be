"""Reading the audio half of a published CLAP from a file on this machine.

The weights are spread in two dialects. Hugging Face's files (`model.safetensors`, or the older `pytorch_model.bin`)
hold query, key and value of an attention as three matrices; LAION's own `.pt` files hold them as one, under shorter
names, beside what was needed to go on with the training. Both also hold the half that reads text, which is passed
over. Names and sizes are checked to the last tensor. How a file is opened, and what is trusted of it, is the matter of
`weights_file`; safetensors files should be preferred.

References:
    The files: https://huggingface.co/laion/clap-htsat-unfused, https://github.com/LAION-AI/CLAP
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError
from retimbre.listening.htsat import Htsat, HtsatConfig
from retimbre.listening.weights_file import faults, read_tensors, refuse_faults, tensor, weights_of

FORMATS = "model.safetensors, pytorch_model.bin or a .pt file"

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
            one too many or one of another shape; they are named.
    """
    # The half that reads text is four fifths of the file.
    stored = read_tensors(path, lambda name: "audio_" in name, takes=FORMATS)
    dialect = next((found for found in (HUGGING_FACE, LAION) if _speaks(found, stored)), None)
    if dialect is None:
        raise CheckpointError(
            f"{path}: no audio half of a CLAP: no tensor's name begins with "
            f"{HUGGING_FACE.prefixes[0]!r} or {LAION.prefixes[0]!r}"
        )
    dim = _rows(path, dialect, stored, "projection.2.weight")
    network = AudioHalf(_size(path, dialect, stored), dim)
    wanted = weights_of(network)
    shapes = {
        name: torch.Size((here.shape[0] // len(names), *here.shape[1:]))
        for ours, here in wanted.items()
        for names in [dialect.names(ours)]
        for name in names
    }
    _refuse_misfits(path, dialect, stored, shapes)
    for ours, here in wanted.items():
        here.copy_(torch.cat([stored[name] for name in dialect.names(ours)]))
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
    return len(tensor(path, stored, dialect.names(ours)[0]))


def _refuse_misfits(
    path: Path, dialect: Dialect, stored: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]
) -> None:
    """Refuses tensors of the audio half that do not fit or have no place in ours: they would change the vectors."""
    extra = [
        name
        for name in sorted(stored)
        if name.startswith(dialect.prefixes)
        and name not in shapes
        and not any(part in name for part in dialect.ignored)
    ]
    fused = any("fusion_model" in name for name in extra)
    hint = "; this is a fused CLAP, take the unfused one" if fused else ""
    refuse_faults(path, faults(stored, shapes), extra, hint)
