"""What the networks after WaveGAN share: how a critic speaks, what it must not go by, and how weights begin.

A critic ends in a `VerdictHead`. It turns what the critic has seen of a clip, a vector, into a score, and can take
labels into account in two ways. By *projection* the score gets a term for how well the vector fits the claimed class:
its inner product with a vector of that class, which is learned. With *class logits* (AC-GAN) the critic guesses the
class instead, and the guesses have losses of their own.

Strided convolutions leave a pattern in what they generate: it repeats every few samples, always at the same phase, and
a critic that has found it looks at nothing else. `PhaseShuffle` moves the layers of the critic by a few places at
random, each row by its own number, so that the phase of the pattern says nothing any more.

References:
    Miyato and Koyama (2018), "cGANs with projection discriminator", https://arxiv.org/abs/1802.05637
    Odena, Olah and Shlens (2017), "Conditional image synthesis with auxiliary classifier GANs",
    https://arxiv.org/abs/1610.09585
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", section 3.3, https://arxiv.org/abs/1802.04208
    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", equation 16,
    https://proceedings.mlr.press/v9/glorot10a.html
"""

import dataclasses
from collections.abc import Mapping
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Classes, Labels, Verdict
from retimbre.training.share import current_share


@final
@dataclasses.dataclass(frozen=True)
class Told:
    """What a critic makes of labels; nothing of it counts where there are none.

    Attributes:
        projection: Whether the score depends on the class that a clip is claimed to have.
        class_logits: Whether the critic guesses classes.
    """

    projection: bool
    class_logits: bool


@final
class VerdictHead(nn.Module):
    """From what a critic has seen of each clip to its verdict."""

    def __init__(self, num_seen: int, classes: Classes, told: Told) -> None:
        """Builds the layers.

        Args:
            num_seen: Length of the vectors.
            classes: Of the attributes.
            told: Which layers there are beside the score's.
        """
        super().__init__()
        self.score = nn.Linear(num_seen, 1)
        self.fits = _layer_each(num_seen, classes if told.projection else {}, bias=False)
        self.guesses = _layer_each(num_seen, classes if told.class_logits else {}, bias=True)

    def forward(self, seen: Float[Tensor, "batch seen"], labels: Labels) -> Verdict:
        """The score of each row, and logits of its classes where they are guessed."""
        score = self.score(seen)[:, 0]
        for name, layer in self.fits.items():
            claimed = labels[name].to(seen.device)
            score = score + layer(seen).gather(1, claimed[:, None])[:, 0]
        return Verdict(score, {name: layer(seen) for name, layer in self.guesses.items()})


@final
class PhaseShuffle(nn.Module):
    """Moves each row along its last axis by a random number of places while training; its ends are mirrored.

    The shifts are drawn for the whole global batch, so that they do not depend on how many processes train (`share`).
    """

    def __init__(self, most: int) -> None:
        """Stores the most places that a row is moved, to either side; 0 for none. Raises ConfigError below 0."""
        super().__init__()
        if most < 0:
            raise ConfigError(f"phase_shuffle is {most}, but takes 0 or more")
        self.most = most

    def forward(self, rows: Float[Tensor, "batch *axes time"]) -> Float[Tensor, "batch *axes time"]:
        """The rows, moved. Raises ConfigError for rows too short to be mirrored that far."""
        if not self.training or self.most == 0:
            return rows
        if rows.shape[-1] <= self.most:
            raise ConfigError(
                f"phase_shuffle is {self.most}, but a layer has {rows.shape[-1]} places; takes fewer than these"
            )
        share = current_share(len(rows))
        chance = torch.rand(share.total, device=rows.device)[share.rows]
        shifts = (chance * (2 * self.most + 1)).floor().long() - self.most
        last = rows.shape[-1] - 1
        places = torch.arange(last + 1, device=rows.device) - shifts[:, None]
        mirrored = last - (last - places.abs()).abs()
        ones = [1] * (rows.ndim - 2)
        return rows.gather(-1, mirrored.reshape(len(rows), *ones, last + 1).expand_as(rows))

    def extra_repr(self) -> str:
        """What the layer's print shows."""
        return f"most={self.most}"


def begin_as_glorot(network: nn.Module) -> None:
    """Draws the weights of all dense layers and convolutions anew, evenly with Glorot's bounds, and clears biases.

    The published ports began like this, and their learning rates go with it.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def refuse_below_one(values: Mapping[str, int]) -> None:
    """Raises ConfigError for the first of some named settings that is below 1."""
    for name, value in values.items():
        if value < 1:
            raise ConfigError(f"{name} is {value}, but takes 1 or more")


def num_classes(classes: Classes) -> int:
    """Classes of all attributes together: the width of their one-hot labels side by side."""
    return sum(len(names) for names in classes.values())


def _layer_each(num_seen: int, classes: Classes, *, bias: bool) -> nn.ModuleDict:
    return nn.ModuleDict(
        {name: nn.Linear(num_seen, len(names), bias=bias) for name, names in classes.items()}
    )
