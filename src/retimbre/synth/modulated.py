"""Modulated oscillators under an envelope: what the voices of the paper and of the earlier systems have in common.

Their pitch is a knob. An oscillator is a wave read at a phase, and the phase is a carrier modulated by a sine:
in phase (`phase_modulated`, the paper) or in frequency (`frequency_modulated`, systems A and B). Each setting may
be one number per clip or a curve over it; as long as all stand still, a phase is a short sum of block products,
and with a curve among them it is worked out sample by sample.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth import oscillators as osc
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note
from retimbre.synth.clock import Blockwise, Clock, curve_at
from retimbre.synth.envelopes import Envelope
from retimbre.synth.fusing import fusible

WAVES = {"sin": osc.sine, "saw": osc.sawtooth, "tri": osc.triangle, "sqr": osc.square}


def transposed(frequency_hz: Tensor, note: Note) -> Tensor:
    """A frequency knob or curve at the note played."""
    ratio = note.pitch_hz / REFERENCE_PITCH_HZ
    return frequency_hz * (ratio if frequency_hz.ndim == 1 else ratio[:, None])


def over_time(knob: Tensor, clock: Clock) -> Float[Tensor, "batch samples"]:
    """A knob as a signal: a column that broadcasts if it stands still."""
    return (
        knob[:, None]
        if knob.ndim == 1
        else curve_at(knob, torch.linspace(0.0, 1.0, clock.num_samples, device=knob.device))
    )


def is_steady(*knobs: Tensor) -> bool:
    """Whether none of these is a curve."""
    return all(knob.ndim == 1 for knob in knobs)


def as_curve(knob: Tensor) -> Float[Tensor, "batch points"]:
    """A knob as a curve, of one point if it stands still."""
    return knob if knob.ndim == 2 else knob[:, None]


def phase_modulated(
    carrier_hz: Tensor, rate_hz: Tensor, index_rad: Tensor, clock: Clock
) -> Blockwise | Tensor:
    """The phase f t + B sin(2 pi v t) / 2 pi, in cycles; any of the three may be a curve."""
    index = index_rad / osc.TURN
    if is_steady(carrier_hz, rate_hz, index_rad):
        return osc.modulated_phase(carrier_hz, rate_hz, index, torch.zeros_like(index), clock)
    wobble = osc.sine(clock.samples_of(osc.curved_phase(as_curve(rate_hz), clock)))
    return clock.samples_of(osc.curved_phase(as_curve(carrier_hz), clock)) + over_time(index, clock) * wobble


def frequency_modulated(
    carrier_hz: Tensor, rate_hz: Tensor, depth: Tensor, clock: Clock
) -> Blockwise | Tensor:
    """The running sum, sample by sample, of f (1 + D sin(2 pi v t)), in cycles; any of the three may be a curve.

    The sum of a sine over samples is itself a sinusoid: with w = 2 pi v / rate,
    sum_{i<n} sin(w i) = (1 - cos(w n)) / (2 tan(w / 2)) - sin(w n) / 2. So a steady one needs no running sum.
    """
    if is_steady(carrier_hz, rate_hz, depth):
        swing = (carrier_hz * depth / clock.sample_rate).double()
        half = math.pi * rate_hz.double() / clock.sample_rate
        return osc.modulated_phase(carrier_hz, rate_hz, -0.5 * swing, 0.5 * swing / torch.tan(half), clock)
    wobble = osc.sine(clock.samples_of(osc.curved_phase(as_curve(rate_hz), clock)))
    per_sample = over_time(carrier_hz, clock) * (1.0 + over_time(depth, clock) * wobble) / clock.sample_rate
    phase = per_sample.double().cumsum(1) - per_sample
    return (phase - phase.detach().floor()).float()


@fusible
def bank(
    waves: tuple[str, ...],
    phases: list[Blockwise | Tensor],
    amplitudes: list[Tensor],
    envelope: Envelope,
    clock: Clock,
) -> Float[Tensor, "batch samples"]:
    """Oscillators, mixed and enveloped."""
    mixed = WAVES[waves[0]](clock.samples_of(phases[0])) * amplitudes[0]
    for wave, phase, amplitude in zip(waves[1:], phases[1:], amplitudes[1:], strict=True):
        mixed = torch.addcmul(mixed, WAVES[wave](clock.samples_of(phase)), amplitude)
    return mixed * envelope.sample(clock)


@fusible
def gated(
    audio: Float[Tensor, "batch samples"], phase: Blockwise, clock: Clock
) -> Float[Tensor, "batch samples"]:
    """The audio in the first half of each cycle, silence in the second."""
    return audio * (0.5 + 0.5 * osc.square(clock.samples_of(phase)))
