"""Training a label autoencoder: class vectors in, the same class vectors out.

The loss is binary cross-entropy, every class of every knob being a yes-or-no question, as it was in the system that
this comes from. What matters is told beside it: how many knobs come back exactly, or one class off, and how many
vectors come back whole. `commonest` measures what these figures are worth: what one gets without a code, by always
answering the commonest class of each knob.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.matching.autoencoder import LabelAutoencoder
from retimbre.matching.heads import ClassLayout
from retimbre.synth.parameters import ParameterSpace
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.parallel import ALONE, World
from retimbre.training.schedule import learning_rate_at, set_learning_rate
from retimbre.training.share import Share, whole
from retimbre.training.task import Task
from retimbre.training.update import UpdateConfig, optimizer_of

FIGURES = ("loss", "exact", "within_one", "perfect")

# How near to sure the commonest classes may be: their cross-entropy must stay finite for a class that never occurred.
_LEAST_SHARE = 1e-4


@dataclasses.dataclass(frozen=True)
class ClassBatch:
    """Class vectors.

    Attributes:
        share: Which rows of a training batch these are, where several processes share it; None for all.
    """

    classes: Int[Tensor, "batch searched"]
    share: Share | None = None


class LabelTask(Task[ClassBatch]):
    """A label autoencoder with its optimizer and the average of its weights."""

    def __init__(
        self,
        autoencoder: LabelAutoencoder,
        config: UpdateConfig,
        device: torch.device,
        world: World = ALONE,
    ) -> None:
        self.autoencoder = autoencoder.to(device)
        self.config = config
        self.world = world
        self.ordered = ClassLayout(autoencoder.space).ordered
        self.optimizer = optimizer_of(self.autoencoder, config)
        self.average = ExponentialMovingAverage(self.autoencoder, decay=config.ema_decay)

    def update(self, batch: ClassBatch, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """One step of the optimizer, by the gradient over the global batch."""
        rate = learning_rate_at(self.config.schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.optimizer, rate)
        self.autoencoder.train()
        self.optimizer.zero_grad(set_to_none=True)
        share = batch.share or whole(len(batch.classes))
        loss = label_loss(self._logits(batch), self._labels(batch)) * share.weight
        loss.backward()
        (total,) = self.world.sum_gradients(self.autoencoder.parameters(), loss.detach()[None])
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.autoencoder.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update()
        return {"loss": total, "learning_rate": rate}

    @torch.no_grad()
    def validate(self, batches: Iterable[ClassBatch]) -> Mapping[str, float]:
        """Loss, shares of knobs exactly right and within one class, share of vectors that are right in every knob."""
        self.autoencoder.eval()
        sums = torch.zeros(len(FIGURES) + 1, dtype=torch.float64)
        with self.average.applied():
            for batch in batches:
                logits = self._logits(batch)
                loss = label_loss(logits, self._labels(batch))
                answer = self.autoencoder.space.from_one_hot(logits)
                figures = [loss, *shares_right(answer, batch.classes, self.ordered)]
                means = torch.stack([each.double().cpu() for each in figures])
                sums += len(batch.classes) * torch.cat([means, means.new_ones(1)])
        *totals, count = self.world.total(sums).tolist()
        return {name: total / count for name, total in zip(FIGURES, totals, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and average."""
        return {
            "autoencoder": self.autoencoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state, on the task's device."""
        self.autoencoder.load_state_dict(state["autoencoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])

    def _labels(self, batch: ClassBatch) -> Float[Tensor, "batch classes"]:
        return self.autoencoder.space.to_one_hot(batch.classes)

    def _logits(self, batch: ClassBatch) -> Float[Tensor, "batch classes"]:
        return self.autoencoder.decoder.logits(self.autoencoder.encoder(self._labels(batch)))


def label_loss(
    logits: Float[Tensor, "batch classes"], labels: Float[Tensor, "batch classes"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy, mean over all classes of all knobs, so that it does not depend on their number."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def shares_right(
    answer: Int[Tensor, "batch searched"],
    truth: Int[Tensor, "batch searched"],
    ordered: Tensor,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """The shares of knobs exactly right and within one class, and the share of vectors right in every knob.

    Args:
        ordered: Whether the classes of each knob have an order; where they have none, next to right is wrong.
    """
    off = (answer - truth).abs()
    near = off <= ordered.to(off.device).long()
    right = off == 0
    return right.double().mean(), near.double().mean(), right.all(dim=1).double().mean()


def commonest(
    space: ParameterSpace,
    train: Int[Tensor, "examples searched"],
    held_out: Int[Tensor, "others searched"],
) -> dict[str, float]:
    """What is had without a code: the figures of always answering how often each class occurs in training."""
    frequent = space.to_one_hot(train).mean(dim=0, keepdim=True)
    sure = frequent.clamp(_LEAST_SHARE, 1.0 - _LEAST_SHARE).logit().expand(len(held_out), -1)
    answer = space.from_one_hot(frequent).expand(len(held_out), -1)
    values = (
        label_loss(sure, space.to_one_hot(held_out)),
        *shares_right(answer, held_out, ClassLayout(space).ordered),
    )
    return {name: float(value) for name, value in zip(FIGURES, values, strict=True)}
