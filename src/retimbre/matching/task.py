"""Training an inverter: pairs in, a better inverter out.

Each update encodes a batch of sounds, asks the network for the classes of the knobs and moves the weights
against the head's loss with Adam. A running average of the weights is kept beside them; it is what is validated
and saved as the model.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.matching.heads import Targets
from retimbre.matching.inverter import Inverter
from retimbre.matching.pairs import PairBatch
from retimbre.metrics.parameters import Predictions, exact, percentile_rank, within_one
from retimbre.training.devices import Precision
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.loop import Task
from retimbre.training.schedule import ScheduleConfig, learning_rate_at, set_learning_rate


@dataclasses.dataclass(frozen=True)
class UpdateConfig:
    """How weights are moved.

    Attributes:
        schedule: The learning rate over the run.
        num_steps: The length of the run.
        optimizer: `adam`, or `adamw`, whose weight decay pulls on matrices and kernels only.
        weight_decay: How hard, for `adamw`.
        clip_norm: The longest gradient, as a norm over all weights; 0 for any.
        ema_decay: What an update keeps of the average of the weights; 0 for no average.
        precision: Of matrix products and convolutions.
    """

    schedule: ScheduleConfig
    num_steps: int
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    precision: Precision = Precision.FP32

    def __post_init__(self) -> None:
        """Refuses what is below zero."""
        if self.weight_decay < 0.0 or self.clip_norm < 0.0:
            raise ConfigError(
                f"weight_decay is {self.weight_decay:g} and clip_norm {self.clip_norm:g}, but both take 0 or more"
            )


class InversionTask(Task[PairBatch]):
    """An inverter with its optimizer and the average of its weights."""

    def __init__(self, inverter: Inverter, config: UpdateConfig, device: torch.device) -> None:
        # The convolutions of both CPU and GPU run fastest in bfloat16 with channels last.
        self.inverter = inverter.to(device)
        self.inverter.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (no stub for it)
        self.config = config
        self.device = device
        self.optimizer = _optimizer(inverter, config)
        self.average = ExponentialMovingAverage(self.inverter, decay=config.ema_decay)

    def update(self, batch: PairBatch, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """One step of the optimizer."""
        rate = learning_rate_at(self.config.schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.optimizer, rate)
        self.inverter.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self._outputs(batch), batch)
        loss.backward()
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.inverter.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update()
        return {"loss": loss.detach(), "learning_rate": rate}

    @torch.no_grad()
    def validate(self, batches: Iterable[PairBatch]) -> Mapping[str, float]:
        """Loss, shares of knobs exactly right and within one class, mean percentile rank: over all clips and knobs."""
        self.inverter.eval()
        sums: dict[str, float] = {}
        num_clips = 0
        with self.average.applied():
            for batch in batches:
                figures = self._figures(batch)
                num_clips += len(batch.classes)
                for name, value in figures.items():
                    sums[name] = sums.get(name, 0.0) + value * len(batch.classes)
        return {name: total / max(num_clips, 1) for name, total in sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and average."""
        return {
            "inverter": self.inverter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state, on the task's device."""
        self.inverter.load_state_dict(state["inverter"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])

    def _outputs(self, batch: PairBatch) -> Float[Tensor, "batch outputs"]:
        with self.config.precision.autocast(self.device):
            return self.inverter.outputs(batch.audio, batch.note)

    def _loss(self, outputs: Float[Tensor, "batch outputs"], batch: PairBatch) -> Float[Tensor, ""]:
        return self.inverter.head.loss(outputs, Targets(batch.classes, batch.unit))

    def _figures(self, batch: PairBatch) -> dict[str, float]:
        outputs = self._outputs(batch)
        scores = self.inverter.head.log_probabilities(outputs)
        predictions = Predictions(scores.cpu(), batch.classes.cpu())
        return {
            "loss": self._loss(outputs, batch).item(),
            "exact": exact(predictions).mean().item(),
            "within_one": within_one(predictions).mean().item(),
            "percentile_rank": percentile_rank(predictions).mean().item(),
        }


def _optimizer(inverter: Inverter, config: UpdateConfig) -> torch.optim.Optimizer:
    weights = [each for each in inverter.parameters() if each.requires_grad]
    # One kernel for all weights: a third of the time of a loop over them on the CPU, more on a GPU.
    if config.optimizer == "adam":
        return torch.optim.Adam(weights, lr=config.schedule.learning_rate, fused=True)
    groups = [
        {"params": [each for each in weights if each.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in weights if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.schedule.learning_rate, fused=True)
