"""Phases that never drift: angles as integers that turn over like the counter of an odometer.

The phase of a partial goes round and round; what matters of it is only where in the revolution it is. Differences of
phases from frame to frame, and the running sum that undoes them, are usually computed in floating point and wrapped
with a remainder; then every frame adds its rounding, and after some thousands the phase has drifted audibly.

An integer of 32 or 64 bits does this without error. Let its whole range be one revolution: then overflow, which
throws away whole ranges, throws away whole revolutions. A phase is rounded once to a multiple of `pi * 2 ** -23` (in
float64 `pi * 2 ** -52`), as fine as the mantissa that will hold it, and from there on sums and differences are exact.
The rounding would have gradient zero, so each function hands back the gradient of what it approximates.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

# Where there is less power nothing depends on the phase: the derivative would not fit a float32.
_SMALLEST_POWER = 1e-30
_PHASE_BITS = {torch.float32: 23, torch.float64: 52}
_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}
# Turns beyond this many units of pi, which no spectrum has, would not fit the integers.
MOST_TURN = 255.0


def polar(
    spectrum: Complex[Tensor, "batch bins frames"],
) -> tuple[Float[Tensor, "batch bins frames"], Float[Tensor, "batch bins frames"]]:
    """Magnitude and phase in radians."""
    # On parts that lie apart, without gaps, the arc tangent takes a tenth of the time.
    return _Polar.apply(spectrum.real.clone(), spectrum.imag.clone())


def from_polar(
    magnitude: Float[Tensor, "batch bins frames"], angle: Float[Tensor, "batch bins frames"]
) -> Complex[Tensor, "batch bins frames"]:
    """The complex numbers of a magnitude and a phase in radians, in a quarter of the time of `torch.polar`."""
    return torch.complex(magnitude * angle.cos(), magnitude * angle.sin())


def turns_of(phase: Float[Tensor, "*batch frames"], *, spare_bits: int) -> Float[Tensor, "*batch frames"]:
    """Phases to their differences along the last axis, wrapped to [-1, 1); the first one stays. In units of pi.

    Args:
        phase: In [-1, 1].
        spare_bits: By how many bits to be coarser than the mantissa, where what follows is not exact.
    """
    return _Turns.apply(phase, _PHASE_BITS[phase.dtype] - spare_bits)


def running_phase(
    turns: Float[Tensor, "*batch frames"], *, spare_bits: int
) -> Float[Tensor, "*batch frames"]:
    """Undoes `turns_of`: the running sum, wrapped to [-1, 1).

    Args:
        turns: Rounded to the angles that phases are multiples of, and at most 255 units of pi.
        spare_bits: As for `turns_of`.
    """
    return _RunningPhase.apply(turns, _PHASE_BITS[turns.dtype] - spare_bits)


class _Turns(torch.autograd.Function):
    """Phases to their wrapped differences along the last axis, exactly; the gradient is that of plain differences."""

    @staticmethod
    def forward(ctx: Any, phase: Float[Tensor, "*shape"], bits: int) -> Float[Tensor, "*shape"]:
        """Phases in units of pi; the first one stays."""
        counts = _to_counts(phase, bits)
        turns = counts.clone()
        turns[..., 1:] -= counts[..., :-1]
        return _from_counts(turns, phase.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The transpose of differences: what a phase adds to its own turn, it takes from the next one."""
        (gradient,) = gradients
        return torch.cat([gradient[..., :-1] - gradient[..., 1:], gradient[..., -1:]], dim=-1), None


class _RunningPhase(torch.autograd.Function):
    """Turns to their running sum along the last axis, wrapped, exactly; the gradient is that of a plain sum."""

    @staticmethod
    def forward(ctx: Any, turns: Float[Tensor, "*shape"], bits: int) -> Float[Tensor, "*shape"]:
        """Turns in units of pi."""
        counts = _to_counts(turns.clamp(-MOST_TURN, MOST_TURN), bits)
        return _from_counts(counts.cumsum(dim=-1, dtype=counts.dtype), turns.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The transpose of a running sum is one from the other end."""
        (gradient,) = gradients
        return gradient.flip(-1).cumsum(dim=-1).flip(-1), None


class _Polar(torch.autograd.Function):
    """Real and imaginary parts to magnitude and phase in radians; both gradients are finite at zero."""

    @staticmethod
    def forward(
        ctx: Any, real: Float[Tensor, "*shape"], imaginary: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The phase of zero is zero."""
        magnitude = torch.addcmul(real.square(), imaginary, imaginary).sqrt_()
        ctx.save_for_backward(real, imaginary)
        return magnitude, torch.atan2(imaginary, real)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Where there is nothing to have a phase, nothing depends on it."""
        of_magnitude, of_angle = gradients
        real, imaginary = ctx.saved_tensors
        power = real.square() + imaginary.square()
        audible = power > _SMALLEST_POWER
        radial = of_magnitude * power.clamp_min(_SMALLEST_POWER).rsqrt()
        around = torch.where(audible, of_angle / power.clamp_min(_SMALLEST_POWER), 0.0)
        return radial * real - around * imaginary, radial * imaginary + around * real


def _to_counts(phase: Float[Tensor, "*shape"], bits: int) -> Int[Tensor, "*shape"]:
    """Phases in units of pi to integers whose whole range is one revolution, so that overflow turns them back.

    They are multiples of `pi * 2 ** -bits`; the last bits of the integers are zero.
    """
    integer = _INTEGERS[phase.dtype]
    return (phase * 2.0**bits).round_().to(integer) << (torch.iinfo(integer).bits - 1 - bits)


def _from_counts(counts: Int[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Such integers to phases in [-1, 1)."""
    return counts.to(dtype) * 2.0 ** -(torch.iinfo(counts.dtype).bits - 1)
