"""Oscillators: phases, the waves that are read off them, and noise.

An oscillator is two things here: a *phase* in cycles, and a *wave*, a function of the phase with period 1.
Phases carry all of pitch: a steady tone, frequency or phase modulation by a sine (`modulated_phase`), or any
slow sweep (`swept_phase`). Waves carry all of timbre: the plain textbook ones below, which alias as the
earlier systems' did, and band-limited ones that are read from a table made of exactly the harmonics that fit
under the Nyquist frequency (`harmonic_table`, `read_table`).

Every wave starts at phase 0 as a sine does: at zero and rising (the square, at +1).
"""

import functools
import math

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from retimbre.core.random import generator
from retimbre.synth.clock import BLOCK_SAMPLES, Blockwise, Clock, curve_at
from retimbre.synth.fusing import fusible

TURN = 2.0 * math.pi
NOISE_SAMPLES = 1 << 18


# Phases, in cycles


def steady_phase(frequency_hz: Float[Tensor, " batch"], clock: Clock) -> Blockwise:
    """The phase of a constant frequency, in cycles."""
    none = torch.zeros_like(frequency_hz)
    return modulated_phase(frequency_hz, none, none, none, clock)


def modulated_phase(
    carrier_hz: Float[Tensor, " batch"],
    rate_hz: Float[Tensor, " batch"],
    sine_cycles: Float[Tensor, " batch"],
    cosine_cycles: Float[Tensor, " batch"],
    clock: Clock,
) -> Blockwise:
    """The phase f t + S sin(2 pi v t) + K (1 - cos(2 pi v t)), in cycles: a tone modulated by a sinusoid.

    Written out over a block (a = 2 pi v t at its start, b = 2 pi v t within it) this is four products of a
    function of the block and a function of the offset; the first is a constant per block and is reduced to its
    fraction of a cycle.

    Args:
        carrier_hz: f.
        rate_hz: v.
        sine_cycles: S, the modulation index over 2 pi of phase modulation by a sine.
        cosine_cycles: K; frequency modulation f (1 + D sin(2 pi v t)) has K = f D / (2 pi v).
    """
    return Blockwise(*_modulated_terms(carrier_hz, rate_hz, sine_cycles, cosine_cycles, clock))


@fusible
def _modulated_terms(
    carrier_hz: Tensor, rate_hz: Tensor, sine_cycles: Tensor, cosine_cycles: Tensor, clock: Clock
) -> tuple[Float[Tensor, "batch blocks 4"], Float[Tensor, "batch 4 offsets"]]:
    """The functions of the block and of the offset that `modulated_phase` is a sum of products of."""
    carrier, rate = carrier_hz.double()[:, None], rate_hz.double()[:, None]
    sine, cosine = sine_cycles.double()[:, None], cosine_cycles.double()[:, None]
    at_block, at_offset = TURN * rate * clock.block_s, TURN * rate * clock.offset_s
    sin_a, cos_a = torch.sin(at_block), torch.cos(at_block)
    start = carrier * clock.block_s + sine * sin_a + cosine * (1.0 - cos_a)
    start = start - start.detach().floor()
    left = [start, torch.ones_like(start), sine * sin_a - cosine * cos_a, sine * cos_a + cosine * sin_a]
    ones = torch.ones_like(at_offset)
    right = [ones, carrier * clock.offset_s, torch.cos(at_offset) - 1.0, torch.sin(at_offset)]
    return torch.stack(left, dim=2).float(), torch.stack(right, dim=1).float()


def swept_phase(frequency_hz: Float[Tensor, "batch edges"], clock: Clock) -> Blockwise:
    """The phase, in cycles, of a frequency given at the edges of the clock's blocks and straight between them."""
    frequency = frequency_hz.double()
    seconds = BLOCK_SAMPLES / clock.sample_rate
    per_block = (frequency[:, :-1] + frequency[:, 1:]) * (0.5 * seconds)
    start = torch.cat([torch.zeros_like(per_block[:, :1]), per_block.cumsum(1)[:, :-1]], dim=1)
    start = start - start.detach().floor()
    left = torch.stack([start, frequency[:, :-1], frequency.diff() / (2.0 * seconds)], dim=2).float()
    right = torch.stack([torch.ones_like(clock.offset_s), clock.offset_s, clock.offset_s.square()]).float()
    return Blockwise(left, right[None].expand(left.shape[0], -1, -1))


def curved_phase(frequency_hz: Float[Tensor, "batch points"], clock: Clock) -> Blockwise:
    """The phase of a frequency curve over the clip, in cycles."""
    return swept_phase(curve_at(frequency_hz, _edge_positions(clock)), clock)


def _edge_positions(clock: Clock) -> Float[Tensor, " edges"]:
    return clock.edge_s * (clock.sample_rate / max(clock.num_samples - 1, 1))


# Plain waves of a phase in cycles


def sine(phase: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """sin(2 pi phase)."""
    return torch.sin(phase * TURN)


def sawtooth(phase: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Rises from -1 to 1 once a cycle, through 0 at phase 0."""
    return 2.0 * (phase - (phase.detach() + 0.5).floor())


def triangle(phase: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Straight lines through 0, 1, 0, -1 at the quarters of a cycle."""
    shifted = phase - 0.25
    return 1.0 - 4.0 * (shifted - shifted.detach().round()).abs()


def square(phase: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """+1 in the first half of a cycle, -1 in the second."""
    return torch.where(phase - phase.floor() < 0.5, 1.0, -1.0)


# Band-limited waves


def harmonic_table(
    harmonics: Complex[Tensor, "batch harmonics"], highest_hz: Float[Tensor, " batch"], sample_rate: float
) -> Float[Tensor, "batch table"]:
    """One cycle of a wave made of the harmonics that stay under the Nyquist frequency, as a table.

    Args:
        harmonics: h_k, from the first: the wave is the real part of sum_k h_k exp(2 pi i k phase), so a sine
        is -i. How
            many there are sets the table's size: over five points per cycle of the highest, so that straight
            lines between the points of waves that fall off as 1/k err by less than -60 dB.
        highest_hz: The highest fundamental at which the table will be read; harmonics that would pass the
        Nyquist
            frequency there are left out, so that none aliases.
    """
    count = harmonics.shape[1]
    size = 1 << math.ceil(math.log2(max(5 * count, 2048)))
    number = torch.arange(1, count + 1, device=harmonics.device)
    audible = number * highest_hz[:, None] < 0.5 * sample_rate
    spectrum = torch.nn.functional.pad(harmonics * audible * (0.5 * size), (1, size // 2 - count))
    return torch.fft.irfft(spectrum, n=size)


def read_table(
    table: Float[Tensor, "batch table"], phase: Float[Tensor, "batch samples"]
) -> Float[Tensor, "batch samples"]:
    """The table at a phase in cycles, with straight lines between its points."""
    size = table.shape[1]
    closed = torch.cat([table, table[:, :1]], dim=1)
    place = (phase - phase.detach().floor()) * size
    left = place.detach().long().clamp(max=size - 1)
    low, high = closed.gather(1, left), closed.gather(1, left + 1)
    return torch.addcmul(low, high - low, place - left)


def sawtooth_harmonics(count: int, device: torch.device) -> Complex[Tensor, " harmonics"]:
    """The harmonics of `sawtooth`: sines of amplitude 2 / (pi k), of alternating sign."""
    number = torch.arange(1, count + 1, device=device)
    amplitude = (2.0 / math.pi) * (1.0 - 2.0 * ((number + 1) % 2)) / number
    return torch.complex(torch.zeros_like(amplitude), -amplitude)


def triangle_harmonics(count: int, device: torch.device) -> Complex[Tensor, " harmonics"]:
    """The harmonics of `triangle`: odd sines of amplitude 8 / (pi k)^2, of alternating sign."""
    number = torch.arange(1, count + 1, device=device)
    amplitude = (8.0 / math.pi**2) * torch.sin(number * (0.5 * math.pi)) / number.square()
    return torch.complex(torch.zeros_like(amplitude), -amplitude)


def pulse_harmonics(width: Float[Tensor, " batch"], count: int) -> Complex[Tensor, "batch harmonics"]:
    """The harmonics of a pulse that is high for a share `width` of the cycle, centred on phase 0, its mean removed."""
    number = torch.arange(1, count + 1, device=width.device)
    amplitude = (4.0 / math.pi) * torch.sin(math.pi * number * width[:, None]) / number
    return torch.complex(amplitude, torch.zeros_like(amplitude))


# Noise


def noise(seed: Int[Tensor, " batch"], clock: Clock) -> Float[Tensor, "batch samples"]:
    """White Gaussian noise of variance 1: a stretch of one fixed tape in a loop, starting where the seed says."""
    tape = _noise_tape(clock.device)
    turns = 1 + -(-clock.num_samples // NOISE_SAMPLES)
    start = (seed * 40503).remainder(NOISE_SAMPLES)  # a step that scatters neighbouring seeds over the tape
    return tape.repeat(turns).unfold(0, clock.num_samples, 1)[start]


@functools.cache
def _noise_tape(device: torch.device) -> Float[Tensor, " tape"]:
    return torch.randn(NOISE_SAMPLES, generator=generator(0, "noise tape")).to(device)
