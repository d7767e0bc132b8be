"""Who trains and who is held out, decided so that nothing can leak from one to the other.

A network that has seen a sound in training can recite its label later, and a score on such sounds says nothing. So
the parts of a set are disjoint in what they are about, not just in row numbers:

- Sounds of a synthesizer are parted by their classes: the vector of classes is mixed into a number in [0, 1), and
  the number decides. Two clips with equal classes are therefore always in the same part, even in different sets.
- Recordings are parted by file, so that two windows of one recording never face each other, or by what several files
  have in common (a speaker, an instrument), and within each label, so that every label has its share of each part to
  within one of those.

Neither depends on the order in which files are listed, on the machine, or on a seed.
"""

import dataclasses
import hashlib
from collections import Counter, defaultdict
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
    """The part of each recording: within each label, to within one recording of its share.

    Recordings of one name stay together, so a name may be that of a speaker or an instrument; a part then has its
    share to within half of a name. Names with several labels, and labels with too few names to hold one out of, are
    parted all together.
    """
    labels_of: dict[str, set[str]] = defaultdict(set)
    names_of: dict[str, set[str]] = defaultdict(set)
    for name, label in zip(names, labels, strict=True):
        labels_of[name].add(label)
        names_of[label].add(name)
    counts = Counter(labels)
    are_scarce = {
        label for label, own in names_of.items() if len(own) < len(SPLITS) and counts[label] > len(own)
    }
    pools: dict[str | None, Counter[str]] = defaultdict(Counter)
    for name, label in zip(names, labels, strict=True):
        stands_alone = len(labels_of[name]) == 1 and label not in are_scarce
        pools[label if stands_alone else None][name] += 1
    part_of: dict[str, Split] = {}
    for sizes in pools.values():
        part_of |= _parted(sizes, fractions)
    return [part_of[name] for name in names]


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


def _parted(sizes: Counter[str], fractions: Fractions) -> dict[str, Split]:
    """Fills the held-out parts with names, in the order of their digests, to their shares of all recordings."""
    total = sizes.total()
    num_test = round(fractions.test * total)
    num_validation = round((fractions.test + fractions.validation) * total) - num_test
    left = sorted(sizes, key=lambda name: (_digest(name), name))
    part_of: dict[str, Split] = dict.fromkeys(left, "train")
    wanted: tuple[tuple[Split, int], ...] = (("test", num_test), ("validation", num_validation))
    for part, share in wanted:
        taken = 0
        for name in left:
            if taken + sizes[name] / 2 <= share:
                part_of[name] = part
                taken += sizes[name]
        if share and not taken and len(left) > 1:
            part_of[min(left, key=sizes.__getitem__)] = part
        left = [name for name in left if part_of[name] == "train"]
    return part_of


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", errors="surrogateescape")).hexdigest()
