"""HTSAT: a transformer that looks at a spectrogram as if it were a picture.

A transformer lets every part of its input attend to every other part, at a cost that grows with the square of their
number. The Swin transformer keeps that cheap for pictures: a picture is cut into patches (tokens), tokens attend within
windows of 8 x 8 tokens only, and every second block shifts the windows by half their side, so that news crosses their
edges. After each stage four neighbours are merged into one token of twice the width, so later windows see more of
the picture. Where a token lies inside its window is told by a learned bias for each offset between two tokens.

HTSAT feeds this with sound. Ten seconds of log-mel spectrogram, 1024 frames of 64 bands, are a strip far longer than it
is high; it is cut into 4 pieces in time which are stacked in frequency to a square of 256 x 256. The mean of the last
tokens is the embedding. This module is the network alone, for inference: dropout, stochastic depth and the
classifier of the original are left out, since they do nothing to the embedding of a trained network.

References:
    Chen et al. (2022), "HTS-AT: A Hierarchical Token-Semantic Audio Transformer for Sound Classification and
    Detection", https://arxiv.org/abs/2202.00874
    Liu et al. (2021), "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    https://arxiv.org/abs/2103.14030
"""

import functools
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError

PATCH = 4
WINDOW = 8
# What two tokens of different regions get added to their score: a share of e^-100 is no share. As in training.
_APART = -100.0


@final
@dataclass(frozen=True)
class HtsatConfig:
    """The sizes of an HTSAT; the defaults are those of "tiny".

    Attributes:
        width: Channels of a token in the first stage; each stage after it has twice as many.
        depths: Blocks of each stage.
        heads: Attention heads of each stage.
        num_mels: Bands of the spectrogram.
        side: Side of the square picture that the spectrogram is folded to, in pixels.
        mlp_ratio: Width of a block's hidden layer, in widths of its tokens.

    Raises:
        ConfigError: Sizes that do not fit each other.
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    num_mels: int = 64
    side: int = 256
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        """Refuses sizes that no picture can be cut by."""
        if len(self.depths) != len(self.heads) or not self.depths:
            raise ConfigError(
                f"depths and heads list the stages, at least one, got {self.depths} and {self.heads}"
            )
        if self.side % self.num_mels or self.last_tokens % WINDOW:
            raise ConfigError(
                f"a picture of side {self.side} is cut into strips of {self.num_mels} mels and, in the last of "
                f"{len(self.depths)} stages, into windows of {WINDOW} tokens: one of them leaves a rest"
            )

    @property
    def dim(self) -> int:
        """Channels of a token in the last stage."""
        return self.width * 2 ** (len(self.depths) - 1)

    @property
    def last_tokens(self) -> int:
        """Tokens along each side of the picture in the last stage."""
        return self.side // PATCH // 2 ** (len(self.depths) - 1)

    @property
    def num_frames(self) -> int:
        """Frames of the spectrogram that fill the picture."""
        return self.side * (self.side // self.num_mels)


def picture(log_mels: Float[Tensor, "batch frames mels"], side: int) -> Float[Tensor, "batch 1 side side"]:
    """Stretches a spectrogram in time to fill a square, and folds it: time pieces on top of each other.

    The stretch is the bicubic interpolation of the original; more frames than fit are squeezed by the same means.
    """
    batch, _, num_mels = log_mels.shape
    pieces = side // num_mels
    stretched = functional.interpolate(
        log_mels[:, None], (side * pieces, num_mels), mode="bicubic", align_corners=True
    )
    folded = stretched.reshape(batch, pieces, side, num_mels).transpose(2, 3)
    return folded.reshape(batch, 1, side, side)


@functools.lru_cache(maxsize=16)
def relative_positions(device: torch.device) -> Int[Tensor, "tokens tokens"]:
    """For each two tokens of a window, the row of the bias table that their offset has. Shared: never change it."""
    with torch.inference_mode(False):
        axis = torch.arange(WINDOW, device=device)
        row, column = (grid.reshape(-1) for grid in torch.meshgrid(axis, axis, indexing="ij"))
        rows_apart = row[:, None] - row[None, :] + WINDOW - 1
        columns_apart = column[:, None] - column[None, :] + WINDOW - 1
        return rows_apart * (2 * WINDOW - 1) + columns_apart


@functools.lru_cache(maxsize=64)
def shift_mask(
    side: int, shift: int, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "windows 1 tokens tokens"]:
    """What keeps tokens apart that share a window only because shifting wraps around the picture's edges."""
    with torch.inference_mode(False):
        axis = torch.arange(side, device=device)
        # Along each axis: what stays, what is shifted within the last window, what has come around.
        region = (axis >= side - WINDOW).long() + (axis >= side - shift).long()
        regions = windows_of((region[:, None] * 3 + region[None, :])[None, :, :, None])[:, :, 0]
        same = regions[:, None, :, None] == regions[:, None, None, :]
        return torch.where(same, 0.0, _APART).to(dtype)


def windows_of(grid: Tensor) -> Tensor:
    """Cuts [batch, side, side, dim] into windows: [batch * windows, tokens, dim], windows in rows."""
    batch, side, _, dim = grid.shape
    count = side // WINDOW
    cut = grid.reshape(batch, count, WINDOW, count, WINDOW, dim).transpose(2, 3)
    return cut.reshape(batch * count * count, WINDOW * WINDOW, dim)


def grid_of(windows: Tensor, side: int) -> Tensor:
    """Undoes `windows_of`."""
    count, dim = side // WINDOW, windows.shape[-1]
    cut = windows.reshape(-1, count, count, WINDOW, WINDOW, dim).transpose(2, 3)
    return cut.reshape(-1, side, side, dim)


@final
class WindowAttention(nn.Module):
    """Attention of the tokens of each window to each other."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, windows: Float[Tensor, "all tokens dim"], mask: Float[Tensor, "windows 1 tokens tokens"] | None
    ) -> Float[Tensor, "all tokens dim"]:
        """Windows of several pictures at once, picture by picture; a mask is for the windows of one picture."""
        count, tokens, dim = windows.shape
        parts = self.qkv(windows).reshape(count, tokens, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[relative_positions(windows.device)].permute(2, 0, 1)
        scores = bias[None] if mask is None else (bias + mask).repeat(count // len(mask), 1, 1, 1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=scores)
        return self.proj(mixed.transpose(1, 2).reshape(count, tokens, dim))


@final
class Mlp(nn.Module):
    """Two dense layers on each token."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Each token by itself."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


@final
class Block(nn.Module):
    """Attention within windows, then a network on each token; both add to what was there."""

    def __init__(self, dim: int, heads: int, hidden: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden)

    def forward(self, grid: Float[Tensor, "batch side side dim"]) -> Float[Tensor, "batch side side dim"]:
        """A picture of tokens to one of the same size."""
        side = grid.shape[1]
        # A single window sees everything already.
        shift = self.shift if side > WINDOW else 0
        mask = shift_mask(side, shift, grid.device, grid.dtype) if shift else None
        shifted = torch.roll(self.norm1(grid), (-shift, -shift), dims=(1, 2))
        attended = grid_of(self.attn(windows_of(shifted), mask), side)
        grid = grid + torch.roll(attended, (shift, shift), dims=(1, 2))
        return grid + self.mlp(self.norm2(grid))


@final
class PatchMerging(nn.Module):
    """Makes one token of twice the width out of four neighbours."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, grid: Float[Tensor, "batch side side dim"]) -> Float[Tensor, "batch half half twice"]:
        """Neighbours go below, then right: the order of the published weights."""
        four = [grid[:, row::2, column::2] for column in range(2) for row in range(2)]
        return self.reduction(self.norm(torch.cat(four, dim=-1)))


@final
class Stage(nn.Module):
    """Blocks at one resolution, and the step to the next one where there is one."""

    def __init__(self, config: HtsatConfig, number: int) -> None:
        super().__init__()
        dim, heads = config.width * 2**number, config.heads[number]
        hidden = config.mlp_ratio * dim
        shifts = [0 if block % 2 == 0 else WINDOW // 2 for block in range(config.depths[number])]
        self.blocks = nn.Sequential(*(Block(dim, heads, hidden, shift) for shift in shifts))
        self.downsample = PatchMerging(dim) if number + 1 < len(config.depths) else nn.Identity()

    def forward(self, grid: Float[Tensor, "batch side side dim"]) -> Float[Tensor, "batch next next out"]:
        """A picture of tokens to the next stage's."""
        return self.downsample(self.blocks(grid))


@final
class PatchEmbed(nn.Module):
    """Turns each square of pixels into a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Float[Tensor, "batch 1 side side"]) -> Float[Tensor, "batch grid grid width"]:
        """A picture of pixels to a picture of tokens."""
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1))


@final
class Htsat(nn.Module):
    """Log-mel spectrograms to embeddings. Its parts bear the names of the published weights."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.bn0 = nn.BatchNorm1d(config.num_mels)
        self.patch_embed = PatchEmbed(config.width)
        self.layers = nn.Sequential(*(Stage(config, number) for number in range(len(config.depths))))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, log_mels: Float[Tensor, "batch frames mels"]) -> Float[Tensor, "batch dim"]:
        """The mean of the last tokens.

        Args:
            log_mels: In decibels, as the network was trained on them.
        """
        levelled = self.bn0(log_mels.transpose(1, 2)).transpose(1, 2)
        tokens = self.norm(self.layers(self.patch_embed(picture(levelled, self.config.side))))
        return tokens.mean(dim=(1, 2))
