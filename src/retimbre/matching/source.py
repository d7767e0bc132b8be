"""The form of what inverters are trained on: batches of labelled sounds, and where they come from.

A `Source` is a list of pairs that may be endless. It is read by *rows*, the places of a long training, each of which
leads to the *number* of a pair: where there are only so many pairs, every pass goes through the same numbers, in an
order of its own. Sounds and labels can be asked for apart, since features that are
known already need no sound.
"""

import abc
import dataclasses
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.data.splits import Split
from retimbre.synth.base import Note
from retimbre.training.share import Share, whole


@dataclasses.dataclass(frozen=True)
class PairBatch:
    """Sounds and what made them.

    Attributes:
        classes: The class of each searched knob: the nearest one, where knobs were drawn between classes.
        unit: The exact patch, as points of the unit cube.
        share: Which rows of a training batch these are, where several processes share it; None for all.
        features: What the front end makes of the sounds, where it is known already; `audio` then has no samples.
    """

    audio: Float[Tensor, "batch samples"]
    classes: Int[Tensor, "batch searched"]
    unit: Float[Tensor, "batch width"]
    note: Note
    share: Share | None = None
    features: Float[Tensor, "batch dim"] | None = None


class Source(abc.ABC):
    """Where pairs come from: a row, a place in a long training, leads to the number of a pair, and that to the pair."""

    @property
    @abc.abstractmethod
    def num_distinct(self) -> int:
        """How many different training pairs there are; 0 for no end."""

    @abc.abstractmethod
    def numbers(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, " batch"]:
        """Which pairs these rows are; of finite training pairs, numbers below `num_distinct`."""

    @abc.abstractmethod
    def audio(self, numbers: Int[Tensor, " batch"], split: Split) -> Float[Tensor, "batch samples"]:
        """The sounds of these pairs."""

    @abc.abstractmethod
    def labels(
        self, numbers: Int[Tensor, " batch"], split: Split
    ) -> tuple[Int[Tensor, "batch searched"], Float[Tensor, "batch width"], Note]:
        """What the network is told of these pairs: classes, points of the unit cube, notes."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that the sounds of the training pairs depend on, as values that JSON can hold."""

    @abc.abstractmethod
    def truthful(self) -> "Source":
        """The same pairs with their own labels, should they have been shuffled."""

    def pairs(self, rows: Int[Tensor, " batch"], split: Split) -> PairBatch:
        """The pairs of these rows, on the device of `rows`."""
        numbers = self.numbers(rows, split)
        return PairBatch(self.audio(numbers, split), *self.labels(numbers, split))

    def batch(self, step: int, batch_size: int, split: Split, device: torch.device) -> PairBatch:
        """The batch of a step, 1 for the first: the next `batch_size` pairs after those of the step before."""
        return self.part(step, whole(batch_size), split, device)

    def part(self, step: int, share: Share, split: Split, device: torch.device) -> PairBatch:
        """A share of the batch of a step; only its own pairs are made."""
        first = (step - 1) * share.total + share.first
        rows = torch.arange(first, first + share.count, device=device)
        return dataclasses.replace(self.pairs(rows, split), share=share)
