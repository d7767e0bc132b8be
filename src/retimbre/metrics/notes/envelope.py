"""How the loudness of a note moves: its energy envelope, its attack and its decay.

The envelope is the power of the sound, averaged over a short window that slides along. Too short a window and the
envelope follows the waveform's own periods; too long and it blurs the attack. A Hann window of two periods has zeros
at the fundamental and at all of its overtones, so it takes out the waveform and nothing else. That is the window
here, 10 ms at least, and 20 ms where the period is unknown. A step is blurred to a rise of 0.48 windows between 10
and 90 %: shorter attacks than that read as that.

The attack time runs from 10 % to 90 % of the largest power; its decimal logarithm (LAT) is how differently two
attacks sound. Struck and plucked sounds then decay exponentially, which is a straight line in decibels, and its slope
is the decay in dB/s: -60 divided by the reverberation time. A held sound has a slope near 0.

An offset (DC) is no sound: the local mean over 0.1 s is taken out first.

References:
    G. Peeters et al., The Timbre Toolbox: extracting audio descriptors from musical signals,
    J. Acoust. Soc. Am. 130(5), 2011, https://doi.org/10.1121/1.3642604
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.dsp.level import peak
from retimbre.metrics.notes.readings import Readings

_SHORTEST_WINDOW_S = 0.01
_LONGEST_WINDOW_S = 0.1
_UNKNOWN_PITCH_WINDOW_S = 0.02
_PERIODS = 2.0
_OFFSET_WINDOW_S = 0.1

SILENT_DB = -80.0
"""A clip that never rises above this (full scale is 0 dB) is silent, as in `dsp.level.is_silent`."""

DEEPEST_DB = -40.0
"""Decays are followed, and envelopes compared, down to this below the largest power."""

# Noise is looked for in blocks of 50 ms. What is within 20 dB of the peak is the note itself; a fit stops 10 dB above
# the noise, where it adds 0.4 dB.
_NOISE_BLOCK_S = 0.05
_NOISE_AT_MOST_DB = -20.0
_NOISE_MARGIN_DB = 10.0

# A slope over less than this many windows is the window's, not the sound's.
_FEWEST_WINDOWS = 3.0


@final
@dataclass(frozen=True, eq=False)
class Envelope:
    """The power of some clips over time.

    Attributes:
        power: Mean square in a sliding Hann window, float64, a value per sample; 0 in silent clips.
        sample_rate: Values per second, that of the clips.
        start_s: The time of the first value: before the clip begins, so that an abrupt start is a rise from nothing.
        window_s: The window of each clip, in seconds.
        sounding: Which clips are not silent.
    """

    power: Float[Tensor, "clips times"]
    sample_rate: int
    start_s: float
    window_s: Float[Tensor, " clips"]
    sounding: Bool[Tensor, " clips"]

    @property
    def attack_end(self) -> Int[Tensor, " clips"]:
        """The index at which the power of each clip first reaches 90 % of its largest.

        The peak itself is a matter of chance in a held tone; this is where it begins.
        """
        near_top = self.power >= 0.9 * self.power.amax(dim=-1, keepdim=True)
        return near_top.to(torch.uint8).argmax(dim=-1)


@torch.no_grad()
def energy_envelope(
    audio: Float[Tensor, "clips samples"], sample_rate: int, pitch_hz: Float[Tensor, " clips"]
) -> Envelope:
    """The energy envelope of each clip.

    Args:
        audio: The clips.
        sample_rate: In Hz.
        pitch_hz: The fundamental frequency of each, 0 where it is not known.
    """
    pitch_hz = pitch_hz.to(audio.device)
    known = pitch_hz > 0
    periods_s = (_PERIODS / pitch_hz.double().clamp_min(1e-9)).clamp(_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S)
    window_s = torch.where(known, periods_s, _UNKNOWN_PITCH_WINDOW_S)
    moving = without_offset(audio, sample_rate)
    sounding = peak(moving) > 10 ** (SILENT_DB / 20) if moving.shape[-1] else torch.zeros_like(known)
    half = math.ceil(_LONGEST_WINDOW_S / 2 * sample_rate)
    padded = functional.pad(moving.square(), (half, half))
    power = _smoothed(padded, (window_s * sample_rate).clamp_min(1.0)).clamp_min(0.0)
    return Envelope(power * sounding[:, None], sample_rate, -half / sample_rate, window_s, sounding)


def without_offset(audio: Float[Tensor, "clips samples"], sample_rate: int) -> Float[Tensor, "clips samples"]:
    """The clips in float64 less their mean over the 0.1 s around each sample, as far as the clip goes."""
    audio = audio.double()
    if audio.shape[-1] == 0:
        return audio
    width = torch.full((len(audio),), max(_OFFSET_WINDOW_S * sample_rate, 1.0), dtype=torch.float64)
    width = width.to(audio.device)
    covered = _smoothed(torch.ones_like(audio[:1]), width[:1])
    return audio - _smoothed(audio, width) / covered


@torch.no_grad()
def attack_time(envelope: Envelope) -> Readings:
    """Seconds from the last time the power is under 10 % of its largest to the first time it reaches 90 %.

    Crossings are interpolated between samples. Silence has no attack.
    """
    power = envelope.power
    top = power.amax(dim=-1, keepdim=True)
    late = envelope.attack_end
    times = torch.arange(power.shape[-1], device=power.device)
    low = (power < 0.1 * top) & (times < late[:, None])
    early = (low * times).amax(dim=-1)
    measured = envelope.sounding & low.any(dim=-1)
    begin = early + _crossing(power, early, 0.1 * top[:, 0])
    before = (late - 1).clamp_min(0)
    end = before + _crossing(power, before, 0.9 * top[:, 0])
    return Readings.of((end - begin) / envelope.sample_rate, measured)


def log_attack_time(attack: Readings) -> Readings:
    """The decimal logarithm of attack times in seconds (LAT): -2 for 10 ms."""
    return Readings.of(attack.values.clamp_min(1e-6).log10(), attack.measured)


@torch.no_grad()
def decay_slope(envelope: Envelope) -> Readings:
    """The slope of the level after the attack in dB/s, by least squares; negative for a sound that dies away.

    The fit ends where the level first falls to -40 dB below the peak or to 10 dB above the clip's noise, or with the
    clip. Noise is the quietest 50 ms after it, if these are 20 dB below the peak. A clip with less than three
    windows between attack and end has no slope: it ends before it could decay.
    """
    power, rate = envelope.power, envelope.sample_rate
    top = power.amax(dim=-1, keepdim=True)
    level_db = _below(power, top)
    # The last half window is an average with what follows the clip, which is nothing.
    half = math.ceil(-envelope.start_s * rate)
    times = torch.arange(power.shape[-1], device=power.device)
    blurred = (envelope.window_s * rate / 2)[:, None]
    inside = (times >= envelope.attack_end[:, None]) & (times < power.shape[-1] - half - blurred)
    stop_db = _noise_db(level_db, inside, max(1, round(_NOISE_BLOCK_S * rate))) + _NOISE_MARGIN_DB
    stop_db = stop_db.clamp_min(DEEPEST_DB)[:, None]
    fallen = ((level_db < stop_db) & inside).cumsum(dim=-1) > 0
    fitted = inside & ~fallen
    slope_db = _slope(level_db, fitted) * rate
    long_enough = fitted.sum(dim=-1) >= _FEWEST_WINDOWS * envelope.window_s * rate
    return Readings.of(slope_db, envelope.sounding & long_enough)


@torch.no_grad()
def envelope_error_db(
    estimate: Float[Tensor, "clips times"], target: Float[Tensor, "clips times"], *, fit_gain: bool = False
) -> Readings:
    """How far envelopes are from targets: RMS of the difference in dB where the target is above -40 dB of its peak.

    Args:
        estimate: Power over time.
        target: Power over time, on the same times; a curve that was asked for, or the envelope of a reference.
        fit_gain: Whether a difference in overall level is forgiven: the mean difference in dB is then taken out.

    An estimate that is fainter than -60 dB of the target's peak counts as that. A silent target says nothing.
    """
    target, estimate = target.double(), estimate.double()
    top = target.amax(dim=-1, keepdim=True) if target.shape[-1] else target.new_zeros(len(target), 1)
    target_db = _below(target, top)
    heard = (target_db > DEEPEST_DB) & (top > 0)
    difference_db = torch.where(heard, _below(estimate, top).clamp_min(DEEPEST_DB - 20) - target_db, 0.0)
    count = heard.sum(dim=-1).clamp_min(1)
    if fit_gain:
        mean_db = difference_db.sum(dim=-1, keepdim=True) / count[:, None]
        difference_db = torch.where(heard, difference_db - mean_db, 0.0)
    return Readings.of((difference_db.square().sum(dim=-1) / count).sqrt(), heard.any(dim=-1))


def _smoothed(
    rows: Float[Tensor, "clips samples"], width: Float[Tensor, " clips"]
) -> Float[Tensor, "clips samples"]:
    """Each row averaged by a Hann window of its own width in samples; beyond the ends there is nothing."""
    half = math.ceil(float(width.max()) / 2)
    place = torch.arange(-half, half + 1, dtype=torch.float64, device=rows.device)
    turns = place / width[:, None]
    window = torch.where(turns.abs() < 0.5, 0.5 + 0.5 * torch.cos(2 * math.pi * turns), 0.0)
    window = window / window.sum(dim=-1, keepdim=True)
    n_fft = 2 ** math.ceil(math.log2(rows.shape[-1] + 2 * half + 1))
    spectrum = torch.fft.rfft(rows, n_fft) * torch.fft.rfft(window, n_fft)
    return torch.fft.irfft(spectrum, n_fft)[:, half : half + rows.shape[-1]]


def _crossing(
    power: Float[Tensor, "clips times"], at: Int[Tensor, " clips"], level: Float[Tensor, " clips"]
) -> Float[Tensor, " clips"]:
    """How far between `at` and the next sample the power reaches a level, from 0 to 1."""
    here = power.gather(1, at[:, None])[:, 0]
    there = power.gather(1, (at + 1).clamp_max(power.shape[-1] - 1)[:, None])[:, 0]
    rise = there - here
    return torch.where(rise > 0, (level - here) / rise.clamp_min(1e-300), 0.0).clamp(0.0, 1.0)


def _below(
    power: Float[Tensor, "clips times"], top: Float[Tensor, "clips 1"]
) -> Float[Tensor, "clips times"]:
    """Decibels below each row's top, no lower than -120."""
    return 10 * (power / top.clamp_min(1e-300)).clamp_min(1e-12).log10()


def _noise_db(
    level_db: Float[Tensor, "clips times"], inside: Bool[Tensor, "clips times"], block: int
) -> Float[Tensor, " clips"]:
    """The lowest mean level of a block after the peak; -120 where even that belongs to the note."""
    num_blocks = level_db.shape[-1] // block
    if num_blocks == 0:
        return level_db.new_full((len(level_db),), -120.0)
    cut = num_blocks * block
    whole = inside[:, :cut].reshape(-1, num_blocks, block).all(dim=-1)
    power = (10 ** (level_db[:, :cut] / 10)).reshape(-1, num_blocks, block).mean(dim=-1)
    quietest_db = 10 * torch.where(whole, power, 1.0).amin(dim=-1).clamp_min(1e-12).log10()
    return torch.where(quietest_db <= _NOISE_AT_MOST_DB, quietest_db, -120.0)


def _slope(
    values: Float[Tensor, "clips times"], where: Bool[Tensor, "clips times"]
) -> Float[Tensor, " clips"]:
    """The slope per sample of the least-squares line through the values that count."""
    times = torch.arange(values.shape[-1], dtype=torch.float64, device=values.device)
    count = where.sum(dim=-1, keepdim=True).clamp_min(1)
    centred = torch.where(where, times - (where * times).sum(dim=-1, keepdim=True) / count, 0.0)
    return (centred * values).sum(dim=-1) / centred.square().sum(dim=-1).clamp_min(1e-300)
