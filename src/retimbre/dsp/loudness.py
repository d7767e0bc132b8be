"""How loud a sound is to a listener: the loudness of ITU-R BS.1770.

Power is not loudness: the ear hears little of a low rumble and more of the treble than its power tells. BS.1770 models
this coarsely and well enough for broadcasting: two filters ("K-weighting": a shelf that raises the treble by 4 dB for
the head, a high-pass for the ear), then the mean power in blocks of 400 ms, of which silent ones do not count (the
"gate"), so that a note followed by silence is as loud as the note. The unit is LUFS: dB relative to full scale, where a
sine of 997 Hz at full scale has -3.01.

The standard states its filters for 48 kHz. Here their frequency response is applied to the spectrum of the whole
sound, so any rate has the same weighting.

References:
    ITU-R BS.1770-4 (2015), "Algorithms to measure audio programme loudness and true-peak audio level",
    https://www.itu.int/rec/R-REC-BS.1770
"""

import functools
import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.dsp.level import peak

# The standard's filters at 48 kHz, as numerators and denominators: the shelf, then the high-pass.
_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
_FILTERS_RATE_HZ = 48_000
_OFFSET_DB = -0.691
_BLOCK_S, _BLOCK_HOP_S = 0.4, 0.1
# Blocks this far under the loudest sound there can be, or under the mean of the others, are silence.
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
# The high-pass rings so long until it is 60 dB down.
_RINGING_S = 0.1


def loudness_lufs(samples: Float[Tensor, " samples"], sample_rate: int) -> float:
    """The integrated loudness of one channel; minus infinity for silence.

    Twice the amplitude is 6.02 LU louder, however soft the sound: the absolute gate lies under full scale of the sound
    itself. A sound shorter than a block of 400 ms is one block.
    """
    loudest = float(peak(samples)) if samples.numel() else 0.0
    if loudest == 0.0:
        return -math.inf
    weighted = _k_weighted(samples.double() / loudest, sample_rate)
    length = min(len(weighted), round(_BLOCK_S * sample_rate))
    hop = max(1, round(_BLOCK_HOP_S * sample_rate))
    powers = weighted.unfold(0, length, hop).square().mean(dim=1)
    heard = powers[_lufs(powers) > _ABSOLUTE_GATE_LUFS]
    if not len(heard):
        return -math.inf
    heard = heard[_lufs(heard) > float(_lufs(heard.mean())) + _RELATIVE_GATE_LU]
    return float(_lufs(heard.mean())) + 20.0 * math.log10(loudest)


def _lufs(power: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return _OFFSET_DB + 10.0 * power.clamp_min(torch.finfo(torch.float64).tiny).log10()


def _k_weighted(samples: Float[Tensor, " samples"], sample_rate: int) -> Float[Tensor, " samples"]:
    # Silence before the sound's own wrapping around, for the filters' ringing.
    num_points = len(samples) + round(_RINGING_S * sample_rate)
    spectrum = torch.fft.rfft(samples, n=num_points)
    return torch.fft.irfft(spectrum * _response(num_points, sample_rate), n=num_points)[: len(samples)]


@functools.lru_cache(maxsize=8)
def _response(num_points: int, sample_rate: int) -> Complex[Tensor, " bins"]:
    """The weighting at the frequencies of a spectrum; above 24 kHz, which nobody hears, that of 24 kHz."""
    frequency_hz = torch.fft.rfftfreq(num_points, 1.0 / sample_rate, dtype=torch.float64)
    turns = frequency_hz.clamp_max(_FILTERS_RATE_HZ / 2) / _FILTERS_RATE_HZ
    delay = torch.polar(torch.ones_like(turns), -2.0 * math.pi * turns)
    response = torch.ones_like(delay)
    for numerator, denominator in _FILTERS:
        response = response * _polynomial(numerator, delay) / _polynomial(denominator, delay)
    return response


def _polynomial(
    coefficients: tuple[float, float, float], delay: Complex[Tensor, " bins"]
) -> Complex[Tensor, " bins"]:
    constant, linear, square = coefficients
    return constant + linear * delay + square * delay**2
