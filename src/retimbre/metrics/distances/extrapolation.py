"""FAD-infinity: what a Frechet distance would be if the set judged had no end.

The distance of a small set is too large by about a constant over its number of clips. So it is measured for smaller and
smaller sub-samples of the set, a line is fitted through the values over 1/n, and read where 1/n is 0.

Which sub-samples decides what comes out. Drawn without replacement, as here, they are sets such as a smaller collection
would have been, and the line ends near the distance of the distributions; the reference's own size still counts.
fadtk draws frames *with* replacement. Its sub-samples tend to the set at hand, repeated for ever, so the line ends near
the distance of that set: the bias that the method is there to remove stays.

References:
    Chong & Forsyth (2020), "Effectively unbiased FID and Inception Score and where to find them",
    https://arxiv.org/abs/1911.07023
    Gui, Gamper, Braun & Emmanouilidou (2024), "Adapting Frechet audio distance for generative music evaluation",
    https://arxiv.org/abs/2311.01616 (fadtk)
"""

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float64
from torch import Tensor

from retimbre.core.random import generator
from retimbre.metrics.bootstrap import Interval
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.gaussians import Moments, quick_distance

Way = Literal["clips", "fadtk", "none"]

# FAD-infinity: orders in which clips are added, and sizes in each, evenly spaced in 1/n down from all clips.
_ORDERS = 4
_SIZES = 8

# With fewer clips per dimension the distance does not fall as 1/n yet, and the line ends far below 0.
_CLIPS_PER_DIMENSION = 4

# fadtk's way: sizes evenly spaced in n, from this many frames on.
_FADTK_SIZES = 25
_FADTK_FRAMES = 500


@final
@dataclass(frozen=True, eq=False)
class _Points:
    """Distances of sub-samples of one order."""

    sizes: Float64[Tensor, " sizes"]
    distances: Float64[Tensor, " sizes"]


def extrapolated(
    way: Way, reference: Moments, estimate: Vectors, around: Interval, seed: int
) -> "Interval | str":
    """FAD-infinity with its interval, or the remark that says why there is none.

    The interval has the half-widths of the distance's own, and the standard error of the intercept added to them in
    squares: what the choice of clips does to the distance it does to the extrapolation too.

    Args:
        way: Over sub-samples of clips drawn without replacement, or over frames drawn with replacement.
        reference: Of all of the reference.
        estimate: The set judged.
        around: The distance of the two.
        seed: Of the sub-samples.
    """
    least = _CLIPS_PER_DIMENSION * estimate.dim
    if way == "clips" and estimate.num_clips < least:
        return (
            f"no FAD-infinity: it takes {least} clips for {estimate.dim} dimensions, the set judged has "
            f"{estimate.num_clips}"
        )
    if way == "fadtk" and len(estimate.values) <= _FADTK_FRAMES:
        num_frames = len(estimate.values)
        return (
            f"no FAD-infinity: fadtk takes more than {_FADTK_FRAMES} frames, the set judged has {num_frames}"
        )
    if way == "fadtk":
        return _at_infinity([_pooled(reference, estimate, seed)], around)
    return _at_infinity([_nested(reference, estimate, seed, order) for order in range(_ORDERS)], around)


def _nested(reference: Moments, estimate: Vectors, seed: int, order: int) -> _Points:
    """Distances of the first clips of a random order: some, then more, at last all.

    They begin with a quarter of the clips, or more where that is few for the dimensions: the line is one only where
    terms in 1/n^2 are small.
    """
    num_clips = estimate.num_clips
    clips = torch.randperm(num_clips, generator=generator(seed, "FAD-infinity", num_clips, order))
    fewest = max(num_clips / 4.0, min(4.0 * estimate.dim, num_clips / 2.0), 2.0)
    inverses = torch.linspace(1.0 / fewest, 1.0 / num_clips, _SIZES, dtype=torch.float64)
    ends = sorted({round(1.0 / float(inverse)) for inverse in inverses})
    moments, start = Moments.none(estimate.dim), 0
    sizes, distances = [], []
    for end in ends:
        moments = moments.update(estimate.select(clips[start:end]).values)
        sizes.append(float(end))
        distances.append(quick_distance(reference, moments))
        start = end
    return _Points(torch.tensor(sizes, dtype=torch.float64), torch.tensor(distances, dtype=torch.float64))


def _pooled(reference: Moments, estimate: Vectors, seed: int) -> _Points:
    """Sub-samples as in fadtk: frames of all clips together, drawn with replacement.

    What they are extrapolated to is the set at hand, repeated for ever: the bias of its size stays.
    """
    num_rows = len(estimate.values)
    random = generator(seed, "FAD-infinity fadtk", num_rows)
    sizes = torch.linspace(_FADTK_FRAMES, num_rows, _FADTK_SIZES, dtype=torch.float64).floor()
    distances = []
    for size in sizes.tolist():
        rows = torch.randint(num_rows, (int(size),), generator=random)
        distances.append(quick_distance(reference, Moments.of(estimate.values[rows])))
    return _Points(sizes, torch.tensor(distances, dtype=torch.float64))


def _at_infinity(points: list[_Points], around: Interval) -> Interval:
    """The mean of the lines' values at 1/n = 0."""
    fits = [_intercept(one) for one in points]
    value = sum(intercept for intercept, _ in fits) / len(fits)
    if len(fits) > 1:
        variance = sum((intercept - value) ** 2 for intercept, _ in fits) / (len(fits) - 1) / len(fits)
    else:
        variance = fits[0][1] ** 2
    low = math.hypot(around.value - around.low, 1.96 * math.sqrt(variance))
    high = math.hypot(around.high - around.value, 1.96 * math.sqrt(variance))
    return Interval(value, value - low, value + high, around.n)


def _intercept(points: _Points) -> tuple[float, float]:
    """Where the least-squares line through (1/n, distance) meets 1/n = 0, and its standard error."""
    inverses = 1.0 / points.sizes
    centre = inverses.mean()
    spread = (inverses - centre).square().sum()
    slope = ((inverses - centre) * points.distances).sum() / spread
    intercept = points.distances.mean() - slope * centre
    residual = points.distances - intercept - slope * inverses
    num_points = len(inverses)
    variance = (
        residual.square().sum() / max(num_points - 2, 1) * (1.0 / num_points + centre.square() / spread)
    )
    return float(intercept), float(variance.sqrt())
