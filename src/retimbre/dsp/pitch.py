"""How high a note sounds: its fundamental frequency, f0.

A pitched sound repeats itself, and its pitch is how often. YIN looks for the period in time: it compares a stretch of
sound with itself delayed by every lag, adds up the squared differences, and divides each sum by the mean of those at
shorter lags, so that the result starts at 1 and dips towards 0 where the sound repeats. Every multiple of the period
dips as well; taking the first dip that is deep enough, rather than the deepest, is what avoids answers an octave too
low. How deep is enough depends on the sound: a steady oscillator dips to nothing, so that a shallow early dip (a
strong second harmonic) must be passed over, while a piano's stretched overtones never repeat exactly. So the bar is
set from the deepest dip itself. The depth that is reached, the aperiodicity, tells how much of the sound does not
repeat: near 0 for a flute, near 1 for a cymbal.

`yin` makes a track, one value per frame, for any number of sounds at once; `note_pitch` makes one robust estimate for
a sound that is one note.

References:
    A. de Cheveigné and H. Kawahara, YIN, a fundamental frequency estimator for speech and music, J. Acoust. Soc. Am.
    111(4), 2002, https://doi.org/10.1121/1.1458024
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample

LOWEST_HZ = 25.0
HIGHEST_HZ = 4_200.0
"""From below A0, the lowest key of a piano (27.5 Hz), to above C8, its highest (4,186 Hz)."""

# The first dip is taken that is below this offset plus this multiple of the deepest dip. So set, all 276 recorded
# notes (ten instruments, A0 to C7) that they were measured on get their octave; YIN's absolute 0.15 misses seven.
_BAR_OFFSET = 0.08
_BAR_RATIO = 1.75

# A frame counts as voiced below this aperiodicity: at most a third of its power does not repeat.
_VOICED_APERIODICITY = 0.3

# One note's analysis rate. At 48 kHz the period of C8 is 11 samples, and interpolation errs by less than 6 cents; at
# 16 kHz it is 4 samples, and errs by half a semitone.
_NOTE_RATE_HZ = 48_000

# Corners of the filter before one note's analysis. Microphone stands and rooms rumble near 25 Hz, 50 dB above a soft
# marimba note; with 120 Hz even a double bass keeps enough of its fundamental. Overtones above 8 kHz make dips so
# narrow that they can fall between two lags.
_RUMBLE_HZ = 120.0
_HISS_HZ = 8_000.0

# Of one note, at most this many frames are compared, spread evenly over the whole sound.
_NOTE_FRAMES = 128

# Frames further than 30 dB below the loudest are left out of one note's estimate: reverberation and noise.
_QUIETEST_SHARE = 1e-3

# How near to the median, in cents, a frame must be to speak for it.
_AGREEMENT_CENTS = 50.0

# Frames transformed at once: keeps a track of an hour within 100 MB.
_FRAMES_AT_ONCE = 512


@final
@dataclass(frozen=True)
class YinSettings:
    """What `yin` looks for, and how often.

    Attributes:
        lowest_hz: Lowest pitch found; a frame is two of its periods long.
        highest_hz: Highest pitch found.
        hop_s: Seconds from one frame to the next.

    Raises:
        ConfigError: frequencies that are not positive and ascending, or a hop that is not positive.
    """

    lowest_hz: float = LOWEST_HZ
    highest_hz: float = HIGHEST_HZ
    hop_s: float = 0.02

    def __post_init__(self) -> None:
        """Refuses settings that describe no search."""
        if not 0 < self.lowest_hz < self.highest_hz:
            raise ConfigError(
                f"pitch is sought from {self.lowest_hz} to {self.highest_hz} Hz; takes 0 < low < high"
            )
        if not self.hop_s > 0:
            raise ConfigError(f"hop_s is {self.hop_s}; takes a positive number of seconds")

    def max_lag(self, sample_rate: int) -> int:
        """The longest lag compared, with two samples to spare for the interpolation."""
        return math.ceil(sample_rate / self.lowest_hz) + 2

    def min_lag(self, sample_rate: int) -> int:
        """The shortest lag that can be a period."""
        return max(2, math.floor(sample_rate / self.highest_hz))


@final
@dataclass(frozen=True, eq=False)
class PitchTrack:
    """Pitch over time. Frame t starts at t hops; it is two periods of the lowest pitch long.

    Attributes:
        f0_hz: Fundamental frequency; a guess without meaning where the aperiodicity is high, 0 in digital silence.
        aperiodicity: 0 for a sound that repeats exactly, about 1 for noise and for silence.
    """

    f0_hz: Float[Tensor, "batch frames"]
    aperiodicity: Float[Tensor, "batch frames"]


@final
@dataclass(frozen=True)
class PitchEstimate:
    """The pitch of one note.

    Attributes:
        pitch_hz: Fundamental frequency; 0 for silence, and where nothing at all repeats.
        confidence: From 0 to 1: how much of the loud part of the sound repeats itself at this very pitch. Notes of
            instruments mostly have 0.9 and more, glides and chords about a half, snares and cymbals mostly under 0.2.
        voiced_fraction: From 0 to 1: the share of the loud frames that repeat at any pitch.
    """

    pitch_hz: float
    confidence: float
    voiced_fraction: float


@torch.no_grad()
def yin(samples: Float[Tensor, "batch samples"], sample_rate: int, settings: YinSettings) -> PitchTrack:
    """Tracks the pitch of each row by YIN. There is one frame at least; short sounds are padded with silence.

    Pitches above a tenth of the sample rate are quantised roughly (see `_NOTE_RATE_HZ`); resample for better.

    Raises:
        ValueError: the highest pitch is above half the sample rate.
    """
    if settings.highest_hz > sample_rate / 2:
        raise ValueError(f"no pitch of {settings.highest_hz} Hz can be found at {sample_rate} Hz")
    frames = _frames(samples, sample_rate, settings)
    batch, num_frames, length = frames.shape
    tracked = [
        _lowest_lag(part, settings.min_lag(sample_rate))
        for part in frames.reshape(-1, length).split(_FRAMES_AT_ONCE)
    ]
    lag = torch.cat([lag for lag, _ in tracked]).reshape(batch, num_frames)
    aperiodicity = torch.cat([depth for _, depth in tracked]).reshape(batch, num_frames)
    return PitchTrack(torch.where(lag > 0, sample_rate / lag.clamp_min(1), 0.0), aperiodicity)


@torch.no_grad()
def note_pitch(samples: Float[Tensor, " samples"], sample_rate: int) -> PitchEstimate:
    """Estimates the one pitch of a sound between 25 Hz and 4.2 kHz, whatever its rate.

    The median of the loud frames, each weighted by its amplitude and by how well it repeats. A sound too short to
    hold two periods of a low note is searched from the pitch of which it holds two.
    """
    if samples.numel() == 0 or not bool(samples.any()):
        return PitchEstimate(0.0, 0.0, 0.0)
    sound = _without_rumble_and_hiss(resample(samples, sample_rate, _NOTE_RATE_HZ))
    lowest_hz = max(LOWEST_HZ, min(2.2 * _NOTE_RATE_HZ / len(sound), HIGHEST_HZ / 2))
    settings = YinSettings(lowest_hz=lowest_hz)
    frames, amplitude = _loud(_frames(sound.unsqueeze(0), _NOTE_RATE_HZ, settings)[0])
    lag, aperiodicity = _lowest_lag(frames, settings.min_lag(_NOTE_RATE_HZ))
    weight = amplitude * (1 - aperiodicity)
    if not bool(weight.any()):
        return PitchEstimate(0.0, 0.0, 0.0)
    median = _weighted_median(lag, weight)
    near = (1_200 * (lag / median).log2()).abs() < _AGREEMENT_CENTS
    return PitchEstimate(
        pitch_hz=_NOTE_RATE_HZ / float(median),
        confidence=float((weight * near).sum() / amplitude.sum()),
        voiced_fraction=float((aperiodicity < _VOICED_APERIODICITY).double().mean()),
    )


def _frames(
    samples: Float[Tensor, "batch samples"], sample_rate: int, settings: YinSettings
) -> Float[Tensor, "batch frames length"]:
    """Overlapping stretches twice the longest lag long, as a view."""
    length = 2 * settings.max_lag(sample_rate)
    padded = fit_length(samples, max(length, samples.shape[-1]))
    return padded.unfold(-1, length, max(1, round(settings.hop_s * sample_rate)))


def _loud(
    frames: Float[Tensor, "frames length"],
) -> tuple[Float[Tensor, "loud length"], Float[Tensor, " loud"]]:
    """The frames within 30 dB of the loudest, thinned out evenly to a bounded number, and their RMS amplitudes."""
    power = frames.square().mean(dim=-1)
    loud = torch.nonzero(power >= _QUIETEST_SHARE * power.max()).flatten()
    loud = loud[:: math.ceil(len(loud) / _NOTE_FRAMES)]
    return frames[loud], power[loud].sqrt()


def _lowest_lag(
    frames: Float[Tensor, "frames length"], min_lag: int
) -> tuple[Float[Tensor, " frames"], Float[Tensor, " frames"]]:
    """Each frame's period in samples (0 in silence) and the aperiodicity there, between samples by a parabola."""
    difference = _normalised_difference(frames)
    num_lags = difference.shape[-1]
    inner = difference[:, 1:-1]
    dips = (inner <= difference[:, :-2]) & (inner < difference[:, 2:])
    dips = torch.nn.functional.pad(dips, (1, 1))
    dips[:, :min_lag] = False
    deepest = torch.where(dips, difference, 1.0).amin(dim=-1, keepdim=True)
    deep_enough = dips & (difference <= _BAR_OFFSET + _BAR_RATIO * deepest)
    lags = torch.arange(num_lags, device=frames.device)
    first = torch.where(deep_enough, lags, num_lags).amin(dim=-1)
    found = first < num_lags
    offset, depth = _parabola(difference, first.clamp(1, num_lags - 2))
    return torch.where(found, first + offset, 0.0), torch.where(found, depth.clamp(0, 1), 1.0)


def _normalised_difference(frames: Float[Tensor, "frames length"]) -> Float[Tensor, "frames lags"]:
    """The cumulative mean normalised difference function, equations 6 and 8 of the paper, for lags from 0 to half.

    The squared difference of a window and its delayed self is the energy of both less twice their correlation, which
    is a product of Fourier transforms. Lags run over half a frame, so a transform as long as the frame wraps nothing.
    """
    window = frames.shape[-1] // 2
    n_fft = 2 ** math.ceil(math.log2(frames.shape[-1]))
    spectrum = torch.fft.rfft(frames, n_fft)
    windowed = torch.fft.rfft(frames[:, :window], n_fft)
    correlation = torch.fft.irfft(spectrum * windowed.conj(), n_fft)[:, : window + 1]
    # Sums run in float64: a difference of two running sums loses what float32 cannot hold.
    running = torch.nn.functional.pad(frames.double().square().cumsum(dim=-1), (1, 0))
    energy = (running[:, window:] - running[:, : window + 1]).to(frames.dtype)
    difference = (energy[:, :1] + energy - 2 * correlation).clamp_min(0)
    lags = torch.arange(1, window + 1, dtype=frames.dtype, device=frames.device)
    mean_before = difference[:, 1:].cumsum(dim=-1) / lags
    tiny = torch.finfo(frames.dtype).tiny
    normalised = torch.where(mean_before > 0, difference[:, 1:] / mean_before.clamp_min(tiny), 1.0)
    return torch.cat([torch.ones_like(normalised[:, :1]), normalised], dim=-1)


def _parabola(
    values: Float[Tensor, "frames lags"], at: Tensor
) -> tuple[Float[Tensor, " frames"], Float[Tensor, " frames"]]:
    """The lowest point of the parabola through three neighbours: its offset from the middle one, and its value."""
    before, middle, after = (values.gather(1, (at + step).unsqueeze(1)).squeeze(1) for step in (-1, 0, 1))
    bend = (before - 2 * middle + after).clamp_min(torch.finfo(values.dtype).eps)
    offset = ((before - after) / (2 * bend)).clamp(-0.5, 0.5)
    return offset, middle - (before - after) * offset / 4


def _weighted_median(
    values: Float[Tensor, " values"], weights: Float[Tensor, " values"]
) -> Float[Tensor, ""]:
    """The value that has half of the weight at or below it."""
    ordered, order = values.sort()
    below = weights[order].double().cumsum(dim=0)
    return ordered[int((below >= below[-1] / 2).nonzero()[0])]


def _without_rumble_and_hiss(samples: Float[Tensor, " samples"]) -> Float[Tensor, " samples"]:
    """Keeps the band in which notes repeat, without delay.

    The gain is r^2 / (1 + r^2) / (1 + h^4), r and h being the frequency over the lower and the upper corner.
    """
    n_fft = 2 ** math.ceil(math.log2(len(samples) + _NOTE_RATE_HZ // 10))
    hz = torch.fft.rfftfreq(n_fft, 1 / _NOTE_RATE_HZ, dtype=samples.dtype, device=samples.device)
    low = (hz / _RUMBLE_HZ).square()
    gain = low / (1 + low) / (1 + (hz / _HISS_HZ) ** 4)
    return torch.fft.irfft(torch.fft.rfft(samples, n_fft) * gain, n_fft)[: len(samples)]
