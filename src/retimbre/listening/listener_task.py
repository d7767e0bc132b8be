"""Training a listener: notes with their labels in, a better listener out.

Every attribute is a classification of its own, with a cross-entropy of its own; what is minimised is their weighted
sum. Pitch weighs most. The velocity of a note cannot be told from how loud its recording is, and its timbre says little
of it across instruments, so it weighs least: it must not pull on what the others are read from.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.listening.heard import Heard
from retimbre.listening.listener import Listener
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.parallel import ALONE, World
from retimbre.training.schedule import learning_rate_at, set_learning_rate
from retimbre.training.share import Share, whole
from retimbre.training.task import Task
from retimbre.training.update import UpdateConfig, optimizer_of

WEIGHTS = {"pitch": 1.0, "family": 0.5, "velocity": 0.1, "register": 0.25}

# Instruments of two families can sound alike: certainty about a family would be learned by heart.
SMOOTHING = {"family": 0.05}


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledNotes:
    """Clips with the classes of each attribute.

    Attributes:
        targets: For each attribute the class of each clip, -1 where it has none.
        share: Which rows of a training batch these are, where several processes share it; None for all.
    """

    audio: Float[Tensor, "batch samples"]
    targets: dict[str, Int[Tensor, " batch"]]
    share: Share | None = None


class ListenerTask(Task[LabelledNotes]):
    """A listener with its optimizer and the average of its weights.

    Args:
        world: The processes that train it together.
    """

    def __init__(
        self, listener: Listener, config: UpdateConfig, device: torch.device, world: World = ALONE
    ) -> None:
        world.check(listener)
        self.listener = listener.to(device)
        self.listener.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (no stub for it)
        self.config = config
        self.device = device
        self.world = world
        self.optimizer = optimizer_of(self.listener, config)
        self.average = ExponentialMovingAverage(self.listener, decay=config.ema_decay)

    def update(self, batch: LabelledNotes, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """One step of the optimizer, by the gradient over the global batch."""
        rate = learning_rate_at(self.config.schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.optimizer, rate)
        self.listener.train()
        self.optimizer.zero_grad(set_to_none=True)
        share = batch.share or whole(len(batch.audio))
        losses = losses_of(self._heard(batch), batch.targets)
        weighted = {name: loss * share.weight for name, loss in losses.items()}
        weighted["loss"].backward()
        values = torch.stack([loss.detach() for loss in weighted.values()])
        sums = self.world.sum_gradients(self.listener.parameters(), values)
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.listener.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update()
        return dict(zip(weighted, sums, strict=True)) | {"learning_rate": rate}

    @torch.no_grad()
    def validate(self, batches: Iterable[LabelledNotes]) -> Mapping[str, float]:
        """The losses, the share of right answers to each attribute, and of pitches right within a semitone."""
        self.listener.eval()
        names = figure_names(self.listener)
        sums = torch.zeros(len(names) + 1, dtype=torch.float64)
        with self.average.applied():
            for batch in batches:
                heard = self._heard(batch)
                figures = losses_of(heard, batch.targets) | shares_right(heard, batch.targets)
                means = torch.stack([figures[name].double().cpu() for name in names])
                sums += len(batch.audio) * torch.cat([means, means.new_ones(1)])
        *totals, num_clips = self.world.total(sums).tolist()
        return {name: total / num_clips for name, total in zip(names, totals, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and average."""
        return {
            "listener": self.listener.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state, on the task's device."""
        self.listener.load_state_dict(state["listener"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])

    def _heard(self, batch: LabelledNotes) -> Heard:
        with self.config.precision.autocast(self.device):
            return self.listener(batch.audio)


def losses_of(heard: Heard, targets: Mapping[str, Int[Tensor, " batch"]]) -> dict[str, Float[Tensor, ""]]:
    """The weighted sum as `loss`, and the cross-entropy of each attribute; clips without a class count nothing."""
    losses = {
        f"{name}_loss": functional.cross_entropy(
            logits.float(),
            targets[name],
            ignore_index=-1,
            label_smoothing=SMOOTHING.get(name, 0.0),
            reduction="sum",
        )
        / (targets[name] >= 0).sum().clamp_min(1)
        for name, logits in heard.logits.items()
    }
    total = torch.stack([WEIGHTS[name] * losses[f"{name}_loss"] for name in heard.logits]).sum()
    return {"loss": total} | losses


def shares_right(heard: Heard, targets: Mapping[str, Int[Tensor, " batch"]]) -> dict[str, Float[Tensor, ""]]:
    """The share of clips whose likeliest class is right: for each attribute, and as `right` the weighted mean of these.

    With pitch also `pitch_near`, within a semitone.
    """
    answers = {name: logits.argmax(dim=1) for name, logits in heard.logits.items()}
    shares = {name: (answer == targets[name]).double().mean() for name, answer in answers.items()}
    weight = sum(WEIGHTS[name] for name in answers)
    shares["right"] = torch.stack([WEIGHTS[name] * shares[name] for name in answers]).sum() / weight
    if "pitch" in answers:
        shares["pitch_near"] = ((answers["pitch"] - targets["pitch"]).abs() <= 1).double().mean()
    return shares


def figure_names(listener: Listener) -> list[str]:
    """What a validation measures."""
    attributes = list(listener.classes)
    near = ["pitch_near"] if "pitch" in attributes else []
    return ["loss", *(f"{name}_loss" for name in attributes), "right", *attributes, *near]
