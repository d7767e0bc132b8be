"""Two halves of a set that share no clip.

A set that was made from some clips is nearer to those very clips than any fair set is: an inverter's answers stand pair
by pair beside what they answer, and estimates that expect independent sets fall below what a perfect set has. So
whoever answers real sounds answers one half of them and is compared with the other.
"""

import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.workflows.evaluation.sets.clips import ChosenClips, Clips

_FEWEST = 4


def rows_by_lot(count: int, seed: int) -> tuple[list[int], list[int]]:
    """The clips of either half, in order; the second has one more where the number is odd."""
    order = torch.randperm(count, generator=random.generator(seed, "halves", count)).tolist()
    return sorted(order[: count // 2]), sorted(order[count // 2 :])


def halves_by_lot(clips: Clips, seed: int) -> tuple[Clips, Clips]:
    """A set parted in two by lot; each half goes by the name of the whole.

    Raises:
        ConfigError: A half would have fewer than two clips, which no distance takes.
    """
    if len(clips) < _FEWEST:
        raise ConfigError(
            f"{clips.name}: {len(clips)} clips; a model that answers one half of them and is compared with the other "
            f"takes {_FEWEST}"
        )
    first, second = rows_by_lot(len(clips), seed)
    return ChosenClips(clips, clips.name, first), ChosenClips(clips, clips.name, second)
