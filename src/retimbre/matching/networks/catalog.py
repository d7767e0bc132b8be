"""The networks by name. To add one: write it, add a line here, and every test of the catalog runs on it.

Names are looked up whatever their case, and the names that earlier programs used lead to the same networks.
`CE2E_2D`, the 2-D half of the end-to-end network on a spectrogram, has the layers of Conv6 and so is Conv6.
"""

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from retimbre.core.errors import ConfigError, near_miss
from retimbre.listening.catalog import front_end
from retimbre.matching.networks.dense import DENSE_LAYERS, DenseNetwork
from retimbre.matching.networks.paper import CONV_LAYERS, SpectrogramNetwork, WaveNetwork
from retimbre.matching.networks.residual import ResMel, ResMelConfig

# One clip of the paper and its outputs: where the counts of parameters are stated.
PAPER_SAMPLES = 16_384
PAPER_OUTPUTS = 368


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """A line of the catalog.

    Attributes:
        description: What it is, in a sentence.
        representation: What it listens through, a name in the catalog of representations or of embedders.
        build: From one encoded clip and the number of outputs to a network with fresh weights.
        task: What it is trained for.
        takes_vectors: Whether it can listen through an embedder.
    """

    description: str
    representation: str
    build: Callable[[Tensor, int], nn.Module]
    task: str = "inversion"
    takes_vectors: bool = False

    def num_parameters(self) -> int:
        """Trainable parameters for clips of 16,384 samples and 368 outputs, as in the paper."""
        with torch.no_grad():
            example = front_end(self.representation, PAPER_SAMPLES)(torch.zeros(1, PAPER_SAMPLES))
        return num_trainable(self.build(example, PAPER_OUTPUTS))


def num_trainable(network: nn.Module) -> int:
    """How many numbers of a network training changes."""
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)


def _conv(name: str) -> Callable[[Tensor, int], nn.Module]:
    return functools.partial(SpectrogramNetwork, layers=CONV_LAYERS[name])


def _dense(name: str, representation: str, description: str) -> ModelEntry:
    build = functools.partial(DenseNetwork, config=DENSE_LAYERS[name])
    return ModelEntry(description, representation, build, takes_vectors=True)


MODELS: dict[str, ModelEntry] = {
    "Conv1": ModelEntry("InverSynth's, 1 convolution", "db-spectrogram", _conv("Conv1")),
    "Conv2": ModelEntry("InverSynth's, 2 convolutions", "db-spectrogram", _conv("Conv2")),
    "Conv3": ModelEntry("InverSynth's, 3 convolutions", "db-spectrogram", _conv("Conv3")),
    "Conv4": ModelEntry("InverSynth's, 4 convolutions", "db-spectrogram", _conv("Conv4")),
    "Conv5": ModelEntry("InverSynth's, 5 convolutions", "db-spectrogram", _conv("Conv5")),
    "Conv6": ModelEntry("InverSynth's, 6 convolutions", "db-spectrogram", _conv("Conv6")),
    "Conv6XL": ModelEntry("InverSynth's best: Conv6 with more filters", "db-spectrogram", _conv("Conv6XL")),
    "E2E": ModelEntry("InverSynth's end-to-end network on the samples", "waveform", WaveNetwork),
    "ResMel": ModelEntry(
        "Residual network over mel bands that knows the note, for musical voices",
        "log-mel",
        functools.partial(ResMel, config=ResMelConfig()),
    ),
    "FCLinear": _dense("FCLinear", "bag-of-words", "InverSynth's baseline, linear over a bag of words"),
    "FC1": _dense("FC1", "bag-of-words", "InverSynth's baseline, 1 hidden layer over a bag of words"),
    "FC2": _dense("FC2", "bag-of-words", "InverSynth's baseline, 2 hidden layers over a bag of words"),
    "FC3": _dense("FC3", "bag-of-words", "InverSynth's baseline, 3 hidden layers over a bag of words"),
    "HC": _dense("HC", "handcrafted", "InverSynth's baseline, linear over handcrafted features"),
    "HC3": _dense("HC3", "handcrafted", "InverSynth's baseline, 3 hidden layers over handcrafted features"),
    "MLP": _dense("MLP", "statistics", "2 hidden layers over any embedding"),
}

ALIASES: dict[str, str] = {
    "C1": "Conv1",
    "C2": "Conv2",
    "C3": "Conv3",
    "C4": "Conv4",
    "C5": "Conv5",
    "C6": "Conv6",
    "C6XL": "Conv6XL",
    "CE2E": "E2E",
    "CE2E_2D": "Conv6",
    "FCLin": "FCLinear",
}


def canonical_name(name: str) -> str:
    """The catalog's spelling of a network's name or alias.

    Raises:
        ConfigError: There is none of that name.
    """
    spellings = {known.lower(): known for known in MODELS} | {
        alias.lower(): known for alias, known in ALIASES.items()
    }
    if name.lower() not in spellings:
        raise ConfigError(f"there is no model {name!r}; {near_miss(name, [*MODELS, *ALIASES])}")
    return spellings[name.lower()]
