"""Dense networks over vectors: the shallow baselines of the InverSynth paper, and the small head over an embedding.

The paper asks what its convolutions are worth by giving the same number of weights, 1.189 million, to plain layers over
features made by hand: a bag of words (`FCLinear`, `FC1` to `FC3`) or a thousand handcrafted components (`HC`, `HC3`).
`MLP` is the network of a later program, over an embedding that others trained.

References:
    Barkan et al., "InverSynth: Deep estimation of synthesizer parameter configurations from audio signals", IEEE/ACM
    TASLP 2019, section V, https://arxiv.org/abs/1812.06349
"""

import dataclasses
import itertools

from jaxtyping import Float
from torch import Tensor, nn

from retimbre.training.dropout import Dropout


@dataclasses.dataclass(frozen=True)
class DenseConfig:
    """Sizes of a dense network.

    Attributes:
        widths: Units of each hidden layer.
        dropouts: The probability that a unit of each hidden layer is dropped in training.
        linear: Whether hidden layers have no ReLU, so that the network is one affine map with fewer dimensions within.
    """

    widths: tuple[int, ...]
    dropouts: tuple[float, ...]
    linear: bool = False


DENSE_LAYERS: dict[str, DenseConfig] = {
    "FCLinear": DenseConfig((869,), (0.2,), linear=True),
    "FC1": DenseConfig((868,), (0.3,)),
    "FC2": DenseConfig((603, 602), (0.1, 0.3)),
    "FC3": DenseConfig((560, 500, 400), (0.0, 0.2, 0.4)),
    "HC": DenseConfig((869,), (0.2,), linear=True),
    "HC3": DenseConfig((560, 500, 400), (0.0, 0.2, 0.4)),
    "MLP": DenseConfig((256, 128), (0.3, 0.3)),
}


class DenseNetwork(nn.Module):
    """Dense layers, each with its ReLU and its dropout, and the outputs; a map is flattened first."""

    def __init__(self, example: Float[Tensor, "1 ..."], num_outputs: int, config: DenseConfig) -> None:
        super().__init__()
        sizes = itertools.pairwise((example[0].numel(), *config.widths))
        layers: list[nn.Module] = [nn.Flatten()]
        for (before, width), dropout in zip(sizes, config.dropouts, strict=True):
            layers.append(nn.Linear(before, width))
            layers += [] if config.linear else [nn.ReLU()]
            layers += [Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, nn.Linear(config.widths[-1], num_outputs))

    def forward(
        self, features: Float[Tensor, "batch ..."], note: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch outputs"]:
        """Features to outputs; the note is not used."""
        return self.layers(features)
