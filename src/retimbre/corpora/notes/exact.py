"""Powers, logarithms and sines that have the same bits on every machine.

IEEE 754 fixes the result of adding, multiplying, dividing, taking a square root and rounding to the last bit. It says
nothing of exponentials and sines: each library has its own, several for the different instruction sets of one
processor family, and they disagree in the last bit now and then. Nor does it fix sums, because adding in another order
rounds otherwise, and a processor with wider vectors adds in another order. A corpus that is to have one checksum
everywhere is therefore made of three things alone:

- single operations of the fixed kind, where powers of two come from a polynomial (`exp2`);
- tables of sines and logarithms that are rounded to a grid far coarser than the libraries disagree by, and whose
  entries are nowhere near the middle between two grid points;
- sums of whole numbers below 2^53, which float64 holds exactly in whatever order they are added. That makes even a
  matrix product the same everywhere.

References:
    IEEE Standard for Floating-Point Arithmetic, IEEE Std 754-2019, https://doi.org/10.1109/IEEESTD.2019.8766229
    J.-M. Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, Birkhäuser, 2016, chapter 11 (exp2)
"""

import dataclasses
import functools
import itertools
import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

SINE_STEPS = 8_192
SINE_SCALE = 1 << 20
"""One turn in steps, and the whole number that stands for 1 in the table of sines."""

_LOG_GRID = 1 << 24  # logarithms are rounded to 6e-8, libraries disagree by 2e-15
_LOGARITHMS = 4_096

_LN_2 = 0.6931471805599453

# Terms of exp2 about the middle of an octave: the first one left out is below 2e-17 of the result.
# Products, since a power is a library's function.
_TERMS = tuple(itertools.accumulate(range(1, 14), lambda term, power: term * _LN_2 / power, initial=1.0))
_OCTAVE_MIDDLE = math.sqrt(2)


@final
@dataclasses.dataclass(frozen=True)
class _Format:
    """How a floating-point format stores a power of two, and how many terms its precision needs.

    Attributes:
        steepest: exp2 stops here on both sides: inside what the format holds, outside what is heard.
    """

    integers: torch.dtype
    bias: int
    mantissa_bits: int
    num_terms: int
    steepest: float


_FORMATS = {
    torch.float32: _Format(torch.int32, bias=127, mantissa_bits=23, num_terms=8, steepest=100.0),
    torch.float64: _Format(torch.int64, bias=1_023, mantissa_bits=52, num_terms=14, steepest=500.0),
}


def exp2(exponent: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """2 to the power of numbers within a few units of the last place, by multiplying and adding alone.

    Exponents beyond +-500 count as that, those of float32 beyond +-100.
    """
    kind = _FORMATS[exponent.dtype]
    exponent = exponent.clamp(-kind.steepest, kind.steepest)
    octave = exponent.floor()
    offset = (exponent - octave).sub_(0.5)
    terms = _TERMS[: kind.num_terms]
    value = torch.full_like(offset, terms[-1])
    for term in reversed(terms[:-1]):
        value = value.mul_(offset).add_(term)
    power = (octave.to(kind.integers) + kind.bias) << kind.mantissa_bits
    return value.mul_(_OCTAVE_MIDDLE).mul_(power.view(exponent.dtype))


def from_db(decibels: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Amplitudes of levels in decibels."""
    return exp2(decibels * (1 / DB_PER_OCTAVE))


def log2(value: float) -> float:
    """A base-2 logarithm rounded to a grid of 2^-24, for constants."""
    return round(math.log2(value) * _LOG_GRID) / _LOG_GRID


def sine(phase: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Sines of phases counted in steps of 1/8192 turn, in whole 2^-20ths."""
    return sine_table().to(phase.device)[phase & (SINE_STEPS - 1)]


@functools.cache
def sine_table() -> Float[Tensor, " steps"]:
    """One turn of a sine as whole numbers of at most 2^20, in float64."""
    turn = [round(math.sin(2 * math.pi * step / SINE_STEPS) * SINE_SCALE) for step in range(SINE_STEPS)]
    return torch.tensor(turn, dtype=torch.float64)


@functools.cache
def log2_of_harmonics() -> Float[Tensor, " harmonics"]:
    """The logarithms of 1, 2, 3, ... 4096."""
    return torch.tensor([log2(number) for number in range(1, _LOGARITHMS + 1)], dtype=torch.float64)


DB_PER_OCTAVE = round(20 * math.log10(2) * _LOG_GRID) / _LOG_GRID
"""Decibels of a doubled amplitude, 6.02."""
