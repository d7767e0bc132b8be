"""Complex numbers as real channels: the coordinates in which a network sees a spectrum.

A time-frequency transform gives complex coefficients, one per bin and frame; a network takes real numbers. The same
coefficient can be written in several coordinates, and they are not equally easy to learn:

    Cartesian                real and imaginary part. Linear, smooth, and dominated by the few loudest cells.
    Compressed               the same direction, the length raised to a power below one: soft cells become visible.
    Polar                    logarithm of the magnitude, and the phase. The magnitude is easy, the phase looks random.
    InstantaneousFrequency   logarithm of the magnitude, and how far the phase turns from one frame to the next. A
                             steady tone turns by the same angle each time, so it draws a constant line.

All are exact except a gated instantaneous frequency. Exactness needs care in two places. A phase that is summed over
frames would collect the rounding of every frame; here phases are whole multiples of a small angle, kept as integers
that turn over like the counter of an odometer, so sums and differences have no error however long a clip is. And the
logarithm of silence is minus infinity, so a floor is added to the magnitude; `expm1` takes it off again.

References:
    Engel et al. (2019), "GANSynth: Adversarial neural audio synthesis", https://arxiv.org/abs/1902.08710
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

import abc
import dataclasses
import math
from typing import Any

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError

# For a cell of less power nothing depends on its phase; below, the derivative would not fit a float32.
_SMALLEST_POWER = 1e-30
# The phase is a whole multiple of pi * 2 ** -bits: as fine as the mantissa that has to hold it.
_PHASE_BITS = {torch.float32: 23, torch.float64: 52}
_PHASE_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}
# Products with pi and quotients by it are off by a unit in the last place, so angles in radians are two bits coarser.
_BITS_FOR_RADIANS = 2
# Turns beyond this many units of pi, which no spectrum has, would not fit the integers.
_MOST_TURN = 255.0


class Coordinates(abc.ABC):
    """A way to write complex spectra as real channels. Final subclasses are frozen dataclasses."""

    @property
    @abc.abstractmethod
    def exact(self) -> bool:
        """Whether `to_spectrum` undoes `to_channels` up to rounding."""

    @property
    def num_channels(self) -> int:
        """Channels of the result."""
        return 2

    @abc.abstractmethod
    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch channels bins frames"]:
        """Complex coefficients to real channels, with finite gradients everywhere, silence included."""

    @abc.abstractmethod
    def to_spectrum(
        self, channels: Float[Tensor, "batch channels bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Real channels to complex coefficients; any channels will do, as a generator makes them."""


@dataclasses.dataclass(frozen=True)
class Cartesian(Coordinates):
    """Real part, imaginary part."""

    @property
    def exact(self) -> bool:
        """Nothing is even rounded."""
        return True

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """A view of the spectrum, without copying."""
        return torch.view_as_real(spectrum).movedim(-1, 1)

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """The complex numbers of two channels; of those that `to_channels` gave, a view."""
        parts = channels.movedim(1, -1)
        pairs = [parts.storage_offset(), *parts.stride()[:-1]]
        if parts.stride(-1) == 1 and not any(step % 2 for step in pairs):
            return torch.view_as_complex(parts)
        return torch.complex(channels[:, 0], channels[:, 1])


@dataclasses.dataclass(frozen=True)
class Compressed(Coordinates):
    """Real and imaginary part of `|z| ** exponent * z / |z|`: the phase as it is, the magnitude compressed.

    Attributes:
        exponent: Of the magnitude, 0.1 to 1; 0.3 makes loudness about as even as the ear does. Expanding magnifies
            rounding errors by its inverse.
    """

    exponent: float = 0.3

    def __post_init__(self) -> None:
        """Refuses an exponent that would not compress, or would bury the spectrum in rounding errors."""
        if not 0.1 <= self.exponent <= 1.0:
            raise ConfigError(f"exponent must lie between 0.1 and 1, got {self.exponent}")

    @property
    def exact(self) -> bool:
        """A power can be undone."""
        return True

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """Scales both parts by |z| ** (exponent - 1)."""
        return Cartesian().to_channels(_raise_length(spectrum, self.exponent))

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Scales both parts back."""
        return _raise_length(Cartesian().to_spectrum(channels), 1.0 / self.exponent)


@dataclasses.dataclass(frozen=True)
class Polar(Coordinates):
    """`log(|z| + floor)` and the phase.

    Attributes:
        floor: Added to the magnitude, so that the logarithm of silence is finite; what is far below it is lost.
        radians: Whether the phase is in radians; otherwise in units of pi, so that it lies in [-1, 1].
    """

    floor: float = 1e-6
    radians: bool = False

    def __post_init__(self) -> None:
        """Refuses a floor that is none."""
        _check_floor(self.floor)

    @property
    def exact(self) -> bool:
        """Up to the rounding of a logarithm, for magnitudes well above the floor."""
        return True

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """Log-magnitude and phase."""
        magnitude, angle = _polar(spectrum)
        return _stack((magnitude + self.floor).log(), angle if self.radians else angle * (1.0 / math.pi))

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Magnitudes below zero, which a generator may make, count as zero; phases may have any size."""
        angle = channels[:, 1] if self.radians else channels[:, 1] * math.pi
        return _from_polar(_exp(channels[:, 0], self.floor), angle)


@dataclasses.dataclass(frozen=True)
class InstantaneousFrequency(Coordinates):
    """`log(|z| + floor)` and the turn of the phase since the frame before, wrapped; the first frame has its phase.

    The turn is the instantaneous frequency in units of half the frame rate. Turns in units of pi lie in [-1, 1), so the
    phase unwrapped along time is their running sum.

    A gate fades the turns out where the clip is soft: they are noise there, which a generator can neither learn nor
    be told apart by. It is `sigmoid(log magnitude - log peak of the clip - gate)`, in nepers, so one half at
    `gate_db` below the loudest cell. A gated frequency cannot be undone exactly.

    Attributes:
        floor: Added to the magnitude, so that the logarithm of silence is finite; what is far below it is lost.
        radians: Whether turns are in radians; otherwise in units of pi.
        gate_db: Decibels relative to the loudest cell of the clip at which turns are halved; 0 stands for no gate.
    """

    floor: float = 1e-6
    radians: bool = False
    gate_db: float = 0.0

    def __post_init__(self) -> None:
        """Refuses a floor that is none and a gate above the loudest cell."""
        _check_floor(self.floor)
        if not (math.isfinite(self.gate_db) and self.gate_db <= 0.0):
            raise ConfigError(f"gate_db must be a negative number of decibels, or 0 for none: {self.gate_db}")

    @property
    def exact(self) -> bool:
        """Unless gated."""
        return self.gate_db == 0.0

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """Log-magnitude and turns."""
        magnitude, angle = _polar(spectrum)
        log_magnitude = (magnitude + self.floor).log()
        turns = _Turns.apply(angle * (1.0 / math.pi), self._bits(angle))
        if self.gate_db:
            turns = turns * self._gate(log_magnitude)
        return _stack(log_magnitude, turns * math.pi if self.radians else turns)

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Sums the turns up. They may be as far as 255 units of pi, and are rounded to the angles that phases are multiples of."""
        turns = channels[:, 1] / math.pi if self.radians else channels[:, 1]
        phase = _RunningPhase.apply(turns, self._bits(turns))
        return _from_polar(_exp(channels[:, 0], self.floor), phase * math.pi)

    def _bits(self, like: Float[Tensor, "batch bins frames"]) -> int:
        return _PHASE_BITS[like.dtype] - (_BITS_FOR_RADIANS if self.radians else 0)

    def _gate(self, log_magnitude: Float[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
        nepers = self.gate_db * math.log(10.0) / 20.0
        return torch.sigmoid(log_magnitude - log_magnitude.amax(dim=(1, 2), keepdim=True) - nepers)


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
        counts = _to_counts(turns.clamp(-_MOST_TURN, _MOST_TURN), bits)
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
    integer = _PHASE_INTEGERS[phase.dtype]
    return (phase * 2.0**bits).round_().to(integer) << (torch.iinfo(integer).bits - 1 - bits)


def _from_counts(counts: Int[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Such integers to phases in [-1, 1)."""
    return counts.to(dtype) * 2.0 ** -(torch.iinfo(counts.dtype).bits - 1)


def _raise_length(
    spectrum: Complex[Tensor, "batch bins frames"], exponent: float
) -> Complex[Tensor, "batch bins frames"]:
    """Complex numbers with their length raised to a power; zero stays zero, with a finite gradient."""
    # exp2 of log2 takes half the time of a general power.
    log_power = _power(spectrum).clamp_min(_SMALLEST_POWER).log2()
    return spectrum * torch.exp2(log_power * ((exponent - 1.0) / 2.0))


def _power(spectrum: Complex[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
    return spectrum.real.square() + spectrum.imag.square()


def _polar(
    spectrum: Complex[Tensor, "batch bins frames"],
) -> tuple[Float[Tensor, "batch bins frames"], Float[Tensor, "batch bins frames"]]:
    """Magnitude and phase in radians."""
    # On parts that lie apart, without gaps, the arc tangent takes a tenth of the time.
    return _Polar.apply(spectrum.real.clone(), spectrum.imag.clone())


def _from_polar(
    magnitude: Float[Tensor, "batch bins frames"], angle: Float[Tensor, "batch bins frames"]
) -> Complex[Tensor, "batch bins frames"]:
    # Four times as fast as torch.polar.
    return torch.complex(magnitude * angle.cos(), magnitude * angle.sin())


def _stack(
    first: Float[Tensor, "batch bins frames"], second: Float[Tensor, "batch bins frames"]
) -> Float[Tensor, "batch 2 bins frames"]:
    """Two channels, with the axes in the order in which they are in memory: a change of order is a slow copy."""
    if first.stride(-1) <= first.stride(-2):
        return torch.stack([first, second], dim=1)
    return torch.stack([first.mT, second.mT], dim=1).mT


def _exp(
    log_magnitude: Float[Tensor, "batch bins frames"], floor: float
) -> Float[Tensor, "batch bins frames"]:
    """Magnitudes from `log(magnitude + floor)`."""
    log_floor = log_magnitude.new_tensor(floor).log()
    return torch.expm1(log_magnitude - log_floor).clamp_min(0.0) * floor


def _check_floor(floor: float) -> None:
    if not 0.0 < floor < math.inf:
        raise ConfigError(f"floor must be a positive magnitude, got {floor}")
