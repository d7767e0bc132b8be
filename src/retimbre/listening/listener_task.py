"""Training a listener: notes with their labels in, a better listener out.

Every attribute is a classification of its own, with a cross-entropy of its own; what is minimised is their weighted
sum. Pitch weighs most. The velocity of a note cannot be told from how loud its recording is, and its timbre says little
of it across instruments, so it weighs least: it must not pull on what the others are read from.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
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
        """The losses, the share of right answers to each attribute, and of pitches right within a semitone.

        Each is over the clips of all batches that have a class of its attribute, and 0 if none has.
        """
        self.listener.eval()
        names = _attribute_of(self.listener.classes)
        sums = torch.zeros(2, len(names), dtype=torch.float64)
        with self.average.applied():
            for batch in batches:
                heard = self._heard(batch)
                figures = losses_of(heard, batch.targets) | shares_right(heard, batch.targets)
                counts = torch.stack([(batch.targets[each] >= 0).sum() for each in names.values()]).double()
                means = torch.stack([figures[name].double() for name in names])
                sums += torch.stack([counts * means, counts]).cpu()
        totals, num_clips = self.world.total(sums.flatten()).unflatten(0, (2, len(names)))
        means = dict(zip(names, (totals / num_clips.clamp_min(1)).tolist(), strict=True))
        known = {each for each, count in zip(names.values(), num_clips.tolist(), strict=True) if count}
        return _together(means, [each for each in self.listener.classes if each in known])

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

    With pitch also `pitch_near`, within a semitone. Clips without a class count nothing; an attribute of which no clip
    has one has a share of 0 and no part in `right`.
    """
    off = {name: (logits.argmax(dim=1) - targets[name]).abs() for name, logits in heard.logits.items()}
    known = {name: targets[name] >= 0 for name in off}

    def share(name: str, reach: int) -> Float[Tensor, ""]:
        return ((off[name] <= reach) & known[name]).double().sum() / known[name].sum().clamp_min(1)

    shares = {name: share(name, 0) for name in off}
    weights = {name: WEIGHTS[name] * known[name].any().double() for name in off}
    weighted = torch.stack([weights[name] * shares[name] for name in off]).sum()
    shares["right"] = weighted / torch.stack(list(weights.values())).sum().clamp_min(min(WEIGHTS.values()))
    if "pitch" in off:
        shares["pitch_near"] = share("pitch", 1)
    return shares


def _attribute_of(attributes: Iterable[str]) -> dict[str, str]:
    """What a validation measures of the attributes one by one, and of which attribute each figure is."""
    names = {figure: name for name in attributes for figure in (f"{name}_loss", name)}
    return names | ({"pitch_near": "pitch"} if "pitch" in names else {})


def _together(figures: dict[str, float], known: Sequence[str]) -> dict[str, float]:
    """The figures of a validation, and before them what they are together: `loss` and `right`.

    Args:
        known: The attributes that any clip has a class of.
    """
    weight = sum(WEIGHTS[name] for name in known) or 1.0
    loss = sum(WEIGHTS[name] * figures[f"{name}_loss"] for name in known)
    right = sum(WEIGHTS[name] * figures[name] for name in known) / weight
    return {"loss": loss, "right": right} | figures
