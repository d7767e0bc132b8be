"""What a generator and a critic promise, whatever they are made of.

In a generative adversarial network two networks learn from each other. The *generator* turns random numbers, the
*latent*, into the features of a clip; the *critic* (or discriminator) is shown features of real clips and of generated
ones and scores each. The critic learns to score them apart, the generator learns to be scored like the real. Which
numbers come out where is not told to anyone: the latent becomes a map of the sounds that there are.

A *conditional* network is told *labels* as well: the pitch, the velocity, the family of a note. Every attribute is a
choice among named classes, so a label is the number of a class. A generator without attributes takes none. Some are
told *conditions* besides, which are signals: what was heard before, the keys that are down (`conditions`).

Features are those of a representation: `[batch, channels, time]` or `[batch, channels, bins, frames]`. Some generators
grow while they learn, from a few cells to all of them (`Stage`); the others have one size and ignore it.

References:
    Goodfellow et al. (2014), Generative adversarial nets, https://arxiv.org/abs/1406.2661
    Mirza and Osindero (2014), Conditional generative adversarial nets, https://arxiv.org/abs/1411.1784
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

Classes = Mapping[str, tuple[str, ...]]
"""The names of the classes of each attribute, in order; of `pitch` and `velocity`, MIDI numbers as text."""

Labels = Mapping[str, Tensor]
"""For each attribute the class of each row, `[batch]`, and for each condition its values, `[batch, ...]`; those that a
network does not know are passed over."""


@dataclasses.dataclass(frozen=True)
class Form:
    """What a network has to fit.

    Attributes:
        shape: Of the features of one clip, without the batch: channels and time, or channels, bins and frames.
        classes: The attributes that it is conditioned on; empty for none.
        latent_dim: How many random numbers a clip is made from; critics pass over it.
        conditions: The shape in which the network gets each condition of a clip.
    """

    shape: tuple[int, ...]
    classes: Classes
    latent_dim: int = 0
    conditions: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Stage:
    """How far networks have grown.

    Attributes:
        scale: Which scale is the largest in use, 0 for the smallest.
        fade: The share of the scale before, 1 when a scale is new to 0 when it has taken over: what is seen is
            `fade * (scale before, enlarged) + (1 - fade) * this scale`.
    """

    scale: int
    fade: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What a critic says of some clips.

    Attributes:
        score: Higher for what it takes to be real.
        classes: Logits of the classes of each attribute, from a critic that also guesses labels (AC-GAN); else empty.
    """

    score: Float[Tensor, " batch"]
    classes: dict[str, Float[Tensor, "batch _"]]


class Generator(nn.Module, abc.ABC):
    """From latents and labels to features.

    Attributes:
        form: What it was built for.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    @abc.abstractmethod
    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row, each from its own row alone; of the present scale where the network grows."""

    def grow(self, stage: Stage) -> None:
        """Takes up a stage of growth; nothing to do for a network of one size."""

    def enlarge(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch channels ..."]:
        """Features of the present scale at full size; a network of one size returns them."""
        return features


class Critic(nn.Module, abc.ABC):
    """From features and labels to a verdict.

    Attributes:
        form: What it was built for.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    @abc.abstractmethod
    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip for. Labels are those that the clip is claimed to have."""

    def grow(self, stage: Stage) -> None:
        """Takes up a stage of growth; nothing to do for a network of one size."""

    def reduce(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch channels ..."]:
        """Features of full size at the present scale; a network of one size returns them."""
        return features


class GeneratorConfig(abc.ABC):
    """The settings of a family of generators: a frozen dataclass with a literal field `kind`.

    Attributes:
        hears: The conditions that such networks can be told.
    """

    hears: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def build(self, form: Form) -> Generator:
        """A generator with fresh weights. Raises ConfigError for features that it cannot make."""


class CriticConfig(abc.ABC):
    """The settings of a family of critics: a frozen dataclass with a literal field `kind`.

    Attributes:
        hears: The conditions that such networks can be told.
    """

    hears: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def build(self, form: Form) -> Critic:
        """A critic with fresh weights. Raises ConfigError for features that it cannot take."""


def one_hot(labels: Labels, classes: Classes, like: Float[Tensor, "batch _"]) -> Float[Tensor, "batch width"]:
    """The labels of all attributes, side by side in the order of `classes`, on the device and in the dtype of `like`.

    Raises:
        KeyError: An attribute has no labels.
    """
    columns = [
        nn.functional.one_hot(labels[name].to(like.device), len(names)).to(like.dtype)
        for name, names in classes.items()
    ]
    return torch.cat([like.new_zeros(like.shape[0], 0), *columns], dim=1)
