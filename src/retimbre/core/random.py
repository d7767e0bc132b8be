"""Randomness addressed by what is drawn, not by when.

Every random draw of the program has an address: a seed (which experiment), a purpose (what is drawn, as words) and
numbers (which step, which example). The same address gives the same stream in any process, on any machine and in any
order, so that two processes make the batch that one would, and a stopped and resumed run repeats an unbroken one.
"""

import hashlib

import torch
from jaxtyping import Float, Int
from torch import Tensor


def key(seed: int, purpose: str, *numbers: int) -> int:
    """A 63-bit number for an address. Equal addresses give equal numbers; others are independent for all purposes."""
    text = "\x1f".join([str(seed), purpose, *(str(number) for number in numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A CPU generator at the start of the stream of an address."""
    return torch.Generator().manual_seed(key(seed, purpose, *numbers))


def uniform(
    seed: int, purpose: str, rows: Int[Tensor, " rows"], columns: int
) -> Float[Tensor, "rows columns"]:
    """Float64 numbers in [0, 1) where row `i` depends on its address (seed, purpose, rows[i]) alone.

    A batch drawn in parts, in another order or on another device is the same batch. The numbers come from the
    SplitMix64 mixing function over a counter, whose output passes the usual batteries of randomness tests.

    References:
        Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
        https://doi.org/10.1145/2660193.2660195
    """
    start = key(seed, purpose)
    counter = rows[:, None] * columns + torch.arange(columns, device=rows.device)
    mixed = _splitmix64(_splitmix64(counter) ^ start)
    return _shift_right(mixed, 11).double() * 2.0**-53


def _splitmix64(counter: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """The SplitMix64 finaliser on 64-bit integers, whose products wrap around."""
    mixed = (counter + 1) * _signed(0x9E3779B97F4A7C15)
    mixed = (mixed ^ _shift_right(mixed, 30)) * _signed(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ _shift_right(mixed, 27)) * _signed(0x94D049BB133111EB)
    return mixed ^ _shift_right(mixed, 31)


def _shift_right(number: Int[Tensor, "..."], bits: int) -> Int[Tensor, "..."]:
    """Logical right shift: torch's own repeats the sign bit."""
    return (number >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """A 64-bit pattern as the signed integer that torch stores it as."""
    return number - (1 << 64) if number >= 1 << 63 else number
