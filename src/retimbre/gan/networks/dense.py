"""The plainest networks: fully connected layers over all features at once.

They know nothing of time or frequency, so they suit toys of a few features: points in a plane, four partials. Tests and
examples use them to see what the game itself does.
"""

import dataclasses
import itertools
import math
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.conditions import CONDITIONS


@final
@dataclasses.dataclass(frozen=True)
class DenseGeneratorConfig(GeneratorConfig):
    """Fully connected layers from the latent, the labels and the conditions to all features."""

    hears: ClassVar[frozenset[str]] = frozenset(CONDITIONS)

    kind: Literal["dense"] = "dense"
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""

    def __post_init__(self) -> None:
        """Refuses layers without units."""
        _check_sizes(self.width, self.depth)

    def build(self, form: Form) -> Generator:
        """Takes features of any shape."""
        return DenseGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class DenseCriticConfig(CriticConfig):
    """Fully connected layers from all features, the labels and the conditions to one score."""

    hears: ClassVar[frozenset[str]] = frozenset(CONDITIONS)

    kind: Literal["dense"] = "dense"
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""

    def __post_init__(self) -> None:
        """Refuses layers without units."""
        _check_sizes(self.width, self.depth)

    def build(self, form: Form) -> Critic:
        """Takes features of any shape."""
        return DenseCritic(form, self)


@final
class DenseGenerator(Generator):
    """From a latent to features, every one of them connected with every number of it."""

    def __init__(self, form: Form, config: DenseGeneratorConfig) -> None:
        super().__init__(form)
        self.layers = _layers(
            form.latent_dim + _num_told(form), math.prod(form.shape), config.width, config.depth
        )

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row."""
        return self.layers(_joined(latent, labels, self.form)).unflatten(1, self.form.shape)


@final
class DenseCritic(Critic):
    """From features and labels to a score."""

    def __init__(self, form: Form, config: DenseCriticConfig) -> None:
        super().__init__(form)
        self.layers = _layers(math.prod(form.shape) + _num_told(form), 1, config.width, config.depth)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """A score per clip."""
        return Verdict(self.layers(_joined(features.flatten(1), labels, self.form))[:, 0], {})


def _check_sizes(width: int, depth: int) -> None:
    if width < 1:
        raise ConfigError(f"width is {width}, but takes 1 or more")
    if depth < 0:
        raise ConfigError(f"depth is {depth}, but takes 0 or more")


def _num_told(form: Form) -> int:
    """Numbers by which a network is told labels and conditions."""
    of_conditions = sum(math.prod(shape) for shape in form.conditions.values())
    return sum(len(names) for names in form.classes.values()) + of_conditions


def _joined(given: Float[Tensor, "batch given"], labels: Labels, form: Form) -> Float[Tensor, "batch all"]:
    """What a network is given, and beside it what it is told."""
    told = [labels[name].flatten(1).to(given) for name in form.conditions]
    return torch.cat([given, one_hot(labels, form.classes, given), *told], dim=1)


def _layers(width_in: int, width_out: int, width: int, depth: int) -> nn.Sequential:
    widths = [width_in, *[width] * depth]
    hidden = [
        layer
        for fan_in, fan_out in itertools.pairwise(widths)
        for layer in (nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2))
    ]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], width_out))
