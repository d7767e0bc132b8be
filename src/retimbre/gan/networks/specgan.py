"""SpecGAN: the networks of WaveGAN with a second axis, for features that are pictures of bins and frames.

A spectrogram of 256 bins and 128 frames is as many numbers as two seconds of samples, and what makes a sound a sound,
partials and onsets, are lines in it that a convolution of 6 by 6 sees at once. The generator spreads the latent over 8
by 4 cells and doubles both axes five times; the critic halves them. How the picture becomes a sound again is the
business of the representation: of magnitudes by an estimate of the phases, of magnitude and phase, magnitude and
instantaneous frequency or real and imaginary part directly. They differ in the number of channels alone.

Pictures that were scaled by their statistics lie between -1 and 1, which is what the tanh at the end of the generator
is for. Real and imaginary parts are not scaled, and then it is switched off.

References:
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", section 3.1, https://arxiv.org/abs/1802.04208
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

KERNEL = 6
STRIDE = 2
FEWEST_CELLS = 4
"""That the shorter axis of the smallest picture has."""
SLOPE = 0.2
"""Of the critic's rectifiers below zero."""
_AXES = 3  # channels, bins and frames
_FEWEST_LAYERS = 2
# Padded by the 'same' rule: every layer doubles or halves both axes.
_PADDING = (KERNEL - STRIDE) // 2


@final
@dataclasses.dataclass(frozen=True)
class SpecGanGeneratorConfig(LadderGeneratorConfig):
    """Transposed convolutions over bins and frames."""

    kind: Literal["specgan"] = "specgan"
    tanh: bool = True
    """Whether features go through a tanh: for standardized ones. Off for those that may exceed 1."""

    def build(self, form: Form) -> Generator:
        """Takes `[channels, bins, frames]` of sizes that `depth_of` allows."""
        return SpecGanGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class SpecGanCriticConfig(LadderCriticConfig):
    """Convolutions over bins and frames."""

    kind: Literal["specgan"] = "specgan"
    phase_shuffle: int = 0
    """Frames by which each layer but the last is moved at random, at most; 0 for none."""
    projection: bool = True
    """Whether the score depends on the labels, where there are any."""
    class_logits: bool = False
    """Whether the critic guesses the labels (AC-GAN), where there are any."""

    def build(self, form: Form) -> Critic:
        """Takes `[channels, bins, frames]` of sizes that `depth_of` allows."""
        return SpecGanCritic(form, self)


@final
class SpecGanGenerator(Generator):
    """From a latent and labels to a picture."""

    def __init__(self, form: Form, config: SpecGanGeneratorConfig) -> None:
        super().__init__(form)
        depth = depth_of(form.shape)
        widths = [config.channels * 2**layer for layer in reversed(range(depth))]
        channels, bins, frames = form.shape
        self.start = (widths[0], bins // STRIDE**depth, frames // STRIDE**depth)
        cells = self.start[1] * self.start[2]
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), widths[0] * cells)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths, [*widths[1:], channels], strict=True):
            layers += [nn.ReLU(), nn.ConvTranspose2d(fan_in, fan_out, KERNEL, STRIDE, _PADDING)]
        self.layers = nn.Sequential(*layers, nn.Tanh() if config.tanh else nn.Identity())
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """A picture per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        return self.layers(self.spread(told).unflatten(1, self.start))


@final
class SpecGanCritic(Critic):
    """From pictures to a verdict."""

    def __init__(self, form: Form, config: SpecGanCriticConfig) -> None:
        super().__init__(form)
        depth = depth_of(form.shape)
        channels, bins, frames = form.shape
        widths = [config.channels * 2**layer for layer in range(depth)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip([channels, *widths], widths, strict=False):
            layers += [nn.Conv2d(fan_in, fan_out, KERNEL, STRIDE, _PADDING), nn.LeakyReLU(SLOPE)]
            layers.append(PhaseShuffle(config.phase_shuffle))
        self.layers = nn.Sequential(*layers[:-1], nn.Flatten())
        cells = (bins // STRIDE**depth) * (frames // STRIDE**depth)
        told = Told(config.projection, config.class_logits)
        self.head = VerdictHead(widths[-1] * cells, form.classes, told)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for."""
        return self.head(self.layers(features), labels)


def depth_of(shape: tuple[int, ...]) -> int:
    """How many layers of stride 2 there are for features of that shape.

    Both axes are halved for as long as both are even and the shorter one keeps 4 cells: 256 by 128 becomes 8 by 4 in
    five layers, 64 by 32 in three, 512 by 64 becomes 32 by 4 in four.

    Raises:
        ConfigError: The shape is not of channels, bins and frames, or it cannot be halved twice; names the nearest.
    """
    if len(shape) != _AXES:
        raise ConfigError(
            f"specgan takes features of channels, bins and frames, as of an STFT, not of shape {list(shape)}"
        )
    bins, frames = shape[1:]
    depth = 0
    while not (bins % 2 or frames % 2) and min(bins, frames) // 2 >= FEWEST_CELLS:
        bins, frames, depth = bins // 2, frames // 2, depth + 1
    if depth < _FEWEST_LAYERS:
        step = STRIDE**_FEWEST_LAYERS
        least = step * FEWEST_CELLS
        near = " x ".join(str(max(least, round(size / step) * step)) for size in shape[1:])
        raise ConfigError(
            f"specgan takes multiples of {step} from {least} for bins and frames, not {shape[1]} x {shape[2]}; "
            f"the nearest are {near}"
        )
    return depth
