"""GANs that play from MIDI states, after a study of 2020: WaveGAN's ladder, told the keys.

The generator of samples brings the latent and the states of the keys to 1,024 places of a second with 1,024 channels
each, adds the two, and goes on as WaveGAN does. Its critic reads samples and states separately down to 128 places,
puts the channels of the two side by side, and goes on from there. `midi_pictures` has those of spectrograms.

Kernels, channels and numbers of weights are the study's. One thing is not. Its states ran over the chunk before and the
chunk as if both were the chunk, so that no place of the network saw the keys that belonged to it; here they lie where
they sound (`midi_layers`).

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
from retimbre.gan.networks.told.midi_layers import KERNEL, SLOPE, Recall, StatesReader, enlarged

_STARTS = 8  # places that the first layer of the generator of samples makes of one
_DOUBLINGS = 4  # layers of it that double time
_PLACES = 128  # of the critic of samples where it is told the states
_LAST_HALVINGS = 3  # of it from there on
_TOLD = Told(projection=True, class_logits=False)


@final
@dataclasses.dataclass(frozen=True)
class MidiWaveGeneratorConfig(LadderGeneratorConfig):
    """WaveGAN's ladder from the latent and the MIDI states, added."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-wave"] = "midi-wave"

    def build(self, form: Form) -> Generator:
        """Takes samples, 512 times a power of 2, and MIDI states.

        Raises:
            ConfigError: Another length, or no states.
        """
        _doublings(form, self.kind, STATES_PER_CHUNK)
        check_midi(form, self.kind)
        return MidiWaveGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class MidiWaveCriticConfig(LadderCriticConfig):
    """Convolutions over samples and over MIDI states that become one row."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-wave"] = "midi-wave"

    def build(self, form: Form) -> Critic:
        """Takes samples, 128 times a power of 2, and MIDI states.

        Raises:
            ConfigError: Another length, or no states.
        """
        _doublings(form, self.kind, _PLACES)
        check_midi(form, self.kind)
        return MidiWaveCritic(form, self)


@final
class MidiWaveGenerator(Generator):
    """From a latent and MIDI states to samples."""

    def __init__(self, form: Form, config: MidiWaveGeneratorConfig) -> None:
        super().__init__(form)
        doublings = _doublings(form, config.kind, STATES_PER_CHUNK)
        # What four layers that double time do not reach is made up for before: each state is given several places.
        self.factor = 2 ** max(0, doublings - _DOUBLINGS)
        widest = 16 * config.channels
        self.start = (4 * config.channels, STATES_PER_CHUNK * self.factor // _STARTS)
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), self.start[0] * self.start[1])
        padding = (KERNEL - _STARTS) // 2
        self.first = nn.ConvTranspose1d(self.start[0], widest, KERNEL, _STARTS, padding)
        self.states = Recall(NUM_SLOTS, widest, STATES_PER_CHUNK)
        strides = [1, *(2 if layer < doublings else 1 for layer in range(_DOUBLINGS))]
        widths = [widest, *(config.channels * 2**layer for layer in (3, 2, 1, 0)), form.shape[0]]
        ladder: list[nn.Module] = []
        for (fan_in, fan_out), stride in zip(itertools.pairwise(widths), strides, strict=True):
            missing = KERNEL - stride
            convolution = nn.ConvTranspose1d(fan_in, fan_out, KERNEL, stride, missing // 2)
            # Where what is to be cut off is odd, one place more is cut off at the end.
            ladder += [convolution, nn.ConstantPad1d((0, -(missing % 2)), 0.0), nn.ReLU()]
        self.ladder = nn.Sequential(*ladder[:-1])
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Samples of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        drawn = torch.relu(self.first(self.spread(told).unflatten(1, self.start)))
        keys = torch.relu(self.states(labels[MIDI].to(latent).mT))
        return self.ladder(drawn + enlarged(keys, self.factor))


@final
class MidiWaveCritic(Critic):
    """From samples and MIDI states to a verdict."""

    def __init__(self, form: Form, config: MidiWaveCriticConfig) -> None:
        super().__init__(form)
        strides = _shared_strides(_doublings(form, config.kind, _PLACES))
        size = config.channels
        self.samples = _row(
            list(itertools.pairwise([form.shape[0], size, 2 * size, 2 * size, 4 * size])), strides
        )
        self.states = StatesReader(2 * size, 4 * size, _PLACES)
        self.both = _row(
            [(8 * size, 8 * size), (8 * size, 8 * size), (8 * size, 16 * size)], [2] * _LAST_HALVINGS
        )
        places = _PLACES // 2**_LAST_HALVINGS
        self.head = VerdictHead(16 * size * places, form.classes, _TOLD)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for, given the keys."""
        keys = self.states(labels[MIDI].to(features))
        both = torch.cat([self.samples(features), keys], dim=1)
        return self.head(self.both(both).flatten(1), labels)


def _row(widths: list[tuple[int, int]], strides: list[int]) -> nn.Sequential:
    """Rectified convolutions over time, each of which divides its length by its stride."""
    layers: list[nn.Module] = []
    for (fan_in, fan_out), stride in zip(widths, strides, strict=True):
        missing = KERNEL - stride
        padding = nn.ConstantPad1d((missing // 2, missing - missing // 2), 0.0)
        layers += [padding, nn.Conv1d(fan_in, fan_out, KERNEL, stride), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _shared_strides(halvings: int) -> list[int]:
    """Four strides that halve a length so often: as many of 4 as there can be, then one of 2."""
    return [4 if halvings >= 2 * (layer + 1) else 2 if halvings > 2 * layer else 1 for layer in range(4)]


def _doublings(form: Form, kind: str, places: int) -> int:
    """How often so many places are doubled for a clip of samples.

    Raises:
        ConfigError: The features are no row of samples, or of another length.
    """
    lengths = [places << power for power in range(9)]
    if len(form.shape) != 2 or form.shape[1] not in lengths:
        raise ConfigError(
            f"{kind} takes rows of {lengths[0]:,} to {lengths[-1]:,} samples that are {places} times a power of 2, not "
            f"features of shape {list(form.shape)}"
        )
    return lengths.index(form.shape[1])
