"""Complex numbers as real channels: the coordinates in which a network sees a spectrum.

A time-frequency transform gives complex coefficients, one per bin and frame; a network takes real numbers. The same
coefficient can be written in several coordinates, and they are not equally easy to learn:

    Cartesian                real and imaginary part. Linear, smooth, and dominated by the few loudest cells.
    Compressed               the same direction, the length raised to a power below one: soft cells become visible.
    Polar                    logarithm of the magnitude, and the phase. The magnitude is easy, the phase looks random.
    InstantaneousFrequency   logarithm of the magnitude, and how far the phase turns from one frame to the next. A
                             steady tone turns by the same angle each time, so it draws a constant line.

All are exact. That needs care in two places. A phase that is summed over frames would collect the rounding of every
frame; here sums and differences of phases have no error, however long a clip is (`representation.turns`). And the
logarithm of silence is minus infinity, so a floor is added to the magnitude and taken off again.

The way back is open to anything that a network says, and an untrained one may ask for the magnitude e^1000. Where a
length is bent, it is therefore cut at `LOUDEST`, far above any sound, so that what is decoded stays finite.

References:
    Engel et al. (2019), "GANSynth: Adversarial neural audio synthesis", https://arxiv.org/abs/1902.08710
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

import abc
import dataclasses
import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.representation.turns import MOST_TURN, from_polar, polar, running_phase, turns_of

# Keeps the logarithm of silence finite; the square of 1e-15.
_SMALLEST_POWER = 1e-30
_SMALLEST_GATE = 1e-15  # 300 dB below the loudest cell nobody hears what the phase does
# The largest magnitude that is decoded: a full-scale tone in 2**20 points has 2**19, a million times less. Its square,
# summed over a long clip, still fits a float32.
LOUDEST = 1e12
# Phases in units of pi beyond this, at which no float has a fraction left, would overflow as radians.
_MOST_PHASE = 1e30
# Below the least the slope of the logarithm at silence grows out of hand. Rounding errors are those of magnitude plus
# floor, so above the most they drown sounds that are 60 dB below full scale.
_LEAST_FLOOR, _MOST_FLOOR = 1e-15, 1e-3


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
        """Real channels to complex coefficients; any channels will do, as a generator makes them.

        Finite channels give finite coefficients, and where the coordinates bend magnitudes, none much above `LOUDEST`.
        """


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
        most = LOUDEST**self.exponent
        return _raise_length(Cartesian().to_spectrum(channels.clamp(-most, most)), 1.0 / self.exponent)


@dataclasses.dataclass(frozen=True)
class Polar(Coordinates):
    """`log(|z| + floor)` and the phase.

    Attributes:
        floor: Added to the magnitude, so that the logarithm of silence is finite; what is far below it is lost. 1e-15
            to 1e-3.
        radians: Whether the phase is in radians; otherwise in units of pi, so that it lies in [-1, 1].
    """

    floor: float = 1e-6
    radians: bool = False

    def __post_init__(self) -> None:
        """Refuses a floor that is none, or that drowns sounds."""
        _check_floor(self.floor)

    @property
    def exact(self) -> bool:
        """Up to the rounding of a logarithm, for magnitudes well above the floor."""
        return True

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """Log-magnitude and phase."""
        magnitude, angle = polar(spectrum)
        return _stack((magnitude + self.floor).log(), angle if self.radians else angle * (1.0 / math.pi))

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Magnitudes below zero, which a generator may make, count as zero; phases may have any size."""
        angle = channels[:, 1]
        if not self.radians:
            angle = angle.clamp(-_MOST_PHASE, _MOST_PHASE) * math.pi
        return from_polar(_exp(channels[:, 0], self.floor), angle)


@dataclasses.dataclass(frozen=True)
class InstantaneousFrequency(Coordinates):
    """`log(|z| + floor)` and the turn of the phase since the frame before, wrapped; the first frame has its phase.

    The turn is the instantaneous frequency in units of half the frame rate. Turns in units of pi lie in [-1, 1), so the
    phase unwrapped along time is their running sum.

    A gate fades the turns out where the clip is soft: they are noise there, which a generator can neither learn nor
    leave out unnoticed. It is `sigmoid(log magnitude - log peak of the clip - gate)`, in nepers, so one half at
    `gate_db` below the loudest cell. Since it follows from the magnitudes, decoding takes it off again. To leave it on
    would shift the phase of every partial that is not among the loudest: at -43 dB the signal-to-noise ratio of real
    notes is 6 dB with it and 128 dB without, and no lower than that of plain turns once these have errors of 1 %.

    Attributes:
        floor: Added to the magnitude, so that the logarithm of silence is finite; what is far below it is lost. 1e-15
            to 1e-3.
        radians: Whether turns are in radians; otherwise in units of pi.
        gate_db: Decibels relative to the loudest cell of the clip at which turns are halved; 0 stands for no gate.
    """

    floor: float = 1e-6
    radians: bool = False
    gate_db: float = 0.0

    def __post_init__(self) -> None:
        """Refuses a floor that is none or drowns sounds, and a gate above the loudest cell."""
        _check_floor(self.floor)
        if not (math.isfinite(self.gate_db) and self.gate_db <= 0.0):
            raise ConfigError(f"gate_db must be a negative number of decibels, or 0 for none: {self.gate_db}")

    @property
    def exact(self) -> bool:
        """Up to the rounding of a logarithm and of a phase, for magnitudes well above the floor."""
        return True

    def to_channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch 2 bins frames"]:
        """Log-magnitude and turns."""
        magnitude, angle = polar(spectrum)
        log_magnitude = (magnitude + self.floor).log()
        turns = turns_of(angle * (1.0 / math.pi), spare_bits=self._spare_bits)
        if self.gate_db:
            turns = turns * self._gate(log_magnitude)
        return _stack(log_magnitude, turns * math.pi if self.radians else turns)

    def to_spectrum(
        self, channels: Float[Tensor, "batch 2 bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        """Sums the turns up, each rounded to the angle that phases are multiples of and at most 255 units of pi."""
        turns = channels[:, 1] / math.pi if self.radians else channels[:, 1]
        if self.gate_db:
            # Where the gate is all but shut, a generator may ask for 1e15 turns; these have no slope either.
            turns = (turns / self._gate(channels[:, 0])).clamp(-MOST_TURN, MOST_TURN)
        phase = running_phase(turns, spare_bits=self._spare_bits)
        return from_polar(_exp(channels[:, 0], self.floor), phase * math.pi)

    @property
    def _spare_bits(self) -> int:
        # Multiplying and dividing (by pi, by the gate) is off by a unit or two in the last place.
        return 2 if self.radians or self.gate_db else 0

    def _gate(self, log_magnitude: Float[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
        nepers = self.gate_db * math.log(10.0) / 20.0
        peak = log_magnitude.amax(dim=(1, 2), keepdim=True)
        return torch.sigmoid(log_magnitude - peak - nepers).clamp_min(_SMALLEST_GATE)


def _raise_length(
    spectrum: Complex[Tensor, "batch bins frames"], exponent: float
) -> Complex[Tensor, "batch bins frames"]:
    """Complex numbers with their length raised to a power; zero stays zero, with a finite gradient."""
    # exp2 of log2 takes half the time of a general power.
    log_power = _power(spectrum).clamp_min(_SMALLEST_POWER).log2()
    return spectrum * torch.exp2(log_power * ((exponent - 1.0) / 2.0))


def _power(spectrum: Complex[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
    return spectrum.real.square() + spectrum.imag.square()


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
    """Magnitudes from `log(magnitude + floor)`, up to `LOUDEST`."""
    # Of silence this is zero exactly: the floor went through the same logarithm.
    floor_again = log_magnitude.new_tensor(floor).log().exp()
    return (log_magnitude.clamp_max(math.log(LOUDEST)).exp() - floor_again).clamp_min(0.0)


def _check_floor(floor: float) -> None:
    if not 0.0 < floor < math.inf:
        raise ConfigError(f"floor must be a positive magnitude, got {floor}")
    if not _LEAST_FLOOR <= floor <= _MOST_FLOOR:
        raise ConfigError(
            f"floor must lie between {_LEAST_FLOOR:g} and {_MOST_FLOOR:g}, got {floor:g}: a smaller one has no finite "
            "gradient at silence, a larger one drowns soft sounds in rounding errors"
        )
