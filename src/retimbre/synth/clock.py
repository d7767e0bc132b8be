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
from jaxtyping import Float
from torch import Tensor

BLOCK_SAMPLES = 64
JUST_BEFORE_S = 1e-9  # far below a sample period, far above float64 rounding of a second


@dataclasses.dataclass(frozen=True)
class Clock:
    """The samples of a clip as blocks.

    Attributes:
        num_samples: Of the clip; the last block may stand over it.
        sample_rate: In Hz.
    """

    num_samples: int
    sample_rate: float
    device: torch.device

    @property
    def num_blocks(self) -> int:
        """Blocks that cover the clip."""
        return -(-self.num_samples // BLOCK_SAMPLES)

    @functools.cached_property
    def block_s(self) -> Float[Tensor, " blocks"]:
        """The start of each block, in seconds."""
        index = torch.arange(self.num_blocks, device=self.device, dtype=torch.float64)
        return index * (BLOCK_SAMPLES / self.sample_rate)

    @functools.cached_property
    def edge_s(self) -> Float[Tensor, " edges"]:
        """The start of each block and the end of the last, in seconds."""
        index = torch.arange(self.num_blocks + 1, device=self.device, dtype=torch.float64)
        return index * (BLOCK_SAMPLES / self.sample_rate)

    @functools.cached_property
    def offset_s(self) -> Float[Tensor, " offsets"]:
        """The samples of a block, in seconds from its start."""
        return torch.arange(BLOCK_SAMPLES, device=self.device, dtype=torch.float64) / self.sample_rate

    @functools.cached_property
    def sample_s(self) -> Float[Tensor, "1 samples"]:
        """Every sample, in seconds, in float32."""
        index = torch.arange(self.num_samples, device=self.device, dtype=torch.float64)
        return (index / self.sample_rate).float()[None]

    def flatten(self, blocks: Float[Tensor, "batch blocks offsets"]) -> Float[Tensor, "batch samples"]:
        """Blocks to the clip."""
        return blocks.reshape(blocks.shape[0], -1)[:, : self.num_samples]

    def sample(
        self, shape: Callable[[Tensor], Tensor], corners_s: Float[Tensor, "batch corners"]
    ) -> Float[Tensor, "batch samples"]:
        """A function of time that is smooth but for some corners, at every sample.

        Between corners the function is joined by straight lines from block edge to block edge: exact for the
        linear strokes of an ADSR, within (block length)^2 |shape''| / 8 for curved ones. Blocks with a corner
        are exact.

        Args:
            shape: Seconds `[batch or 1, n]` to values `[batch, n]`; evaluated in float64 at block edges.
            corners_s: Where the function bends, in seconds, per item.
        """
        if torch.compiler.is_compiling():
            return shape(self.sample_s)
        starts = shape(self.block_s[None])
        ends = shape(self.edge_s[None, 1:] - JUST_BEFORE_S)  # where a jump falls on an edge, the level before it
        ramp = torch.arange(BLOCK_SAMPLES, device=self.device) / BLOCK_SAMPLES
        left = torch.stack([starts, ends - starts], dim=2).float()
        lines = outer_sum(
            left, torch.stack([torch.ones_like(ramp), ramp])[None].expand(left.shape[0], -1, -1)
        )
        return self.flatten(self._with_corners(lines, shape, corners_s))

    def _with_corners(
        self, lines: Tensor, shape: Callable[[Tensor], Tensor], corners_s: Float[Tensor, "batch corners"]
    ) -> Tensor:
        """The lines with the blocks that hold a corner computed sample by sample."""
        corners = corners_s.shape[1]
        block = (corners_s.detach().double() * (self.sample_rate / BLOCK_SAMPLES)).floor()
        block = block.nan_to_num(0.0).clamp(0, self.num_blocks - 1).long()
        times = self.block_s[block][:, :, None] + self.offset_s
        exact = shape(times.flatten(1)).float().reshape(-1, corners, BLOCK_SAMPLES)
        return lines.scatter(1, block[:, :, None].expand(-1, -1, BLOCK_SAMPLES), exact)


def outer_sum(
    left: Float[Tensor, "batch blocks terms"], right: Float[Tensor, "batch terms offsets"]
) -> Float[Tensor, "batch blocks offsets"]:
    """Sum over terms of (a function of the block) x (a function of the offset within it): a batched matrix product."""
    return torch.bmm(left, right)


def curve_at(curve: Float[Tensor, "batch points"], position: Float[Tensor, " n"]) -> Float[Tensor, "batch n"]:
    """A curve read at positions in [0, 1], joined by straight lines; beyond its ends it holds."""
    points = curve.shape[1]
    if points == 1:
        return curve.expand(-1, position.shape[0])
    place = position.clamp(0.0, 1.0) * (points - 1)
    left = place.long().clamp(max=points - 2)
    share = (place - left).to(curve.dtype)
    return torch.lerp(curve[:, left], curve[:, left + 1], share)
