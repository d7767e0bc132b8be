"""WaveGAN and SpecGAN that go on from what was heard last: the generators and critics of "last chunk" models.

A generator of one second has no idea of the second before. These are told its last half. The generator reads it by
strided convolutions, as a critic would, down to as many places as its own first layer has; half of that layer's
channels come from there, half from the latent, and what follows is WaveGAN's (or SpecGAN's) ladder up. The critic is
shown the history and the clip as one sound, joined in time: a clip that does not go on from what was heard is found out
where the two meet.

Each network has the history in its own domain: samples for one of samples, bins and frames of its own representation
for one of spectrograms. The system that these follow handed all of them the raw samples, so that no run of it could
start; and its generator of spectrograms took 128 frames of history where there are 64. Here the strides over time
follow from how many frames there are: 4, 4 and 2 for bins; over frames, whatever brings the history to the size of the
first layer. The numbers of weights are that system's.

References:
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", https://arxiv.org/abs/1802.04208
    The system: https://github.com/googleinterns/audio-synthesis
"""

import dataclasses
import itertools
import math
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator, Labels, Verdict, one_hot
from retimbre.gan.conditions import HISTORY
from retimbre.gan.networks import specgan, wavegan
from retimbre.gan.networks.ladders import LadderCriticConfig, LadderGeneratorConfig
from retimbre.gan.networks.layers import Told, VerdictHead, begin_as_glorot, num_classes

SLOPE = 0.2
"""Of rectifiers below zero, in critics and where a history is read."""
_MOST_STRIDE = 4


@final
@dataclasses.dataclass(frozen=True)
class HistoryWaveGeneratorConfig(LadderGeneratorConfig):
    """WaveGAN's ladder from the latent and the samples heard before."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-wave"] = "history-wave"

    def build(self, form: Form) -> Generator:
        """Takes samples and a history of samples.

        Raises:
            ConfigError: There is no history, or a length that layers of stride 4 do not lead to.
        """
        return _wave_generator(form, self.channels)


@final
@dataclasses.dataclass(frozen=True)
class HistoryWaveCriticConfig(LadderCriticConfig):
    """WaveGAN's critic, shown the history and the clip as one."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-wave"] = "history-wave"

    def build(self, form: Form) -> Critic:
        """Takes samples and a history of samples.

        Raises:
            ConfigError: There is no history, or the clip has a length that layers of stride 4 do not lead to.
        """
        return _wave_critic(form, self.channels)


@final
@dataclasses.dataclass(frozen=True)
class HistorySpecGeneratorConfig(LadderGeneratorConfig):
    """SpecGAN's ladder from the latent and the frames heard before."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-spec"] = "history-spec"
    tanh: bool = False
    """Whether features go through a tanh: for standardized ones. Off for real and imaginary parts."""

    def build(self, form: Form) -> Generator:
        """Takes bins and frames, and a history of the same bins.

        Raises:
            ConfigError: There is no history, or sizes that cannot be halved often enough.
        """
        end = nn.Tanh() if self.tanh else nn.Identity()
        return _picture_generator(form, self.channels, end)


@final
@dataclasses.dataclass(frozen=True)
class HistorySpecCriticConfig(LadderCriticConfig):
    """SpecGAN's critic, shown the history and the clip as one picture."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-spec"] = "history-spec"

    def build(self, form: Form) -> Critic:
        """Takes bins and frames, and a history of the same bins.

        Raises:
            ConfigError: There is no history, or sizes that cannot be halved often enough.
        """
        return _picture_critic(form, self.channels)


@final
class HistoryGenerator(Generator):
    """From a latent and a history to samples or to a picture."""

    def __init__(self, form: Form, start: tuple[int, ...], read: nn.Module, ladder: nn.Module) -> None:
        """Builds the network.

        Args:
            form: What it has to fit.
            start: Channels and places of what the latent becomes.
            read: From the history to as much.
            ladder: From both, one behind the other, to the features.
        """
        super().__init__(form)
        self.read, self.start = read, start
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), math.prod(start))
        self.ladder = ladder
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        heard = self.read(labels[HISTORY].to(latent))
        return self.ladder(torch.cat([heard, self.spread(told).unflatten(1, self.start)], dim=1))


@final
class HistoryCritic(Critic):
    """From a history and the clip that follows it to a verdict."""

    def __init__(self, form: Form, layers: list[nn.Module], num_seen: int) -> None:
        """Builds the network.

        Args:
            form: What it has to fit.
            layers: Those that read the two as one clip.
            num_seen: How many numbers they find.
        """
        super().__init__(form)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = VerdictHead(num_seen, form.classes, Told(projection=True, class_logits=False))
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for, after its history."""
        return self.head(self.layers(_after(labels, features)), labels)


def _wave_generator(form: Form, size: int) -> HistoryGenerator:
    """From samples to samples, with so many channels in the last hidden layer."""
    depth = wavegan.depth_of(form.shape)
    places = form.shape[1] // wavegan.STRIDE**depth
    widths = [size * 2**layer for layer in reversed(range(depth))]
    half = widths[0] // 2 or 1
    channels, length = _history_of(form, "history-wave")
    reading: list[nn.Module] = []
    fan_in = channels
    for layer, stride in enumerate(_strides(length, places, depth, "samples")):
        fan_out = half if layer == depth - 1 else min(size * 2**layer, half)
        padding = nn.ConstantPad1d(_same(wavegan.KERNEL, stride), 0.0)
        reading += [padding, nn.Conv1d(fan_in, fan_out, wavegan.KERNEL, stride), nn.LeakyReLU(SLOPE)]
        fan_in = fan_out
    ladder: list[nn.Module] = []
    padding = (wavegan.KERNEL - wavegan.STRIDE) // 2
    for fan_in, fan_out in itertools.pairwise([2 * half, *widths[1:], form.shape[0]]):
        ladder += [
            nn.ConvTranspose1d(fan_in, fan_out, wavegan.KERNEL, wavegan.STRIDE, padding),
            nn.ReLU(),
        ]
    # The last layer of each is linear.
    return HistoryGenerator(form, (half, places), nn.Sequential(*reading[:-1]), nn.Sequential(*ladder[:-1]))


def _wave_critic(form: Form, size: int) -> HistoryCritic:
    """Over samples, with so many channels in the first layer."""
    depth = wavegan.depth_of(form.shape)
    places = form.shape[1] + _history_of(form, "history-wave")[1]
    widths = [size * 2**layer for layer in range(depth)]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise([form.shape[0], *widths]):
        layers += [nn.Conv1d(fan_in, fan_out, wavegan.KERNEL, wavegan.STRIDE), nn.LeakyReLU(SLOPE)]
        places = (places - wavegan.KERNEL) // wavegan.STRIDE + 1
    return HistoryCritic(form, layers, widths[-1] * places)


def _picture_generator(form: Form, size: int, end: nn.Module) -> HistoryGenerator:
    """From a picture to a picture, with so many channels in the last hidden layer and an end of its own."""
    depth = specgan.depth_of(form.shape)
    channels, bins, frames = form.shape
    cells = (bins // specgan.STRIDE**depth, frames // specgan.STRIDE**depth)
    widths = [size * 2**layer for layer in reversed(range(depth))]
    half = widths[0] // 2 or 1
    history = _history_of(form, "history-spec")
    layers = max(1, -(-depth // 2))
    strides = zip(
        _strides(bins, cells[0], layers, "bins"),
        reversed(_strides(history[2], cells[1], layers, "frames")),
        strict=True,
    )
    reading: list[nn.Module] = []
    fan_in = channels
    for layer, (over_bins, over_frames) in enumerate(strides):
        fan_out = half if layer == layers - 1 else min(2 * size * 2**layer, half)
        padding = (*_same(specgan.KERNEL, over_frames), *_same(specgan.KERNEL, over_bins))
        convolution = nn.Conv2d(fan_in, fan_out, specgan.KERNEL, (over_bins, over_frames))
        reading += [nn.ConstantPad2d(padding, 0.0), convolution, nn.LeakyReLU(SLOPE)]
        fan_in = fan_out
    ladder: list[nn.Module] = []
    padding = (specgan.KERNEL - specgan.STRIDE) // 2
    for fan_in, fan_out in itertools.pairwise([2 * half, *widths[1:], channels]):
        ladder += [
            nn.ConvTranspose2d(fan_in, fan_out, specgan.KERNEL, specgan.STRIDE, padding),
            nn.ReLU(),
        ]
    read = nn.Sequential(*reading[:-1])
    return HistoryGenerator(form, (half, *cells), read, nn.Sequential(*ladder[:-1], end))


def _picture_critic(form: Form, size: int) -> HistoryCritic:
    """Over pictures, with so many channels in the first layer."""
    depth = specgan.depth_of(form.shape)
    channels, bins, frames = form.shape
    frames += _history_of(form, "history-spec")[2]
    widths = [size * 2**layer for layer in range(depth)]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise([channels, *widths]):
        # An odd number of frames gets one more, of zeros.
        padding = nn.ConstantPad2d((2, 2 + frames % 2, 2, 2), 0.0)
        layers += [
            padding,
            nn.Conv2d(fan_in, fan_out, specgan.KERNEL, specgan.STRIDE),
            nn.LeakyReLU(SLOPE),
        ]
        bins, frames = bins // specgan.STRIDE, -(-frames // specgan.STRIDE)
    return HistoryCritic(form, layers, widths[-1] * bins * frames)


def _after(
    labels: Labels, features: Float[Tensor, "batch channels *axes"]
) -> Float[Tensor, "batch channels *longer"]:
    """The history and the clip, joined in time."""
    return torch.cat([labels[HISTORY].to(features), features], dim=-1)


def _history_of(form: Form, kind: str) -> tuple[int, ...]:
    """The shape of the history, which is as the clip but for its length.

    Raises:
        ConfigError: There is none, or it has other channels or bins than the clip.
    """
    history = form.conditions.get(HISTORY)
    if history is None:
        raise ConfigError(
            f"{kind} goes on from what was heard and is told nothing; takes [task] conditions = {{ history = 8192 }}"
        )
    if history[:-1] != form.shape[:-1]:
        raise ConfigError(
            f"{kind} got a history of shape {list(history)} for clips of shape {list(form.shape)}; takes one that "
            "differs in its length alone"
        )
    return history


def _strides(length: int, places: int, layers: int, what: str) -> list[int]:
    """How so many layers bring a length to so many places: strides of at most 4, the largest first.

    Raises:
        ConfigError: None do.
    """
    left, strides = length / places, []
    for _ in range(layers):
        stride = next((each for each in (_MOST_STRIDE, 2) if left >= each), 1)
        strides.append(stride)
        left /= stride
    if left != 1.0:
        takes = ", ".join(str(places * 2**power) for power in range(2 * layers + 1))
        raise ConfigError(
            f"a history of {length} {what} is not brought to {places} places; takes one of {takes}"
        )
    return strides


def _same(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that a length is divided by the stride exactly."""
    missing = max(0, kernel - stride)
    return missing // 2, missing - missing // 2
