"""NDB/k: cut the space of sounds into bins, and count the bins that the two sets fill unequally.

The bins are the cells of a k-means clustering of the reference. In each, a two-proportion z-test asks whether the share
of the set judged that falls into it differs from the reference's by more than chance would have it; NDB is the number
of bins where it does, NDB/k their share. It shows missing and over-represented kinds of sounds, which distances of
means and covariances average away. Two sets of one distribution have alpha of the bins unequal, not none.

What is found depends on the number of bins, on alpha, on the number of sounds (more sounds show smaller differences)
and on where k-means started, so all of these are settings. Dimensions of large variance decide the bins; `standardise`
divides each by the reference's deviation first.

The test counts clips: one with several vectors gives each a part of its vote.

References:
    Richardson & Weiss (2018), "On GANs and GMMs", https://arxiv.org/abs/1805.12462
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float64
from torch import Tensor

from retimbre.core.clusters import k_means, nearest
from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Measured, Vectors, drawn_counts, interval

# Rounds of k-means: far more than the centres take to settle at a few thousand vectors.
_LLOYD_ROUNDS = 50

# The z-test takes the normal distribution for the binomial one: good from about five expected clips in a bin.
_CLIPS_PER_BIN = 5


@final
@dataclass(frozen=True)
class Ndb(Distance):
    """The share of bins in which two sets differ. Intervals keep the bins and draw the clips in them.

    Attributes:
        bins: How many, k.
        alpha: Chance that the test finds a difference in a bin where there is none.
        standardise: Whether each dimension is divided by the reference's deviation first.
        seed: Of the start of k-means.

    Raises:
        ConfigError: Fewer than two bins, or an alpha outside 0..1.
    """

    name: ClassVar[str] = "NDB/k"
    bins: int = 50
    alpha: float = 0.05
    standardise: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be tested."""
        if self.bins < 2 or not 0.0 < self.alpha < 1.0:
            raise ConfigError(
                f"NDB takes at least 2 bins and an alpha between 0 and 1, got {self.bins} and {self.alpha}"
            )

    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        if reference.num_clips < self.bins:
            raise ConfigError(
                f"the reference has {reference.num_clips} clips; NDB with {self.bins} bins takes at least as many clips"
            )
        real_votes, judged_votes = self.votes(reference, estimate)
        value = float(self.share_of_different(real_votes.sum(dim=0)[None], judged_votes.sum(dim=0)[None]))
        pairs = zip(
            drawn_counts(reference, how, "reference"), drawn_counts(estimate, how, "judged"), strict=True
        )
        draws = [self.share_of_different(real @ real_votes, judged @ judged_votes) for real, judged in pairs]
        around = interval(value, torch.cat(draws), estimate.num_clips, how, least=0.0, most=1.0)
        settings = {"lloyd_rounds": _LLOYD_ROUNDS, "test": "two-proportion z, two-sided, pooled"}
        return Measured({"value": around}, self._remarks(reference, estimate, real_votes), settings)

    def votes(
        self, reference: Vectors, estimate: Vectors
    ) -> tuple[Float64[Tensor, "real bins"], Float64[Tensor, "judged bins"]]:
        """The share of each clip's vectors that falls into each bin."""
        origin = reference.values.mean(dim=0)
        scale = reference.values.std(dim=0, correction=0) if self.standardise else torch.ones_like(origin)
        # A dimension without variance in the reference separates nothing there; its unit is as good as any.
        scale = torch.where(scale > 0.0, scale, 1.0)
        real, judged = ((vectors.values - origin) / scale for vectors in (reference, estimate))
        random = generator(self.seed, "ndb", len(real))
        centres = k_means(real, self.bins, random, num_rounds=_LLOYD_ROUNDS)
        return (
            _votes(reference, nearest(real, centres), self.bins),
            _votes(estimate, nearest(judged, centres), self.bins),
        )

    def share_of_different(
        self, real: Float64[Tensor, "sets bins"], judged: Float64[Tensor, "sets bins"]
    ) -> Float64[Tensor, " sets"]:
        """The share of bins whose counts of clips differ by the z-test, two-sided, with the pooled variance."""
        num_real, num_judged = real.sum(dim=1, keepdim=True), judged.sum(dim=1, keepdim=True)
        pooled = (real + judged) / (num_real + num_judged)
        deviation = (pooled * (1.0 - pooled) * (1.0 / num_real + 1.0 / num_judged)).sqrt()
        gap = (real / num_real - judged / num_judged).abs()
        # A bin that nobody or everybody is in has no deviation and no gap.
        chance = torch.erfc(gap / deviation.clamp_min(1e-300) / math.sqrt(2.0))
        return (chance < self.alpha).double().mean(dim=1)

    def _remarks(self, reference: Vectors, estimate: Vectors, real_votes: Tensor) -> tuple[str, ...]:
        remarks = []
        empty = int((real_votes.sum(dim=0) == 0).sum())
        if empty:
            remarks.append(f"{empty} of {self.bins} bins hold nothing of the reference: its sounds repeat")
        for which, vectors in (("the reference", reference), ("the set judged", estimate)):
            if vectors.num_clips < _CLIPS_PER_BIN * self.bins:
                remarks.append(
                    f"{which} has {vectors.num_clips} clips for {self.bins} bins: the z-test takes "
                    f"{_CLIPS_PER_BIN} per bin, below that its alpha is not kept"
                )
        return tuple(remarks)


def _votes(vectors: Vectors, labels: Tensor, bins: int) -> Float64[Tensor, "clips bins"]:
    votes = torch.zeros(vectors.num_clips, bins, dtype=torch.float64, device=labels.device)
    parts = 1.0 / vectors.rows_per_clip[vectors.clips]
    return votes.index_put_((vectors.clips, labels), parts, accumulate=True)
