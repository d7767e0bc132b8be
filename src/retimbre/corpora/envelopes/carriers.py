"""Carriers: what an envelope is put on. A course of the phase goes in, and a wave in [-1, 1] comes out.

The plain waves are functions of the phase alone. `sine`, `sawtooth` and `square` are those of the earlier envelope
system; `inverted-sawtooth` and `triangle` are for hearing how a network that was trained on those three does on
waves it does not know. Their edges are as sharp as samples allow: at audible pitches they alias, which does not
matter in the toy set that they are meant for.

Two carriers are drawn anew for each example: a `wavetable` is a sum of harmonics with drawn weights and phases, of
which only those below half the sample rate sound, and `noise` is white and has no pitch.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random

# Enough for a bright tone, few enough that a batch of them costs little more than a batch of sines.
NUM_HARMONICS = 16


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """How the phase runs in some examples, and who they are.

    Attributes:
        phase: In cycles.
        cycles_per_sample: Without the jitter that the phase may have; below one half.
        rows: The numbers of the examples, for what is drawn.
    """

    phase: Float[Tensor, "rows samples"]
    cycles_per_sample: Float[Tensor, " rows"]
    seed: int
    rows: Int[Tensor, " rows"]


def _sine(course: Course) -> Float[Tensor, "rows samples"]:
    return torch.sin(2 * math.pi * course.phase)


def _sawtooth(course: Course) -> Float[Tensor, "rows samples"]:
    return 2 * course.phase.remainder(1.0) - 1


def _inverted_sawtooth(course: Course) -> Float[Tensor, "rows samples"]:
    return -_sawtooth(course)


def _square(course: Course) -> Float[Tensor, "rows samples"]:
    return torch.where(course.phase.remainder(1.0) < 0.5, 1.0, -1.0).to(course.phase)


def _triangle(course: Course) -> Float[Tensor, "rows samples"]:
    """Zero and rising at phase 0, as the sine is."""
    return 4 * ((course.phase - 0.25).remainder(1.0) - 0.5).abs() - 1


def _wavetable(course: Course) -> Float[Tensor, "rows samples"]:
    """Harmonic k has a drawn weight up to 1/k, the first at least 1/2; the sum is scaled to a peak of 1."""
    draws = random.uniform(course.seed, "envelope wavetable", course.rows, 2 * NUM_HARMONICS)
    weights, turns = draws.to(course.phase).chunk(2, dim=1)
    wave = torch.zeros_like(course.phase)
    for index in range(NUM_HARMONICS):
        number = index + 1
        weight = (0.5 + 0.5 * weights[:, index]) if index == 0 else weights[:, index] / number
        heard = number * course.cycles_per_sample < 0.5
        angle = 2 * math.pi * (number * course.phase + turns[:, index, None])
        wave += (weight * heard)[:, None] * torch.sin(angle)
    return wave / wave.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(wave.dtype).tiny)


def _noise(course: Course) -> Float[Tensor, "rows samples"]:
    length = course.phase.shape[1]
    return 2 * random.uniform(course.seed, "envelope noise carrier", course.rows, length).to(course.phase) - 1


CARRIERS: dict[str, Callable[[Course], Float[Tensor, "rows samples"]]] = {
    "sine": _sine,
    "sawtooth": _sawtooth,
    "square": _square,
    "inverted-sawtooth": _inverted_sawtooth,
    "triangle": _triangle,
    "wavetable": _wavetable,
    "noise": _noise,
}
