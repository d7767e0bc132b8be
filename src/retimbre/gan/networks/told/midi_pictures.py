"""GANs that play from MIDI states in spectrograms, after a study of 2020: the states become a picture, too.

A critic of spectrograms makes of the states one more channel of the picture, with as many values as there are bins and
as many places as there are frames, and reads on as SpecGAN's does. The generator makes a picture of its latent and one
of the states, a column for each state, lays one over the other and lets convolutions become of the two what they may:
the first two of them shrink the columns to frames.

Kernels and channels are the study's, whose generator took 512 states where its files had 1,024. Here both will do, and
those of the chunk before are recalled at the states of the chunk (`midi_layers`).

References:
    The study: https://github.com/googleinterns/audio-synthesis
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", https://arxiv.org/abs/1802.04208
"""

import dataclasses
import itertools
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import NUM_SLOTS, STATES_PER_CHUNK
from retimbre.gan.base import Critic, Form, Generator, Labels, Verdict, one_hot
from retimbre.gan.conditions import MIDI
from retimbre.gan.networks.ladders import LadderCriticConfig, LadderGeneratorConfig
from retimbre.gan.networks.layers import Told, VerdictHead, begin_as_glorot, num_classes
from retimbre.gan.networks.told.keyboard import check_midi
from retimbre.gan.networks.told.midi_layers import SLOPE, Recall, StatesReader

_KERNEL, _STRIDE, _PADDING = 6, 2, 2
_MOST_HALVINGS = 5
_TOLD = Told(projection=True, class_logits=False)


@final
@dataclasses.dataclass(frozen=True)
class MidiSpecCriticConfig(LadderCriticConfig):
    """SpecGAN's critic with the MIDI states as one more channel of the picture."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-spec"] = "midi-spec"

    def build(self, form: Form) -> Critic:
        """Takes bins and frames, the frames a part of 512, and MIDI states.

        Raises:
            ConfigError: Another size, or no states.
        """
        widths = [self.channels * 2**layer for layer in range(_halvings(form, self.kind))]
        check_midi(form, self.kind)
        return MidiPictureCritic(form, widths, 4 * self.channels)


@final
@dataclasses.dataclass(frozen=True)
class MidiStftGeneratorConfig(LadderGeneratorConfig):
    """A picture of the latent and one of the MIDI states, through convolutions."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-stft"] = "midi-stft"
    tanh: bool = False
    """Whether features go through a tanh: for standardized ones. Off for real and imaginary parts."""

    def build(self, form: Form) -> Generator:
        """Takes bins and frames, the frames a part of 512, and MIDI states.

        Raises:
            ConfigError: Another size, or no states.
        """
        _halvings(form, self.kind)
        check_midi(form, self.kind)
        return MidiStftGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class MidiStftCriticConfig(LadderCriticConfig):
    """A smaller critic of pictures with the MIDI states as one more channel."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-stft"] = "midi-stft"

    def build(self, form: Form) -> Critic:
        """Takes bins and frames, the frames a part of 512, and MIDI states.

        Raises:
            ConfigError: Another size, or no states.
        """
        depth = _halvings(form, self.kind)
        check_midi(form, self.kind)
        widths = [self.channels * 2 ** min(layer, 3) for layer in range(depth)]
        return MidiPictureCritic(form, widths, 2 * self.channels)


@final
class MidiPictureCritic(Critic):
    """From a picture and MIDI states to a verdict."""

    def __init__(self, form: Form, widths: list[int], width: int) -> None:
        """Builds the layers.

        Args:
            form: What it has to fit.
            widths: Channels of each layer over the picture.
            width: Channels of the first layer over the states.
        """
        super().__init__(form)
        channels, bins, frames = form.shape
        self.states = StatesReader(width, bins, frames)
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise([channels + 1, *widths]):
            layers += [nn.Conv2d(fan_in, fan_out, _KERNEL, _STRIDE, _PADDING), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        cells = (bins >> len(widths)) * (frames >> len(widths))
        self.head = VerdictHead(widths[-1] * cells, form.classes, _TOLD)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for, given the keys."""
        keys = self.states(labels[MIDI].to(features))
        return self.head(self.layers(torch.cat([features, keys[:, None]], dim=1)), labels)


@final
class MidiStftGenerator(Generator):
    """From a latent and MIDI states to a picture."""

    def __init__(self, form: Form, config: MidiStftGeneratorConfig) -> None:
        super().__init__(form)
        channels, bins, frames = form.shape
        size = config.channels
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), STATES_PER_CHUNK // 4)
        self.first = nn.ConvTranspose1d(1, 2 * bins, 8, 4, 2)
        self.now = nn.Conv1d(NUM_SLOTS, 2 * bins, 1)
        self.before = Recall(NUM_SLOTS, 2 * bins, STATES_PER_CHUNK) if _has_history(form) else None
        halvings = (STATES_PER_CHUNK // frames).bit_length() - 1
        strides = [(2, 2) if halvings else (2, 1), (1, 2 ** max(0, halvings - 1)), (1, 1), (1, 1), (1, 1)]
        layers: list[nn.Module] = []
        widths = [2, 8 * size, 4 * size, 2 * size, size, channels]
        for (fan_in, fan_out), stride in zip(itertools.pairwise(widths), strides, strict=True):
            over_bins, over_frames = (max(0, _KERNEL - each) for each in stride)
            ends = (over_frames // 2, -(-over_frames // 2), over_bins // 2, -(-over_bins // 2))
            layers += [nn.ConstantPad2d(ends, 0.0), nn.Conv2d(fan_in, fan_out, _KERNEL, stride), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1], nn.Tanh() if config.tanh else nn.Identity())
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """A picture per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        drawn = torch.relu(self.first(self.spread(told)[:, None]))
        states = labels[MIDI].to(latent).mT
        keys = self.now(states[..., -STATES_PER_CHUNK:])
        if self.before is not None:
            keys = keys + self.before(states)
        return self.layers(torch.stack([drawn, torch.relu(keys)], dim=1))


def _has_history(form: Form) -> bool:
    return form.conditions[MIDI][0] > STATES_PER_CHUNK


def _halvings(form: Form, kind: str) -> int:
    """How often a picture is halved: five times, or as often as both sides are even and the shorter keeps 4 cells.

    Raises:
        ConfigError: The features are no picture whose frames are a power of 2, 512 at most.
    """
    frames = form.shape[-1]
    if len(form.shape) != 3 or frames not in [8 << power for power in range(7)] or form.shape[1] % 8:
        raise ConfigError(
            f"{kind} takes bins that 8 divides and 8 to {STATES_PER_CHUNK} frames, a power of 2, not features of shape "
            f"{list(form.shape)}"
        )
    bins, halvings = form.shape[1], 0
    while halvings < _MOST_HALVINGS and not (bins % 2 or frames % 2) and min(bins, frames) >= 8:
        bins, frames, halvings = bins // 2, frames // 2, halvings + 1
    return halvings
