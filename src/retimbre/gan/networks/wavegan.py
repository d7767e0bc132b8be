"""WaveGAN: samples from a latent by strided convolutions over time, and a critic that is its mirror image.

The generator spreads the latent over 16 places of many channels. Each layer then makes time four times as long and
halves the channels, with kernels so long (36 taps for a stride of 4) that a place hears of nine of the layer below:
five layers lead to 16,384 samples. The critic goes the same way back. Nothing in it knows of frequencies; what pitch
is, the kernels have to find out.

This is the variant of an internship at Google in 2020. The published network has kernels of 25 taps, a tanh at the end
of the generator and phase shuffle in the critic. With a kernel that the stride divides every sample is reached by the
same number of taps, which removes most of the pattern that phase shuffle is there to hide; both are options here.

References:
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", https://arxiv.org/abs/1802.04208
    Odena, Dumoulin and Olah (2016), "Deconvolution and checkerboard artifacts", https://doi.org/10.23915/distill.00003
"""

import dataclasses
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator, Labels, Verdict, one_hot
from retimbre.gan.networks.ladders import LadderCriticConfig, LadderGeneratorConfig
from retimbre.gan.networks.layers import (
    PhaseShuffle,
    Told,
    VerdictHead,
    begin_as_glorot,
    num_classes,
)

KERNEL = 36
STRIDE = 4
FEWEST_PLACES = 16
"""Of the generator's first layer; it has up to four times as many where the length of the clip asks for it."""
SLOPE = 0.2
"""Of the critic's rectifiers below zero."""
_AXES = 2  # channels and time


@final
@dataclasses.dataclass(frozen=True)
class WaveGanGeneratorConfig(LadderGeneratorConfig):
    """Transposed convolutions over time."""

    kind: Literal["wavegan"] = "wavegan"
    tanh: bool = False
    """Whether the samples go through a tanh, which keeps them between -1 and 1."""

    def build(self, form: Form) -> Generator:
        """Takes `[channels, time]` of a length that `depth_of` allows."""
        return WaveGanGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class WaveGanCriticConfig(LadderCriticConfig):
    """Convolutions over time."""

    kind: Literal["wavegan"] = "wavegan"
    phase_shuffle: int = 0
    """Places by which each layer but the last is moved at random, at most; 2 in the published network, 0 for none."""
    projection: bool = True
    """Whether the score depends on the labels, where there are any."""
    class_logits: bool = False
    """Whether the critic guesses the labels (AC-GAN), where there are any."""

    def build(self, form: Form) -> Critic:
        """Takes `[channels, time]` of a length that `depth_of` allows."""
        return WaveGanCritic(form, self)


@final
class WaveGanGenerator(Generator):
    """From a latent and labels to samples."""

    def __init__(self, form: Form, config: WaveGanGeneratorConfig) -> None:
        super().__init__(form)
        depth = depth_of(form.shape)
        widths = [config.channels * 2**layer for layer in reversed(range(depth))]
        self.start = (widths[0], form.shape[1] // STRIDE**depth)
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), self.start[0] * self.start[1])
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths, [*widths[1:], form.shape[0]], strict=True):
            # Padded by the 'same' rule: four places for each one.
            padding = (KERNEL - STRIDE) // 2
            layers += [nn.ReLU(), nn.ConvTranspose1d(fan_in, fan_out, KERNEL, STRIDE, padding)]
        self.layers = nn.Sequential(*layers, nn.Tanh() if config.tanh else nn.Identity())
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Samples of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        return self.layers(self.spread(told).unflatten(1, self.start))


@final
class WaveGanCritic(Critic):
    """From samples to a verdict."""

    def __init__(self, form: Form, config: WaveGanCriticConfig) -> None:
        super().__init__(form)
        widths = [config.channels * 2**layer for layer in range(depth_of(form.shape))]
        layers: list[nn.Module] = []
        places = form.shape[1]
        for fan_in, fan_out in zip([form.shape[0], *widths], widths, strict=False):
            layers += [nn.Conv1d(fan_in, fan_out, KERNEL, STRIDE), nn.LeakyReLU(SLOPE)]
            layers.append(PhaseShuffle(config.phase_shuffle))
            places = (places - KERNEL) // STRIDE + 1
        self.layers = nn.Sequential(*layers[:-1], nn.Flatten())
        told = Told(config.projection, config.class_logits)
        self.head = VerdictHead(widths[-1] * places, form.classes, told)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for."""
        return self.head(self.layers(features), labels)


def depth_of(shape: tuple[int, ...]) -> int:
    """How many layers of stride 4 lead from 16 places, or up to 63, to clips of that shape.

    Lengths are `places * 4**depth` with places from 16 to 63: 64 to 252 samples in steps of 4, to 1,008 in steps of 16,
    to 4,032 in steps of 64, to 16,128 in steps of 256, to 64,512 in steps of 1,024, and so on.

    Raises:
        ConfigError: The shape is not of channels and time, or its length is none of these; names the nearest.
    """
    if len(shape) != _AXES:
        raise ConfigError(
            f"wavegan takes features of channels and time, as of the waveform, not of shape {list(shape)}"
        )
    length, depth = shape[1], 0
    while length >= FEWEST_PLACES * STRIDE ** (depth + 1):
        depth += 1
    if depth == 0:
        raise ConfigError(f"wavegan takes clips of {FEWEST_PLACES * STRIDE} samples or more, not {length}")
    step = STRIDE**depth
    if length % step:
        below = length // step * step
        raise ConfigError(
            f"wavegan takes clips of a multiple of {step} samples at about this length, not {length}; "
            f"the nearest are {below} and {below + step}"
        )
    return depth
