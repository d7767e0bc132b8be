"""The shipped listener's network: a spectrogram stacked by harmonics, read alike at every pitch.

The harmonics of a note stand at whole multiples of its fundamental. On an axis of log frequency that is one fixed
pattern, which moves as a whole when the pitch changes: 12 semitones up from the fundamental to the second harmonic, 19
to the third. So the spectrogram is shifted down by 12 log2(h) semitones for every h, and the shifted copies become
channels: whatever has its fundamental at a place now has all its harmonics at that same place. Small convolutions over
the stack look for notes at all pitches with the same weights, which is why a pitch is recognised in a timbre that was
heard at other pitches only. The copy for h = 1/2 tells a fundamental from its own second harmonic.

Two spectrograms are stacked. One has long windows (256 ms), whose bands are narrow enough for the partials of bass
notes; one has short windows (64 ms), in which an attack is not yet smeared. Time is pooled by its mean and its maximum,
so that a clip of any length gives one description of every pitch: the *profile*. Pitch is read from the profile, at
every place with the same weights. Everything else is read from what the profile is at the pitch that was found, and
from what it is as a whole, by way of an embedding of 64 numbers.

A clip is brought to a peak of 1 first: how loud a recording is says how it was made, not how the note was played.

References:
    Bittner et al. (2017), "Deep salience representations for f0 estimation in polyphonic music", ISMIR,
    https://doi.org/10.5281/zenodo.1417937 (harmonic stacking)
    Brown (1991), "Calculation of a constant Q spectral transform", https://doi.org/10.1121/1.400476
"""

import functools
import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.dsp.level import normalise_peak
from retimbre.dsp.stft import StftSettings, power
from retimbre.listening.heard import Classes, Heard, ListenerNetwork

RATE_HZ = 16_000
BANDS_PER_SEMITONE = 3
EMBEDDING_DIM = 64

_LONG = StftSettings(n_fft=4096, hop_length=1024)
_SHORT = StftSettings(n_fft=1024, hop_length=512)  # two frames for each long one
_HARMONICS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_SHORT_HARMONICS = (1.0, 2.0, 4.0, 8.0)  # in windows of 64 ms nearer ones would not be told apart
_FLOOR_DB = 80.0  # below a sine at full scale
_LOWEST_PITCH, _HIGHEST_PITCH = 21, 108  # where no pitches are asked for
_OCTAVE = 12 * BANDS_PER_SEMITONE

_MAP_CHANNELS, _PROFILE_CHANNELS, _PITCH_CHANNELS, _COARSE_CHANNELS = 32, 64, 8, 8
_REGIONS = 22  # of the whole range, in which the profile is averaged to tell where there is sound
_PROFILE_REACH = 25  # places that a profile is compared over: an octave up and down
_HIDDEN = 128


@functools.lru_cache(maxsize=8)
def log_bands(n_fft: int, lowest_pitch: int, device: torch.device) -> Float[Tensor, "bands bins"]:
    """Triangles, evenly spaced in log frequency from a MIDI pitch to 8 kHz; shared, never change it.

    Each reaches from the centre of the band below to that of the band above, but at least one bin of the Fourier
    transform each way, and is 1 in its middle: a partial has about the same level wherever it is.
    """
    spacing_hz = RATE_HZ / n_fft
    top = 69 + 12 * math.log2(RATE_HZ / 2 / 440)
    num_bands = int((top - lowest_pitch) * BANDS_PER_SEMITONE) + 2
    # The first band lies a third of a semitone below the lowest pitch, so that a pitch has three bands around it.
    pitches = lowest_pitch + (torch.arange(num_bands, dtype=torch.float64) - 1) / BANDS_PER_SEMITONE
    centres_hz = 440 * 2 ** ((pitches - 69) / 12)
    width_hz = (centres_hz * (2 ** (1 / (12 * BANDS_PER_SEMITONE)) - 1)).clamp_min(spacing_hz)
    bins_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * spacing_hz
    away = (bins_hz - centres_hz[:, None]).abs() / width_hz[:, None]
    return (1 - away).clamp_min(0).float().to(device)


def log_spectrogram(
    audio: Float[Tensor, "batch samples"], settings: StftSettings, lowest_pitch: int
) -> Float[Tensor, "batch bands frames"]:
    """Levels in bands of log frequency: 1 for a sine at full scale, 0 for 80 dB less and for nothing."""
    bands = log_bands(settings.n_fft, lowest_pitch, audio.device)
    full_scale = (settings.n_fft / 4) ** 2  # the power of a sine at 1, in its bin of a Hann window
    levels_db = 10 * torch.log10(bands @ power(audio, settings) / full_scale + 10 ** (-_FLOOR_DB / 10))
    return 1 + levels_db / _FLOOR_DB


def stacked(
    spectrogram: Float[Tensor, "batch bands frames"], harmonics: tuple[float, ...], num_places: int
) -> Float[Tensor, "batch harmonics places frames"]:
    """The spectrogram as it is seen from every place: one channel for each multiple of the place's frequency.

    What lies below the first band or above the last one is nothing, 0.
    """
    shifts = [round(_OCTAVE * math.log2(harmonic)) for harmonic in harmonics]
    below, above = max(0, -min(shifts)), max(0, max(shifts) + num_places - spectrogram.shape[1])
    padded = functional.pad(spectrogram, (0, 0, below, above))
    return torch.stack([padded[:, below + shift :][:, :num_places] for shift in shifts], dim=1)


@final
class HarmonicNetwork(ListenerNetwork):
    """Notes by their stacked harmonics; 16 kHz, clips of any length.

    Args:
        classes: The names of the classes of each attribute. Those of `pitch` are neighbouring MIDI numbers.
        sample_rate: 16,000 Hz.

    Raises:
        ConfigError: Another sample rate, or pitches with gaps.
    """

    def __init__(self, classes: Classes, sample_rate: int = RATE_HZ) -> None:
        super().__init__(classes, sample_rate)
        if sample_rate != RATE_HZ:
            raise ConfigError(f"sample_rate is {sample_rate}; the harmonic listener takes {RATE_HZ}")
        self.dim = EMBEDDING_DIM
        self.lowest_pitch, self.num_pitches = _range_of(classes)
        layers = len(_HARMONICS) + 2 * len(_SHORT_HARMONICS)
        self.stem = nn.Conv2d(layers, _MAP_CHANNELS, (5, 3), (BANDS_PER_SEMITONE, 1), padding=(1, 1))
        self.block = _Block(_MAP_CHANNELS)
        self.widen = nn.Conv2d(_MAP_CHANNELS, _PROFILE_CHANNELS, 1)
        self.squeeze = nn.Conv1d(2 * _PROFILE_CHANNELS, _PROFILE_CHANNELS, 1)
        self.compare = nn.Conv1d(
            _PROFILE_CHANNELS, _PROFILE_CHANNELS, _PROFILE_REACH, padding=_PROFILE_REACH // 2
        )
        self.salience = nn.Conv1d(_PROFILE_CHANNELS, _PITCH_CHANNELS, 1)
        self.evidence = nn.Conv1d(_PITCH_CHANNELS, 1, 1)
        self.coarse = nn.Conv1d(_PROFILE_CHANNELS, _COARSE_CHANNELS, 1)
        size = 5 * _PROFILE_CHANNELS + _COARSE_CHANNELS * _REGIONS + self.num_pitches
        self.embed = nn.Sequential(nn.Linear(size, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, EMBEDDING_DIM))
        others = [attribute for attribute in classes if attribute != "pitch"]
        self.hidden = nn.ModuleDict({each: nn.Linear(EMBEDDING_DIM, EMBEDDING_DIM) for each in others})
        self.answer = nn.ModuleDict({each: nn.Linear(EMBEDDING_DIM, len(classes[each])) for each in others})

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Heard:
        """What is heard in clips of one sample or more."""
        pooled = self._pooled(audio)
        squeezed = functional.gelu(self.squeeze(pooled))
        profile = functional.gelu(squeezed + self.compare(squeezed))
        salience = functional.gelu(self.salience(profile))
        evidence = self.evidence(salience)[:, 0]
        embedding = self._embedding(pooled, profile, evidence)
        features = {each: functional.gelu(layer(embedding)) for each, layer in self.hidden.items()}
        logits = {each: self.answer[each](features[each]) for each in features}
        if "pitch" in self.classes:
            features["pitch"], logits["pitch"] = salience.flatten(1), evidence
        return Heard(
            embedding.float(),
            {each: logits[each].float() for each in self.classes},
            {each: features[each].float() for each in self.classes},
        )

    def _pooled(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels pitches"]:
        """What convolutions see at each pitch: the mean over time, then the maximum."""
        num_places = BANDS_PER_SEMITONE * self.num_pitches
        with torch.autocast(audio.device.type, enabled=False):
            levelled = normalise_peak(audio.float())
            long, short = (log_spectrogram(levelled, each, self.lowest_pitch) for each in (_LONG, _SHORT))
            early, late = _in_pairs(short, long.shape[2])
            layers = [
                stacked(long, _HARMONICS, num_places),
                stacked(early, _SHORT_HARMONICS, num_places),
                stacked(late, _SHORT_HARMONICS, num_places),
            ]
            stack = torch.cat(layers, dim=1).contiguous(memory_format=torch.channels_last)
        seen = functional.relu(self.widen(self.block(self.stem(stack))))
        # The gradient of `max` goes to one frame, that of `amax` is shared and takes five passes over the map.
        return torch.cat([seen.mean(dim=3), seen.max(dim=3).values], dim=1)

    def _embedding(
        self,
        pooled: Float[Tensor, "batch channels pitches"],
        profile: Float[Tensor, "batch width pitches"],
        evidence: Float[Tensor, "batch pitches"],
    ) -> Float[Tensor, "batch dim"]:
        """The sound at the pitch that was found, as a whole, where there is sound, and which pitch that is."""
        found = torch.softmax(evidence, dim=1)
        at_pitch = torch.cat([pooled, profile], dim=1) @ found.to(pooled.dtype)[:, :, None]
        where = functional.adaptive_avg_pool1d(self.coarse(profile), _REGIONS).flatten(1)
        parts = [at_pitch[:, :, 0], profile.mean(dim=2), profile.amax(dim=2), where, found.to(pooled.dtype)]
        return self.embed(torch.cat(parts, dim=1))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a straight path, normalised within each clip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        # The block starts as the straight path alone.
        nn.init.zeros_(self.second.weight)

    def forward(
        self, maps: Float[Tensor, "batch width places frames"]
    ) -> Float[Tensor, "batch width places frames"]:
        """The maps, corrected."""
        return maps + self.second(functional.relu(self.first(functional.relu(self.norm(maps)))))


def _in_pairs(
    spectrogram: Float[Tensor, "batch bands short_frames"], num_frames: int
) -> tuple[Float[Tensor, "batch bands frames"], Float[Tensor, "batch bands frames"]]:
    """Every other frame, and those between; silence after the last."""
    padded = functional.pad(spectrogram, (0, max(0, 2 * num_frames - spectrogram.shape[2])))
    return padded[:, :, 0 : 2 * num_frames : 2], padded[:, :, 1 : 2 * num_frames : 2]


def _range_of(classes: Classes) -> tuple[int, int]:
    """The lowest MIDI pitch and how many there are."""
    if "pitch" not in classes:
        return _LOWEST_PITCH, _HIGHEST_PITCH - _LOWEST_PITCH + 1
    pitches = [int(name) for name in classes["pitch"]]
    if pitches != list(range(pitches[0], pitches[0] + len(pitches))):
        raise ConfigError("the harmonic listener takes neighbouring pitches in order")
    return pitches[0], len(pitches)
