"""The part of the note voice that runs once per sample.

Everything here is reading from tables, multiplying and adding, one operation at a time: no fused multiply-add, no sum
whose order a vector width could change, no function from a mathematics library. So the samples are the same on every
processor (`corpora.notes.exact` has the reasons).

A layer's phase is a whole number at the start of every stretch of 32 samples, where it is exact however long the note
is; within the stretch it is a straight line in float32. It points into the layer's table, where a pair of value and
step to the next value sits in one complex number, so that interpolating takes one look-up.
"""

import dataclasses
import functools
import itertools
import math
from typing import final

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from retimbre.core.random import uniform
from retimbre.corpora.notes.exact import SINE_SCALE, SINE_STEPS, sine
from retimbre.corpora.notes.motion import CONTROL_SAMPLES
from retimbre.corpora.notes.spectra import LAYERS

NOISE_BANDS_HZ = (500.0, 1_500.0, 4_000.0)
"""Edges between the four bands of noise."""

NOISE_SAMPLES = (
    1 << 17
)  # the length of the noise that all notes read from, each from a place of its own: 8 s at 16 kHz

_NOISE_GRID = 1 << 15
_TAPS = 127  # of the filters between the noise bands, odd: 127 at 16 kHz tell 500 from 750 Hz
_PHASE_BITS = 20  # of a table's step; phases are whole numbers of them


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Voices:
    """Notes ready to be rendered; all have tables of one length.

    Attributes:
        tables: A value and the step to the next one, as the parts of a complex number.
        steps_per_sample: Speed through the tables, in 2^-20 steps, in every stretch of 32 samples.
        envelopes: At control points, one more than there are stretches.
        noise_gain: Of the four bands.
        noise_start: Where in the noise a note begins to read.
    """

    tables: Complex[Tensor, "rows layers steps"]
    steps_per_sample: Int[Tensor, "rows layers stretches"]
    envelopes: Float[Tensor, "rows layers controls"]
    noise_envelope: Float[Tensor, "rows controls"]
    noise_gain: Float[Tensor, "rows bands"]
    noise_start: Int[Tensor, " rows"]

    def split(self, size: int) -> "list[Voices]":
        """The notes in pieces of that many."""
        parts = {field.name: getattr(self, field.name).split(size) for field in dataclasses.fields(self)}
        return [Voices(*pieces) for pieces in zip(*parts.values(), strict=True)]

    def to(self, device: str | torch.device) -> "Voices":
        """The same notes elsewhere."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Voices(**{name: part.to(device) for name, part in parts.items()})


def render(voices: Voices, num_samples: int, sample_rate: int) -> Float[Tensor, "rows samples"]:
    """The sound of notes, float32, at most 1."""
    device = voices.tables.device
    inside = torch.arange(CONTROL_SAMPLES, dtype=torch.float32, device=device)
    sound = _noise_of(voices, num_samples, sample_rate, inside)
    phase = _starts(voices)
    mask = voices.tables.shape[2] - 1
    for layer in range(LAYERS):
        if not voices.tables[:, layer].any():
            continue  # at high pitches there are no harmonics for the upper layers
        speed = voices.steps_per_sample[:, layer].float() * 2.0**-_PHASE_BITS
        position = (speed[..., None] * inside).add_(phase[:, layer, :, None])
        place = position.floor()
        between = position.sub_(place)
        index = place.int().bitwise_and_(mask).long()
        pair = voices.tables[:, layer].gather(1, index.flatten(1)).view_as(index)
        value, step = torch.view_as_real(pair).unbind(-1)
        wave = between.mul_(step).add_(value)
        sound += wave.mul_(_lines(voices.envelopes[:, layer], inside))
    # Adding zero makes one of the two zeros of floating point: which it was may depend on what was skipped.
    return sound.flatten(1)[:, :num_samples].clamp(-1, 1) + 0.0


def _starts(voices: Voices) -> Float[Tensor, "rows layers stretches"]:
    """Where in its table each layer is at the start of every stretch, in steps."""
    advance = voices.steps_per_sample * CONTROL_SAMPLES
    start = advance.cumsum(-1) - advance
    return (start & ((voices.tables.shape[2] << _PHASE_BITS) - 1)).float() * 2.0**-_PHASE_BITS


def _lines(
    controls: Float[Tensor, "rows controls"], inside: Float[Tensor, " inside"]
) -> Float[Tensor, "rows stretches inside"]:
    """Straight lines from one control point to the next."""
    start = controls[:, :-1, None]
    slope = (controls[:, 1:, None] - start) * (1 / CONTROL_SAMPLES)
    return (slope * inside).add_(start)


def _noise_of(
    voices: Voices, num_samples: int, sample_rate: int, inside: Float[Tensor, " inside"]
) -> Float[Tensor, "rows stretches inside"]:
    """The noise of notes: the four bands at their gains, under its envelope."""
    num_stretches = voices.noise_envelope.shape[1] - 1
    length = num_stretches * CONTROL_SAMPLES
    bands = _noise_bands(sample_rate).to(inside.device)
    bands = bands.repeat(1, 1 + -(-length // NOISE_SAMPLES))
    pieces = [bands[:, start : start + length] for start in voices.noise_start.tolist()]
    mixed = torch.zeros(len(pieces), length, device=inside.device)
    for band in range(len(bands)):
        mixed = mixed + torch.stack([piece[band] for piece in pieces]) * voices.noise_gain[:, band, None]
    return mixed.view(-1, num_stretches, CONTROL_SAMPLES) * _lines(voices.noise_envelope, inside)


@functools.lru_cache(maxsize=4)
def _noise_bands(sample_rate: int) -> Float[Tensor, "bands samples"]:
    """White noise, split into four bands that add up to it; the white noise has an RMS of 1.

    Circular, so that reading may go on from the end to the beginning.
    """
    unit = uniform(0, "notes noise", torch.arange(NOISE_SAMPLES), 1)[:, 0]
    white = ((2 * unit - 1) * math.sqrt(3) * _NOISE_GRID).round()
    below = [_smoothed(white, edge_hz / sample_rate) for edge_hz in NOISE_BANDS_HZ]
    edges = [torch.zeros_like(white), *below, white]
    bands = [upper - lower for lower, upper in itertools.pairwise(edges)]
    return (torch.stack(bands) / _NOISE_GRID).float()


def _smoothed(white: Float[Tensor, " samples"], cutoff: float) -> Float[Tensor, " samples"]:
    """The noise below a cutoff, given in cycles per sample; unchanged if that is beyond the Nyquist frequency.

    A windowed sinc, whose taps are added one after the other, so that the order of the sum is fixed.
    """
    if cutoff >= 0.5:
        return white
    low = torch.zeros_like(white)
    middle = _TAPS // 2
    for tap in range(_TAPS):
        offset = tap - middle
        low = low + torch.roll(white, offset) * _sinc(offset, cutoff) * _hann(tap)
    return low


def _sinc(offset: int, cutoff: float) -> float:
    if offset == 0:
        return 2 * cutoff
    turns = round(cutoff * offset * SINE_STEPS)
    return _sine(turns) / (math.pi * offset)


def _hann(tap: int) -> float:
    quarter = SINE_STEPS // 4
    return 0.5 - 0.5 * _sine(round((tap + 1) * SINE_STEPS / (_TAPS + 1)) + quarter)


def _sine(step: int) -> float:
    return float(sine(torch.tensor(step))) / SINE_SCALE
