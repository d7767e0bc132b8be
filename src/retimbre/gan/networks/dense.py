"""The plainest networks: fully connected layers over all features at once.

They know nothing of time or frequency, so they suit toys of a few features: points in a plane, four partials. Tests and
examples use them to see what the game itself does.
"""

import dataclasses
import itertools
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot


@final
@dataclasses.dataclass(frozen=True)
class DenseGeneratorConfig(GeneratorConfig):
    """Fully connected layers from the latent and the labels to all features."""

    kind: Literal["dense"] = "dense"
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""

    def build(self, form: Form) -> Generator:
        """Takes features of any shape."""
        return DenseGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class DenseCriticConfig(CriticConfig):
    """Fully connected layers from all features and the labels to one score."""

    kind: Literal["dense"] = "dense"
    width: int = 128
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""

    def build(self, form: Form) -> Critic:
        """Takes features of any shape."""
        return DenseCritic(form, self)


@final
class DenseGenerator(Generator):
    """From a latent to features, every one of them connected with every number of it."""

    def __init__(self, form: Form, config: DenseGeneratorConfig) -> None:
        super().__init__(form)
        told = sum(len(names) for names in form.classes.values())
        self.layers = _layers(form.latent_dim + told, math.prod(form.shape), config.width, config.depth)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row."""
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        return self.layers(told).unflatten(1, self.form.shape)


@final
class DenseCritic(Critic):
    """From features and labels to a score."""

    def __init__(self, form: Form, config: DenseCriticConfig) -> None:
        super().__init__(form)
        told = sum(len(names) for names in form.classes.values())
        self.layers = _layers(math.prod(form.shape) + told, 1, config.width, config.depth)

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """A score per clip."""
        flat = features.flatten(1)
        told = torch.cat([flat, one_hot(labels, self.form.classes, flat)], dim=1)
        return Verdict(self.layers(told)[:, 0], {})


def _layers(width_in: int, width_out: int, width: int, depth: int) -> nn.Sequential:
    widths = [width_in, *[width] * depth]
    hidden = [
        layer
        for fan_in, fan_out in itertools.pairwise(widths)
        for layer in (nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2))
    ]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], width_out))
