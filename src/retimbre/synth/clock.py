"""Time inside a clip, cut into short blocks, and the signals that are cheap because of it.

Most of what a synthesizer computes per sample is smooth: a phase that grows steadily, an envelope made of a
few strokes. Cutting the clip into blocks of a few dozen samples makes such signals almost free. Within a
block, time is "block start plus offset", and a sum of products of a function of the one and a function of the
other is a small matrix product (`outer_sum`); an envelope is straight between block boundaries but for the
few blocks that hold one of its corners (`Clock.sample`). Block quantities are small, so they are computed in
float64: phases stay exact however long the clip.

When torch compiles the voice, the same functions are evaluated sample by sample instead, since a compiler
fuses them into one loop over the audio.
"""

import dataclasses
import functools
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_SAMPLES = 64
JUST_BEFORE_S = 1e-9  # far below a sample period, far above float64 rounding of a second


@dataclasses.dataclass(frozen=True)
class Blockwise:
    """A signal as a sum of products of a function of the block and a function of the offset within it."""

    left: Float[Tensor, "batch blocks terms"]
    right: Float[Tensor, "batch terms offsets"]


@dataclasses.dataclass(frozen=True)
class Clock:
    """The samples of a clip as blocks.

    Attributes:
        num_samples: Of the clip; the last block may stand over it.
        sample_rate: In Hz.
        sample_s: Every sample, in seconds, in float32.
    """

    num_samples: int
    sample_rate: float
    device: torch.device
    sample_s: Float[Tensor, "1 samples"]

    @classmethod
    def of(cls, num_samples: int, sample_rate: float, device: torch.device) -> "Clock":
        """The clock of a clip."""
        return cls(num_samples, sample_rate, device, _sample_times(num_samples, sample_rate, device))

    @property
    def num_blocks(self) -> int:
        """Blocks that cover the clip."""
        return -(-self.num_samples // BLOCK_SAMPLES)

    @property
    def block_s(self) -> Float[Tensor, " blocks"]:
        """The start of each block, in seconds."""
        return self.edge_s[:-1]

    @property
    def edge_s(self) -> Float[Tensor, " edges"]:
        """The start of each block and the end of the last, in seconds."""
        index = torch.arange(self.num_blocks + 1, device=self.device, dtype=torch.float64)
        return index * (BLOCK_SAMPLES / self.sample_rate)

    @property
    def offset_s(self) -> Float[Tensor, " offsets"]:
        """The samples of a block, in seconds from its start."""
        return torch.arange(BLOCK_SAMPLES, device=self.device, dtype=torch.float64) / self.sample_rate

    def samples_of(self, signal: "Blockwise | Tensor") -> Float[Tensor, "batch samples"]:
        """A signal at every sample."""
        return signal if isinstance(signal, Tensor) else self.flatten(outer_sum(signal.left, signal.right))

    def flatten(self, blocks: Float[Tensor, "batch blocks offsets"]) -> Float[Tensor, "batch samples"]:
        """Blocks to the clip."""
        return blocks.reshape(blocks.shape[0], -1)[:, : self.num_samples]

    def sample(
        self,
        shape: Callable[[Tensor], Tensor],
        corners_s: Float[Tensor, "batch corners"],
        between: "Blockwise | None" = None,
    ) -> Float[Tensor, "batch samples"]:
        """A function of time that is smooth but for some corners, at every sample.

        Args:
            shape: Seconds `[batch or 1, n]` to values `[batch, n]`.
            corners_s: Where the function bends, in seconds, per item; blocks that hold one are computed by `shape`.
            between: The function in all other blocks; None if it is straight there.
        """
        if torch.compiler.is_compiling():
            return shape(self.sample_s)
        smooth = between or self._straight(shape)
        corner_block = self._block_of(corners_s)
        exact = shape((self.block_s[corner_block][:, :, None] + self.offset_s).flatten(1))
        place = corner_block[:, :, None].expand(-1, -1, BLOCK_SAMPLES)
        blocks = outer_sum(smooth.left, smooth.right)
        return self.flatten(blocks.scatter_(1, place, exact.float().reshape(place.shape)))

    def _straight(self, shape: Callable[[Tensor], Tensor]) -> "Blockwise":
        """Straight lines from the start of each block to its end."""
        ends_s = self.edge_s[1:] - JUST_BEFORE_S  # where a jump falls on an edge, the level before it
        starts, ends = shape(torch.cat([self.block_s, ends_s])[None]).tensor_split(2, dim=1)
        ramp = torch.arange(BLOCK_SAMPLES, device=self.device) / BLOCK_SAMPLES
        right = torch.stack([torch.ones_like(ramp), ramp])[None].expand(starts.shape[0], -1, -1)
        return Blockwise(torch.stack([starts, ends - starts], dim=2).float(), right)

    def _block_of(self, second: Float[Tensor, "batch corners"]) -> Int[Tensor, "batch corners"]:
        """The block that a time falls in, the nearest one if none."""
        block = (second.detach().double() * (self.sample_rate / BLOCK_SAMPLES)).floor()
        return block.nan_to_num(0.0).clamp(0, self.num_blocks - 1).long()


@functools.lru_cache(maxsize=16)
def _sample_times(num_samples: int, sample_rate: float, device: torch.device) -> Float[Tensor, "1 samples"]:
    index = torch.arange(num_samples, device=device, dtype=torch.float64)
    return (index / sample_rate).float()[None]


def outer_sum(
    left: Float[Tensor, "batch blocks terms"], right: Float[Tensor, "batch terms offsets"]
) -> Float[Tensor, "batch blocks offsets"]:
    """Sum over terms of (a function of the block) x (a function of the offset within it): a batched matrix product."""
    if not torch.compiler.is_compiling():
        return torch.bmm(left, right)
    total = left[:, :, 0, None] * right[:, 0, None]
    for term in range(1, left.shape[2]):
        total = total + left[:, :, term, None] * right[:, term, None]
    return total


def curve_at(curve: Float[Tensor, "batch points"], position: Float[Tensor, " n"]) -> Float[Tensor, "batch n"]:
    """A curve read at positions in [0, 1], joined by straight lines; beyond its ends it holds."""
    points = curve.shape[1]
    if points == 1:
        return curve.expand(-1, position.shape[0])
    place = position.clamp(0.0, 1.0) * (points - 1)
    left = place.long().clamp(max=points - 2)
    share = (place - left).to(curve.dtype)
    return torch.lerp(curve[:, left], curve[:, left + 1], share)
