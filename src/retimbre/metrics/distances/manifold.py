"""Precision, recall, density and coverage: is what was made like the real, and is all that is real made?

The region of a set is the union of balls around its vectors, each as large as the distance to its k-th neighbour within
the set. Then

    precision   share of the set judged that lies in the reference's region: no strange sounds
    recall      share of the reference that lies in the region of the set judged: nothing missing
    density     how many of the reference's balls a vector of the set judged lies in, over k: precision that one
                outlier in the reference, with its huge ball, does not spoil; may exceed 1
    coverage    share of the reference's balls that hold a vector of the set judged: recall that outliers in the set
                judged do not flatter

Two sets of one distribution do not score 1: precision and recall come near it, coverage is 1 - 1 / 2^k where the sets
are of equal size (0.97 for k = 5). Balls mean little in many dimensions, and figures depend on k and on both sizes.

Whether a vector on the very edge of a ball is inside matters only where sounds repeat: the balls of a constant set have
radius 0, and two equal constant sets score 1 with "<=" (torch-fidelity) and 0 with "<" (the package prdc).

References:
    Kynkaanniemi et al. (2019), "Improved precision and recall metric for assessing generative models",
    https://arxiv.org/abs/1904.06991
    Naeem, Oh, Uh, Choi & Yoo (2020), "Reliable fidelity and diversity metrics for generative models",
    https://arxiv.org/abs/2002.09797
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap, Interval, share_interval
from retimbre.metrics.distances.base import Better, Distance, Measured, Vectors, drawn_weights, interval
from retimbre.metrics.distances.pairs import blocks, squared_distances


@final
@dataclass(frozen=True)
class Prdc(Distance):
    """The four, coverage first. Intervals keep the radii of the whole sets and draw which clips there are.

    If none or all of the clips are inside, the draws cannot vary; the interval of that share is Wilson's.

    Attributes:
        k: The neighbour that makes the radius.
        inside: Whether the edge of a ball belongs to it.

    Raises:
        ConfigError: No neighbours.
    """

    name: ClassVar[str] = "PRDC"
    better: ClassVar[Better] = "higher"
    identical: ClassVar[float] = 1.0
    k: int = 5
    inside: Literal["<=", "<"] = "<="

    def __post_init__(self) -> None:
        """Refuses what has no radius."""
        if self.k < 1:
            raise ConfigError(f"PRDC takes at least 1 neighbour, got {self.k}")

    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        for which, vectors in (("the reference", reference), ("the set judged", estimate)):
            if vectors.num_clips <= self.k:
                raise ConfigError(
                    f"{which} has {vectors.num_clips} clips; PRDC with k = {self.k} takes at least {self.k + 1}"
                )
        origin = reference.values.mean(dim=0)
        real, judged = (Vectors(vectors.values - origin, vectors.clips) for vectors in (reference, estimate))
        real_radii, judged_radii = _radii(real, self.k), _radii(judged, self.k)
        sums = _Sums(drawn_weights(real, how, "reference"), drawn_weights(judged, how, "judged"))
        for block in blocks(len(real.values), len(judged.values)):
            squared = squared_distances(real.values[block], judged.values)
            sums.add(
                block, self._in(squared, real_radii[block, None]), self._in(squared, judged_radii[None, :])
            )
        figures = sums.figures(self.k)
        values = {
            name: interval(
                float(figure[0]),
                figure[1:],
                estimate.num_clips,
                how,
                least=0.0,
                most=float("inf") if name == "density" else 1.0,
            )
            for name, figure in figures.items()
        }
        clips = {"precision": estimate.num_clips, "recall": real.num_clips, "coverage": real.num_clips}
        for name, num_clips in clips.items():
            values[name] = _with_width(values[name], num_clips, how)
        return Measured({"value": values["coverage"], **values}, self._remarks(real_radii, judged_radii), {})

    def _in(self, squared: Tensor, squared_radii: Tensor) -> Tensor:
        return squared <= squared_radii if self.inside == "<=" else squared < squared_radii

    def _remarks(self, real_radii: Tensor, judged_radii: Tensor) -> tuple[str, ...]:
        remarks = []
        for which, radii in (("the reference", real_radii), ("the set judged", judged_radii)):
            points = int((radii == 0.0).sum())
            if points:
                belongs = "does" if self.inside == "<=" else "does not"
                remarks.append(
                    f"{points} of {len(radii)} balls of {which} have radius 0, as sounds repeat; a vector that is "
                    f"equal to their centre {belongs} count as inside"
                )
        return tuple(remarks)


def _with_width(share: Interval, num_clips: int, how: Bootstrap) -> Interval:
    """A share of none or of all clips with an interval that the draws could not give."""
    if share.value not in (0.0, 1.0):
        return share
    around = share_interval(num_clips if share.value else 0, num_clips, how.confidence)
    return replace(share, low=around.low, high=around.high)


def _radii(vectors: Vectors, k: int) -> Float64[Tensor, " rows"]:
    """The squared distance of each vector to its k-th neighbour among the vectors of other clips."""
    radii = []
    for block in blocks(len(vectors.values), len(vectors.values)):
        squared = squared_distances(vectors.values[block], vectors.values)
        squared.masked_fill_(vectors.clips[block, None] == vectors.clips, torch.inf)
        radii.append(squared.kthvalue(k, dim=1).values)
    return torch.cat(radii)


@final
class _Sums:
    """What is counted over blocks of the reference, for the sets themselves and for each resample."""

    def __init__(
        self, of_real: Float64[Tensor, "sets real"], of_judged: Float64[Tensor, "sets judged"]
    ) -> None:
        self.of_real, self.of_judged = of_real, of_judged
        # Counts of 0 and 1 are exact in float32 up to 16 million, and matrix products are twice as fast.
        self.real_there, self.judged_there = (of_real > 0).float(), (of_judged > 0).float()
        self.balls = torch.zeros_like(of_judged)
        self.in_region = torch.zeros_like(of_judged, dtype=torch.bool)
        self.recalled = torch.zeros(len(of_real), dtype=torch.float64, device=of_real.device)
        self.covered = torch.zeros_like(self.recalled)

    def add(
        self,
        block: slice,
        in_real_ball: Bool[Tensor, "block judged"],
        in_judged_ball: Bool[Tensor, "block judged"],
    ) -> None:
        """Counts one block of the reference's rows."""
        in_real, in_judged = in_real_ball.float(), in_judged_ball.float()
        weights = self.of_real[:, block]
        self.balls += weights.float() @ in_real
        self.in_region |= self.real_there[:, block] @ in_real > 0
        self.covered += (weights * (self.judged_there @ in_real.T > 0)).sum(dim=1)
        self.recalled += (weights * (self.judged_there @ in_judged.T > 0)).sum(dim=1)

    def figures(self, k: int) -> dict[str, Float64[Tensor, " sets"]]:
        """The four figures."""
        num_judged, num_real = self.of_judged.sum(dim=1), self.of_real.sum(dim=1)
        return {
            "precision": (self.of_judged * self.in_region).sum(dim=1) / num_judged,
            "recall": self.recalled / num_real,
            "density": (self.of_judged * self.balls).sum(dim=1) / (k * num_judged),
            "coverage": self.covered / num_real,
        }
