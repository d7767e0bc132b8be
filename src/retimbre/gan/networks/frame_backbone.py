"""Networks over frames: one vector per moment of a clip, mixed along time by short filters and within a frame by layers.

A spectrogram can be seen as a picture, and a network can slide small filters over it in both directions. But a
spectrum is not a picture: a harmonic sound has its energy in many places at once, far apart, and the same pattern never
recurs a few bins higher. Here the bins of a frame are the channels of a network in one dimension, time. Every layer
sees the whole spectrum, and nearly all arithmetic is in matrix products, which processors do best.

A block is that of ConvNeXt turned to one dimension: each channel is filtered along time by a few coefficients of its
own, then two dense layers mix the channels of each frame, and the result is added to what came in. A generator is told
what to make between the two: a scale and a shift per channel follow from the latent and the labels, in place of those
that a normalisation would learn (adaptive normalisation). A critic has no normalisation, which would hide how loud what
it hears is.

References:
    Liu et al. (2022), A ConvNet for the 2020s, https://arxiv.org/abs/2201.03545 (the block)
    Siuzdak (2023), Vocos, https://arxiv.org/abs/2306.00814 (frames as the tokens of a generator of spectra)
    Perez et al. (2018), FiLM, https://arxiv.org/abs/1709.07871 (scale and shift from what a network is told)
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.gan.base import Form, Labels, one_hot

_SLOPE = 0.2  # of the activation of critics below zero
_LABEL_GAIN = 1.0  # so that a latent and a label weigh alike at the start


@final
class Told(nn.Module):
    """What a generator is told of a clip, as one vector: a mapping of the latent and the labels."""

    def __init__(self, form: Form, width: int) -> None:
        super().__init__()
        self.classes = form.classes
        told = sum(len(names) for names in form.classes.values())
        self.latent = nn.Linear(form.latent_dim, width)
        self.labels = nn.Linear(told, width, bias=False)
        self.mixed = nn.Linear(width, width)
        # A row of labels has one 1 per attribute, a latent one number of size 1 per dimension.
        nn.init.normal_(self.labels.weight, std=_LABEL_GAIN)
        self.latent.weight.data.normal_(0.0, form.latent_dim**-0.5)

    def forward(self, latent: Float[Tensor, "batch latent"], labels: Labels) -> Float[Tensor, "batch width"]:
        """The vector."""
        joined = self.latent(latent) + self.labels(one_hot(labels, self.classes, latent))
        return functional.silu(self.mixed(functional.silu(joined)))


@final
class TimeFilter(nn.Module):
    """Filters every channel along time with coefficients of its own, as many frames out as in."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.randn(width, 1, 1, kernel) * kernel**-0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        """Beyond the ends is silence."""
        # As an image of one row with the channels last in memory, which they are: three times the speed of conv1d.
        image = frames.transpose(1, 2)[:, :, None]
        padding = (0, self.kernel // 2)
        filtered = functional.conv2d(image, self.weight, self.bias, padding=padding, groups=len(self.bias))
        return filtered[:, :, 0].transpose(1, 2)


@final
class ToldBlock(nn.Module):
    """A residual block of a generator."""

    def __init__(self, width: int, expansion: int, kernel: int, told: int) -> None:
        super().__init__()
        self.along = TimeFilter(width, kernel)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(told, 2 * width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        # A block begins by passing on nearly what it got, and the deeper the network, the better for learning.
        self.narrow.weight.data.mul_(0.3)

    def forward(
        self, frames: Float[Tensor, "batch frames width"], told: Float[Tensor, "batch told"]
    ) -> Float[Tensor, "batch frames width"]:
        """The frames with something added."""
        scale, shift = self.modulation(told)[:, None].chunk(2, dim=-1)
        inner = self.norm(self.along(frames)) * (1.0 + scale) + shift
        return frames + self.narrow(functional.silu(self.widen(inner)))


@final
class FrameBackbone(nn.Module):
    """From what a generator is told to a vector per frame."""

    def __init__(self, form: Form, num_frames: int, width: int, depth: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.told = Told(form, width)
        self.start = nn.Parameter(torch.randn(num_frames, width))
        self.spread = nn.Linear(width, width)
        self.blocks = nn.ModuleList(ToldBlock(width, expansion, kernel, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> tuple[Float[Tensor, "batch frames width"], Float[Tensor, "batch width"]]:
        """The frames, and what they were made from."""
        told = self.told(latent, labels)
        frames = self.start + self.spread(told)[:, None]
        for block in self.blocks:
            frames = block(frames, told)
        return self.norm(frames), told


@final
class HalvingBlock(nn.Module):
    """A residual block of a critic, after which there are half as many frames."""

    def __init__(self, width: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.along = TimeFilter(width, kernel)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.narrow.weight.data.mul_(0.3)

    def forward(self, frames: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch half width"]:
        """Means of pairs of frames with something added; an odd last frame stays."""
        inner = functional.leaky_relu(self.widen(self.along(frames)), _SLOPE)
        frames = frames + self.narrow(inner)
        if frames.shape[1] == 1:
            return frames
        whole = frames[:, : frames.shape[1] // 2 * 2].unflatten(1, (-1, 2)).mean(dim=2)
        return torch.cat([whole, frames[:, whole.shape[1] * 2 :]], dim=1)
