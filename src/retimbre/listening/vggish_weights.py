"""The layers of VGGish, and reading them and Google's principal components from files on this machine.

The weights are spread in two forms. Google's own is a TensorFlow checkpoint, of whose variables
(`vggish/conv1/weights`) an `.npz` can be made where TensorFlow is installed; its arrays have their axes in TensorFlow's
order. The other is a state dict for PyTorch under torchvggish's names (`features.0.weight`), whose first dense layer
still expects the channels last. Either way the same numbers come out. The components are a file of their own, in both
forms under the same names.

References:
    https://github.com/tensorflow/models/tree/master/research/audioset/vggish
    https://github.com/harritaylor/torchvggish
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.listening.weights_file import pour, read_tensors

EXAMPLE_FRAMES = 96
NUM_BANDS = 64


@final
@dataclass(frozen=True)
class VggishSizes:
    """The widths of the layers; the published ones unless a test wants less.

    Attributes:
        channels: After each of the four stages of convolutions.
        hidden: Of the two dense layers.
        dim: Of the embedding.
    """

    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    hidden: int = 4096
    dim: int = 128


PUBLISHED = VggishSizes()


@final
class Vggish(nn.Module):
    """Examples to vectors. Its parts bear the names of the published weights for PyTorch."""

    def __init__(self, sizes: VggishSizes) -> None:
        super().__init__()
        one, two, three, four = sizes.channels
        self.features = nn.Sequential(
            *(nn.Conv2d(1, one, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(one, two, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(two, three, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(three, three, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(three, four, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(four, four, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        )
        picture = (EXAMPLE_FRAMES // 16) * (NUM_BANDS // 16) * four
        self.embeddings = nn.Sequential(
            *(nn.Linear(picture, sizes.hidden), nn.ReLU()),
            *(nn.Linear(sizes.hidden, sizes.hidden), nn.ReLU()),
            nn.Linear(sizes.hidden, sizes.dim),
        )

    def forward(self, pictures: Float[Tensor, "examples frames bands"]) -> Float[Tensor, "examples dim"]:
        """The last layer as it is, not rectified."""
        found = self.features(pictures[:, None])
        # TensorFlow has the channels last, and the dense layer was trained on that order.
        return self.embeddings(found.permute(0, 2, 3, 1).flatten(1))


@final
class Whitening(nn.Module):
    """Google's principal components: a vector minus the mean, rotated and scaled to unit variances."""

    pca_eigen_vectors: Tensor
    pca_means: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("pca_eigen_vectors", torch.zeros(dim, dim))
        self.register_buffer("pca_means", torch.zeros(dim))

    def forward(self, vectors: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """The components, the strongest first."""
        return (vectors - self.pca_means) @ self.pca_eigen_vectors.T


# Our layers by the names of the original's.
_VARIABLES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3/conv3_1": "features.6",
    "conv3/conv3_2": "features.8",
    "conv4/conv4_1": "features.11",
    "conv4/conv4_2": "features.13",
    "fc1/fc1_1": "embeddings.0",
    "fc1/fc1_2": "embeddings.2",
    "fc2": "embeddings.4",
}


def read_vggish(path: Path, sizes: VggishSizes = PUBLISHED) -> Vggish:
    """The network with the weights of a file.

    Args:
        path: A state dict under torchvggish's names (`features.0.weight`), or an `.npz` of the original's variables
            (`vggish/conv1/weights`, with or without `:0`), whose axes are TensorFlow's.
        sizes: Of the layers.

    Raises:
        CheckpointError: The file is missing, damaged, or does not fit.
    """
    stored = read_tensors(path)
    if any(name.startswith("vggish/") for name in stored):
        stored = {_ours(name): _turned(weights) for name, weights in stored.items()}
    with torch.device("meta"):
        network = Vggish(sizes)
    pour(path, stored, network, ignored=("pproc.", "vggish/", "global_step"))
    return network


def _ours(name: str) -> str:
    """Our name for a variable of the original's; one that belongs to no layer (an optimizer's state) keeps its own."""
    layer, _, kind = name.removeprefix("vggish/").rpartition("/")
    kinds = {"weights": "weight", "biases": "bias"}
    return f"{_VARIABLES[layer]}.{kinds[kind]}" if layer in _VARIABLES and kind in kinds else name


def _turned(weights: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """From TensorFlow's order of axes (rows, columns, in, out) to PyTorch's (out, in, rows, columns)."""
    return weights.permute(3, 2, 0, 1) if weights.dim() == 4 else weights.T if weights.dim() == 2 else weights


def read_whitening(path: Path, dim: int) -> Whitening:
    """Google's principal components, from the original's `.npz` or a state dict of the same names.

    Raises:
        CheckpointError: The file is missing, damaged, or does not fit.
    """
    stored = {name.removeprefix("pproc."): weights for name, weights in read_tensors(path).items()}
    if "pca_means" in stored:
        # A column in some files, a row in others.
        stored["pca_means"] = stored["pca_means"].flatten()
    whitening = Whitening(dim)
    pour(path, stored, whitening)
    return whitening
