"""Which keys of a piano are struck when, read from the sound alone.

This is a listener to check others by: it knows nothing of any generator and was trained on nothing. Where energy enters
the spectrum, notes begin (`onsets`). What begins there is what the spectrum has afterwards and had not before. On that
rise a comb is laid for each of the 88 keys, with teeth at the multiples of its frequency. The comb that explains most
is a key that was struck; what its teeth explain is taken away, and the next comb is laid, until one explains little
beside the first.

It hears about half of what is played in dense music, and is fooled by octaves, whose overtones coincide. That is enough
to tell sound that follows a score from sound that does not; it is no transcription. `benchmarks/midi_following.py` says
how much it finds in recordings of known MIDI, which is the most that can be asked of a generated sound.

References:
    A. Klapuri, Multiple fundamental frequency estimation by summing harmonic amplitudes, ISMIR 2006,
    https://ismir2006.ismir.net/PAPERS/ISMIR0662_Paper.pdf
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.onsets import find_onsets
from retimbre.dsp.stft import StftSettings, power

LOWEST_KEY, NUM_KEYS = 21, 88  # A0 to C8

# Long enough to tell semitones apart above 120 Hz; each bin is a few hertz wide after zero-padding.
_WINDOW_S, _HOP_S = 0.128, 0.016
_BEFORE_S, _AFTER_S = (-0.12, -0.05), (0.06, 0.13)  # middles of the windows on either side of an onset
_TOLERANCE_CENTS = 35.0
_STRETCH = 4e-4  # of a middle string's partials, by the square of their number
_TEETH = 10
_HIGHEST_HZ = 5_000.0
_COMPRESSION = 0.5
# Klapuri's weight of harmonic h of a pitch f: (f + 27 Hz) / (h f + 320 Hz).
_WEIGHT_LOW_HZ, _WEIGHT_HIGH_HZ = 27.0, 320.0
_MOST_KEYS = 6  # at one onset
_LEAST_SHARE = 0.35  # of the first comb that another one explains
_LEAST_ROOT = 0.12  # of the largest rise: without its fundamental a comb is that of another key


@final
@dataclass(frozen=True, order=True)
class KeyOnset:
    """A key that is struck.

    Attributes:
        at_s: When.
        key: Its MIDI number.
    """

    at_s: float
    key: int


@torch.no_grad()
def find_key_onsets(samples: Float[Tensor, " samples"], sample_rate: int) -> list[KeyOnset]:
    """The keys that are struck, in order of time; none in silence."""
    onsets = find_onsets(samples, sample_rate)
    if not len(onsets):
        return []
    size = 2 ** round(math.log2(_WINDOW_S * sample_rate))
    hop = max(1, round(_HOP_S * sample_rate))
    spectrum = power(samples[None], StftSettings(n_fft=size, hop_length=hop))[0].sqrt() ** _COMPRESSION
    combs = _combs(sample_rate, size)
    found: list[KeyOnset] = []
    for onset in onsets.tolist():
        rise = _rise(spectrum, onset / sample_rate, hop / sample_rate)
        found += [KeyOnset(onset / sample_rate, key) for key in _struck(rise, *combs)]
    return sorted(found)


def _rise(spectrum: Float[Tensor, "bins frames"], onset_s: float, hop_s: float) -> Float[Tensor, " bins"]:
    """How much of each bin there is after an onset that was not there before."""
    last = spectrum.shape[1] - 1

    def mean(ends: tuple[float, float]) -> Tensor:
        first, end = (round((onset_s + each) / hop_s) for each in ends)
        if end < 0:
            return torch.zeros_like(spectrum[:, 0])
        first = min(last, max(0, first))
        return spectrum[:, first : max(first, min(last, end)) + 1].mean(dim=1)

    return (mean(_AFTER_S) - mean(_BEFORE_S)).clamp_min(0.0)


def _combs(sample_rate: int, n_fft: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each key and tooth the first and last bin of the tooth, and what it weighs; 0 above the highest frequency."""
    key = torch.arange(LOWEST_KEY, LOWEST_KEY + NUM_KEYS)
    root_hz = 440.0 * 2.0 ** ((key[:, None] - 69) / 12)
    number = torch.arange(1, _TEETH + 1)
    tooth_hz = root_hz * number * (1.0 + _STRETCH * number**2).sqrt()
    width = 2.0 ** (_TOLERANCE_CENTS / 1200)
    first = (tooth_hz / width * n_fft / sample_rate).round().long()
    last = (tooth_hz * width * n_fft / sample_rate).round().long()
    weight = (root_hz + _WEIGHT_LOW_HZ) / (number * root_hz + _WEIGHT_HIGH_HZ)
    weight = torch.where(tooth_hz < min(_HIGHEST_HZ, 0.45 * sample_rate), weight, 0.0)
    top = n_fft // 2
    return first.clamp(max=top), last.clamp(max=top), weight


def _struck(rise: Float[Tensor, " bins"], first: Tensor, last: Tensor, weight: Tensor) -> list[int]:
    """The keys whose combs explain a rise, the strongest first."""
    largest = float(rise.max())
    if largest <= 0.0:
        return []
    rise, found, most = rise.clone(), [], 0.0
    span = int((last - first).max()) + 1
    place = first[..., None] + torch.arange(span)
    inside = place <= last[..., None]
    place = place.clamp(max=len(rise) - 1)
    for _ in range(_MOST_KEYS):
        teeth = torch.where(inside, rise[place], 0.0).amax(dim=-1)
        salience = (weight * teeth).sum(dim=1)
        salience = torch.where(teeth[:, 0] >= _LEAST_ROOT * largest, salience, 0.0)
        best = int(salience.argmax())
        strength = float(salience[best])
        most = max(most, strength)
        if strength <= 0.0 or strength < _LEAST_SHARE * most:
            break
        found.append(LOWEST_KEY + best)
        # A neighbouring bin is the slope of the same peak.
        for low, high, size in zip(first[best], last[best], weight[best], strict=True):
            if size > 0:
                rise[max(0, int(low) - 1) : int(high) + 2] *= 0.2
    return found
