"""Training an inverter: pairs in, a better inverter out.

Each update encodes a batch of sounds, asks the network for the classes of the knobs and moves the weights
against the head's loss with Adam. A running average of the weights is kept beside them; it is what is validated
and saved as the model. An inverter that also listens to recordings (`self_supervised`) is moved against both losses.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.matching.heads import Targets
from retimbre.matching.inverter import Inverter
from retimbre.matching.self_supervised import Listening, SoundBatch
from retimbre.matching.source import PairBatch
from retimbre.metrics.parameters import Predictions, exact, percentile_rank, within_one
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.parallel import ALONE, World
from retimbre.training.schedule import learning_rate_at, set_learning_rate
from retimbre.training.share import share_of_batch, whole
from retimbre.training.task import Task
from retimbre.training.update import UpdateConfig, optimizer_of

FIGURES = ("loss", "exact", "within_one", "percentile_rank")


class InversionTask(Task[PairBatch]):
    """An inverter with its optimizer and the average of its weights.

    Args:
        world: The processes that train it together.
        listening: The recordings that it also learns from; None for pairs alone.
    """

    def __init__(
        self,
        inverter: Inverter,
        config: UpdateConfig,
        device: torch.device,
        world: World = ALONE,
        listening: Listening | None = None,
    ) -> None:
        world.check(inverter)
        # The convolutions of both CPU and GPU run fastest in bfloat16 with channels last.
        self.inverter = inverter.to(device)
        self.inverter.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (no stub for it)
        self.config = config
        self.device = device
        self.world = world
        self.listening = listening
        self.optimizer = optimizer_of(inverter, config)
        self.average = ExponentialMovingAverage(self.inverter, decay=config.ema_decay)

    def update(self, batch: PairBatch, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """One step of the optimizer, by the gradient over the global batch."""
        rate = learning_rate_at(self.config.schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.optimizer, rate)
        self.inverter.train()
        self.optimizer.zero_grad(set_to_none=True)
        share = batch.share or whole(len(batch.classes))
        with share_of_batch(share):
            weighted = self._loss(self._outputs(batch), batch) * share.weight
        losses = {"loss": weighted}
        if self.listening is not None:
            losses = self.listening.beside(weighted, self._sound_distance(self.listening, step))
        losses["loss"].backward()
        shares = torch.stack([each.detach() for each in losses.values()])
        sums = self.world.sum_gradients(self.inverter.parameters(), shares)
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.inverter.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update()
        return dict(zip(losses, sums, strict=True)) | {"learning_rate": rate}

    @torch.no_grad()
    def validate(self, batches: Iterable[PairBatch]) -> Mapping[str, float]:
        """Loss, shares of knobs exactly right and within one class, mean percentile rank: over all clips and knobs."""
        self.inverter.eval()
        # The figures' sums and the number of clips, which the processes add up.
        sums = torch.zeros(len(FIGURES) + 1, dtype=torch.float64)
        with self.average.applied():
            for batch in batches:
                sums += len(batch.classes) * torch.cat([self._figures(batch), sums.new_ones(1)])
            distance = self._validated_distance()
        *totals, num_clips = self.world.total(sums).tolist()
        figures = {name: total / num_clips for name, total in zip(FIGURES, totals, strict=True)}
        if self.listening is not None:
            figures |= self.listening.beside(figures["loss"], distance)
        return figures

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

    def _sound_distance(self, listening: Listening, step: int) -> Float[Tensor, ""]:
        """The distance of a step's recordings, times the weight of this process's share of them."""
        share = self.world.share(listening.config.batch_size)
        batch = listening.batch(step, share.rows, self.device)
        with share_of_batch(share):
            outputs = self._outputs(batch)
        return listening.distance(self.inverter, outputs, batch).mean() * share.weight

    def _validated_distance(self) -> float:
        """The mean distance of the recordings kept for validation; 0 without recordings."""
        sums = torch.zeros(2, dtype=torch.float64)
        if self.listening is None:
            return 0.0
        for batch in self.world.portion(self.listening.held_out(self.device)):
            distances = self.listening.distance(self.inverter, self._outputs(batch), batch).double().cpu()
            sums += torch.stack([distances.sum(), sums.new_tensor(len(distances))])
        total, count = self.world.total(sums).tolist()
        return total / count

    def _outputs(self, batch: PairBatch | SoundBatch) -> Float[Tensor, "batch outputs"]:
        with self.config.precision.autocast(self.device):
            if isinstance(batch, PairBatch) and batch.features is not None:
                return self.inverter.outputs_of(batch.features, batch.note)
            return self.inverter.outputs(batch.audio, batch.note)

    def _loss(self, outputs: Float[Tensor, "batch outputs"], batch: PairBatch) -> Float[Tensor, ""]:
        return self.inverter.head.loss(outputs, Targets(batch.classes, batch.unit))

    def _figures(self, batch: PairBatch) -> Float[Tensor, " figures"]:
        """The means of `FIGURES` over a batch, in float64 on the CPU."""
        outputs = self._outputs(batch)
        scores = self.inverter.head.log_probabilities(outputs)
        predictions = Predictions(scores.cpu(), batch.classes.cpu())
        means = [
            self._loss(outputs, batch),
            exact(predictions).mean(),
            within_one(predictions).mean(),
            percentile_rank(predictions).mean(),
        ]
        return torch.stack([mean.double().cpu() for mean in means])
