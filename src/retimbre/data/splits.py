"""Who trains and who is held out, decided so that nothing can leak from one to the other.

A network that has seen a sound in training can recite its label later, and a score on such sounds says nothing. So
the parts of a set are disjoint in what they are about, not just in row numbers:

- Sounds of a synthesizer are parted by their classes: the vector of classes is mixed into a number in [0, 1), and
  the number decides. Two clips with equal classes are therefore always in the same part, even in different sets.
- Recordings are parted by file, so that two windows of one recording never face each other, and within each label,
  so that every label has its share of each part to within one file.

Neither depends on the order in which files are listed, on the machine, or on a seed.
"""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError, near_miss
from retimbre.data.manifest import Fractions

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

# Knuth's multiplier for 64-bit linear congruential generators; the products wrap around.
_MULTIPLIER = 6364136223846793005


@dataclasses.dataclass(frozen=True)
class Folds:
    """One turn of k-fold cross-validation over class vectors: each is in the test part of exactly one fold.

    Fold 0 of ten is the split that everything else uses. The validation part of a fold is the test part of the next.

    Attributes:
        count: How many folds, 3 or more.
        fold: Which of them is the test part, from 0.
    """

    count: int = 10
    fold: int = 0

    def __post_init__(self) -> None:
        """Refuses folds that leave nothing to train on, and a fold that there is not."""
        if not (self.count >= 3 and 0 <= self.fold < self.count):
            raise ConfigError(
                f"fold {self.fold} of {self.count}: takes 3 folds or more, counted from 0 to one less than there are"
            )

    def part(self, classes: Int[Tensor, "examples searched"]) -> Int[Tensor, " examples"]:
        """The part of each example, as an index into `SPLITS`."""
        share = 1.0 / self.count
        fractions = Fractions(validation=share, test=share)
        return split_by_classes(classes, fractions, turn=self.fold / self.count)


def split_by_classes(
    classes: Int[Tensor, "examples searched"], fractions: Fractions, *, turn: float = 0.0
) -> Int[Tensor, " examples"]:
    """The part of each example, as an index into `SPLITS`: a function of its own classes alone.

    Args:
        turn: Where the test part begins, as a share of all class vectors.
    """
    place = (_place(classes) - turn) % 1.0
    held_out = fractions.validation + fractions.test
    return (place < held_out).long() + (place < fractions.test).long()


def split_by_name(names: Sequence[str], labels: Sequence[str], fractions: Fractions) -> list[Split]:
    """The part of each recording: within each label, to within one recording of its share."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        by_label[label].append(index)
    parts: list[Split] = ["train"] * len(names)
    for members in by_label.values():
        shuffled = sorted(members, key=lambda index: (_digest(names[index]), names[index]))
        num_test = round(fractions.test * len(members))
        num_held_out = round((fractions.test + fractions.validation) * len(members))
        for position, index in enumerate(shuffled[:num_held_out]):
            parts[index] = "test" if position < num_test else "validation"
    return parts


def indices_of(parts: Int[Tensor, " examples"], split: str) -> Int[Tensor, " rows"]:
    """The examples of a part, ascending.

    Raises:
        ConfigError: There is no such part.
    """
    if split not in SPLITS:
        raise ConfigError(f"there is no split {split!r}; {near_miss(split, SPLITS)}")
    return torch.nonzero(parts == SPLITS.index(split)).flatten()


def balanced(labels: Int[Tensor, " examples"], count: int, *, seed: int, step: int) -> Int[Tensor, " count"]:
    """Positions of `count` examples in which each label that occurs has its equal share, to within one.

    Examples of a label are not repeated before all of them are used. The same (seed, step) gives the same
    positions.

    Raises:
        ConfigError: There are no examples.
    """
    if labels.numel() == 0:
        raise ConfigError("there are no examples to balance")
    source = random.generator(seed, "balanced sampling", step)
    present = labels.unique()
    order = torch.randperm(len(present), generator=source)
    drawn = []
    for rank, label in enumerate(present[order]):
        share = count // len(present) + (rank < count % len(present))
        members = torch.nonzero(labels == label).flatten()
        rounds = -(-share // len(members))
        turns = [torch.randperm(len(members), generator=source) for _ in range(rounds)]
        drawn.append(members[torch.cat(turns)[:share]] if turns else members[:0])
    chosen = torch.cat(drawn)
    return chosen[torch.randperm(len(chosen), generator=source)]


def _place(classes: Int[Tensor, "examples searched"]) -> Float[Tensor, " examples"]:
    """A number in [0, 1) for each vector of classes, as good as random, the same everywhere."""
    mixed = torch.zeros(classes.shape[0], dtype=torch.int64, device=classes.device)
    for column in classes.long().unbind(1):
        mixed = mixed * _MULTIPLIER + column + 1
    return random.uniform(0, "split of a class vector", mixed, 1)[:, 0]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", errors="surrogateescape")).hexdigest()
