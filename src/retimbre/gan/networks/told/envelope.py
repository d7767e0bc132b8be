"""Networks that put an envelope on a sound they are given, and the critic that looks for what gives them away.

An envelope says how loud a note is while it lasts. The generator is told a *sound* and what envelope it is to have:
a *curve*, the gain of every sample, or *classes* of attack, sustain and release, each a plane of zeros and ones as
long as the sound. A convolution sees a few milliseconds and cannot know where in the note they are, so a *time
channel* beside these counts from -1 at the first sample to 1 at the last (an index from 0 to 127, as an earlier system
had it, drowns the signals beside it).

What comes out is `gain * (sound + correction)`, and both are learned. The gain is a short filter on the curve, whose
taps begin drawn and positive; without a curve it is a function of time and classes, a sum of ramps that bend at learned
times. The correction comes from residual blocks at a quarter of the rate, which are told the envelope by a factor for
each channel and begin by changing nothing. As they work on the sound with neither biases nor normalisation, the network
is *homogeneous*: a sound of twice the level comes out at twice the level, silence stays silence, and an error of the
correction is as faint as the gain. Instance normalisation, which that earlier system had in every layer, takes out the
level first of all.

All layers are convolutions, so a sound of any length will do. Of a longer sound, pieces with `context` samples on
either side and their part of the time channel come out as the whole would.

The critic is shown the sample beside the sound, the curve and the time, so it can say whether the one follows from the
others. It has residual blocks, too, no normalisation (which would tie the clips of a batch together and make the
penalty on each one's gradient meaningless) and no sigmoid: its score is a number of any size, as the Wasserstein game
wants it. It may guess the classes besides (AC-GAN).

References:
    Gulrajani et al. (2017), Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
    Perez et al. (2018), FiLM: visual reasoning with a general conditioning layer, https://arxiv.org/abs/1709.07871
    Liu et al. (2018), An intriguing failing of convolutional neural networks and the CoordConv solution,
        https://arxiv.org/abs/1807.03247
    The earlier system: https://github.com/eoin-og/NeuroSynth
"""

import dataclasses
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.networks.layers import Told, VerdictHead, num_classes, refuse_below_one

_SLOPE = 0.2  # of the leaky rectifiers below 0
_KERNEL = 5  # of the residual blocks
_FEWEST_PLACES = 16  # that a critic keeps of a clip: it is not made shorter than that
_STEEPNESS = 4.0  # with which the ramps of a gain begin; edges are steep

Signal = Float[Tensor, "batch _ samples"]


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeGeneratorConfig(GeneratorConfig):
    """A gain, and residual blocks on what it is put on."""

    hears: ClassVar[frozenset[str]] = frozenset({"envelope", "sound"})

    kind: Literal["envelope"] = "envelope"
    channels: int = 24
    """Of the residual blocks."""
    blocks: int = 3
    """How many there are."""
    stride: int = 4
    """Samples that the blocks see as one place; an even number."""
    taps: int = 15
    """Samples of the curve that the gain of one sample hears of; an odd number."""
    ramps: int = 64
    """Of a gain without a curve: how often it may bend."""
    hears_latent: bool = True
    """Whether the latent has a say in the correction; without, equal sounds and envelopes give equal results."""

    def __post_init__(self) -> None:
        """Refuses sizes below one, a filter without a middle and places that would lie between samples."""
        names = ("channels", "blocks", "stride", "taps", "ramps")
        refuse_below_one({name: getattr(self, name) for name in names})
        if self.taps % 2 == 0:
            raise ConfigError(f"taps is {self.taps}, but takes an odd number")
        if self.stride % 2:
            raise ConfigError(f"stride is {self.stride}, but takes an even number")

    def build(self, form: Form) -> Generator:
        """Takes one channel of samples and a condition `sound` of as many."""
        _check_form(form)
        return EnvelopeGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeCriticConfig(CriticConfig):
    """Residual blocks between strided convolutions."""

    hears: ClassVar[frozenset[str]] = frozenset({"envelope", "sound"})

    kind: Literal["envelope"] = "envelope"
    channels: int = 16
    """Of the first layer; each one after has twice as many, up to `most_channels`."""
    most_channels: int = 64
    """Of any layer."""
    stride: int = 4
    """By which each layer shortens the clip."""
    projection: bool = True
    """Whether the score depends on the classes, where there are any."""
    class_logits: bool = False
    """Whether the critic guesses the classes (AC-GAN), where there are any."""

    def __post_init__(self) -> None:
        """Refuses sizes below one, and a stride that shortens nothing."""
        refuse_below_one({"channels": self.channels, "most_channels": self.most_channels})
        if self.stride < 2:
            raise ConfigError(f"stride is {self.stride}, but takes 2 or more")

    def build(self, form: Form) -> Critic:
        """Takes one channel of samples and a condition `sound` of as many."""
        _check_form(form)
        return EnvelopeCritic(form, self)


@final
class EnvelopeGenerator(Generator):
    """From a sound and an envelope to that sound under the envelope."""

    def __init__(self, form: Form, config: EnvelopeGeneratorConfig) -> None:
        super().__init__(form)
        width, self.stride = config.channels, config.stride
        self.gain = _FilteredCurve(config.taps) if ENVELOPE in form.conditions else _Ramps(form, config.ramps)
        reach = (2 * self.stride, self.stride, self.stride // 2)
        self.follow = nn.Conv1d(_num_told(form), width, *reach)
        self.latent = nn.Linear(form.latent_dim, width, bias=False) if config.hears_latent else None
        self.listen = nn.Conv1d(1, width, *reach, bias=False)
        self.blocks = nn.ModuleList([_ToldBlock(width) for _ in range(config.blocks)])
        self.speak = nn.ConvTranspose1d(width, 1, *reach, bias=False)
        nn.init.zeros_(self.speak.weight)
        # Two convolutions of a block, the two layers around them, and the filter of the gain.
        places = config.blocks * 2 * (_KERNEL // 2) + 4
        self.context = -(-(places * self.stride + config.taps) // self.stride) * self.stride
        """Samples on either side of a piece that have a say in it; pieces begin at multiples of the stride."""

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels samples"]:
        """The sounds under their envelopes, as long as the sounds."""
        sound = labels[SOUND]
        return self.reshaped(latent, labels, time_channel(sound))

    def reshaped(
        self, latent: Float[Tensor, "batch latent"], labels: Labels, time: Float[Tensor, "batch 1 samples"]
    ) -> Float[Tensor, "batch 1 samples"]:
        """The same of sounds that are pieces of longer ones.

        Args:
            latent: A row per sound.
            labels: Sounds, curves and classes.
            time: Where in the whole each sample is, from -1 to 1.
        """
        sound = labels[SOUND].to(latent.dtype)
        told = _told(self.form, labels, time)
        missing = (0, -sound.shape[-1] % self.stride)
        envelope = functional.leaky_relu(self.follow(functional.pad(told, missing, mode="replicate")), _SLOPE)
        if self.latent is not None:
            envelope = envelope + self.latent(latent)[:, :, None]
        places = self.listen(functional.pad(sound, missing))
        for block in self.blocks:
            places = block(places, envelope)
        correction = self.speak(places)[..., : sound.shape[-1]]
        return self.gain(told) * (sound + correction)


@final
class EnvelopeCritic(Critic):
    """From a sample, beside the sound and the envelope that it is claimed to be made of, to a verdict."""

    def __init__(self, form: Form, config: EnvelopeCriticConfig) -> None:
        super().__init__(form)
        places, width = form.shape[1], config.channels
        shown = 2 + (ENVELOPE in form.conditions) + 1  # the sample and the sound, the curve, the time
        layers: list[nn.Module] = []
        while not layers or places >= config.stride * _FEWEST_PLACES:
            layers += [nn.Conv1d(shown, width, 2 * config.stride, config.stride, config.stride // 2)]
            layers += [nn.LeakyReLU(_SLOPE), _Block(width)]
            places = (places + 2 * (config.stride // 2) - 2 * config.stride) // config.stride + 1
            shown, width = width, min(2 * width, config.most_channels)
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(_SLOPE), nn.Flatten())
        self.head = VerdictHead(shown * places, form.classes, Told(config.projection, config.class_logits))

    def forward(self, features: Float[Tensor, "batch channels samples"], labels: Labels) -> Verdict:
        """What it takes each clip for."""
        beside = [labels[SOUND], time_channel(features)]
        if ENVELOPE in self.form.conditions:
            beside.append(labels[ENVELOPE][:, None])
        shown = torch.cat([features, *(each.to(features.dtype) for each in beside)], dim=1)
        return self.head(self.layers(shown), labels)


@final
class _FilteredCurve(nn.Module):
    """The gain as a filter on the curve, which is the first of what is told."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(1, 1, taps, bias=False)
        # Drawn as for any convolution, but none below 0: taps that sum to less turn the sound over, and learning does
        # not turn it back. How loud and how sharp is left to be learned.
        self.filter.weight.data.abs_()

    def forward(self, told: Signal) -> Float[Tensor, "batch 1 samples"]:
        """A gain per sample; beyond the ends the curve goes on as it ends."""
        half = self.filter.kernel_size[0] // 2
        return self.filter(functional.pad(told[:, :1], (half, half), mode="replicate"))


@final
class _Ramps(nn.Module):
    """The gain as a sum of ramps, each of which begins at a time and has a steepness; classes move both."""

    def __init__(self, form: Form, num_ramps: int) -> None:
        super().__init__()
        told = _num_told(form)
        self.bend = nn.Conv1d(told, num_ramps, 1)
        self.mix = nn.Conv1d(num_ramps + told, num_ramps, 1)
        self.add = nn.Conv1d(num_ramps, 1, 1)
        # The ramps begin evenly spread over the clip, half of them rising and half of them falling.
        slope = _STEEPNESS * (1.0 - 2.0 * (torch.arange(num_ramps) % 2))
        with torch.no_grad():
            self.bend.weight[:, -1, 0] = slope
            self.bend.bias.copy_(-slope * torch.linspace(-1.0, 1.0, num_ramps))  # pyright: ignore[reportOptionalMemberAccess]

    def forward(self, told: Signal) -> Float[Tensor, "batch 1 samples"]:
        """A gain per sample, of itself alone."""
        ramps = functional.leaky_relu(self.bend(told), _SLOPE)
        return self.add(functional.leaky_relu(self.mix(torch.cat([ramps, told], dim=1)), _SLOPE))


@final
class _ToldBlock(nn.Module):
    """A residual block without biases, whose inner channels the envelope makes stronger or weaker."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = (
            nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, bias=False) for _ in range(2)
        )
        self.factor = nn.Conv1d(width, width, 1)

    def forward(
        self, places: Float[Tensor, "batch width places"], envelope: Float[Tensor, "batch width places"]
    ) -> Float[Tensor, "batch width places"]:
        """The places with something added."""
        inner = functional.leaky_relu(self.first(functional.leaky_relu(places, _SLOPE)), _SLOPE)
        return places + self.last(inner * (1.0 + self.factor(envelope)))


@final
class _Block(nn.Module):
    """A residual block of the critic."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, places: Float[Tensor, "batch width places"]) -> Float[Tensor, "batch width places"]:
        """The places with something added."""
        return places + self.last(functional.leaky_relu(self.first(places), _SLOPE))


def time_channel(like: Float[Tensor, "batch _ samples"]) -> Float[Tensor, "batch 1 samples"]:
    """Where in a clip each sample is, from -1 to 1, for clips like these."""
    time = torch.linspace(-1.0, 1.0, like.shape[-1], device=like.device, dtype=like.dtype)
    return time.expand(like.shape[0], 1, -1)


def _told(
    form: Form, labels: Labels, time: Float[Tensor, "batch 1 samples"]
) -> Float[Tensor, "batch _ samples"]:
    """The curve if there is one, a plane per class, and the time."""
    planes = one_hot(labels, form.classes, time[:, 0])[:, :, None].expand(-1, -1, time.shape[-1])
    curve = [labels[ENVELOPE][:, None].to(time)] if ENVELOPE in form.conditions else []
    return torch.cat([*curve, planes, time], dim=1)


def _num_told(form: Form) -> int:
    return (ENVELOPE in form.conditions) + num_classes(form.classes) + 1


def _check_form(form: Form) -> None:
    """Refuses what is no single channel of samples, or comes without a sound."""
    if len(form.shape) != 2 or form.shape[0] != 1:
        raise ConfigError(
            f"an envelope network takes one channel of samples, as of the waveform, not features of shape "
            f"{list(form.shape)}"
        )
    if form.conditions.get(SOUND) != form.shape:
        raise ConfigError(
            f"an envelope network reshapes a sound: takes [task] conditions with {SOUND} = {form.shape[1]}"
        )
