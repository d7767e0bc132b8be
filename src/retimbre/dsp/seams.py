"""Joining pieces of sound that were made one after another, so that the seam is not heard.

Two pieces that know nothing of each other's last samples meet in a step, which is heard as a click. Where they overlap
they can be faded into each other. Where they do not, the first piece is *continued*: sounds are predictable for some
milliseconds, each sample being a weighted sum of those before it (linear prediction), and the second piece is faded in
over what would have come. The seam itself then lies inside of a prediction, and is as smooth as the sound is.

The weights are found by Burg's method, which makes errors small in both directions of time; what is predicted with them
never grows. Codecs conceal lost packets in the same way.

References:
    Burg (1975), Maximum entropy spectral analysis, PhD thesis, Stanford University.
    Kauppinen and Roth (2002), Audio signal extrapolation: theory and applications, DAFx,
        https://www.dafx.de/papers/DAFX02_Kauppinen_Roth_signal_extrapolation.pdf
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

ORDER = 64
"""Weights of a prediction: enough for the partials of a chord at 16 kHz."""
LEARNED_SAMPLES = 2_048
"""Samples at the end of a piece from which they are found."""
FADE_S = 0.02
"""How long the next piece is faded in."""

REACH_S = 0.004
"""How long before and after a seam a sound is made smooth."""

_DULL_S = 0.0005  # to either side: of what is faster than a millisecond, little is left at the seam itself
_SILENT = 1e-20  # the power below which nothing is predicted but silence
_SHRUNK = 0.9995  # poles are drawn in by so much, so that what is predicted dies away


def continued(before: Float[Tensor, " samples"], count: int) -> Float[Tensor, " count"]:
    """So many samples as a linear prediction would go on; silence after silence, or after too short a piece."""
    known = before[-LEARNED_SAMPLES:].detach().cpu().double()
    order = min(ORDER, len(known) // 3)
    if order == 0 or float(known.square().mean()) < _SILENT:
        return before.new_zeros(count)
    weights = burg(known, order)
    memory = known[-order:].flip(0).tolist()  # the last sample first
    taps = weights.tolist()
    found: list[float] = []
    for _ in range(count):
        sample = sum(tap * value for tap, value in zip(taps, memory, strict=True))
        found.append(sample)
        memory = [sample, *memory[:-1]]
    return torch.tensor(found, dtype=torch.float64).to(before)


def burg(samples: Float[Tensor, " samples"], order: int) -> Float[Tensor, " order"]:
    """Weights by which a sample is predicted from those before it, the last one first, in float64.

    Raises:
        ValueError: There are not more samples than weights.
    """
    if not 0 < order < len(samples):
        raise ValueError(f"{order} weights from {len(samples)} samples; takes more samples than weights")
    forward = backward = samples.double()
    filtered = torch.ones(1, dtype=torch.float64)
    for _ in range(order):
        ahead, behind = forward[1:], backward[:-1]
        power = ahead.square().sum() + behind.square().sum()
        if float(power) <= _SILENT:
            break
        reflection = -2.0 * (ahead * behind).sum() / power
        longer = torch.cat([filtered, filtered.new_zeros(1)])
        filtered = longer + reflection * longer.flip(0)
        forward, backward = ahead + reflection * behind, behind + reflection * ahead
    weights = torch.zeros(order, dtype=torch.float64)
    weights[: len(filtered) - 1] = -filtered[1:]
    return weights * _SHRUNK ** torch.arange(1, order + 1)


def joined(
    before: Float[Tensor, " earlier"], after: Float[Tensor, " samples"], fade_samples: int
) -> Float[Tensor, " samples"]:
    """The second piece as it is to follow the first: faded in over what would have come, and of its own length.

    Nothing is changed where there is nothing before.
    """
    count = min(fade_samples, len(after))
    if not len(before) or count == 0:
        return after
    # From the first sample on there is some of the new piece: it is reached when the fade ends, not a sample later.
    share = torch.sin(0.5 * torch.pi * torch.arange(1, count + 1).to(after) / (count + 1)).square()
    start = torch.lerp(continued(before, count).to(after), after[:count], share)
    return torch.cat([start, after[count:]])


def smoothed(samples: Float[Tensor, " samples"], seam: int, sample_rate: int) -> Float[Tensor, " samples"]:
    """The same sound, a little dull around a seam: what is left of a bend there is spread over a millisecond.

    Args:
        seam: The first sample of the second piece. There are `reach_of(sample_rate)` samples on either side that may
            be changed, and are needed; where there are fewer, nothing is done.
    """
    reach = reach_of(sample_rate)
    width = max(1, round(_DULL_S * sample_rate))
    around = samples[seam - reach : seam + reach] if seam >= reach else samples[:0]
    if len(around) < 2 * reach:
        return samples
    kernel = torch.hann_window(2 * width + 3, periodic=False, dtype=samples.dtype)[1:-1]
    held = torch.nn.functional.pad(around[None, None], (width, width), mode="replicate")
    dull = torch.nn.functional.conv1d(held, (kernel / kernel.sum())[None, None])[0, 0]
    place = (torch.arange(2 * reach, dtype=samples.dtype) + 0.5) / (2 * reach)
    found = samples.clone()
    found[seam - reach : seam + reach] = torch.lerp(around, dull, torch.sin(torch.pi * place).square())
    return found


def reach_of(sample_rate: int) -> int:
    """How many samples on either side of a seam are made smooth."""
    return max(2, round(REACH_S * sample_rate))


def touched_around(seam: int, sample_rate: int) -> slice:
    """The samples that a join at `seam` may have changed: its smoothing before, its fade behind."""
    reach = reach_of(sample_rate)
    return slice(max(0, seam - reach), seam + max(reach, round(FADE_S * sample_rate)))


def largest_bends(
    samples: Float[Tensor, " samples"], seams: Sequence[int], sample_rate: int
) -> tuple[Float[Tensor, " seams"], Float[Tensor, " inside"]]:
    """How sharply a sound bends where pieces were joined, and where none were.

    A bend is a second difference, x[n] - 2 x[n+1] + x[n+2], without its sign: a step or a kink between two samples
    makes a large one, whatever the sound is. A join changes more samples than the two that it lies between, and what it
    smoothed there may come up beside it. So all bends count to a seam that have any changed sample in them.

    Args:
        seams: The first sample of each piece but the first.

    Returns:
        The largest bend at each seam, and all bends of samples that no join touched, in their order; in float64.
    """
    bends = samples.double().diff(n=2).abs()
    inside = torch.ones_like(bends, dtype=torch.bool)
    largest = bends.new_zeros(len(seams))
    for place, seam in enumerate(seams):
        touched = touched_around(seam, sample_rate)
        spanning = slice(max(0, touched.start - 2), touched.stop)
        largest[place] = bends[spanning].amax()
        inside[spanning] = False
    return largest, bends[inside]
