"""What a listening test says: means of opinions, how sure they are, and which systems differ.

In a listening test every listener scores sounds of every system. Two kinds of chance are in a mean of such scores:
other listeners would have scored otherwise, and other sounds would have been scored otherwise. Scores of one listener
resemble each other, and so do scores of one sound, so a hundred scores are far fewer than a hundred independent
figures. An interval that ignores this is too narrow, often by half.

Here the variance of a mean is the sum of what listeners contribute and what items contribute, less the noise that both
contain: the estimate of a two-way random-effects analysis, never taken below either part. Student's distribution with
Welch and Satterthwaite's degrees of freedom makes it an interval for other listeners *and* other items. With a single
listener only the items can be varied, and the other way round.

Systems are compared in pairs: where both were scored by the same listener on the same item, the difference of the two
scores is what is averaged, so that a strict listener and a difficult item cancel. Beside Student's test of that
difference stands Wilcoxon's signed-rank test over the listeners' mean differences, which needs no normal distribution,
but at least six listeners to find anything. Comparing many pairs finds some difference by chance; Holm's correction
raises the p-values so that the probability of even one false finding stays at its level.

A few scores on a coarse scale are often all equal, and so are their differences. That does not make them certain: how
much other listeners and items would vary cannot be told from figures that do not, so there is neither an interval nor a
p-value then.

References:
    ITU-T P.800 (1996), "Methods for subjective determination of transmission quality", for the mean opinion score.
    ITU-R BS.1534-3 (2015), "Method for the subjective assessment of intermediate quality level of audio systems",
    https://www.itu.int/rec/R-REC-BS.1534
    Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering",
    https://doi.org/10.1198/jbes.2010.07136
    Satterthwaite (1946), "An approximate distribution of estimates of variance components",
    https://doi.org/10.2307/3002019
    Holm (1979), "A simple sequentially rejective multiple test procedure", https://www.jstor.org/stable/4615733
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.metrics.student import student_reach, student_share

SCREENED_BELOW = 90.0
"""A hidden reference scored lower than this was not recognised (BS.1534-3, 4.1.2)."""
SCREENED_SHARE = 0.15
"""A listener who does not recognise it in a larger share of the trials than this is left out (BS.1534-3, 4.1.2)."""
# Below this share of the value itself, what varies is the rounding of a sum.
_ROUNDING = 1e-12
# Up to here the signed-rank distribution is counted out; beyond, it is normal to three digits.
_MOST_COUNTED = 50


@final
@dataclass(frozen=True, eq=False)
class Opinions:
    """Scores, one row each; a listener scores an item of a system once.

    Attributes:
        scores: On the scale of the test, higher is better.
        listeners: Number of the listener, from 0.
        items: Number of what the sound is of, from 0: sounds of one item in several systems are compared.
        systems: Number of the system, from 0.
    """

    scores: Float[Tensor, " scores"]
    listeners: Int[Tensor, " scores"]
    items: Int[Tensor, " scores"]
    systems: Int[Tensor, " scores"]

    def where(self, kept: Bool[Tensor, " scores"]) -> "Opinions":
        """The scores that are marked."""
        return Opinions(self.scores[kept], self.listeners[kept], self.items[kept], self.systems[kept])

    def of(self, system: int) -> "Opinions":
        """The scores of one system."""
        return self.where(self.systems == system)


@final
@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with how sure it is.

    Attributes:
        low: Lower end of the interval over listeners and items; None where neither can be varied, or neither did
            vary, which tells nothing of others.
        high: Upper end.
        degrees: Of freedom; 0 without an interval.
        p: Probability of a value at least so far from 0, were it truly 0; None without an interval.
        n: Scores, or pairs of scores.
    """

    value: float
    low: float | None
    high: float | None
    degrees: int
    p: float | None
    n: int
    listeners: int
    items: int


def mean_opinion(opinions: Opinions, system: int, confidence: float = 0.95) -> Estimate:
    """The mean score of a system.

    Raises:
        ConfigError: It has no scores, or some that are not finite.
    """
    return _estimate([_Part.of(opinions.of(system))], confidence)


def difference(opinions: Opinions, first: int, second: int, confidence: float = 0.95) -> Estimate:
    """The mean score of the first system less that of the second.

    Where any listener scored any item of both, only such pairs count. Where they share no items, all scores do; the
    items of the two systems then vary apart, while listeners are still the same.

    Raises:
        ConfigError: One of them has no scores, or some that are not finite.
    """
    one, other = _Part.of(opinions.of(first)), _Part.of(opinions.of(second))
    paired = _paired(one, other)
    return _estimate([one, other] if paired is None else [paired], confidence)


def listener_differences(opinions: Opinions, first: int, second: int) -> Float[Tensor, " listeners"]:
    """Mean difference of two systems for each listener who scored both, in pairs where they share items."""
    one, other = _Part.of(opinions.of(first)), _Part.of(opinions.of(second))
    paired = _paired(one, other)
    if paired is not None:
        return torch.stack(list(_means(paired).values()))
    means, others = _means(one), _means(other)
    found = [means[listener] - others[listener] for listener in means if listener in others]
    return torch.stack(found) if found else torch.zeros(0, dtype=torch.float64)


def signed_rank_p(differences: Float[Tensor, " pairs"]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; 1 where no difference is left.

    Differences of 0 are left out and ties share their mean rank. Exact for up to 50 differences: the distribution of
    the rank sum over all ways to give signs to these very ranks. Beyond, the normal approximation with the correction
    for ties.

    References:
        Wilcoxon (1945), "Individual comparisons by ranking methods", https://doi.org/10.2307/3001968
    """
    values = differences.double()
    values = values[values != 0.0]
    if not len(values):
        return 1.0
    # Twice the mean rank, which is whole: as many as are smaller, counted twice, and as many as are no larger.
    sizes = values.abs()
    ranks = (sizes[:, None] > sizes).sum(1) + (sizes[:, None] >= sizes).sum(1) + 1
    positive, total = int(ranks[values > 0].sum()), int(ranks.sum())
    smaller = min(positive, total - positive)
    if len(values) > _MOST_COUNTED:
        spread = math.sqrt(float(ranks.double().square().sum()) / 4.0)
        return math.erfc((total / 2.0 - smaller) / spread / math.sqrt(2.0))
    counts = [1] + [0] * total
    for rank in ranks.tolist():
        counts = [count + (counts[at - rank] if at >= rank else 0) for at, count in enumerate(counts)]
    return min(1.0, 2 * sum(counts[: smaller + 1]) / 2 ** len(values))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's method, in the order given: below a level, so is the chance of any false finding."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    least = 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted


def unreliable_listeners(opinions: Opinions, reference: int) -> dict[int, float]:
    """The listeners to leave out of a MUSHRA test, with the share of trials in which each missed the hidden reference.

    It was missed where it was scored below `SCREENED_BELOW`; more than `SCREENED_SHARE` of that is too much.
    """
    own = opinions.of(reference)
    missed = _means(_Part(own.scores.lt(SCREENED_BELOW).double(), own.listeners, own.items))
    return {listener: float(share) for listener, share in missed.items() if float(share) > SCREENED_SHARE}


@final
@dataclass(frozen=True, eq=False)
class _Part:
    """Figures whose mean is wanted, and what they are clustered by."""

    values: Float[Tensor, " values"]
    listeners: Int[Tensor, " values"]
    items: Int[Tensor, " values"]

    @staticmethod
    def of(opinions: Opinions) -> "_Part":
        if not len(opinions.scores) or not bool(opinions.scores.isfinite().all()):
            raise ConfigError(
                f"a mean opinion takes finite scores, at least one; got {len(opinions.scores)} scores"
            )
        return _Part(opinions.scores.double(), opinions.listeners, opinions.items)

    @property
    def num_listeners(self) -> int:
        return len(self.listeners.unique())

    @property
    def num_items(self) -> int:
        return len(self.items.unique())


def _paired(one: _Part, other: _Part) -> _Part | None:
    """The differences of all pairs of scores by one listener on one item; None if there are none."""
    places = {
        cell: place
        for place, cell in enumerate(zip(other.listeners.tolist(), other.items.tolist(), strict=True))
    }
    pairs = [
        (place, places[cell])
        for place, cell in enumerate(zip(one.listeners.tolist(), one.items.tolist(), strict=True))
        if cell in places
    ]
    if not pairs:
        return None
    first, second = torch.tensor(pairs).T
    return _Part(one.values[first] - other.values[second], one.listeners[first], one.items[first])


def _means(part: _Part) -> dict[int, Tensor]:
    """The mean of each listener's figures."""
    return {int(each): part.values[part.listeners == each].mean() for each in part.listeners.unique()}


def _estimate(parts: Sequence[_Part], confidence: float) -> Estimate:
    """The mean of the first part, less that of the second if there is one."""
    means = [part.values.mean() for part in parts]
    value = float(means[0] - means[1]) if len(parts) > 1 else float(means[0])
    listeners = len(torch.cat([part.listeners for part in parts]).unique())
    num_items = sum(part.num_items for part in parts)
    variance, degrees = _variance(parts)
    error = math.sqrt(variance)
    low = high = p = None
    if error <= _ROUNDING * max(float(part.values.abs().max()) for part in parts):
        degrees = 0
    if degrees:
        reach = student_reach(confidence, degrees) * error
        low, high = value - reach, value + reach
        p = 1.0 - student_share(abs(value) / error, degrees)
    n = sum(len(part.values) for part in parts)
    return Estimate(value, low, high, degrees, p, n, listeners, num_items)


def _variance(parts: Sequence[_Part]) -> tuple[float, int]:
    """The variance of the (difference of the) parts' means and its degrees of freedom; (0, 0) if it cannot be had."""
    signs = (1.0, -1.0)
    # What each figure adds to the result: results minus their mean, over their number.
    pulls = [
        sign * (part.values - part.values.mean()) / len(part.values)
        for sign, part in zip(signs, parts, strict=False)
    ]
    by_listener, listener_degrees = _clustered(
        torch.cat(pulls), torch.cat([part.listeners for part in parts])
    )
    items = [_clustered(pull, part.items) for pull, part in zip(pulls, parts, strict=True)]
    noises = [_noise(pull, part) for pull, part in zip(pulls, parts, strict=True)]
    by_item, item_degrees = sum(each[0] for each in items), sum(each[1] for each in items)
    noise, noise_degrees = sum(each[0] for each in noises), sum(each[1] for each in noises)
    if not all(each[1] for each in items):
        return by_listener, listener_degrees
    if not listener_degrees:
        return by_item, item_degrees
    both = by_listener + by_item - noise
    if both <= max(by_listener, by_item):
        return max((by_listener, listener_degrees), (by_item, item_degrees))
    uncertainty = by_listener**2 / listener_degrees + by_item**2 / item_degrees
    uncertainty += noise**2 / noise_degrees if noise_degrees else 0.0
    return both, max(1, int(both**2 / uncertainty))


def _clustered(pulls: Float[Tensor, " values"], clusters: Int[Tensor, " values"]) -> tuple[float, int]:
    """The variance between clusters, and how many of them are free to vary."""
    _, place = clusters.unique(return_inverse=True)
    count = int(place.max()) + 1
    if count < 2:
        return 0.0, 0
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, place, pulls)
    return float(sums.square().sum()) * count / (count - 1), count - 1


def _noise(pulls: Float[Tensor, " values"], part: _Part) -> tuple[float, int]:
    """The variance that neither the listener nor the item explains: what a repeated score would vary by."""
    degrees = (part.num_listeners - 1) * (part.num_items - 1)
    if not degrees:
        return 0.0, 0
    rest = pulls.clone()
    for clusters in (part.listeners, part.items):
        _, place = clusters.unique(return_inverse=True)
        counts = torch.bincount(place)
        sums = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, place, rest)
        rest = rest - (sums / counts)[place]
    return float(rest.square().sum()) * len(pulls) / degrees, degrees
