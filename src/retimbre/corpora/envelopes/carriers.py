"""Carriers: what an envelope is put on. A course of the phase goes in, and a wave in [-1, 1] comes out.

The plain waves are functions of the phase alone. `sine`, `sawtooth` and `square` are those of the earlier envelope
system; `inverted-sawtooth` and `triangle` are for hearing how a network that was trained on those three does on
waves it does not know. Their edges are as sharp as samples allow: at audible pitches they alias, which does not
matter in the toy set that they are meant for.

Four carriers are drawn anew for each example: a `wavetable` is a sum of harmonics with drawn weights and phases, of
which only those below half the sample rate sound, a `pulse` is high for a drawn part of its period, `fm` is a sine
whose phase is swung by another of a drawn harmonic ratio and depth, and `noise` is white and has no pitch.
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

# Parts of a period, modulator to carrier, and radians; the least and the largest.
_PULSE_WIDTHS = (0.1, 0.4)
_FM_RATIOS = (1, 3)
_FM_DEPTHS_RAD = (0.3, 1.5)


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


def _pulse(course: Course) -> Float[Tensor, "rows samples"]:
    """At 1 for a drawn part of the period and at -1 for the rest: no even share, so it has an offset."""
    (width,) = _drawn(course, "envelope pulse", _PULSE_WIDTHS)
    return torch.where(course.phase.remainder(1.0) < width, 1.0, -1.0).to(course.phase)


def _fm(course: Course) -> Float[Tensor, "rows samples"]:
    """A sine, its phase swung by a sine at a whole multiple of its frequency."""
    place, depth_rad = _drawn(course, "envelope fm", (0.0, 1.0), _FM_DEPTHS_RAD)
    lowest, highest = _FM_RATIOS
    ratio = lowest + (place * (highest - lowest + 1)).floor()
    swing = depth_rad * torch.sin(2 * math.pi * ratio * course.phase)
    return torch.sin(2 * math.pi * course.phase + swing)


def _drawn(course: Course, purpose: str, *bounds: tuple[float, float]) -> list[Float[Tensor, "rows 1"]]:
    """For each pair of bounds a number between them for each example."""
    draws = random.uniform(course.seed, purpose, course.rows, len(bounds)).to(course.phase)
    return [low + (high - low) * draws[:, index, None] for index, (low, high) in enumerate(bounds)]


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
    "pulse": _pulse,
    "fm": _fm,
    "noise": _noise,
}
