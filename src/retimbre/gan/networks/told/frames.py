"""Networks over frames that are told what was heard before, what the keys do, or both.

They are those of `frames`: a column of a spectrogram is a vector, mixed along time by short filters and within itself
by dense layers. Conditions come in at the place that they speak of.

*Keys* speak of every frame: how hard each was struck in it, and about how loud each still sounds (`keyboard`). Both are
added to the vectors of the frames. The critic also compares: its score has a term for how well what it has made of a
frame agrees with what was told of it (projection, frame by frame), so that a right sound at the wrong time is a wrong
one. With `expectation` there is a second such term without layers: the product of a frame as it is and of what the keys
lead to expect, a spectrum for each key, learned. Its gradient is the difference of two correlations, of keys with real
frames and of keys with generated ones, so it says of each key where its sound has too little and where too much. Where
a generator has to find out which key has which partials, that is what it needs to hear first, and many times sooner
than the other layers find words for it.

A *history* is read like the clip. Critics read the two as one spectrogram, with a mark on the frames that were heard
before: what does not go on from there is not real. To the generator its last frames are more than something to be told
of. What sounds goes on sounding; so the generator begins from them, frame by frame less of them, and makes what is to
be added. How fast they fade is learned for every frame and channel.

References:
    Liu et al. (2022), A ConvNet for the 2020s, https://arxiv.org/abs/2201.03545 (the block)
    Miyato and Koyama (2018), cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
"""

import dataclasses
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import NUM_KEYS
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.conditions import HISTORY, MIDI
from retimbre.gan.networks.frame_backbone import FrameSize, HalvingBlock, Told, ToldBlock
from retimbre.gan.networks.told.keyboard import check_midi, strikes_in, strings_at

_SLOPE = 0.2  # of the critic's activations below zero
_STILL = 1e-4  # the variance over time of what does not move, so that its root has a slope
_KEPT_FRAMES = 4  # of the history, whose mean the generator begins from
_FADED_FRAMES = 24.0  # after so many frames it begins from a third of that
# All weights have one learning rate. What is added to the history is multiplied by less, so that learning stays near
# what was heard: a step of every weight of the last layer at once would else be felt as tens of decibels.
_ADDED = 0.1
# A term that is plain and sure should be learned before what takes layers.
_EXPECTED_GAIN = 2.0
_TOLD_KINDS = (HISTORY, MIDI)


@final
@dataclasses.dataclass(frozen=True)
class ToldFramesGeneratorConfig(GeneratorConfig):
    """Frames from the latent, the keys and the end of what was heard before."""

    hears: ClassVar[frozenset[str]] = frozenset({"history", "midi"})

    kind: Literal["told-frames"] = "told-frames"
    width: int = 192
    """Channels of the blocks."""
    depth: int = 5
    """Blocks."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        FrameSize.of(self)

    def build(self, form: Form) -> Generator:
        """Takes features with bins and frames, and a history, MIDI states or both.

        Raises:
            ConfigError: The features are of another kind, or nothing is told.
        """
        _check(form)
        return ToldFramesGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class ToldFramesCriticConfig(CriticConfig):
    """Frames of the history and the clip with what the keys do, halved from block to block, and a score."""

    hears: ClassVar[frozenset[str]] = frozenset({"history", "midi"})

    kind: Literal["told-frames"] = "told-frames"
    width: int = 192
    """Channels of every block."""
    depth: int = 4
    """Blocks, each of which halves the number of frames."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""
    frames_at_once: int = 1
    """Neighbouring frames that are read as one."""
    expectation: bool = False
    """Whether keys are also compared with the frames as they are, by a learned spectrum for each key."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        FrameSize.of(self)
        if self.frames_at_once < 1:
            raise ConfigError(f"frames_at_once is {self.frames_at_once}, but takes 1 or more")

    def build(self, form: Form) -> Critic:
        """Takes features with bins and frames, and a history, MIDI states or both.

        Raises:
            ConfigError: The features are of another kind, nothing is told, or keys are to be expected of but not told.
        """
        _check(form)
        if self.expectation and MIDI not in form.conditions:
            raise ConfigError("expectation is what keys lead to expect; [task] conditions has no midi")
        return ToldFramesCritic(form, self)


@final
class ToldFramesGenerator(Generator):
    """From a latent and conditions to a spectrogram."""

    def __init__(self, form: Form, config: ToldFramesGeneratorConfig) -> None:
        super().__init__(form)
        channels, bins, num_frames = form.shape
        width = config.width
        self.told = Told(form, width)
        self.start = nn.Parameter(torch.randn(num_frames, width))
        self.spread = nn.Linear(width, width)
        self.keys = nn.Linear(2 * NUM_KEYS, width) if MIDI in form.conditions else None
        self.read: nn.Linear | None = None
        self.kept: nn.Parameter | None = None
        if HISTORY in form.conditions:
            self.read = nn.Linear(2 * channels * bins, width)
            fade = torch.exp(-torch.arange(num_frames) / _FADED_FRAMES)
            # A logarithm, of which a layer's small steps are small shares.
            self.kept = nn.Parameter(fade.expand(channels, -1).log().clone())
        self.blocks = nn.ModuleList(ToldBlock(FrameSize.of(config)) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, channels * bins)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row."""
        channels, bins, num_frames = self.form.shape
        told = self.told(latent, labels)
        kept: Tensor | None = None
        if self.read is not None and self.kept is not None:
            heard = labels[HISTORY].to(latent)
            last = heard[..., -_KEPT_FRAMES:].mean(dim=-1)
            told = told + self.read(torch.cat([last, heard.mean(dim=-1)], dim=1).flatten(1))
            kept = last[..., None] * self.kept.clamp(max=0.0).exp()[:, None]
        frames = self.start + self.spread(told)[:, None]
        if self.keys is not None:
            frames = frames + self.keys(keys_in(labels[MIDI].to(latent), num_frames))
        for block in self.blocks:
            frames = block(frames, told)
        cells = self.head(self.norm(frames)).mT.unflatten(1, (channels, bins))
        return cells if kept is None else _ADDED * cells + kept.to(cells.dtype)


@final
class ToldFramesCritic(Critic):
    """From a spectrogram and conditions to a score."""

    def __init__(self, form: Form, config: ToldFramesCriticConfig) -> None:
        super().__init__(form)
        channels, bins, num_frames = form.shape
        width, classes = config.width, sum(len(names) for names in form.classes.values())
        self.at_once = config.frames_at_once
        self.columns = -(-num_frames // self.at_once)
        self.read = nn.Linear(channels * bins * self.at_once, width)
        self.before = nn.Parameter(0.1 * torch.randn(width)) if HISTORY in form.conditions else None
        self.keys = nn.Linear(2 * NUM_KEYS, 2 * width, bias=False) if MIDI in form.conditions else None
        self.claim = nn.Linear(classes, width, bias=False) if classes else None
        self.blocks = nn.ModuleList(HalvingBlock(FrameSize.of(config)) for _ in range(config.depth))
        self.summary = nn.Linear(2 * width, width)
        self.score = nn.Linear(width, 1)
        self.look = HalvingBlock(FrameSize.of(config)) if MIDI in form.conditions else None
        self.expected: nn.Linear | None = None
        if config.expectation:
            self.expected = nn.Linear(2 * NUM_KEYS, channels * bins * self.at_once, bias=False)
            nn.init.zeros_(self.expected.weight)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """A score per clip."""
        columns = self._columns(features)
        frames = self.read(columns)
        agreement: Tensor | float = 0.0
        if self.keys is not None and self.look is not None:
            told = keys_in(labels[MIDI].to(features), self.columns)
            keys, wanted = self.keys(told).chunk(2, dim=2)
            frames = frames + keys
            seen = self.look(functional.leaky_relu(frames, _SLOPE))
            pairs = functional.avg_pool1d(wanted.mT, 2, ceil_mode=True).mT
            agreement = (seen * pairs).sum(dim=2).mean(dim=1) * frames.shape[2] ** -0.5
            if self.expected is not None:
                likeness = (columns * self.expected(told)).sum(dim=2).mean(dim=1)
                agreement = agreement + _EXPECTED_GAIN * likeness
        if self.before is not None:
            heard = self.read(self._columns(labels[HISTORY].to(features))) + self.before
            frames = torch.cat([heard, frames], dim=1)
        if self.claim is not None:
            frames = frames + self.claim(one_hot(labels, self.form.classes, features.flatten(1)))[:, None]
        frames = functional.leaky_relu(frames, _SLOPE)
        for block in self.blocks:
            frames = block(frames)
        spread = (frames.var(dim=1, correction=0) + _STILL).sqrt()
        summary = self.summary(torch.cat([frames.mean(dim=1), spread], dim=1))
        return Verdict(self.score(functional.leaky_relu(summary, _SLOPE))[:, 0] + agreement, {})

    def _columns(
        self, features: Float[Tensor, "batch channels bins frames"]
    ) -> Float[Tensor, "batch columns values"]:
        """All values of one frame, or of several neighbours, side by side; what is missing at the end is zero."""
        columns = features.flatten(1, 2).mT
        missing = -columns.shape[1] % self.at_once
        return functional.pad(columns, (0, 0, 0, missing)).unflatten(1, (-1, self.at_once)).flatten(2)


def keys_in(
    states: Float[Tensor, "batch states 89"], num_frames: int
) -> Float[Tensor, "batch num_frames 176"]:
    """What the keys do in each of so many frames: how hard each is struck, and how loud it sounds at the beginning."""
    sounding = strings_at(states, num_frames + num_frames % 2).sounding()[:, :num_frames]
    return torch.cat([strikes_in(states, num_frames), sounding], dim=2)


def _check(form: Form) -> None:
    """Refuses other features than spectrograms, and forms that tell nothing."""
    if len(form.shape) != 3:
        raise ConfigError(
            f"told-frames takes features with channels, bins and frames, not of shape {list(form.shape)}"
        )
    if not any(name in form.conditions for name in _TOLD_KINDS):
        raise ConfigError("told-frames is told a history, MIDI states or both; [task] conditions has neither")
    if MIDI in form.conditions:
        check_midi(form, "told-frames")
