"""A keyboard whose keys have spectra that are learned: nothing says where the partials of a key lie.

`midi_harmonic` plays strings at places that are known. Here a key is no more than its number. Each has a few spectra, a
value for every bin, which begin as noise: any key may turn out to sound like anything. What is built in is what is
known of keyboards without having heard one. A string is struck at a certain time, as hard as told; its sound falls from
then on, and faster under the damper (`keyboard`). And what sounds together adds up.

So the magnitude of a bin in a frame is a sum over keys: how active the key is, times its spectrum. That is a
non-negative matrix factorisation whose activities are known but for a few numbers and whose spectra are wanted. A key
has several spectra, each with its own rates of decay and its own response to velocity, so that what is bright at the
stroke may be dull later. Activities are worked out at several moments in each frame and weighed over the frames around,
as the window of a short-time transform weighs what it sees.

A network over frames (`frame_backbone`), told the latent and the keys, colours the sum and adds the sound that no key
makes. Features are logarithms of magnitudes, as those of `mag` scaled by bin: a straight line, learned, over
log(1 + sum).

No recording is compared with anything here. The spectra are learned from a critic that is told the keys: where it
misses energy while a key is down, or minds too much of it, the spectrum of that key moves.

References:
    Smaragdis and Brown (2003), Non-negative matrix factorization for polyphonic music transcription,
        https://doi.org/10.1109/ASPAA.2003.1285860
    Berg-Kirkpatrick, Andreas and Klein (2014), Unsupervised transcription of piano music,
        https://papers.nips.cc/paper/5432-unsupervised-transcription-of-piano-music (spectra and envelopes by key)
"""

import dataclasses
import math
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import NUM_KEYS
from retimbre.gan.base import Form, Generator, GeneratorConfig, Labels
from retimbre.gan.conditions import MIDI
from retimbre.gan.networks.frame_backbone import FrameSize, Told, ToldBlock
from retimbre.gan.networks.layers import refuse_below_one
from retimbre.gan.networks.told.keyboard import DAMPED, Strings, check_midi, strikes_in, strings_at

_REACH_FRAMES = 2  # to either side: windows that overlap by three quarters reach as far
# In chunks: in which the first and the last spectrum of a key fall by a factor of e.
_QUICKEST, _SLOWEST = 0.05, 1.5
_SOFTEST = 1e-4  # of velocities, so that their logarithm is finite
_LOUDEST = 12.0  # nepers; what no recording reaches, and no sum of keys overflows

# Before anything is learned every key is noise in all bins, at about the mean level of recordings; what is too loud and
# what is missing can both be learned from there. Features that were scaled by bin have 3 deviations between 0 and 1,
# which are about 5 nepers of log(1 + magnitude), and 2 nepers is its mean.
_LEVEL, _SCATTER = 0.5, 0.5
_GAIN, _OFFSET = 0.2, -0.4
# All weights have one learning rate, so what is multiplied by more learns faster. Spectra have nepers to go.
_SPECTRUM_GAIN, _RATE_GAIN, _COLOUR_GAIN = 8.0, 2.0, 0.5
_HUM = -2.0


@final
@dataclasses.dataclass(frozen=True)
class MidiSpectraGeneratorConfig(GeneratorConfig):
    """Keys with learned spectra, struck and damped by MIDI states."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-spectra"] = "midi-spectra"
    spectra: int = 3
    """Of each key, from those that fall quickly to those that ring."""
    moments: int = 4
    """In each frame, at which activities are worked out."""
    width: int = 48
    """Channels of the network over frames."""
    depth: int = 2
    """Its blocks."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        refuse_below_one({"spectra": self.spectra, "moments": self.moments})
        FrameSize.of(self)

    def build(self, form: Form) -> Generator:
        """Takes log-magnitudes with bins and frames, and MIDI states.

        Raises:
            ConfigError: The features are of another kind, or there are no states.
        """
        if len(form.shape) != 3 or form.shape[0] != 1:
            raise ConfigError(
                f"midi-spectra makes magnitudes, features with 1 channel, bins and frames, not of shape "
                f"{list(form.shape)}"
            )
        check_midi(form, self.kind)
        return MidiSpectraGenerator(form, self)


@final
class MidiSpectraGenerator(Generator):
    """From a latent and MIDI states to logarithms of magnitudes."""

    def __init__(self, form: Form, config: MidiSpectraGeneratorConfig) -> None:
        super().__init__(form)
        self.config = config
        _, bins, self.num_frames = form.shape
        self.spectra = nn.Parameter(_SCATTER / _SPECTRUM_GAIN * torch.randn(config.spectra, NUM_KEYS, bins))
        # Velocity, decay and damping: what is added to where they begin.
        self.course = nn.Parameter(torch.zeros(3, config.spectra, NUM_KEYS))
        self.window = nn.Parameter(_bell(config.moments).expand(config.spectra, -1).log().clone())
        self.told = Told(form, config.width)
        self.keys = nn.Linear(2 * NUM_KEYS, config.width)
        self.blocks = nn.ModuleList(ToldBlock(FrameSize.of(config)) for _ in range(config.depth))
        self.colour = nn.Linear(config.width, 2 * bins)
        self.gain = nn.Parameter(torch.full((bins, 1), _GAIN))
        self.offset = nn.Parameter(torch.full((bins, 1), _OFFSET))
        nn.init.zeros_(self.colour.bias)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row; sums over keys in float32 whatever the precision of the layers."""
        states = labels[MIDI].to(latent)
        strings = strings_at(states.float(), self._num_moments)
        frames = self._frames(strings, states, self.told(latent, labels))
        colour, hum = self.colour(frames).float().mT.chunk(2, dim=1)
        with torch.autocast(latent.device.type, enabled=False):
            magnitude = self._played(strings).mT * (_COLOUR_GAIN * colour).clamp(max=_LOUDEST).exp()
            magnitude = magnitude + (_HUM + hum).clamp(max=_LOUDEST).exp()
            return (self.offset + self.gain * magnitude.log1p())[:, None]

    def _frames(
        self,
        strings: Strings,
        states: Float[Tensor, "batch states 89"],
        told: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch frames width"]:
        """What the network over frames makes of latent and keys."""
        sounding = strings.sounding()[:, :: self.config.moments].to(states.dtype)
        frames = self.keys(torch.cat([strikes_in(states, self.num_frames), sounding], dim=2)) + told[:, None]
        for block in self.blocks:
            frames = block(frames, told)
        return frames

    @property
    def _num_moments(self) -> int:
        """At which activities are worked out; the first of each frame is that which the frame is told by."""
        return self.num_frames // 2 * 2 * self.config.moments + self.num_frames % 2

    def _played(self, strings: Strings) -> Float[Tensor, "batch frames bins"]:
        """The sum of what all keys sound like."""
        activity = self._activity(strings)
        reach = _REACH_FRAMES * self.config.moments
        around = nn.functional.pad(activity, (0, 0, 0, 0, reach, reach))
        around = around.unfold(1, 2 * reach + 1, self.config.moments)
        seen = (around * self.window.exp()[:, None]).sum(dim=-1)
        spectra = (_LEVEL + _SPECTRUM_GAIN * self.spectra).clamp(max=_LOUDEST).exp()
        return seen.flatten(2) @ spectra.flatten(0, 1)

    def _activity(self, strings: Strings) -> Float[Tensor, "batch moments spectra 88"]:
        """How much there is of each spectrum of each key."""
        power, decay, damping = self.course
        span = torch.logspace(math.log10(_QUICKEST), math.log10(_SLOWEST), self.config.spectra).to(power)
        falls = (_RATE_GAIN * decay).exp() / span[:, None]
        stops = (_RATE_GAIN * damping).exp() / DAMPED
        velocity, age, damped = (each[:, :, None] for each in (strings.velocity, strings.age, strings.damped))
        nepers = power.exp() * velocity.clamp_min(_SOFTEST).log() - falls * age - stops * damped
        return torch.where(velocity > 0, nepers.exp(), 0.0)


def _bell(moments: int) -> Float[Tensor, " around"]:
    """How a window that reaches over some frames weighs moments: as a bell, whose sum is 1."""
    reach = _REACH_FRAMES * moments
    place = torch.arange(-reach, reach + 1) / reach
    bell = torch.exp(-4.0 * place.square())
    return bell / bell.sum()
