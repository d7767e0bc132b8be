"""What the training loop asks of whatever is trained.

A task owns everything that training changes: its networks, however many, their optimizers and averages. The loop
(`loop.fit`) hands it one batch after the other and knows no more about it than the four methods here. In several
processes (`parallel`) each has a task of its own, its batches are shares of the global one, and a task has to see to
it that its weights move alike in all and that what it reports is about the whole batch.
"""

import abc
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from jaxtyping import Shaped
from torch import Tensor

Batch = TypeVar("Batch")


class Task(abc.ABC, Generic[Batch]):
    """Something that can be trained: networks, their optimizers, and how a batch improves them."""

    @abc.abstractmethod
    def update(self, batch: Batch, *, step: int) -> Mapping[str, float | Shaped[Tensor, ""]]:
        """Improves the networks with one batch and returns what it measured, by name.

        Return tensors as they are, on their device: reading one (`.item()`) makes the program wait for the GPU.
        """

    @abc.abstractmethod
    def validate(self, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Measures the networks on held-out batches, without changing anything. The names are the task's own.

        With an average of the weights, it is the average that is measured. The random streams are moved to the same
        address for every validation of a step, so it may draw from them.
        """

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that `update` depends on: weights, optimizers, averages, generators of its own."""

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state that `state_dict` returned, on the task's device."""
