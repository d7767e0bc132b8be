"""Dropout whose mask does not depend on how many processes train.

Dropout sets each activation to zero with some probability while training, and scales the others up so that the mean
stays: no unit can rely on another being there. PyTorch's own layer draws as many random numbers as it has activations,
so that a process with half of the batch would use the first half of the numbers twice. `Dropout` draws the mask of the
whole global batch and keeps the rows that the process has (`share`). All processes stand at the same place of the
random stream, since `devices.restart_random` moves it to the address of the step before each update, and they move on
by the same amount; so the mask is a function of the seed, the step, the layer and the example.

Drawing the others' rows costs little beside the matrix product that follows.

References:
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting,
    https://jmlr.org/papers/v15/srivastava14a.html
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.training.share import current_share


class Dropout(nn.Module):
    """Zeroes activations at random in training; changes nothing otherwise. Rows come first."""

    def __init__(self, probability: float) -> None:
        """Stores the probability, from 0 to below 1, of an activation to be zeroed. Raises ConfigError otherwise."""
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise ConfigError(f"dropout is {probability}; takes a number from 0 to below 1")
        self.probability = probability

    def forward(self, activations: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The activations, some of them zero in training."""
        if not self.training or self.probability == 0.0:
            return activations
        share = current_share(len(activations))
        drawn = torch.rand(share.total, *activations.shape[1:], device=activations.device)
        kept = drawn[share.rows] >= self.probability
        return activations * kept / (1.0 - self.probability)

    def extra_repr(self) -> str:
        """What the layer's print shows."""
        return f"probability={self.probability}"
