"""The residual blocks of GAN-TTS, of which its generator and its critics are stacks.

Each block is a sum of straight paths and of convolutions over what a rectifier has let through. Dilated convolutions
(1, 2, 4 and 8 places between taps) let a block hear 30 places around with few weights; the straight paths let gradients
through a deep stack from the first step.

References:
    Bińkowski et al. (2020), "High fidelity speech synthesis with adversarial networks", figures 1 and 2,
    https://arxiv.org/abs/1909.11646
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@final
class GBlock(nn.Module):
    """Makes time longer by a factor: two residual pairs of convolutions, with dilations 1 and 2, then 4 and 8."""

    def __init__(self, channels_in: int, channels_out: int, factor: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.ReLU(), Lengthen(channels_in, factor), nn.Conv1d(channels_in, channels_out, 3, padding=1)
        )
        self.second = _dilated(channels_out, 2)
        self.straight = nn.Sequential(Lengthen(channels_in, factor), nn.Conv1d(channels_in, channels_out, 1))
        self.pair = nn.Sequential(_dilated(channels_out, 4), _dilated(channels_out, 8))

    def forward(self, hidden: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch wider longer"]:
        """Factor times as many places."""
        halfway = self.second(self.enter(hidden)) + self.straight(hidden)
        return halfway + self.pair(halfway)


@final
class DBlock(nn.Module):
    """Makes time shorter by a factor, by means over neighbouring places, and adds two convolutions to that."""

    def __init__(self, channels_in: int, channels_out: int, factor: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.AvgPool1d(factor),
            nn.ReLU(),
            nn.Conv1d(channels_in, channels_out, 3, padding=1),
            _dilated(channels_out, 2),
        )
        self.straight = nn.Sequential(nn.Conv1d(channels_in, channels_out, 1), nn.AvgPool1d(factor))

    def forward(self, hidden: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch wider shorter"]:
        """One place for every factor of them; a rest is dropped."""
        return self.residual(hidden) + self.straight(hidden)


@final
class Lengthen(nn.Module):
    """A transposed convolution whose kernel is twice its stride, padded by the 'same' rule."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.convolution = nn.ConvTranspose1d(channels, channels, 2 * factor, factor)

    def forward(self, hidden: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels longer"]:
        """Exactly factor times as many places."""
        first = self.factor // 2
        return self.convolution(hidden)[:, :, first : first + self.factor * hidden.shape[2]]


def _dilated(channels: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation))
