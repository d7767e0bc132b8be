"""How sure a mean over test sounds is: bootstrap intervals.

A score is the mean over some test sounds; other test sounds would have given another mean. The bootstrap estimates how
different: it draws as many sounds as there are, with replacement, again and again, and looks at how the statistic
varies. The middle 95 % of the draws is the percentile interval.

Two methods scored on the same sounds are compared in pairs: the same sounds are drawn for both, so that easy and hard
sounds cancel. If the interval of the difference excludes 0, the difference is not due to the choice of sounds. It says
nothing about luck in training; for that, repeat with other seeds.

A bootstrap knows nothing but what it saw. Of sixty sounds of which none is out of tune, every draw has none either, and
the interval would have no width; yet of all sounds one in twenty may be. So a share of sounds takes Wilson's interval
instead, which is never empty: it holds the shares under which what was seen is no surprise.

References:
    Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapters 13 and 16.
    Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    https://doi.org/10.1080/01621459.1927.10502953
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss
from retimbre.core.random import generator

# Values resampled at once: 8 MiB of float64.
_VALUES_AT_ONCE = 2**20

STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda rows: rows.mean(dim=-1),
    "median": lambda rows: rows.quantile(0.5, dim=-1),
}


@dataclass(frozen=True)
class Bootstrap:
    """How to resample.

    Attributes:
        statistic: A name in `STATISTICS`.
        resamples: How often; the ends of the interval are steady to about 1 % of its width at 10000.
        confidence: Share of the resamples inside the interval.
        seed: Of the draws.

    Raises:
        ConfigError: An unknown statistic, no resamples, or a confidence outside 0..1.
    """

    statistic: str = "mean"
    resamples: int = 10_000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be computed."""
        if self.statistic not in STATISTICS:
            raise ConfigError(
                f"unknown statistic {self.statistic!r}; {near_miss(self.statistic, STATISTICS)}"
            )
        if self.resamples < 1 or not 0.0 < self.confidence < 1.0:
            got = f"{self.resamples} resamples and confidence {self.confidence}"
            raise ConfigError(
                f"a bootstrap takes at least 1 resample and a confidence between 0 and 1, got {got}"
            )


@dataclass(frozen=True)
class Interval:
    """A figure and how sure it is.

    Attributes:
        value: The statistic of the sounds themselves.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: How many sounds.
    """

    value: float
    low: float
    high: float
    n: int


def bootstrap(values: Float[Tensor, " sounds"], how: Bootstrap = Bootstrap()) -> Interval:
    """The interval of a statistic of one value per sound.

    Raises:
        ConfigError: No values, or some that are not finite.
    """
    return _interval(values.double()[None], how, lambda statistics: statistics[0])


def share_interval(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """The share of sounds that something is true of, with Wilson's score interval; the sounds count as independent.

    Args:
        hits: Of how many it is true.
        n: How many sounds there are.
        confidence: How often such an interval holds the true share.

    Raises:
        ConfigError: No sounds, or more hits than sounds.
    """
    if not 0 <= hits <= n or n < 1:
        raise ConfigError(f"a share is of at least one sound, and at most all; got {hits} of {n}")
    z = statistics.NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1.0 + z * z / n)
    reach = z / (1.0 + z * z / n) * math.sqrt(share * (1.0 - share) / n + (z / (2 * n)) ** 2)
    # Rounding must not part a share of 0 or 1 from its own interval.
    low, high = min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach))
    return Interval(share, low, high, n)


def paired_difference(
    baseline: Float[Tensor, " sounds"], other: Float[Tensor, " sounds"], how: Bootstrap = Bootstrap()
) -> Interval:
    """The interval of statistic(other) - statistic(baseline), for two methods scored on the same sounds.

    Raises:
        ConfigError: No values, or some that are not finite.
    """
    return _interval(
        torch.stack([baseline, other]).double(), how, lambda statistics: statistics[1] - statistics[0]
    )


def paired_reduction(
    baseline: Float[Tensor, " sounds"], other: Float[Tensor, " sounds"], how: Bootstrap = Bootstrap()
) -> Interval:
    """The interval of 1 - statistic(other) / statistic(baseline): 0.3 says that a distance fell by 30 %.

    Raises:
        ConfigError: As `paired_difference`, or a baseline that is not positive, of which no share can be taken.
    """
    if bool((baseline <= 0).any()):
        raise ConfigError(
            "a reduction is a share of the baseline, so the baseline takes positive values only"
        )
    return _interval(
        torch.stack([baseline, other]).double(), how, lambda statistics: 1.0 - statistics[1] / statistics[0]
    )


def _interval(rows: Tensor, how: Bootstrap, combine: Callable[[Tensor], Tensor]) -> Interval:
    """The interval of a combination of each row's statistic; all rows draw the same sounds."""
    rows = rows.cpu()
    num_sounds = rows.shape[1]
    if num_sounds == 0 or not bool(rows.isfinite().all()):
        raise ConfigError(f"a bootstrap takes finite values, at least one; got {num_sounds} values")
    statistic = STATISTICS[how.statistic]
    random = generator(how.seed, "bootstrap", num_sounds)
    at_once = max(_VALUES_AT_ONCE // num_sounds, 1)
    draws: list[Tensor] = []
    for start in range(0, how.resamples, at_once):
        count = min(at_once, how.resamples - start)
        sounds = torch.randint(num_sounds, (count, num_sounds), generator=random)
        draws.append(combine(statistic(rows[:, sounds])))
    tail = (1.0 - how.confidence) / 2.0
    ends = torch.cat(draws).quantile(torch.tensor([tail, 1.0 - tail], dtype=torch.float64))
    return Interval(combine(statistic(rows)).item(), ends[0].item(), ends[1].item(), num_sounds)
