"""The second opinion of a critic: which class a clip is of (AC-GAN).

A critic that only tells real from generated need not listen to what a clip is said to be. An *auxiliary classifier*
makes it: the critic also guesses the labels, one softmax per attribute. It learns from real clips what a pitch or a
family sounds like, and the generator is told off for clips that are not taken for what was ordered.

Labels may be *soft*: the target of the right class is drawn from 0.7 to 1.2 in place of 1, those of the others from 0
to 0.3 in place of 0. That keeps the critic from becoming surer than it has reason to be. Such targets need not sum
to 1; the cross-entropy is taken of them as they are.

References:
    Odena, Olah and Shlens (2017), Conditional image synthesis with auxiliary classifier GANs,
    https://arxiv.org/abs/1610.09585
    Salimans et al. (2016), Improved techniques for training GANs, https://arxiv.org/abs/1606.03498 (soft labels)
"""

from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retimbre.gan.base import Labels
from retimbre.training.share import Share

_SOFT_RIGHT = (0.7, 1.2)
_SOFT_WRONG = (0.0, 0.3)


def class_loss(
    logits: Mapping[str, Float[Tensor, "batch _"]],
    labels: Labels,
    *,
    share: Share,
    soft: bool = False,
    skip: Collection[str] = (),
) -> Float[Tensor, " batch"]:
    """The cross-entropy of what a critic guessed, in nats, summed over the attributes of each clip.

    Args:
        logits: The guesses, `Verdict.classes`; at least one attribute.
        labels: What the clips are; attributes without labels are passed over.
        share: Which rows of the global batch these are: soft labels are drawn for all of it, on the logits' device, so
            that a clip's do not depend on the number of processes.
        soft: Whether labels are soft.
        skip: Attributes that do not count.
    """
    first = next(iter(logits.values()))
    total = torch.zeros(len(first), dtype=torch.float32, device=first.device)
    for name, guessed in logits.items():
        # Drawn whether it counts or not: what others draw afterwards does not depend on what is skipped.
        chance = (
            torch.rand(share.total, guessed.shape[1], device=guessed.device)[share.rows] if soft else None
        )
        if name in labels and name not in skip:
            total = total + _cross_entropy(guessed.float(), labels[name].to(guessed.device), chance)
    return total


def soft_targets(
    labels: Int[Tensor, " batch"], chance: Float[Tensor, "batch classes"]
) -> Float[Tensor, "batch classes"]:
    """Targets around 1 for the right class and around 0 for the others, from uniform numbers in [0, 1)."""
    right = nn.functional.one_hot(labels, chance.shape[1]).bool()
    return torch.where(right, _between(_SOFT_RIGHT, chance), _between(_SOFT_WRONG, chance))


def class_accuracy(
    logits: Mapping[str, Float[Tensor, "batch _"]], labels: Labels
) -> dict[str, Float[Tensor, ""]]:
    """The share of clips whose class is guessed right, by attribute; those without labels are left out."""
    return {
        name: (guessed.argmax(dim=1) == labels[name].to(guessed.device)).float().mean()
        for name, guessed in logits.items()
        if name in labels
    }


def _cross_entropy(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    chance: Float[Tensor, "batch classes"] | None,
) -> Float[Tensor, " batch"]:
    if chance is None:
        return nn.functional.cross_entropy(logits, labels, reduction="none")
    return -(soft_targets(labels, chance) * logits.log_softmax(dim=1)).sum(dim=1)


def _between(bounds: tuple[float, float], chance: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    low, high = bounds
    return low + (high - low) * chance
