"""A piano of 88 strings that a generator plays from MIDI: it learns how strings sound, not where they lie.

What a key does to its string is known (`keyboard`), and so is where the string's partials are: near the multiples of
its frequency, a little above them, since a stiff string is a little sharp in its overtones. What is left to learn is
the instrument. Of every partial of every key: how loud it is, how much more so for a harder stroke, how fast it falls
at first and how fast later (the two directions in which a string swings die away at different rates), and how fast
under the damper. These numbers lie at some keys, with straight lines between them. Beside the strings there is a
network over frames (`frame_backbone`), which is told the latent, the keys and the strokes. It colours the sum by bands,
as a room and a soundboard do, and makes the noise of hammers and keys.

So any instrument of this family plays the right notes from the first update on. What a GAN adds is the sound of the
recordings. That is the point of it: on one processor core there are minutes to learn in, not days.

Every partial is moved by half a hertz at most, to where a chunk holds a whole number of its cycles. So each chunk ends
in the phase in which the next begins, and rendered chunks can be joined.

References:
    Rigaud, David and Daudet (2013), A parametric model and estimation techniques for the inharmonicity and tuning of
        the piano, https://doi.org/10.1121/1.4799806 (equation 9: stiffness over the keyboard)
    Weinreich (1977), Coupled piano strings, https://doi.org/10.1121/1.381677 (the two rates of decay)
    Engel et al. (2020), DDSP: Differentiable digital signal processing, https://arxiv.org/abs/2001.04643
"""

import dataclasses
import math
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import LOWEST_KEY, NUM_KEYS
from retimbre.gan.base import Form, Generator, GeneratorConfig, Labels
from retimbre.gan.conditions import MIDI
from retimbre.gan.networks.additive import NOISE_FRAMES, noise_of
from retimbre.gan.networks.frame_backbone import FrameSize, Told, ToldBlock
from retimbre.gan.networks.layers import refuse_below_one
from retimbre.gan.networks.told.keyboard import Strings, check_midi, key_hz, strikes_in, strings_at

_HIGHEST_SHARE = 0.48  # of the sample rate, where partials end
_KEYS_PER_KNOT = 4
_NEPERS = (-30.0, 4.0)  # between silence and far above what is heard

# Before anything is learned: partials fall by 9 dB per octave, a note at full velocity peaks at some 0.15, half of it
# falls by a factor of e in a fifth of a second and half in one and a half, and dampers stop a string in 60 ms.
_LEVEL, _SLOPE, _VELOCITY_POWER = math.log(0.08), 1.5, 1.6
_FAST_S, _SLOW_S, _DAMPED_S = 0.2, 1.5, 0.06
_QUICKER_BY_OCTAVE = 0.35  # of both rates, in nepers: treble strings are short
_NOISE_NEPERS = -8.0
# All weights have one learning rate, so what is multiplied by more learns faster. Levels should, and then rates.
_LEVEL_GAIN, _RATE_GAIN = 4.0, 2.0
# A layer's output of 1 changes a level by 4 dB; what the instrument is should be said by the strings.
_COLOUR_GAIN = 0.5
_LATENT_GAIN = 0.25


@final
@dataclasses.dataclass(frozen=True)
class MidiHarmonicGeneratorConfig(GeneratorConfig):
    """Strings with learned partials, struck and damped by MIDI states, in a learned room."""

    hears: ClassVar[frozenset[str]] = frozenset({"midi"})

    kind: Literal["midi-harmonic"] = "midi-harmonic"
    sample_rate: int = 16_000
    """Of the clips, in Hz; that of [task]."""
    hop_length: int = 128
    """Samples from one frame of levels to the next; divides a clip."""
    partials: int = 16
    """Of each string, as far as there is room below half the sample rate."""
    width: int = 64
    """Channels of the network over frames."""
    depth: int = 2
    """Its blocks."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""
    bands: int = 24
    """In which the sum is coloured, and the noise."""

    def __post_init__(self) -> None:
        """Refuses what is no size."""
        counts = {name: value for name, value in dataclasses.asdict(self).items() if isinstance(value, int)}
        refuse_below_one(counts)
        if self.bands < 2:
            raise ConfigError(f"bands is {self.bands}, but takes 2 or more")
        FrameSize.of(self)

    def build(self, form: Form) -> Generator:
        """Takes the waveform of clips that frames divide, and MIDI states.

        Raises:
            ConfigError: The features are not a waveform, or there are no states.
        """
        if len(form.shape) != 2 or form.shape[0] != 1:
            raise ConfigError(
                f"midi-harmonic makes the representation 'waveform', not features of shape {list(form.shape)}"
            )
        if form.shape[1] % (2 * self.hop_length):
            raise ConfigError(
                f"midi-harmonic makes clips of an even number of frames of hop_length, {self.hop_length} samples, "
                f"not {form.shape[1]} samples"
            )
        check_midi(form, self.kind)
        return MidiHarmonicGenerator(form, self)


@final
class MidiHarmonicGenerator(Generator):
    """From a latent and MIDI states to samples."""

    owner: Tensor
    knots: Tensor
    swing: Tensor
    turn: Tensor
    band_weights: Tensor
    noise_weights: Tensor

    def __init__(self, form: Form, config: MidiHarmonicGeneratorConfig) -> None:
        super().__init__(form)
        self.config = config
        self.num_frames = form.shape[1] // config.hop_length + 1
        self.chunk_s = form.shape[1] / config.sample_rate
        count = NUM_KEYS // _KEYS_PER_KNOT + 1
        # Level, velocity, share of the fast decay, and the three rates: what is added to where they begin.
        self.table = nn.Parameter(torch.zeros(6, count, config.partials))
        self.told = Told(form, config.width)
        self.keys = nn.Linear(2 * NUM_KEYS, config.width)
        self.blocks = nn.ModuleList(ToldBlock(FrameSize.of(config)) for _ in range(config.depth))
        self.levels = nn.Linear(config.width, 2 * config.bands)
        self.timbre = nn.Linear(config.width, 3)
        self._register_scales()

    def _register_scales(self) -> None:
        """Keeps where everything lies; none of it is learned, so none is saved."""
        config, num_samples = self.config, self.form.shape[1]
        number = torch.arange(1, config.partials + 1, dtype=torch.float64)
        stiff = (1.0 + _stiffness()[:, None] * number.square()).sqrt()
        partial_hz = key_hz()[:, None] * number * stiff
        cycles = (partial_hz * self.chunk_s).round()
        audible = (cycles > 0) & (cycles < _HIGHEST_SHARE * num_samples)
        key, place = torch.nonzero(audible, as_tuple=True)
        step = 2.0 * math.pi / num_samples * cycles[audible]
        moment = step * (torch.arange(self.num_frames) * config.hop_length)[:, None]
        offset = torch.arange(-config.hop_length, config.hop_length)
        within = step[:, None] * offset
        hat = 1.0 - offset.abs() / config.hop_length
        knot = torch.arange(NUM_KEYS // _KEYS_PER_KNOT + 1)
        bins_hz = torch.linspace(0.0, config.sample_rate / 2, config.hop_length + 1, dtype=torch.float64)
        scales = {
            "knots": (1.0 - (torch.arange(NUM_KEYS)[:, None] / _KEYS_PER_KNOT - knot).abs()).clamp_min(0.0),
            "swing": torch.cat([moment.sin(), moment.cos()], dim=1),
            "turn": torch.cat([within.cos(), within.sin()]) * hat,
            "band_weights": _hats(cycles[audible] / self.chunk_s, config.bands, config.sample_rate),
            "noise_weights": _hats(bins_hz, config.bands, config.sample_rate),
        }
        for name, values in scales.items():
            self.register_buffer(name, values.float(), persistent=False)
        self.register_buffer("owner", torch.stack([key, place]), persistent=False)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """The samples of one clip per row, whatever the precision of the layers."""
        states = labels[MIDI].to(latent)
        strings = strings_at(states.float(), self.num_frames)
        told = self.told(latent, labels)
        frames = self._frames(strings, states, told)
        colour, noise = self.levels(frames).float().chunk(2, dim=2)
        timbre = self.timbre(told).float()
        with torch.autocast(latent.device.type, enabled=False):
            played = self._played(strings, _COLOUR_GAIN * colour, _LATENT_GAIN * timbre)
            gain = ((noise + _NOISE_NEPERS) @ self.noise_weights.T).clamp(*_NEPERS).exp()
            return (played + noise_of(gain, _place_on_tape(latent)))[:, None]

    def _frames(
        self,
        strings: Strings,
        states: Float[Tensor, "batch states 89"],
        told: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch frames width"]:
        """What the network over frames makes of the keys."""
        strikes = nn.functional.pad(strikes_in(states, self.num_frames - 1), (0, 0, 0, 1))
        sounding = strings.sounding().to(strikes.dtype)
        frames = self.keys(torch.cat([strikes, sounding], dim=2)) + told[:, None]
        for block in self.blocks:
            frames = block(frames, told)
        return frames

    def _played(
        self,
        strings: Strings,
        colour: Float[Tensor, "batch frames bands"],
        timbre: Float[Tensor, "batch 3"],
    ) -> Float[Tensor, "batch samples"]:
        """The sum of all strings."""
        key, number = self.owner
        learned = (self.knots @ self.table)[:, key, number]
        overtone = (number + 1.0).log()
        octave = (key - 39.0) / 12.0  # from middle C
        level = _LEVEL - _SLOPE * overtone + _LEVEL_GAIN * learned[0]
        power = _VELOCITY_POWER * (1.0 + 0.3 * overtone) * learned[1].exp()
        fast, slow = (
            (_RATE_GAIN * learned[place] + _QUICKER_BY_OCTAVE * octave + 0.3 * overtone).exp() / begin_s
            for place, begin_s in ((3, _FAST_S), (4, _SLOW_S))
        )
        damped = (_RATE_GAIN * learned[5]).exp() / _DAMPED_S
        share = torch.sigmoid(_LEVEL_GAIN * learned[2])
        age, under = (self.chunk_s * each[..., key] for each in (strings.age, strings.damped))
        velocity = strings.velocity[..., key].clamp_min(1e-4).log()
        bright, louder, quicker = (each[:, None] for each in timbre.split(1, dim=1))
        nepers = level + power * velocity + bright * overtone + louder - damped * under
        nepers = (nepers + colour @ self.band_weights.T).clamp(*_NEPERS)
        decay = share * torch.exp(-fast * age) + (1.0 - share) * torch.exp(-slow * quicker.exp() * age)
        amplitude = torch.where(strings.velocity[..., key] > 0, nepers.exp() * decay, 0.0)
        weights = torch.cat([amplitude, amplitude], dim=2) * self.swing
        before, after = (weights @ self.turn).chunk(2, dim=2)
        return (after[:, :-1] + before[:, 1:]).flatten(1)


def _stiffness() -> Float[Tensor, " 88"]:
    """The inharmonicity of the strings of a grand piano, key by key: of wound bass strings and of steel ones."""
    key = torch.arange(LOWEST_KEY, LOWEST_KEY + NUM_KEYS, dtype=torch.float64)
    return torch.exp(-0.0847 * key - 5.82) + torch.exp(0.0926 * key - 13.64)


def _place_on_tape(latent: Float[Tensor, "batch latent"]) -> Tensor:
    """Where on the tape of noise each row begins: anywhere, and yet the same for the same latent."""
    scattered = latent[:, 0].detach().float() * 997.0
    return ((scattered - scattered.floor()) * NOISE_FRAMES).long()


def _hats(frequency_hz: Float[Tensor, " places"], count: int, sample_rate: int) -> Float[Tensor, "places _"]:
    """How much of each band there is at a frequency: 1 at its middle, falling in a line to its neighbours'."""
    bend_hz = 300.0  # bands lie evenly below this and by ratio above
    place = (frequency_hz / bend_hz).log1p() / math.log1p(0.5 * sample_rate / bend_hz) * (count - 1)
    return (1.0 - (place[:, None] - torch.arange(count)).abs()).clamp_min(0.0)
