"""What all measures of sets share: vectors that know their clips, and how sure a figure is.

A generator is judged by a set of sounds, not by one. Every sound becomes a few vectors (an embedder hears windows of
it, or all of it at once), and a *distance* compares the vectors of a reference set, usually real sounds, with those of
the set judged. A *score* looks at one set alone. Nothing here knows sound: the vectors come as numbers.

Vectors of one clip are alike, since one sound made them, so a clip is the unit in which chance deals. Confidence
comes from resampling clips, and the textbook way of it, drawing as many clips as there are with replacement, fails just
where it matters. Between two sets of the same kind a squared distance has no slope: what is left are squares of chance,
and a drawn set adds its own chance to that of the sets, to thrice the variance (Arcones & Gine). Besides, a drawn set
repeats clips and so looks less varied than it is.

So sets are halved instead. Each draw parts the clips by lot and measures both halves, which leaves two numbers per
draw. *What the halves differ by* tells how the distance answers to the clips that are there. *What they have in
common*, beyond its mean, is made of squares of chance alone. The former holds the latter twice over; it is taken out
once, since its own estimate is uncertain, and put back as it is. The sum strays a little more than the distance does
with other clips, near equality and far from it. The interval is the middle of these strays around the value, so the
value is always inside. It tells the luck of the choice of sounds; it tells neither an estimator's bias nor luck in
training.

References:
    McCarthy (1969), "Pseudo-replication: Half samples", Review of the International Statistical Institute 37.
    Arcones & Gine (1992), "On the bootstrap of U and V statistics", Annals of Statistics 20(2).
"""

import abc
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.bootstrap import Bootstrap, Interval

Better = Literal["lower", "higher"]

NO_VARIETY = "it has no variety to measure"
"""How the remark on a set ends whose vectors are all one; such a set is no yardstick."""

# With so many clips each half has two, which can be compared with each other.
_FEWEST_HALVED = 4

# Draws made and measured together: a matrix of their weights is [draws, clips].
DRAWS_AT_ONCE = 256

# Sixth powers, which the cubic kernel takes, and sums of them are finite up to here.
_LARGEST = 1e30

# Fewer clips than this are drawn in too few ways for the draws to vary as new clips would.
_FEW_CLIPS = 10

# A set where less than this share of the vectors is different repeats itself.
_DIFFERENT = 0.9


@final
@dataclass(frozen=True, eq=False)
class Vectors:
    """A set of sounds as vectors, one or more per clip.

    Attributes:
        values: One vector per row, finite; no number is beyond 1e30.
        clips: The number of the clip that each row is of: ascending from 0, every number present.

    Raises:
        ConfigError: No rows, a value that is not finite, or clip numbers of another form.
    """

    values: Float64[Tensor, "rows dim"]
    clips: Int64[Tensor, " rows"]

    def __post_init__(self) -> None:
        """Refuses what cannot be measured."""
        if self.values.ndim != 2 or self.values.numel() == 0:
            raise ConfigError(f"a set takes vectors [rows, dim], at least one; got {list(self.values.shape)}")
        broken = ~(self.values.abs() <= _LARGEST).all(dim=1)
        if bool(broken.any()):
            first = int(self.clips[broken][0])
            raise ConfigError(
                f"{int(broken.sum())} of {len(broken)} vectors are not finite or beyond {_LARGEST:g}, the first of "
                f"clip {first}; a set takes finite vectors"
            )
        steps = self.clips.diff()
        ascending = int(self.clips[0]) == 0 and bool(((steps == 0) | (steps == 1)).all())
        if len(self.clips) != len(self.values) or not ascending:
            raise ConfigError(f"clip numbers ascend from 0, one per row, none left out; got {self.clips}")

    @classmethod
    def of(cls, values: Float64[Tensor, "rows dim"] | Tensor) -> "Vectors":
        """Vectors of clips that have one each, from any floating-point type."""
        return cls(values.double(), torch.arange(len(values), device=values.device))

    @property
    def num_clips(self) -> int:
        """How many clips."""
        return int(self.clips[-1]) + 1

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self.values.shape[1]

    @property
    def rows_per_clip(self) -> Float64[Tensor, " clips"]:
        """How many vectors each clip has."""
        return torch.bincount(self.clips, minlength=self.num_clips).double()

    def select(self, clips: Int64[Tensor, " some"]) -> "Vectors":
        """The set of these clips, in this order; a clip named twice is two clips."""
        counts = torch.bincount(self.clips, minlength=self.num_clips)
        starts = counts.cumsum(0) - counts
        counts, starts = counts[clips], starts[clips]
        numbers = torch.arange(len(clips), device=self.clips.device).repeat_interleave(counts)
        within = torch.arange(len(numbers), device=self.clips.device) - (counts.cumsum(0) - counts)[numbers]
        return Vectors(self.values[starts[numbers] + within], numbers)


@final
@dataclass(frozen=True)
class Measured:
    """What a measure found.

    Attributes:
        values: Figures with their intervals; "value" is the headline, whatever else a measure finds has its own name.
        remarks: What makes a figure doubtful, one sentence each, for the reader.
        settings: Everything that the figures depend on, as plain values.
    """

    values: dict[str, Interval]
    remarks: tuple[str, ...]
    settings: dict[str, Any]


class Distance(abc.ABC):
    """A distance between two sets; a subclass is a frozen dataclass whose fields are its settings.

    Attributes:
        name: What the literature calls it.
        better: Which direction is better.
        identical: The value that a perfect set has, up to chance.
    """

    name: ClassVar[str]
    better: ClassVar[Better] = "lower"
    identical: ClassVar[float] = 0.0

    @final
    def measure(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        """The distance of a set from a reference, with its interval.

        Args:
            reference: The set that is right, usually real sounds.
            estimate: The set judged.
            how: The draws of clips; `statistic` is not used.

        Raises:
            ConfigError: Vectors of different sizes, fewer than two clips in a set, or too few for this distance.
        """
        if reference.dim != estimate.dim:
            raise ConfigError(
                f"{self.name} compares vectors of one size; the reference has {reference.dim} numbers per vector, "
                f"the set judged {estimate.dim}"
            )
        remarks = [
            *_doubts("the reference", reference, self.name),
            *_doubts("the set judged", estimate, self.name),
        ]
        found = self._measured(reference, estimate, how)
        settings = {
            **own_settings(self),
            "dim": reference.dim,
            "reference_clips": reference.num_clips,
            "reference_vectors": len(reference.values),
            "clips": estimate.num_clips,
            "vectors": len(estimate.values),
            **bootstrap_settings(how),
        }
        return Measured(found.values, (*remarks, *found.remarks), {**settings, **found.settings})

    @abc.abstractmethod
    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        """The figures, the distance's own remarks, and what it chose by looking at the vectors as settings."""


class Score(abc.ABC):
    """A score of one set; a subclass is a frozen dataclass whose fields are its settings.

    Attributes:
        name: What the literature calls it.
        better: Which direction is better.
    """

    name: ClassVar[str]
    better: ClassVar[Better] = "higher"

    @final
    def measure(self, logits: Vectors, how: Bootstrap) -> Measured:
        """The score of a set, with its interval.

        Args:
            logits: What a classifier says of every clip, before its softmax.
            how: The draws of clips; `statistic` is not used.

        Raises:
            ConfigError: Fewer than two clips, or too few for this score.
        """
        remarks = _doubts("the set judged", logits, self.name)
        found = self._measured(logits, how)
        settings = {
            **own_settings(self),
            "dim": logits.dim,
            "clips": logits.num_clips,
            "vectors": len(logits.values),
            **bootstrap_settings(how),
        }
        return Measured(found.values, (*remarks, *found.remarks), {**settings, **found.settings})

    @abc.abstractmethod
    def _measured(self, logits: Vectors, how: Bootstrap) -> Measured:
        """As `Distance._measured`."""


def own_settings(measure: Distance | Score) -> dict[str, Any]:
    """The name and the fields of a measure."""
    fields = dataclasses.fields(measure)  # pyright: ignore[reportArgumentType]: subclasses are dataclasses
    return {"measure": measure.name, **{field.name: getattr(measure, field.name) for field in fields}}


def bootstrap_settings(how: Bootstrap) -> dict[str, Any]:
    """How the interval was made."""
    return {"resamples": how.resamples, "confidence": how.confidence, "bootstrap_seed": how.seed}


def drawn_counts(vectors: Vectors, how: Bootstrap, purpose: str) -> Iterator[Float64[Tensor, "draws clips"]]:
    """How often every clip counts in each of the draws, some draws at a time: twice in one of a pair, not in the other.

    Draws come in pairs of halves that have no clip in common, one after the other. Sets of two purposes are drawn
    independently of each other. A set of fewer than four clips has no halves with a pair of clips to compare, so each
    of its draws has all of them.
    """
    num_clips = vectors.num_clips
    random = generator(how.seed, f"distance halves {purpose}", num_clips)
    for first in range(0, num_pairs(how), DRAWS_AT_ONCE // 2):
        count = min(DRAWS_AT_ONCE // 2, num_pairs(how) - first)
        if num_clips < _FEWEST_HALVED:
            yield torch.ones(2 * count, num_clips, dtype=torch.float64, device=vectors.values.device)
            continue
        order = torch.rand(count, num_clips, generator=random).argsort(dim=1)
        half = (order < num_clips // 2).double()
        yield torch.stack([2.0 * half, 2.0 - 2.0 * half], dim=1).flatten(0, 1).to(vectors.values.device)


def num_pairs(how: Bootstrap) -> int:
    """How many pairs of halves stand for the draws asked for."""
    return -(-how.resamples // 2)


def drawn_weights(vectors: Vectors, how: Bootstrap, purpose: str) -> Float64[Tensor, "sets rows"]:
    """How often each row counts: once in the set itself, which is first, then as its clip does in each draw."""
    counts = torch.cat(list(drawn_counts(vectors, how, purpose)))
    return torch.cat([torch.ones_like(counts[:1]), counts])[:, vectors.clips]


def interval(
    value: float,
    draws: Float64[Tensor, " draws"],
    num_clips: int,
    how: Bootstrap,
    *,
    least: float = float("-inf"),
    most: float = float("inf"),
) -> Interval:
    """The value, and how far it would stray with other clips; see the opening of this module.

    Args:
        value: Of the sets themselves.
        draws: Of the halves, the two of a pair one after the other.
        num_clips: How many clips the set judged has.
        how: Of which the confidence counts.
        least: A distance that cannot be below has no interval that reaches below.
        most: Likewise above.
    """
    first, second = draws.reshape(-1, 2).unbind(dim=1)
    differing, common = (first - second) / 2.0, (first + second) / 2.0
    common = common - common.mean()
    reach = float(differing.abs().max().clamp_min(1e-300))  # squares of it would overflow or vanish
    seen, squared = (float((each / reach).square().mean()) for each in (differing, common))
    share = max(1.0 - squared / seen, 0.0) if seen > 0.0 else 0.0
    strays = torch.cat([common + share**0.5 * differing, common - share**0.5 * differing])
    tail = (1.0 - how.confidence) / 2.0
    levels = torch.tensor([tail, 1.0 - tail], dtype=torch.float64, device=draws.device)
    below, above = strays.quantile(levels).tolist()
    low, high = min(value + below, value), max(value + above, value)
    return Interval(value, max(low, min(least, value)), min(high, max(most, value)), num_clips)


def _doubts(which: str, vectors: Vectors, name: str) -> list[str]:
    """What is wrong with a set for any measure.

    Raises:
        ConfigError: Fewer than two clips.
    """
    if vectors.num_clips < 2:
        raise ConfigError(f"{name} takes at least 2 clips in each set; {which} has {vectors.num_clips}")
    remarks = []
    if vectors.num_clips < _FEW_CLIPS:
        remarks.append(f"{which} has {vectors.num_clips} clips: too few for the interval to mean much")
    distinct = len(torch.unique(vectors.values, dim=0))
    if distinct == 1:
        remarks.append(f"all {len(vectors.values)} vectors of {which} are equal: {NO_VARIETY}")
    elif distinct < _DIFFERENT * len(vectors.values):
        remarks.append(f"{which} has {distinct} different vectors among {len(vectors.values)}: sounds repeat")
    return remarks
