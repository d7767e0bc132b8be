"""Generator and critic of spectrograms whose bins are the channels of a network in one dimension.

Between them is the backbone of frames (`frame_backbone`). The generator ends in one layer that turns the vector of a
frame into all channels and bins of it; the critic begins with one that reads them. So a harmonic is found or made
anywhere in the spectrum at once, and a clip of 513 bins costs little more than one of 64.

What a harmonic spectrogram looks like depends most of all on the pitch: where the ridges lie, and, in a representation
of magnitudes and turns of phase, by how much each bin's phase turns. The generator can therefore keep a *template* per
pitch, a value for each channel and bin that is added to every frame, and spend its layers on what differs from note to
note. The critic is told the labels twice: before its layers, so that it knows what to look for, and after them, where
the direction in which a clip has to lie to be taken for real is one of each label's own (projection).

A critic may join several frames before it reads them (`frames_at_once`), which suits spectrograms of short frames.

References:
    Miyato and Koyama (2018), cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
    Siuzdak (2023), Vocos, https://arxiv.org/abs/2306.00814
    Engel et al. (2019), GANSynth, https://arxiv.org/abs/1902.08710 (magnitudes and turns)
"""

import dataclasses
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.networks.frame_backbone import FrameBackbone, FrameSize, HalvingBlock

_TEMPLATES_OF = "pitch"
_SLOPE = 0.2  # of the critic's activations below zero
_STILL = 1e-4  # the variance over time of what does not move, so that its root has a slope


@final
@dataclasses.dataclass(frozen=True)
class FramesGeneratorConfig(GeneratorConfig):
    """Frames from the latent and the labels, each made into all channels and bins by one layer."""

    kind: Literal["frames"] = "frames"
    width: int = 256
    """Channels of the backbone."""
    depth: int = 6
    """Blocks of the backbone."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""
    template: bool = True
    """Whether each pitch has values of its own for all channels and bins, where the pitch is told."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        FrameSize.of(self)

    def build(self, form: Form) -> Generator:
        """Takes features with bins and frames.

        Raises:
            ConfigError: The features are of another kind.
        """
        _check_shape(form)
        return FramesGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class FramesCriticConfig(CriticConfig):
    """Frames from all channels and bins, halved in number from block to block, and a score from what is left."""

    kind: Literal["frames"] = "frames"
    width: int = 256
    """Channels of every block."""
    depth: int = 4
    """Blocks, each of which halves the number of frames."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""
    frames_at_once: int = 1
    """Neighbouring frames that are read as one."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        FrameSize.of(self)
        if self.frames_at_once < 1:
            raise ConfigError(f"frames_at_once is {self.frames_at_once}, but takes 1 or more")

    def build(self, form: Form) -> Critic:
        """Takes features with bins and frames.

        Raises:
            ConfigError: The features are of another kind.
        """
        _check_shape(form)
        return FramesCritic(form, self)


@final
class FramesGenerator(Generator):
    """From a latent to a spectrogram, frame by frame."""

    def __init__(self, form: Form, config: FramesGeneratorConfig) -> None:
        super().__init__(form)
        channels, bins, num_frames = form.shape
        self.backbone = FrameBackbone(form, num_frames, FrameSize.of(config))
        self.head = nn.Linear(config.width, channels * bins)
        self.template: nn.Embedding | None = None
        if config.template and _TEMPLATES_OF in form.classes:
            self.template = nn.Embedding(len(form.classes[_TEMPLATES_OF]), channels * bins)
            nn.init.zeros_(self.template.weight)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row."""
        frames, _ = self.backbone(latent, labels)
        cells = self.head(frames)
        if self.template is not None:
            kept = self.template(labels[_TEMPLATES_OF].to(cells.device))
            cells = cells + kept[:, None].to(cells.dtype)
        return cells.mT.unflatten(1, self.form.shape[:2])


@final
class FramesCritic(Critic):
    """From a spectrogram, frame by frame, to a score."""

    def __init__(self, form: Form, config: FramesCriticConfig) -> None:
        super().__init__(form)
        channels, bins, _ = form.shape
        width, told = config.width, sum(len(names) for names in form.classes.values())
        self.at_once = config.frames_at_once
        self.read = nn.Linear(channels * bins * self.at_once, width)
        self.blocks = nn.ModuleList(HalvingBlock(FrameSize.of(config)) for _ in range(config.depth))
        self.summary = nn.Linear(2 * width, width)
        self.score = nn.Linear(width, 1)
        # Without labels these have no weights, and add nothing.
        self.claim = nn.Linear(told, width, bias=False) if told else None
        self.direction = nn.Linear(told, width, bias=False) if told else None

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """A score per clip."""
        frames = self.read(self._columns(features))
        told = one_hot(labels, self.form.classes, features.flatten(1))
        if self.claim is not None:
            frames = frames + self.claim(told)[:, None]
        frames = functional.leaky_relu(frames, _SLOPE)
        for block in self.blocks:
            frames = block(frames)
        spread = (frames.var(dim=1, correction=0) + _STILL).sqrt()
        summary = self.summary(torch.cat([frames.mean(dim=1), spread], dim=1))
        summary = functional.leaky_relu(summary, _SLOPE)
        score = self.score(summary)[:, 0]
        if self.direction is not None:
            score = score + (summary * self.direction(told)).sum(dim=1) * summary.shape[1] ** -0.5
        return Verdict(score, {})

    def _columns(
        self, features: Float[Tensor, "batch channels bins frames"]
    ) -> Float[Tensor, "batch columns values"]:
        """All values of one frame, or of several neighbours, side by side; what is missing at the end is zero."""
        columns = features.flatten(1, 2).mT
        missing = -columns.shape[1] % self.at_once
        if missing:
            columns = functional.pad(columns, (0, 0, 0, missing))
        return columns.unflatten(1, (-1, self.at_once)).flatten(2)


def _check_shape(form: Form) -> None:
    if len(form.shape) != 3:
        raise ConfigError(
            f"networks of frames take features with channels, bins and frames, not of shape {list(form.shape)}"
        )
