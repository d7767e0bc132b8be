"""A generator of pitched notes that plays a synthesizer: it says how loud each harmonic is, not where it lies.

Frames of a backbone (`frame_backbone`) are read as levels over time: of 40 bands of the spectrum, of the first 40
harmonics by number, of what is inharmonic, and of noise. Bands tell what belongs to the instrument, its formants and
brightness, whatever is played; numbers tell what belongs to the string or the pipe, its missing even harmonics or the
node where it was plucked. Both add up to the level of each harmonic, in nepers. How the pitch wavers is told once per
note: a vibrato, and a glide at the beginning. `additive` makes the sound.

So it makes samples (the representation `waveform`), at a peak of 1, and needs to be told the pitch. Critics should hear
the magnitudes of spectra: phases are as they fall.

References:
    Engel et al. (2020), DDSP: Differentiable digital signal processing, https://arxiv.org/abs/2001.04643
"""

import dataclasses
import math
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form, Generator, GeneratorConfig, Labels
from retimbre.gan.networks.additive import NOISE_FRAMES, harmonics_of, noise_of, partials_of
from retimbre.gan.networks.frame_backbone import FrameBackbone, FrameSize

# Levels span some 10 nepers, what a layer says some 3; and as all layers have one learning rate, what is multiplied by
# more learns faster. Harmonics should, so that a note is not made of noise before they are learned.
_HARMONIC_GAIN, _PARTIAL_GAIN, _NOISE_GAIN = 2.0, 0.5, 1.0
_NEPERS = (-30.0, 8.0)  # between silence and what is far above a sum that peaks at 1
_SILENT = -30.0
_HIGHEST_SHARE = 0.48  # of the sample rate, where components end
# Above the note, where inharmonic partials lie. None is near its fundamental: there it would be heard as the note, but
# out of tune, and no critic hears the difference if the lobes of its window are wider.
_PARTIALS_OCTAVES = (0.6, 4.0)

# Before anything is learned, harmonics fall by 6 dB per octave and the rest is soft.
_PARTIAL_NEPERS = -9.0
_NOISE_NEPERS = -7.0

_BAND_BEND_HZ = 300.0  # bands lie evenly below this and by ratio above
_QUIETEST_PEAK = 1e-4  # is not raised to 1

# The pitch: a vibrato of so many cents at most and a rate in this range, that begins within half a second, and a glide.
_VIBRATO_CENTS, _VIBRATO_HZ, _VIBRATO_DELAY_S = 40.0, (3.5, 7.5), 0.5
_VIBRATO_RISE = 20.0  # per second
_GLIDE_CENTS, _GLIDE_S = 80.0, (0.01, 0.08)
_TUNING_CENTS = 5.0
_CENT = math.log(2.0) / 1_200.0
_MOTIONS = 7


@final
@dataclasses.dataclass(frozen=True)
class HarmonicGeneratorConfig(GeneratorConfig):
    """Levels of harmonics, partials and noise from the latent and the labels, played at the labelled pitch."""

    kind: Literal["harmonic"] = "harmonic"
    sample_rate: int = 16_000
    """Of the clips, in Hz; that of [task]."""
    hop_length: int = 128
    """Samples from one frame of levels to the next."""
    width: int = 192
    """Channels of the backbone, which makes two frames of levels in each of its own."""
    depth: int = 5
    """Blocks of the backbone."""
    expansion: int = 2
    """How much wider the inner layer of a block is."""
    kernel: int = 7
    """Frames that a block's filter reaches over, an odd number."""
    bands: int = 40
    """Of the spectral envelope, as evenly spaced as the ear has them."""
    harmonics: int = 40
    """Harmonics that have a level of their own; of those above, the odd ones share one and the even ones another."""
    partials: int = 64
    """Inharmonic partials, by ratio evenly from a fifth to four octaves above the note."""
    noise_bands: int = 24
    """Bands of noise."""

    def __post_init__(self) -> None:
        """Refuses what has no middle or no size."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 2 if field.name in {"bands", "noise_bands"} else 1
            if isinstance(value, int) and value < least:
                raise ConfigError(f"{field.name} is {value}, but takes {least} or more")
        FrameSize.of(self)

    def build(self, form: Form) -> Generator:
        """Takes the waveform of notes whose pitch is told.

        Raises:
            ConfigError: The features are not a waveform, or there is no pitch.
        """
        if len(form.shape) != 2 or form.shape[0] != 1:
            raise ConfigError(
                f"a harmonic generator makes the representation 'waveform', not features of shape {list(form.shape)}"
            )
        if "pitch" not in form.classes:
            raise ConfigError("a harmonic generator plays notes; attributes needs 'pitch'")
        return HarmonicGenerator(form, self)


@final
class HarmonicGenerator(Generator):
    """From a latent and labels to a note."""

    pitch_hz: Tensor
    harmonic_weights: Tensor
    harmonic_nepers: Tensor
    partial_step: Tensor
    partial_nepers: Tensor
    noise_weights: Tensor

    def __init__(self, form: Form, config: HarmonicGeneratorConfig) -> None:
        super().__init__(form)
        self.config = config
        self.num_samples = form.shape[1]
        pairs = (-(-self.num_samples // config.hop_length) + 2) // 2
        self.backbone = FrameBackbone(form, pairs, FrameSize.of(config))
        self.sizes = (config.bands + config.harmonics + 2, config.partials, config.noise_bands)
        self.levels = nn.Linear(config.width, 2 * sum(self.sizes))
        self.motion = nn.Linear(config.width, _MOTIONS)
        self.levels.weight.data.mul_(0.5)
        self._register_scales()

    def _register_scales(self) -> None:
        """Keeps where everything lies, for each pitch; none of it is learned, so none is saved."""
        config = self.config
        midi = torch.tensor([float(name) for name in self.form.classes["pitch"]], dtype=torch.float64)
        pitch_hz = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
        highest_hz = _HIGHEST_SHARE * config.sample_rate
        number = torch.arange(1, max(1, int(highest_hz / float(pitch_hz.min()))) + 1).double()
        octave = torch.linspace(*_PARTIALS_OCTAVES, config.partials, dtype=torch.float64)
        harmonic_hz, partial_hz = pitch_hz[:, None] * number, pitch_hz[:, None] * 2.0**octave
        falling, falling_partials = -number.log(), _PARTIAL_NEPERS - octave * math.log(2.0)
        bin_hz = torch.linspace(0.0, config.sample_rate / 2, config.hop_length + 1, dtype=torch.float64)
        scales = {
            "pitch_hz": pitch_hz,
            "harmonic_weights": _weights_of(harmonic_hz, config),
            "harmonic_nepers": torch.where(harmonic_hz < highest_hz, falling, _SILENT),
            "partial_step": partial_hz * (2.0 * math.pi / config.sample_rate),
            "partial_nepers": torch.where(partial_hz < highest_hz, falling_partials, _SILENT),
            "noise_weights": _hats(bin_hz, config.noise_bands, config.sample_rate),
        }
        for name, values in scales.items():
            self.register_buffer(name, values.float(), persistent=False)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """The samples of one note per row, at a peak of 1, whatever the precision of the layers."""
        frames, told = self.backbone(latent, labels)
        pitch = labels["pitch"].to(latent.device)
        # Each frame of the backbone makes two of levels.
        levels = self.levels(frames).float().unflatten(2, (2, -1)).flatten(1, 2)
        motion = self.motion(told).float()
        with torch.autocast(latent.device.type, enabled=False):
            return self._played(levels, motion, pitch, _place_on_tape(latent))[:, None]

    def _played(
        self,
        levels: Float[Tensor, "batch frames levels"],
        motion: Float[Tensor, "batch motions"],
        pitch: Int[Tensor, " batch"],
        start: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch samples"]:
        """Levels to samples."""
        hop_length = self.config.hop_length
        harmonic, partial, noise = levels.split(self.sizes, dim=2)
        weights = _HARMONIC_GAIN * self.harmonic_weights[pitch].mT
        harmonic = harmonic @ weights + self.harmonic_nepers[pitch][:, None]
        partial = _PARTIAL_GAIN * partial + self.partial_nepers[pitch][:, None]
        noise = (_NOISE_GAIN * noise + _NOISE_NEPERS) @ self.noise_weights.T
        phase = self._phase(motion, self.pitch_hz[pitch][:, None])
        # At a peak of 1 before anything is added: else the rest would be loud as soon as all harmonics are soft.
        sound = _peaking_at_one(harmonics_of(_amplitude(harmonic), phase, hop_length))
        rest = partials_of(_amplitude(partial), self.partial_step[pitch], hop_length)
        rest = rest + noise_of(_amplitude(noise), start)
        return _peaking_at_one(sound + rest[:, : self.num_samples])

    def _phase(
        self, motion: Float[Tensor, "batch motions"], pitch_hz: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, "batch samples"]:
        """Where in its cycle the fundamental is, 0 to 1: that of a steady tone, and what its wavering adds up to."""
        sample = torch.arange(self.num_samples, device=motion.device)
        time_s = sample / self.config.sample_rate
        depth, rate, delay, turn, glide, glide_time, tuning = motion.split(1, dim=1)
        begun = torch.sigmoid((time_s - _VIBRATO_DELAY_S * delay.sigmoid()) * _VIBRATO_RISE)
        swing = torch.sin(2.0 * math.pi * (_between(rate, _VIBRATO_HZ) * time_s + 0.5 * turn))
        cents = _VIBRATO_CENTS * torch.sigmoid(depth - 3.0) * begun * swing
        cents = cents + _GLIDE_CENTS * torch.tanh(0.3 * glide) * torch.exp(
            -time_s / _between(glide_time, _GLIDE_S)
        )
        cents = cents + _TUNING_CENTS * torch.tanh(0.3 * tuning)
        # In float32 a high note of a second would be a thousandth of a cycle off by its tenth harmonic.
        cycles = sample + (cents * _CENT).cumsum(dim=1, dtype=torch.float64)
        cycles = cycles * (pitch_hz / self.config.sample_rate)
        return (cycles - cycles.detach().floor()).float()


def _place_on_tape(latent: Float[Tensor, "batch latent"]) -> Int[Tensor, " batch"]:
    """Where on the tape of noise each row begins: random, and yet the same for the same latent."""
    scattered = latent[:, 0].detach().float() * 997.0
    return ((scattered - scattered.floor()) * NOISE_FRAMES).long()


def _peaking_at_one(sound: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
    return sound / sound.abs().amax(dim=1, keepdim=True).clamp_min(_QUIETEST_PEAK)


def _amplitude(nepers: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return nepers.clamp(*_NEPERS).exp()


def _between(value: Float[Tensor, "batch 1"], ends: tuple[float, float]) -> Float[Tensor, "batch 1"]:
    return ends[0] + (ends[1] - ends[0]) * value.sigmoid()


def _weights_of(
    harmonic_hz: Float[Tensor, "pitches harmonics"], config: HarmonicGeneratorConfig
) -> Float[Tensor, "pitches harmonics levels"]:
    """How much of each level each harmonic gets: those of the two bands about it, and its own by number."""
    by_place = _hats(harmonic_hz, config.bands, config.sample_rate)
    number = torch.arange(harmonic_hz.shape[1])
    own = torch.where(number < config.harmonics, number, config.harmonics + number % 2)
    by_number = torch.nn.functional.one_hot(own, config.harmonics + 2).double()
    return torch.cat([by_place, by_number.expand(len(harmonic_hz), -1, -1)], dim=2)


def _hats(
    frequency_hz: Float[Tensor, "*shape"], count: int, sample_rate: int
) -> Float[Tensor, "*shape bands"]:
    """How much of each band there is at a frequency: 1 at its middle, falling in a straight line to its neighbours'."""
    bend = math.log1p(0.5 * sample_rate / _BAND_BEND_HZ)
    place = ((frequency_hz / _BAND_BEND_HZ).log1p() / bend).clamp(max=1.0) * (count - 1)
    return (1.0 - (place[..., None] - torch.arange(count)).abs()).clamp_min(0.0)
