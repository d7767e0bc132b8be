"""Whether more than one pitch sounds at once.

A pitched note is a comb of overtones near the multiples of one frequency. So a comb is laid over the peaks of a
spectrum where it fits best, what it explains is taken away, and a second comb is laid over the rest. For one note the
rest is little; for a chord the second comb fits about as well as the first. Low teeth count most, as they do to the
ear, since otherwise a comb of a very low pitch would explain everything.

References:
    A. Klapuri, Multiple fundamental frequency estimation by summing harmonic amplitudes, ISMIR 2006,
    https://ismir2006.ismir.net/PAPERS/ISMIR0662_Paper.pdf
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from retimbre.dsp.level import is_silent
from retimbre.dsp.pitch import HIGHEST_HZ, LOWEST_HZ
from retimbre.dsp.stft import StftSettings, power

POLYPHONIC_ABOVE = 0.45
"""Above this, a pitched sound is more likely a chord: right for 90 % of 276 single recorded notes (ten instruments)
and for 94 % of pairs of them. Octaves, which share their overtones, were left out, and pass for one note."""

# Long enough to tell the partials of two notes a semitone apart above 130 Hz.
_WINDOW_S = 0.37

# Frames averaged from the loudest on, a quarter of a window apart: half a second in all.
_NUM_FRAMES = 4

# Peaks are kept down to 50 dB below the highest, and up to 8 kHz: what lies beyond is rarely a partial by itself.
_PEAK_FLOOR_DB = -50.0
_HIGHEST_PEAK_HZ = 8_000.0

# A peak fits a tooth within this many cents: stretched strings need 20 or so, a semitone (100) must not fit.
_TOLERANCE_CENTS = 40.0

# Amplitudes are compressed as hearing does, so that one strong partial is not the whole chord.
_COMPRESSION = 0.6

# Teeth of a comb, and how many of them a peak may be when pitches to try are derived from it.
_NUM_HARMONICS = 20
_HARMONICS_TRIED = 5

# Klapuri's weight of harmonic h of a pitch f: (f + 27 Hz) / (h f + 320 Hz).
_WEIGHT_LOW_HZ = 27.0
_WEIGHT_HIGH_HZ = 320.0


@torch.no_grad()
def polyphony(samples: Float[Tensor, " samples"], sample_rate: int) -> float:
    """How strong a second pitch is, as a share of the strongest one: from 0 (one pure tone) to 1.

    Judged at the loudest half second. Compare it with `POLYPHONIC_ABOVE`, and only where `note_pitch` is confident
    or the sound is known to be pitched: drums and noise have no comb at all, which gives high values too.
    """
    if is_silent(samples):
        return 0.0
    frequency_hz, amplitude = _spectral_peaks(samples, sample_rate)
    first, explained = _strongest_comb(frequency_hz, amplitude)
    second, _ = _strongest_comb(frequency_hz[~explained], amplitude[~explained])
    return min(1.0, second / first) if first > 0 else 0.0


def _spectral_peaks(
    samples: Float[Tensor, " samples"], sample_rate: int
) -> tuple[Float[Tensor, " peaks"], Float[Tensor, " peaks"]]:
    """Frequency and relative amplitude of the peaks of the loudest half second, between bins by a parabola."""
    n_fft = 2 ** round(math.log2(_WINDOW_S * sample_rate))
    spectrum = power(samples.unsqueeze(0), StftSettings(n_fft=n_fft, hop_length=n_fft // 4))[0]
    loudest = int(spectrum.sum(dim=0).argmax())
    spectrum = spectrum[:, loudest : loudest + _NUM_FRAMES].mean(dim=1)
    level_db = 10 * (spectrum / spectrum.max()).clamp_min(1e-12).log10()
    below, level, above = level_db[:-2], level_db[1:-1], level_db[2:]
    bend = (below - 2 * level + above).clamp_max(-1e-6)
    offset = ((below - above) / (2 * bend)).clamp(-0.5, 0.5)
    frequency_hz = (torch.arange(1, len(level_db) - 1, device=samples.device) + offset) * (
        sample_rate / n_fft
    )
    kept = (level > below) & (level >= above) & (level > _PEAK_FLOOR_DB)
    kept &= (frequency_hz > LOWEST_HZ) & (frequency_hz < _HIGHEST_PEAK_HZ)
    return frequency_hz[kept], 10 ** (level[kept] / 20)


def _strongest_comb(
    frequency_hz: Float[Tensor, " peaks"], amplitude: Float[Tensor, " peaks"]
) -> tuple[float, Bool[Tensor, " peaks"]]:
    """The salience of the pitch whose harmonics explain the peaks best, and which peaks those are."""
    divisors = torch.arange(1, _HARMONICS_TRIED + 1, device=frequency_hz.device)
    pitch_hz = (frequency_hz[:, None] / divisors).flatten()
    pitch_hz = pitch_hz[(pitch_hz >= LOWEST_HZ) & (pitch_hz <= HIGHEST_HZ)][:, None]
    if len(pitch_hz) == 0:
        return 0.0, torch.zeros_like(frequency_hz, dtype=torch.bool)
    harmonic = (frequency_hz / pitch_hz).round().clamp(1, _NUM_HARMONICS)
    fits = (1_200 * (frequency_hz / (harmonic * pitch_hz)).log2()).abs() < _TOLERANCE_CENTS
    weight = (pitch_hz + _WEIGHT_LOW_HZ) / (harmonic * pitch_hz + _WEIGHT_HIGH_HZ)
    contribution = torch.where(fits, weight * amplitude**_COMPRESSION, 0.0)
    # One tooth, one peak: the strongest.
    teeth = torch.zeros(
        len(pitch_hz), _NUM_HARMONICS + 1, dtype=contribution.dtype, device=contribution.device
    )
    salience = teeth.scatter_reduce(1, harmonic.long(), contribution, "amax").sum(dim=1)
    best = int(salience.argmax())
    return float(salience[best]), fits[best]
