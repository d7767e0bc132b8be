"""Fifty-seven numbers that sum up how a course of values runs over a segment of a clip.

    4    mean, standard deviation, skewness, kurtosis
    11   the smallest value, the nine deciles, the largest
    4    range, range between the quartiles, mean deviation, root mean square
    4    mean and largest change from frame to frame, deviation of the changes, change over the segment
    3    slope and curvature of the parabola through it, and what that leaves over
    4    where the largest and the smallest value are, the centre of gravity in time, and how far it reaches
    3    share of the frames above the mean, share of crossings of the mean, correlation of its two halves
    8    autocorrelation at 1 to 8 frames
    4    means of the four quarters
    2    first and last value
    10   the first coefficients of its cosine transform

The first 47 are statistics; the paper names their number and that of the cosine coefficients, not which they are.
Most are fixed linear maps of the values or of the values in order of size, so they are computed as matrix products.
A course that does not move gives zeros wherever a ratio would be without meaning.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.filterbank import dct_matrix

NUM_STATISTICS = 47
NUM_COSINES = 10
NUM_SUMMARIES = NUM_STATISTICS + NUM_COSINES
NUM_LAGS = 8

# Variances under this are rounding: values are decibels, shares and octaves.
_STILL = 1e-8


def summaries(courses: Float[Tensor, "... frames"]) -> Float[Tensor, "... summaries"]:
    """The 57 numbers of each course, of 10 frames or more."""
    centred = courses - courses.mean(-1, keepdim=True)
    parts = [
        moments(courses, centred),
        order_statistics(courses, centred),
        changes(courses),
        trend(centred),
        places(courses, centred),
        repetition(centred),
        linear_maps(courses),
    ]
    return torch.cat(parts, dim=-1)


def moments(
    courses: Float[Tensor, "... frames"], centred: Float[Tensor, "... frames"]
) -> Float[Tensor, "... 4"]:
    """Mean, standard deviation, skewness and excess kurtosis."""
    square = centred.square()
    variance = square.mean(-1)
    moving = variance > _STILL
    safe = torch.where(moving, variance, 1.0)
    skewness = torch.where(moving, (square * centred).mean(-1) / safe**1.5, 0.0)
    kurtosis = torch.where(moving, square.square().mean(-1) / safe.square() - 3.0, 0.0)
    return torch.stack([courses.mean(-1), variance.sqrt(), skewness, kurtosis], dim=-1)


def order_statistics(
    courses: Float[Tensor, "... frames"], centred: Float[Tensor, "... frames"]
) -> Float[Tensor, "... 15"]:
    """Extremes and deciles, both ranges, mean deviation and root mean square."""
    shares = torch.tensor([*(tenth / 10 for tenth in range(11)), 0.25, 0.75])
    values = courses.sort(dim=-1).values @ quantile_matrix(shares, courses.shape[-1]).to(courses).T
    ranges = torch.stack([values[..., 10] - values[..., 0], values[..., 12] - values[..., 11]], dim=-1)
    sizes = [centred.abs().mean(-1), courses.square().mean(-1).sqrt()]
    return torch.cat([values[..., :11], ranges, torch.stack(sizes, dim=-1)], dim=-1)


def quantile_matrix(shares: Float[Tensor, " shares"], num_values: int) -> Float[Tensor, "shares values"]:
    """The weights that interpolate quantiles between sorted values."""
    places = shares * (num_values - 1)
    return (1.0 - (places[:, None] - torch.arange(num_values)).abs()).clamp_min(0.0)


def changes(courses: Float[Tensor, "... frames"]) -> Float[Tensor, "... 4"]:
    """Mean and largest size of the changes from frame to frame, their deviation, and the change over the segment."""
    steps = courses.diff(dim=-1)
    size = steps.abs()
    whole = courses[..., -1] - courses[..., 0]
    # Several times faster than torch.std, and of differences, so little is lost to rounding.
    deviation = (steps.square().mean(-1) - steps.mean(-1).square()).clamp_min(0.0).sqrt()
    return torch.stack([size.mean(-1), size.amax(-1), deviation, whole], dim=-1)


def trend(centred: Float[Tensor, "... frames"]) -> Float[Tensor, "... 3"]:
    """Slope and curvature by least squares, and the deviation from that parabola."""
    time = torch.linspace(-1.0, 1.0, centred.shape[-1], dtype=centred.dtype, device=centred.device)
    bent = time.square() - time.square().mean()
    axes = torch.stack([time / time.norm(), bent / bent.norm()])
    weights = centred @ axes.T
    rest = (centred.square().sum(-1) - weights.square().sum(-1)).clamp_min(0.0) / centred.shape[-1]
    return torch.cat([weights, rest.sqrt()[..., None]], dim=-1)


def places(
    courses: Float[Tensor, "... frames"], centred: Float[Tensor, "... frames"]
) -> Float[Tensor, "... 7"]:
    """Where the extremes and the centre of gravity are (0 to 1), its reach, and how values stand to the mean."""
    num_frames = courses.shape[-1]
    time = torch.linspace(0.0, 1.0, num_frames, dtype=courses.dtype, device=courses.device)
    largest, smallest = (
        place.to(courses.dtype) / (num_frames - 1) for place in (courses.argmax(-1), courses.argmin(-1))
    )
    mass = courses - courses.amin(-1, keepdim=True)
    powers = torch.stack([torch.ones_like(time), time, time.square()], dim=-1)
    total, first, second = (mass @ powers).unbind(-1)
    still = total <= _STILL
    safe = torch.where(still, 1.0, total)
    centre = torch.where(still, 0.5, first / safe)
    # A mass in one place has a variance of 0, which rounding can take below.
    reach = torch.where(still, 0.0, second / safe - centre.square()).clamp_min(0.0).sqrt()
    above = (centred > 0).to(courses.dtype)
    crossings = above.diff(dim=-1).abs().mean(-1)
    half = num_frames // 2
    parts = [largest, smallest, centre, reach, above.mean(-1), crossings]
    return torch.stack([*parts, correlation(centred[..., :half], centred[..., half : 2 * half])], dim=-1)


def repetition(centred: Float[Tensor, "... frames"]) -> Float[Tensor, "... 8"]:
    """Autocorrelation at 1 to 8 frames, relative to that at 0."""
    energy = centred.square().sum(-1)
    moving = energy > _STILL * centred.shape[-1]
    safe = torch.where(moving, energy, 1.0)
    lagged = [(centred[..., lag:] * centred[..., :-lag]).sum(-1) / safe for lag in range(1, NUM_LAGS + 1)]
    return torch.stack(lagged, dim=-1) * moving[..., None]


def linear_maps(courses: Float[Tensor, "... frames"]) -> Float[Tensor, "... 16"]:
    """Means of the quarters, first and last value, and the first cosine coefficients."""
    num_frames = courses.shape[-1]
    quarter = (torch.arange(num_frames) * 4).div(num_frames, rounding_mode="floor")
    averages = torch.nn.functional.one_hot(quarter, 4).to(courses)
    ends = torch.zeros(num_frames, 2).to(courses)
    ends[0, 0] = ends[-1, 1] = 1.0
    cosines = dct_matrix(NUM_COSINES, num_frames, like=courses).T
    return courses @ torch.cat([averages / averages.sum(0), ends, cosines], dim=1)


def correlation(
    first: Float[Tensor, "... values"], second: Float[Tensor, "... values"]
) -> Float[Tensor, "..."]:
    """Pearson's correlation; 0 where one of the two does not move."""
    first, second = (each - each.mean(-1, keepdim=True) for each in (first, second))
    energy = first.square().sum(-1) * second.square().sum(-1)
    moving = energy > _STILL**2
    return torch.where(moving, (first * second).sum(-1) / torch.where(moving, energy, 1.0).sqrt(), 0.0)
