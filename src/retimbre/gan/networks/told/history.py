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
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.conditions import HISTORY
from retimbre.gan.networks import specgan, wavegan
from retimbre.gan.networks.layers import Told, VerdictHead, begin_as_glorot, num_classes, refuse_below_one

SLOPE = 0.2
"""Of rectifiers below zero, in critics and where a history is read."""
_MOST_STRIDE = 4


@final
@dataclasses.dataclass(frozen=True)
class HistoryWaveGeneratorConfig(GeneratorConfig):
    """WaveGAN's ladder from the latent and the samples heard before."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-wave"] = "history-wave"
    channels: int = 64
    """Of the last hidden layer; each layer before has twice as many. 64 is the published size."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})

    def build(self, form: Form) -> Generator:
        """Takes samples and a history of samples.

        Raises:
            ConfigError: There is no history, or a length that layers of stride 4 do not lead to.
        """
        return HistoryWaveGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class HistoryWaveCriticConfig(CriticConfig):
    """WaveGAN's critic, shown the history and the clip as one."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-wave"] = "history-wave"
    channels: int = 64
    """Of the first layer; each one after has twice as many. 64 is the published size."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})

    def build(self, form: Form) -> Critic:
        """Takes samples and a history of samples.

        Raises:
            ConfigError: There is no history, or the clip has a length that layers of stride 4 do not lead to.
        """
        return HistoryWaveCritic(form, self)


@final
@dataclasses.dataclass(frozen=True)
class HistorySpecGeneratorConfig(GeneratorConfig):
    """SpecGAN's ladder from the latent and the frames heard before."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-spec"] = "history-spec"
    channels: int = 64
    """Of the last hidden layer; each layer before has twice as many. 64 is the published size."""
    tanh: bool = False
    """Whether features go through a tanh: for standardized ones. Off for real and imaginary parts."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})

    def build(self, form: Form) -> Generator:
        """Takes bins and frames, and a history of the same bins.

        Raises:
            ConfigError: There is no history, or sizes that cannot be halved often enough.
        """
        return HistorySpecGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class HistorySpecCriticConfig(CriticConfig):
    """SpecGAN's critic, shown the history and the clip as one picture."""

    hears: ClassVar[frozenset[str]] = frozenset({"history"})

    kind: Literal["history-spec"] = "history-spec"
    channels: int = 64
    """Of the first layer; each one after has twice as many. 64 is the published size."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})

    def build(self, form: Form) -> Critic:
        """Takes bins and frames, and a history of the same bins.

        Raises:
            ConfigError: There is no history, or sizes that cannot be halved often enough.
        """
        return HistorySpecCritic(form, self)


@final
class HistoryWaveGenerator(Generator):
    """From a latent and a history to samples."""

    def __init__(self, form: Form, config: HistoryWaveGeneratorConfig) -> None:
        super().__init__(form)
        depth = wavegan.depth_of(form.shape)
        places = form.shape[1] // wavegan.STRIDE**depth
        widths = [config.channels * 2**layer for layer in reversed(range(depth))]
        half = widths[0] // 2 or 1
        channels, length = _history_of(form, "history-wave")
        strides = _strides(length, places, depth, "samples")
        reading: list[nn.Module] = []
        fan_in = channels
        for layer, stride in enumerate(strides):
            fan_out = half if layer == depth - 1 else min(config.channels * 2**layer, half)
            padding = nn.ConstantPad1d(_same(wavegan.KERNEL, stride), 0.0)
            reading += [padding, nn.Conv1d(fan_in, fan_out, wavegan.KERNEL, stride), nn.LeakyReLU(SLOPE)]
            fan_in = fan_out
        self.read = nn.Sequential(*reading[:-1])  # the last layer is linear
        self.start = (half, places)
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), half * places)
        ladder: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise([2 * half, *widths[1:], form.shape[0]]):
            padding = (wavegan.KERNEL - wavegan.STRIDE) // 2
            ladder += [
                nn.ConvTranspose1d(fan_in, fan_out, wavegan.KERNEL, wavegan.STRIDE, padding),
                nn.ReLU(),
            ]
        self.ladder = nn.Sequential(*ladder[:-1])
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Samples of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        heard = self.read(labels[HISTORY].to(latent))
        return self.ladder(torch.cat([heard, self.spread(told).unflatten(1, self.start)], dim=1))


@final
class HistoryWaveCritic(Critic):
    """From a history and the samples that follow it to a verdict."""

    def __init__(self, form: Form, config: HistoryWaveCriticConfig) -> None:
        super().__init__(form)
        depth = wavegan.depth_of(form.shape)
        places = form.shape[1] + _history_of(form, "history-wave")[1]
        widths = [config.channels * 2**layer for layer in range(depth)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise([form.shape[0], *widths]):
            layers += [nn.Conv1d(fan_in, fan_out, wavegan.KERNEL, wavegan.STRIDE), nn.LeakyReLU(SLOPE)]
            places = (places - wavegan.KERNEL) // wavegan.STRIDE + 1
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = VerdictHead(widths[-1] * places, form.classes, Told(projection=True, class_logits=False))
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for, after its history."""
        return self.head(self.layers(_after(labels, features)), labels)


@final
class HistorySpecGenerator(Generator):
    """From a latent and a history to a picture."""

    def __init__(self, form: Form, config: HistorySpecGeneratorConfig) -> None:
        super().__init__(form)
        depth = specgan.depth_of(form.shape)
        channels, bins, frames = form.shape
        cells = (bins // specgan.STRIDE**depth, frames // specgan.STRIDE**depth)
        widths = [config.channels * 2**layer for layer in reversed(range(depth))]
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
            fan_out = half if layer == layers - 1 else min(2 * config.channels * 2**layer, half)
            padding = (*_same(specgan.KERNEL, over_frames), *_same(specgan.KERNEL, over_bins))
            convolution = nn.Conv2d(fan_in, fan_out, specgan.KERNEL, (over_bins, over_frames))
            reading += [nn.ConstantPad2d(padding, 0.0), convolution, nn.LeakyReLU(SLOPE)]
            fan_in = fan_out
        self.read = nn.Sequential(*reading[:-1])
        self.start = (half, *cells)
        self.spread = nn.Linear(form.latent_dim + num_classes(form.classes), half * cells[0] * cells[1])
        ladder: list[nn.Module] = []
        padding = (specgan.KERNEL - specgan.STRIDE) // 2
        for fan_in, fan_out in itertools.pairwise([2 * half, *widths[1:], channels]):
            ladder += [
                nn.ConvTranspose2d(fan_in, fan_out, specgan.KERNEL, specgan.STRIDE, padding),
                nn.ReLU(),
            ]
        self.ladder = nn.Sequential(*ladder[:-1], nn.Tanh() if config.tanh else nn.Identity())
        begin_as_glorot(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """A picture per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        heard = self.read(labels[HISTORY].to(latent))
        return self.ladder(torch.cat([heard, self.spread(told).unflatten(1, self.start)], dim=1))


@final
class HistorySpecCritic(Critic):
    """From a history and the picture that follows it to a verdict."""

    def __init__(self, form: Form, config: HistorySpecCriticConfig) -> None:
        super().__init__(form)
        depth = specgan.depth_of(form.shape)
        channels, bins, frames = form.shape
        frames += _history_of(form, "history-spec")[2]
        widths = [config.channels * 2**layer for layer in range(depth)]
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
        self.layers = nn.Sequential(*layers, nn.Flatten())
        told = Told(projection=True, class_logits=False)
        self.head = VerdictHead(widths[-1] * bins * frames, form.classes, told)
        begin_as_glorot(self)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for, after its history."""
        return self.head(self.layers(_after(labels, features)), labels)


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
