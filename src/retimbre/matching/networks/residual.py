"""A residual network over mel bands, for musical voices: told which key was pressed, and for how long.

It differs from InverSynth's networks in what ten years have taught: residual blocks, which train faster and
deeper; GELU in place of ReLU; normalisation, within each clip only, so that what is said about a clip does not
depend on the others of its batch; and conditioning on the note, since the same patch looks different from key
to key. It is shaped for the CPU: few channels where the map is large, and nothing but dense convolutions, which
run near the processor's peak in bfloat16.

References:
    He et al., "Identity mappings in deep residual networks", 2016, https://arxiv.org/abs/1603.05027
    Perez et al., "FiLM: Visual reasoning with a general conditioning layer", 2018, https://arxiv.org/abs/1709.07871
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.matching.networks.layers import HIDDEN_UNITS, NOTE_FEATURES, SameConv2d, decibels_to_unit_scale

NOTE_UNITS = 64  # length of the vector that the note becomes
MAP_SIZE = 32  # bands and frames of the first map: where a 3x3 convolution of 32 channels costs as much as a later one


@dataclasses.dataclass(frozen=True)
class ResMelConfig:
    """Sizes of `ResMel`.

    Attributes:
        widths: Channels of each stage; each stage after the first halves bands and frames.
        blocks: Residual blocks of each stage.
        summary: Channels that the last map is squeezed to before the dense layer.
    """

    widths: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    summary: int = 128


class ResMel(nn.Module):
    """A residual network over mel bands in decibels, told the note; its parts depend on one clip at a time.

    A stem strides over the bands and frames so that the first map is 32 by 32 at most, whatever the length of
    the clip, with kernels of twice the stride. The map keeps its place in pitch and time up to the dense layer,
    since a cutoff is a place among the bands and an attack a place among the frames.
    """

    def __init__(
        self, example: Float[Tensor, "1 1 bands frames"], num_outputs: int, config: ResMelConfig
    ) -> None:
        super().__init__()
        self.note = nn.Sequential(nn.Linear(NOTE_FEATURES, NOTE_UNITS), nn.GELU())
        high, wide = (-(-size // MAP_SIZE) for size in example.shape[2:])
        self.stem = SameConv2d(1, config.widths[0], (2 * high, 2 * wide), (high, wide))
        stages: list[nn.Module] = []
        before = config.widths[0]
        for index, (width, count) in enumerate(zip(config.widths, config.blocks, strict=True)):
            if index:
                stages.append(Shrink(before, width))
            stages.extend(ResidualBlock(width) for _ in range(count))
            before = width
        self.stages = nn.ModuleList(stages)
        self.summary = nn.Sequential(nn.GroupNorm(1, before), nn.Conv2d(before, config.summary, 1), nn.GELU())
        with torch.no_grad():
            size = self.describe(example, torch.zeros(1, NOTE_FEATURES)).shape[1]
        self.tail = nn.Sequential(
            nn.Linear(size, HIDDEN_UNITS), nn.GELU(), nn.Linear(HIDDEN_UNITS, num_outputs)
        )

    def describe(
        self, features: Float[Tensor, "batch 1 bands frames"], note: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch size"]:
        """The clip and its note as one vector, under the dense layers."""
        key = self.note(note)
        hidden = self.stem(decibels_to_unit_scale(features))
        for stage in self.stages:
            hidden = stage(hidden, key)
        return torch.cat([self.summary(hidden).flatten(1), key], dim=1)

    def forward(
        self, features: Float[Tensor, "batch 1 bands frames"], note: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch outputs"]:
        """Features and note to outputs."""
        return self.tail(self.describe(features, note))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a straight path; the note scales and shifts what goes into them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.from_note = nn.Linear(NOTE_UNITS, 2 * width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        # A block starts as the straight path alone, which lets a deep stack learn from the first step.
        nn.init.zeros_(self.second.weight)

    def forward(
        self, hidden: Float[Tensor, "batch width height frames"], key: Float[Tensor, "batch units"]
    ) -> Tensor:
        """The map, corrected."""
        scale, shift = self.from_note(key)[:, :, None, None].chunk(2, dim=1)
        conditioned = self.norm(hidden) * (1.0 + scale) + shift
        return hidden + self.second(functional.gelu(self.first(functional.gelu(conditioned))))


class Shrink(nn.Module):
    """Halves bands and frames with a strided convolution."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.convolution = SameConv2d(before, width, 3, 2)

    def forward(
        self, hidden: Float[Tensor, "batch width height frames"], key: Float[Tensor, "batch units"]
    ) -> Tensor:
        """The smaller map; the note is not used."""
        return self.convolution(hidden)
