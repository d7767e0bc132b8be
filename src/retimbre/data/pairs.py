"""Consecutive chunks of a recording as pairs: what was heard last, and what comes next.

A network that continues a sound hears the end of one chunk (the *condition*) and makes the next (the *target*). Both
are in the set already, so a pair is no second copy on disk but two numbers: the target's clip, and the clip before it
in the same recording. Pairs never reach across recordings, and both clips of a pair are in one part of the set,
because a recording is.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data.dataset import Clip, RecordedSet

# Half a chunk of 16,384 samples, as in the earlier system.
CONDITION_SAMPLES = 8192

# Starts are whole samples written as seconds; a chunk lasts far longer than this.
_SAME_TIME_S = 1e-6


def previous_rows(clips: Sequence[Clip]) -> Int[Tensor, " clips"]:
    """For each clip the one that ends where it begins, in the same recording; -1 where there is none."""
    rows = torch.full((len(clips),), -1)
    for row, (before, clip) in enumerate(itertools.pairwise(clips), start=1):
        follows = abs(before.start_s + before.seconds - clip.start_s) < _SAME_TIME_S
        if before.source == clip.source and before.sha256 == clip.sha256 and follows:
            rows[row] = row - 1
    return rows


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ChunkPairs:
    """The pairs of a recorded set.

    Attributes:
        targets: The clips that have one before them, ascending.
        condition_samples: How much of the chunk before is heard: its last samples.
    """

    data: RecordedSet
    targets: Int[Tensor, " pairs"]
    condition_samples: int

    @classmethod
    def open(cls, data: RecordedSet, *, condition_samples: int = CONDITION_SAMPLES) -> "ChunkPairs":
        """Finds the pairs of a set.

        Raises:
            ConfigError: A condition is longer than a chunk, or empty.
            DatasetError: No clip follows another; the set was not cut without overlap.
        """
        if not 1 <= condition_samples <= data.header.num_samples:
            raise ConfigError(
                f"a condition has 1 to {data.header.num_samples} samples, not {condition_samples}"
            )
        targets = torch.nonzero(previous_rows(data.clips) >= 0).flatten()
        if len(targets) == 0:
            raise DatasetError(f"{data.folder}: no clip follows another of the same recording")
        return cls(data, targets, condition_samples)

    def __len__(self) -> int:
        return len(self.targets)

    def split(self, name: str) -> Int[Tensor, " pairs"]:
        """The pairs of `train`, `validation` or `test`."""
        return torch.nonzero(torch.isin(self.targets, self.data.split(name))).flatten()

    def conditions(self, pairs: Int[Tensor, " rows"]) -> Float[Tensor, "rows condition"]:
        """The last samples of the chunk before, for these pairs, in this order."""
        return self.data.audio(self.targets[pairs] - 1)[:, -self.condition_samples :]

    def chunks(self, pairs: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """The chunks that follow, for these pairs, in this order."""
        return self.data.audio(self.targets[pairs])
