"""Whether the phases of a note's overtones go on regularly, period after period.

Draw the periods of a recorded note over one another and they make one clear line; the figures of GANSynth do so. A
network that predicts a spectrum with careless phases makes a sound whose periods all differ: the magnitudes are
right, but the overtones flutter and the note sounds hoarse. Here that picture becomes a number.

Each overtone is demodulated: c_k(t) is its complex amplitude in the stretch t of the sound, stretches of 40 ms (or
four periods, if these are longer) that do not overlap. Where the overtone goes on regularly, its phase advances by
the same angle from each stretch to the next, whatever that angle is, so a constant error of the frequency, or
partials that are stretched, do no harm. The mean resultant length of these advances, each weighted by its magnitude,
is 1 for a steady overtone. Random advances do not average to 0 exactly but to 1/N in square, N being the effective
number of stretches; that is taken out. The coherence of a note is the mean over its first 16 overtones, weighted by
their magnitudes:

    R_k^2 = (N |sum_t w e^(i advance)|^2 / (sum_t w)^2 - 1) / (N - 1),  w = sqrt(|c_k(t)| |c_k(t + 1)|),
    N = (sum_t w)^2 / sum_t w^2,  coherence = sum_k w_k R_k / sum_k w_k

Of 276 recorded notes of ten instruments the median is 0.98 (5 to 95 %: 0.81 to 1.0); with the same magnitudes and a
random phase in every bin of every frame (1024 samples at 16 kHz) it is 0.08 (0 to 0.34). A fast vibrato lowers it a
little. Phases drawn once for the whole sound, rather than anew in every frame, keep most of their advance: such a
sound has lost its attack and little coherence (0.90).

References:
    J. Engel et al., GANSynth: adversarial neural audio synthesis, ICLR 2019,
    https://arxiv.org/abs/1902.08710 (figure 1)
    K. Mardia and P. Jupp, Directional statistics, Wiley 2000, section 2.3 (mean resultant length)
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.metrics.notes.readings import Readings

_STRETCH_S = 0.04
_STRETCH_PERIODS = 4.0
_MOST_PARTIALS = 16
_HIGHEST_SHARE = 0.47

# With fewer advances than this a resultant length says nothing.
_FEWEST_ADVANCES = 4


@torch.no_grad()
def phase_coherence(
    audio: Float[Tensor, "clips samples"], sample_rate: int, fundamental_hz: Readings
) -> Readings:
    """The phase coherence of each clip, from 0 (random) to 1 (regular).

    A clip without a fundamental, or shorter than five stretches, has none.
    """
    values = torch.zeros(len(audio), dtype=torch.float64)
    measured = torch.zeros(len(audio), dtype=torch.bool)
    pitches_hz = fundamental_hz.values.tolist()
    for clip, (samples, pitch_hz) in enumerate(zip(audio, pitches_hz, strict=True)):
        if not bool(fundamental_hz.measured[clip]) or pitch_hz >= _HIGHEST_SHARE * sample_rate:
            continue
        amplitudes = _amplitudes(samples, sample_rate, pitch_hz)
        if len(amplitudes) > _FEWEST_ADVANCES and bool(amplitudes.abs().max() > 0):
            values[clip], measured[clip] = _coherence(amplitudes), True
    return Readings.of(values, measured)


def _amplitudes(
    samples: Float[Tensor, " samples"], sample_rate: int, pitch_hz: float
) -> Complex[Tensor, "stretches partials"]:
    """The complex amplitude of each overtone below the Nyquist frequency in each stretch."""
    length = round(max(_STRETCH_S, _STRETCH_PERIODS / pitch_hz) * sample_rate)
    num_partials = min(_MOST_PARTIALS, math.floor(_HIGHEST_SHARE * sample_rate / pitch_hz))
    if len(samples) < length:
        return torch.zeros(0, num_partials, dtype=torch.complex128)
    window = torch.hann_window(length, dtype=torch.float64, device=samples.device)
    stretches = samples.double().unfold(-1, length, length) * window
    k = torch.arange(1, num_partials + 1, dtype=torch.float64, device=samples.device)
    times_s = torch.arange(length, dtype=torch.float64, device=samples.device) / sample_rate
    angle = -2 * math.pi * pitch_hz * times_s[:, None] * k
    return stretches.to(torch.complex128) @ torch.polar(torch.ones_like(angle), angle)


def _coherence(amplitudes: Complex[Tensor, "stretches partials"]) -> float:
    """The weighted mean over the overtones of how alike their advances are."""
    advance = amplitudes[1:] * amplitudes[:-1].conj()
    weight = advance.abs().sqrt()
    resultant = (advance / weight.clamp_min(1e-300)).sum(dim=0).abs()
    total = weight.sum(dim=0)
    effective = total.square() / weight.square().sum(dim=0).clamp_min(1e-300)
    length_squared = (resultant / total.clamp_min(1e-300)).square()
    unbiased = (effective * length_squared - 1) / (effective - 1).clamp_min(1e-9)
    coherence = unbiased.clamp(0, 1).sqrt()
    return float((coherence * total).sum() / total.sum().clamp_min(1e-300))
