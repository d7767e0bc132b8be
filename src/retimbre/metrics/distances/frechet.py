"""The Frechet distance: two sets as two Gaussians, and how far one must be moved to become the other.

Both sets are summarised by mean and covariance, and the squared 2-Wasserstein distance of the two Gaussians is taken
(`retimbre.metrics.distances.gaussians`). On embeddings of sounds it is FAD, on those of images FID. It sees shifts and
changes of variance and nothing else: two sets of one mean and covariance are equal to it, whatever their shapes.

Few sounds make it too large, roughly by a constant over n: the covariance of a small set misses directions. With 128
dimensions and the same distribution on both sides it is 23 at n = 200 and still 1.1 at 5000. So sets that do not fill
the dimensions are refused, small ones remarked, and *FAD-infinity* stands beside the value
(`retimbre.metrics.distances.extrapolation`).

References:
    Kilgour, Zuluaga, Roblek & Sharifi (2019), "Frechet audio distance", https://arxiv.org/abs/1812.08466
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Measured, Vectors, drawn_counts, interval
from retimbre.metrics.distances.extrapolation import Way, extrapolated
from retimbre.metrics.distances.gaussians import Moments, frechet_distance, quick_distance


@final
@dataclass(frozen=True)
class FrechetDistance(Distance):
    """The Frechet distance of two sets, and what it would be without the bias of the size of the set judged.

    Attributes:
        small_sets: What becomes of sets with no more vectors than dimensions, whose covariance is singular: "refuse",
            or "mark", as the historic programs computed them without a word.
        infinity: How FAD-infinity is extrapolated: over sub-samples of clips drawn without replacement ("clips"),
            over frames drawn with replacement ("fadtk"), or not.
    """

    name: ClassVar[str] = "Frechet distance"
    small_sets: Literal["refuse", "mark"] = "refuse"
    infinity: Way = "clips"

    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        remarks = [
            *self._size_remarks("the reference", reference),
            *self._size_remarks("the set judged", estimate),
        ]
        origin = reference.values.mean(dim=0)
        reference, estimate = (
            Vectors(vectors.values - origin, vectors.clips) for vectors in (reference, estimate)
        )
        fixed = Moments.of(reference.values)
        value = frechet_distance(fixed, Moments.of(estimate.values))
        pairs = zip(_drawn(reference, how, "reference"), _drawn(estimate, how, "judged"), strict=True)
        draws = torch.tensor([quick_distance(*pair) for pair in pairs], dtype=torch.float64)
        around = interval(value, draws, estimate.num_clips, how, least=0.0)
        values = {"value": around}
        if self.infinity != "none":
            infinity = extrapolated(self.infinity, fixed, estimate, around, how.seed)
            if isinstance(infinity, str):
                remarks.append(infinity)
            else:
                values["infinity"] = infinity
        return Measured(values, tuple(remarks), {})

    def _size_remarks(self, which: str, vectors: Vectors) -> list[str]:
        """What is doubtful about a set of this size.

        Raises:
            ConfigError: Too few vectors, if these are refused.
        """
        num_rows, num_clips, dim = len(vectors.values), vectors.num_clips, vectors.dim
        if num_rows <= dim:
            words = f"{which} has {num_rows} vectors of {dim} dimensions"
            if self.small_sets == "refuse":
                raise ConfigError(
                    f"{words}; a Frechet distance takes more vectors than dimensions, better twice as many (few "
                    "sounds are compared by kad, kid or mind)"
                )
            return [f"{words}: its covariance is singular and the distance says little"]
        if num_clips < 2 * dim:
            return [
                f"{which} has {num_clips} clips, fewer than 2 x {dim} dimensions: the distance is too large"
            ]
        return []


def _drawn(vectors: Vectors, how: Bootstrap, purpose: str) -> Iterator[Moments]:
    """The moments of each draw: a row counts as often as its clip does."""
    for counts in drawn_counts(vectors, how, purpose):
        for times in counts:
            weights = times[vectors.clips]
            drawn = weights > 0.0
            values, weights = vectors.values[drawn], weights[drawn]
            total = weights.sum()
            mean = weights @ values / total
            scatter = (values * weights[:, None]).T @ values - total * torch.outer(mean, mean)
            yield Moments(float(total), mean, scatter)
