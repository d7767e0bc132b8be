"""Maximum mean discrepancies: how much more alike sounds of one set are among themselves than to those of the other.

A kernel k says how alike two vectors are. The squared MMD is the mean of k within the reference, plus its mean within
the set judged, minus twice its mean between them. If the distributions are the same, all three means are the same.
Leaving out the pairs of a vector with itself makes the estimate unbiased: on equal distributions it is 0 on average,
whatever the number of sounds, and slightly below 0 half of the time. That is right, and is not clipped.

The kernel is the measure's taste. The cubic polynomial of KID sees the first three moments. The Gaussian of KAD sees
everything at the scale of its bandwidth, the median distance within the reference, and saturates far from it: two sets
that are both nowhere near the reference score alike. The inverse multiquadric saturates too, at a fixed scale, so it
depends on the unit of the vectors: where all of them lie far apart on that scale, its value says nothing, and a remark
says so.

Pairs within one clip are left out like those of a vector with itself: two windows of one sound are alike without the
sets being so. With one vector per clip this is the ordinary estimate.

References:
    Gretton et al. (2012), "A kernel two-sample test", https://jmlr.org/papers/v13/gretton12a.html
    Binkowski, Sutherland, Arbel & Gretton (2018), "Demystifying MMD GANs", https://arxiv.org/abs/1801.01401 (KID)
    Chung et al. (2025), "KAD: No more FAD!", https://arxiv.org/abs/2502.15602
    Nistal, Lattner & Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266 (the inverse multiquadric, as PKID and IKID)
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float64
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Measured, Vectors, drawn_weights, interval
from retimbre.metrics.distances.pairs import blocks, squared_distances

Kernel = Callable[[Tensor, Tensor], Tensor]

# Vectors among which the median distance is taken: 2 million pairs.
_MEDIAN_VECTORS = 2048

# A set's vectors are similar to themselves only beyond this share of the pairs: no bandwidth.
_LEAST_BANDWIDTH = 1e-12

# Vectors whose kernel is less than this on average, of 1 for equal ones, are too far apart for its scale.
_LEAST_LIKENESS = 0.01


class Mmd(Distance):
    """A squared MMD of some kernel; its fields are in the subclasses."""

    factor: ClassVar[float] = 1.0

    @abc.abstractmethod
    def _kernel(self, reference: Vectors) -> tuple[Kernel, dict[str, Any]]:
        """The kernel as a function of two matrices of rows, and what was chosen by looking at the reference."""

    @property
    def _keeps_diagonal(self) -> bool:
        """Whether pairs of a clip with itself are summed, and the sum divided as though they were not."""
        return False

    def _doubts(self, likeness: float) -> tuple[str, ...]:
        """Remarks on a kernel that does not fit the vectors, from the largest of its three means."""
        return ()

    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        kernel, chosen = self._kernel(reference)
        of_reference, of_estimate = (
            drawn_weights(reference, how, "reference"),
            drawn_weights(estimate, how, "judged"),
        )
        within_reference, own_reference = _within(kernel, reference, of_reference)
        within_estimate, own_estimate = _within(kernel, estimate, of_estimate)
        between = _between(kernel, reference, of_reference, estimate, of_estimate)
        distances = self.factor * (within_reference + within_estimate - 2.0 * between)
        value = float(distances[0])
        if self._keeps_diagonal:
            value += self.factor * (own_reference + own_estimate)
        settings = {"pairs_within_clip": "kept" if self._keeps_diagonal else "left out", **chosen}
        if self.factor != 1.0:
            settings["factor"] = self.factor
        likeness = max(float(means[0]) for means in (within_reference, within_estimate, between))
        figure = interval(value, distances[1:], estimate.num_clips, how)
        return Measured({"value": figure}, self._doubts(likeness), settings)


@final
@dataclass(frozen=True)
class PolynomialMmd(Mmd):
    """KID: the kernel (x.y / dim + coef)^degree over the whole sets, no subsets.

    Attributes:
        degree: Of the polynomial.
        coef: Added to the product.
    """

    name: ClassVar[str] = "KID"
    degree: int = 3
    coef: float = 1.0

    def _kernel(self, reference: Vectors) -> tuple[Kernel, dict[str, Any]]:
        gamma = 1.0 / reference.dim

        def polynomial(rows: Tensor, columns: Tensor) -> Tensor:
            return (rows @ columns.T).mul_(gamma).add_(self.coef).pow_(self.degree)

        return polynomial, {"kernel": "polynomial", "gamma": gamma}


@final
@dataclass(frozen=True)
class GaussianMmd(Mmd):
    """KAD: the kernel exp(-d^2 / (2 bandwidth^2)), the MMD times 100.

    The bandwidth is the median distance between vectors of the reference, so it does not depend on the set judged and
    figures of several sets compare. Above 2048 vectors it is taken among 2048 of them, drawn by `seed`.

    Attributes:
        seed: Of that draw.
    """

    name: ClassVar[str] = "KAD"
    factor: ClassVar[float] = 100.0
    seed: int = 0

    def _kernel(self, reference: Vectors) -> tuple[Kernel, dict[str, Any]]:
        bandwidth = median_distance(reference.values, self.seed)
        length = float(reference.values.square().sum(dim=1).mean().sqrt())
        if bandwidth <= _LEAST_BANDWIDTH * length:
            raise ConfigError(
                "half of the pairs in the reference are equal, so their median distance is 0; KAD takes a reference "
                "whose sounds differ"
            )
        origin = reference.values.mean(dim=0)

        def gaussian(rows: Tensor, columns: Tensor) -> Tensor:
            return squared_distances(rows - origin, columns - origin).mul_(-0.5 / bandwidth**2).exp_()

        among = min(len(reference.values), _MEDIAN_VECTORS)
        return gaussian, {"kernel": "gaussian", "bandwidth": bandwidth, "bandwidth_vectors": among}


@final
@dataclass(frozen=True)
class ImqMmd(Mmd):
    """The kernel constant / (constant + d^2), the inverse multiquadric of system C's PKID and IKID.

    Attributes:
        constant: The squared distance at which two vectors are half alike.
        estimator: "unbiased"; "diagonal kept" sums the pairs of a vector with itself, divided as though they had been
            left out, which adds 1 / (n - 1) for each set: 2 / (n - 1) between two sets of n vectors.
    """

    name: ClassVar[str] = "IMQ-MMD"
    constant: float = 16.0
    estimator: Literal["unbiased", "diagonal kept"] = "unbiased"

    @property
    def _keeps_diagonal(self) -> bool:
        return self.estimator == "diagonal kept"

    def _kernel(self, reference: Vectors) -> tuple[Kernel, dict[str, Any]]:
        origin = reference.values.mean(dim=0)

        def inverse_multiquadric(rows: Tensor, columns: Tensor) -> Tensor:
            squared = squared_distances(rows - origin, columns - origin)
            return squared.add_(self.constant).reciprocal_().mul_(self.constant)

        return inverse_multiquadric, {"kernel": "inverse multiquadric"}

    def _doubts(self, likeness: float) -> tuple[str, ...]:
        if likeness >= _LEAST_LIKENESS:
            return ()
        left = "what the pairs of a vector with itself add" if self._keeps_diagonal else "chance"
        return (
            f"the vectors lie so far apart that no two sounds are alike to this kernel (on average {likeness:.2g} of "
            f"1 at most): the value is little but {left}",
        )


def median_distance(values: Float64[Tensor, "rows dim"], seed: int) -> float:
    """The median distance between two vectors."""
    if len(values) > _MEDIAN_VECTORS:
        order = torch.randperm(len(values), generator=generator(seed, "median distance", len(values)))
        values = values[order[:_MEDIAN_VECTORS].sort().values]
    return float(torch.pdist(values - values.mean(dim=0)).quantile(0.5))


def _within(
    kernel: Kernel, vectors: Vectors, weights: Float64[Tensor, "sets rows"]
) -> tuple[Float64[Tensor, " sets"], float]:
    """The mean of the kernel over pairs of different clips, for each weighting.

    Besides, its sum over the pairs within a clip of the set itself, divided by n (n - 1).
    """
    num_rows = len(vectors.values)
    total = torch.zeros(len(weights), dtype=torch.float64, device=weights.device)
    own = 0.0
    for block in blocks(num_rows, num_rows):
        # A kernel is symmetric: pairs to the right of the diagonal block stand for those to the left of it.
        similar = kernel(vectors.values[block], vectors.values[block.start :])
        same = vectors.clips[block, None] == vectors.clips[block.start :]
        own += _symmetric_sum(similar * same, block)
        similar.masked_fill_(same, 0.0)
        width = block.stop - block.start
        similar[:, width:] *= 2.0
        total += (weights[:, block] @ similar * weights[:, block.start :]).sum(dim=1)
    pairs = weights.sum(dim=1).square() - _of_same_clip(vectors, weights)
    return total / pairs, own / (num_rows * (num_rows - 1))


def _symmetric_sum(similar: Tensor, block: slice) -> float:
    """The sum over a block of rows and everything right of it, what is beside the diagonal block counted twice."""
    width = block.stop - block.start
    return float(similar[:, :width].sum() + 2.0 * similar[:, width:].sum())


def _of_same_clip(vectors: Vectors, weights: Float64[Tensor, "sets rows"]) -> Float64[Tensor, " sets"]:
    """The weights of all pairs of rows within a clip."""
    per_clip = torch.zeros(len(weights), vectors.num_clips, dtype=torch.float64, device=weights.device)
    return per_clip.index_add_(1, vectors.clips, weights).square().sum(dim=1)


def _between(
    kernel: Kernel,
    reference: Vectors,
    of_reference: Float64[Tensor, "sets rows"],
    estimate: Vectors,
    of_estimate: Float64[Tensor, "sets others"],
) -> Float64[Tensor, " sets"]:
    """The mean of the kernel over pairs of the two sets, for each weighting."""
    total = torch.zeros(len(of_reference), dtype=torch.float64, device=of_reference.device)
    for block in blocks(len(reference.values), len(estimate.values)):
        similar = kernel(reference.values[block], estimate.values)
        total += (of_reference[:, block] @ similar * of_estimate).sum(dim=1)
    return total / (of_reference.sum(dim=1) * of_estimate.sum(dim=1))
