"""Envelopes that nobody named: curves with drawn bends, for networks that are to follow any curve.

Attack, decay, sustain and release span a small part of what loudness can do. A network that has only ever been told
such curves may follow others badly. So here a curve goes through drawn levels at drawn times. Half of the levels are
drawn evenly and half evenly in decibels, since a curve that is drawn evenly spends a hundredth of its time in the last
40 dB, where the ear still hears every step. From one time to the next the curve runs straight or stays and then jumps.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random

NUM_BENDS = 6
"""Of a curve, its ends included."""

_FAINTEST_DB = -40.0
_PURPOSE = "envelope curve"


def drawn_curves(seed: int, rows: Int[Tensor, " rows"], num_samples: int) -> Float[Tensor, "rows samples"]:
    """The gains of some examples, 0 to 1, in float64; each is a function of the seed and its number.

    Args:
        seed: Of all curves.
        rows: The numbers of the examples.
        num_samples: Of each curve.
    """
    draws = random.uniform(seed, _PURPOSE, rows, 4 * NUM_BENDS)
    times, level, is_db, is_held = draws.chunk(4, dim=1)
    times = times.sort(dim=1).values
    times = (times - times[:, :1]) / (times[:, -1:] - times[:, :1]).clamp_min(1e-9)
    levels = torch.where(is_db < 0.5, 10.0 ** ((1.0 - level) * _FAINTEST_DB / 20.0), level)
    place = torch.linspace(0.0, 1.0, num_samples, dtype=times.dtype, device=rows.device)
    place = place.expand(len(rows), -1).contiguous()
    after = torch.searchsorted(times, place, right=True).clamp(1, NUM_BENDS - 1)
    before = after - 1
    begin, end = times.gather(1, before), times.gather(1, after)
    share = ((place - begin) / (end - begin).clamp_min(1e-9)).clamp(0.0, 1.0)
    share = torch.where(is_held.gather(1, before) < 0.5, 0.0, share)
    low, high = levels.gather(1, before), levels.gather(1, after)
    return low + (high - low) * share
