"""GAN-TTS: residual blocks that make samples, and critics that hear windows of the clip, each at its own place.

A critic of a whole clip can learn its clips by heart, and it spends most of its layers on getting from thousands of
samples to one number. GAN-TTS has several small critics instead. Each hears one window of a clip, somewhere; the
windows are of different lengths, and a longer one is folded, so that all critics see 240 places: of the longest window,
each place holds 15 neighbouring samples. Short windows hear whether the fine structure is right, long ones whether
pitch and rhythm are. Since the place is drawn at random, the same clip is never the same example twice. Where the
critic is used and not trained, windows cover the clip from end to end and the score is their mean.

The generator has no gap between layers either: each *G-block* is two residual pairs of dilated convolutions, the first
of which makes time longer by its factor.

This is the network without text: the latent and the labels are spread over the first places. Blocks have no batch
normalisation, so that what is made of a row does not depend on the others.

References:
    Bińkowski et al. (2020), "High fidelity speech synthesis with adversarial networks", sections 3.1 and 3.2,
    https://arxiv.org/abs/1909.11646
"""

import dataclasses
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.networks.gantts_blocks import DBlock, GBlock
from retimbre.gan.networks.layers import Told, VerdictHead, begin_as_glorot, num_classes, refuse_below_one
from retimbre.training.share import current_share

_AXES = 2  # channels and time
_SPREAD_CHANNELS = 64  # in which the latent is spread over the first places


@final
@dataclasses.dataclass(frozen=True)
class GanTtsGeneratorConfig(GeneratorConfig):
    """G-blocks over time."""

    kind: Literal["gan-tts"] = "gan-tts"
    channels: tuple[int, ...] = (768, 768, 384, 384, 384, 192, 96)
    """Of each block."""
    factors: tuple[int, ...] = (1, 1, 2, 2, 2, 4, 4)
    """By which each block makes time longer; their product divides the length of the clips. (1, 1, 2, 2, 2, 3, 5) in
    the paper, 120 samples to a place."""
    tanh: bool = True
    """Whether the samples go through a tanh, which keeps them between -1 and 1."""

    def __post_init__(self) -> None:
        """Refuses blocks without channels."""
        if not self.channels or len(self.channels) != len(self.factors):
            raise ConfigError(
                f"channels has {len(self.channels)} and factors {len(self.factors)} entries; takes one per block each"
            )
        _refuse_any_below_one("channels", self.channels)
        _refuse_any_below_one("factors", self.factors)

    def build(self, form: Form) -> Generator:
        """Takes `[channels, time]` whose length the product of the factors divides."""
        return GanTtsGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class GanTtsCriticConfig(CriticConfig):
    """Random-window critics."""

    kind: Literal["gan-tts"] = "gan-tts"
    places: int = 240
    """Of every window after folding."""
    folds: tuple[int, ...] = (1, 2, 4, 8, 15)
    """Samples to a place, one entry per critic: windows of 240 to 3,600 samples."""
    channels: tuple[int, ...] = (64, 128, 256, 256, 256)
    """Of each D-block."""
    factors: tuple[int, ...] = (1, 5, 3, 1, 1)
    """By which each D-block makes time shorter."""
    windows: int = 1
    """That each critic hears of a clip in training."""
    projection: bool = True
    """Whether the score depends on the labels, where there are any."""
    class_logits: bool = False
    """Whether the critics guess the labels (AC-GAN), where there are any."""

    def __post_init__(self) -> None:
        """Refuses critics that hear nothing."""
        if not self.channels or len(self.channels) != len(self.factors):
            raise ConfigError(
                f"channels has {len(self.channels)} and factors {len(self.factors)} entries; takes one per block each"
            )
        if not self.folds:
            raise ConfigError("folds is empty; takes one entry per critic")
        for name in ("folds", "channels", "factors"):
            _refuse_any_below_one(name, getattr(self, name))
        refuse_below_one({"places": self.places, "windows": self.windows})
        if self.places < math.prod(self.factors):
            raise ConfigError(
                f"places is {self.places}, but takes {math.prod(self.factors)} or more, the product of factors"
            )

    def build(self, form: Form) -> Critic:
        """Takes `[channels, time]` as long as the longest window or longer."""
        return GanTtsCritic(form, self)


@final
class GanTtsGenerator(Generator):
    """From a latent and labels to samples."""

    def __init__(self, form: Form, config: GanTtsGeneratorConfig) -> None:
        super().__init__(form)
        longer = math.prod(config.factors)
        _refuse_shape(form.shape)
        if form.shape[1] % longer:
            below = max(form.shape[1] // longer, 1) * longer
            raise ConfigError(
                f"gan-tts takes clips of a multiple of {longer} samples, the product of its factors, not "
                f"{form.shape[1]}; near it is {below}"
            )
        self.start = (_SPREAD_CHANNELS, form.shape[1] // longer)
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), math.prod(self.start))
        self.first = nn.Conv1d(_SPREAD_CHANNELS, config.channels[0], 3, padding=1)
        before = (config.channels[0], *config.channels)
        blocks = [GBlock(*block) for block in zip(before, config.channels, config.factors, strict=False)]
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Conv1d(config.channels[-1], form.shape[0], 3, padding=1)
        self.bound = nn.Tanh() if config.tanh else nn.Identity()
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Samples of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        hidden = self.first(self.spread(told).unflatten(1, self.start))
        return self.bound(self.last(self.blocks(hidden).relu()))


@final
class GanTtsCritic(Critic):
    """From samples to a verdict: the mean of what several critics say of windows."""

    def __init__(self, form: Form, config: GanTtsCriticConfig) -> None:
        super().__init__(form)
        _refuse_shape(form.shape)
        longest = config.places * max(config.folds)
        if form.shape[1] < longest:
            raise ConfigError(
                f"gan-tts hears windows of {longest} samples (places = {config.places} times the largest of folds = "
                f"{list(config.folds)}), but clips have {form.shape[1]}"
            )
        self.config = config
        self.critics = nn.ModuleList(_WindowCritic(form, config, fold) for fold in config.folds)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for."""
        verdicts = [critic(features, labels) for critic in self.critics]
        score = torch.stack([verdict.score for verdict in verdicts]).mean(dim=0)
        guessed = verdicts[0].classes
        return Verdict(
            score,
            {name: torch.stack([each.classes[name] for each in verdicts]).mean(dim=0) for name in guessed},
        )


@final
class _WindowCritic(nn.Module):
    """One critic, of windows of one length."""

    def __init__(self, form: Form, config: GanTtsCriticConfig, fold: int) -> None:
        super().__init__()
        self.fold, self.length, self.windows = fold, fold * config.places, config.windows
        before = (form.shape[0] * fold, *config.channels)
        blocks = [DBlock(*block) for block in zip(before, config.channels, config.factors, strict=False)]
        self.blocks = nn.Sequential(*blocks)
        self.head = VerdictHead(
            config.channels[-1], form.classes, Told(config.projection, config.class_logits)
        )

    def forward(self, features: Float[Tensor, "batch channels time"], labels: Labels) -> Verdict:
        """The mean over its windows."""
        windows = self._windows_of(features)
        count = len(windows) // len(features)
        # Neighbouring samples become channels of one place.
        folded = windows.unflatten(2, (-1, self.fold)).transpose(2, 3).flatten(1, 2)
        seen = self.blocks(folded).relu().mean(dim=2)
        verdict = self.head(seen, {name: label.repeat_interleave(count) for name, label in labels.items()})
        return Verdict(
            verdict.score.unflatten(0, (-1, count)).mean(dim=1),
            {name: logits.unflatten(0, (-1, count)).mean(dim=1) for name, logits in verdict.classes.items()},
        )

    def _windows_of(
        self, features: Float[Tensor, "batch channels time"]
    ) -> Float[Tensor, "windows channels length"]:
        """The windows of each row beside each other: drawn in training, otherwise from end to end of the clip."""
        last = features.shape[2] - self.length
        if self.training:
            share = current_share(len(features))
            drawn = torch.rand(share.total, self.windows, device=features.device)[share.rows]
            starts = (drawn * (last + 1)).floor().long()
        else:
            count = -(-features.shape[2] // self.length)
            starts = torch.linspace(0, last, count, device=features.device).long().expand(len(features), -1)
        places = starts[:, :, None] + torch.arange(self.length, device=features.device)
        count, channels = starts.shape[1], features.shape[1]
        index = places.flatten(1)[:, None, :].expand(-1, channels, -1)
        taken = features.gather(2, index).unflatten(2, (count, self.length))
        return taken.transpose(1, 2).flatten(0, 1)


def _refuse_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != _AXES:
        raise ConfigError(
            f"gan-tts takes features of channels and time, as of the waveform, not of shape {list(shape)}"
        )


def _refuse_any_below_one(name: str, values: tuple[int, ...]) -> None:
    if min(values) < 1:
        raise ConfigError(f"{name} is {list(values)}, but takes 1 or more each")
