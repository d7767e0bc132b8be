"""The inception score: clips each of which is surely of one class, and all classes there.

A classifier says of every clip how likely each class is, p. If clips are clear, p is far from the average q over all
clips; if the clips are varied, q is flat. The score is exp of the mean Kullback-Leibler divergence of p from q: 1 where
the classifier says the same of everything, and the number of classes where it is sure of every clip and each class
comes equally often. It never looks at the real sounds, so a set of one perfect sound per class has the best score.

Scores of classifiers with different classes never compare. Nor do scores of different sizes: q is estimated from the
clips at hand, and few clips make it look like p, so the score falls. The custom is the mean over ten splits of the set
(Salimans et al.), each a tenth of the size; the score of the whole set stands beside it as "unsplit".

System C added 1e-6 inside the logarithm of q and averaged the *running* score, that of the first 50 clips, of the first
100, and so on: biased low, as most of these sets are small. "running" reproduces it.

References:
    Salimans et al. (2016), "Improved techniques for training GANs", https://arxiv.org/abs/1606.03498
    Barratt & Sharma (2018), "A note on the inception score", https://arxiv.org/abs/1801.01973
"""

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float64
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Measured, Score, Vectors, drawn_counts, interval

# Of the running score.
_BATCH_CLIPS = 50
_RUNNING_OFFSET = 1e-6


@final
@dataclass(frozen=True)
class InceptionScore(Score):
    """The inception score of one vector of logits per clip.

    Attributes:
        splits: Parts whose scores are averaged; of no meaning to "running".
        rule: "splits", or "running" for the mean of system C's running scores.
        shuffle: Whether clips are put in a random order first, since a folder's order is one of classes.
        seed: Of that order.

    Raises:
        ConfigError: No splits.
    """

    name: ClassVar[str] = "inception score"
    splits: int = 10
    rule: Literal["splits", "running"] = "splits"
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be split."""
        if self.splits < 1:
            raise ConfigError(f"an inception score takes at least 1 split, got {self.splits}")

    def _measured(self, logits: Vectors, how: Bootstrap) -> Measured:
        num_clips, num_classes = logits.num_clips, logits.dim
        if len(logits.values) != num_clips:
            raise ConfigError(
                f"an inception score takes one vector per clip, got {len(logits.values)} vectors of {num_clips} clips"
            )
        if self.rule == "splits" and num_clips < 2 * self.splits:
            raise ConfigError(
                f"{num_clips} clips in {self.splits} splits leave fewer than 2 in each; an inception score takes at "
                f"least {2 * self.splits}"
            )
        shares = logits.values.softmax(dim=1)
        if self.shuffle:
            order = torch.randperm(num_clips, generator=generator(self.seed, "inception score", num_clips))
            shares = shares[order.to(shares.device)]
        draws, whole = [], []
        for counts in drawn_counts(logits, how, "score"):
            for times in counts:
                # A half comes round twice, so that as many clips as before are split.
                some = shares[times > 0.0].repeat(2, 1)
                draws.append(self._score(some))
                whole.append(_score(some, 0.0))
        bounds = {"least": 1.0, "most": float(num_classes)}
        values = {
            name: interval(value, torch.tensor(of_draws, dtype=torch.float64), num_clips, how, **bounds)
            for name, value, of_draws in (
                ("value", self._score(shares), draws),
                ("unsplit", _score(shares, 0.0), whole),
            )
        }
        return Measured(values, self._remarks(num_clips, num_classes), {"classes": num_classes})

    def _score(self, shares: Float64[Tensor, "clips classes"]) -> float:
        """The score by the rule, of clips in this order."""
        num_clips = len(shares)
        if self.rule == "running":
            ends = [*range(_BATCH_CLIPS, num_clips, _BATCH_CLIPS), num_clips]
            scores = [_score(shares[:end], _RUNNING_OFFSET) for end in ends]
        else:
            cuts = [part * num_clips // self.splits for part in range(self.splits + 1)]
            scores = [_score(shares[start:end], 0.0) for start, end in itertools.pairwise(cuts)]
        return sum(scores) / len(scores)

    def _remarks(self, num_clips: int, num_classes: int) -> tuple[str, ...]:
        if self.rule == "running":
            return ("the mean of running scores is biased low: most of them are of few clips",)
        per_split = num_clips // self.splits
        if per_split < 10 * num_classes:
            return (
                f"{per_split} clips per split for {num_classes} classes: the score is biased low, and no score of "
                "another number of clips compares",
            )
        return ()


def _score(shares: Float64[Tensor, "clips classes"], offset: float) -> float:
    """exp(entropy of the mean - mean entropy): the same as the mean divergence, and finite where a share is 0."""
    mean = shares.mean(dim=0)
    surprise = -torch.special.xlogy(mean, mean + offset).sum()
    own = -torch.special.xlogy(shares, shares).sum(dim=1).mean()
    return float((surprise - own).exp())
