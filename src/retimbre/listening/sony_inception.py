"""System C's published classifiers: InceptionV3 files for the pitch and for the instrument of a note.

A file holds layers and no names: it says how many classes it tells apart and not what they are. The program that they
were made for took whichever file stood at a path, and its defaults for pitch and instrument were swapped. So a file is
never taken as it comes. As an embedder it gives the 2,048 pooled features and says how many classes its classifier has.
To classify, its attribute must be named, with as many classes as the file has; for pitch the 27 from 44 to 70 that its
training took may be left out.

Which class stands at which place was decided by its training and is written nowhere in the file. Inception scores and
distances between logits do not depend on it; accuracies do.

References:
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.core.files import sha256_of
from retimbre.listening.base import ExternalEmbedder
from retimbre.listening.heard import Heard
from retimbre.listening.inception import N_FFT, NUM_FEATURES, InceptionNetwork
from retimbre.listening.listener import Attribute, Listener, ListenerConfig
from retimbre.listening.weights_file import pour, read_tensors, tensor

# MIDI numbers, in the order of the training script.
PUBLISHED_PITCHES = tuple(str(pitch) for pitch in range(44, 71))


def read_sony_inception(
    path: Path,
    attribute: str,
    classes: tuple[str, ...] = (),
    *,
    sample_rate: int = 16_000,
    n_fft: int = N_FFT,
) -> InceptionNetwork:
    """A published classifier, frozen and in evaluation mode, so that it answers the same every time.

    Args:
        path: Of the file.
        attribute: What it was trained to tell: "pitch", or "family" for the instrument.
        classes: The names of its classes in their order; for pitch, none stand for those of the training script.
        sample_rate: Of the clips it will be given, in Hz.
        n_fft: Points of the Fourier transform of its picture.

    Raises:
        CheckpointError: The file is missing, damaged, does not fit, or tells another number of classes apart.
    """
    stored = read_tensors(path)
    num_classes = len(tensor(path, stored, "fc.weight"))
    names = classes or (PUBLISHED_PITCHES if attribute == "pitch" else ())
    if len(names) != num_classes:
        got = f"{attribute} has {len(names)}" if names else f"those of {attribute} are not named"
        raise CheckpointError(
            f"{path}: tells {num_classes} classes apart, but {got}; the files for pitch and for the instrument look "
            "alike, so name the attribute and the classes of this one"
        )
    return _network(path, stored, {attribute: names}, sample_rate, n_fft)


def read_sony_listener(path: Path, attribute: Attribute, classes: tuple[str, ...] = ()) -> Listener:
    """A published classifier as a listener, which `save_listener` can write to a file that the measures take.

    Args:
        path: Of the file.
        attribute: "pitch", whose classes are MIDI numbers without gaps, or "family".
        classes: As for `read_sony_inception`.

    Raises:
        CheckpointError: As for `read_sony_inception`.
        ConfigError: The classes are not such as a listener has.
    """
    network = read_sony_inception(path, attribute, classes)
    names = network.classes[attribute]
    config = ListenerConfig(network="inception", attributes=(attribute,))
    if attribute == "pitch":
        config = dataclasses.replace(config, lowest_pitch=int(names[0]), highest_pitch=int(names[-1]))
    if attribute == "family":
        config = dataclasses.replace(config, families=names)
    if config.classes != network.classes:
        raise ConfigError(f"a listener's classes of {attribute} cannot be {', '.join(names)}")
    listener = Listener(config)
    listener.network.load_state_dict(network.state_dict())
    return listener.requires_grad_(False).eval()


def _network(
    path: Path,
    stored: Mapping[str, Tensor],
    classes: dict[str, tuple[str, ...]],
    sample_rate: int,
    n_fft: int,
) -> InceptionNetwork:
    with torch.device("meta"):
        network = InceptionNetwork(classes, sample_rate, n_fft)
    pour(path, stored, network.network, ignored=("AuxLogits.",))
    return network.eval().requires_grad_(False)


@final
class SonyInceptionEmbedder(ExternalEmbedder):
    """The pooled features of a published classifier, from a local file.

    Args:
        sample_rate: Of the clips, in Hz; any.
        file: A state dict under torchvision's names, of a classifier of any number of classes.

    Attributes:
        num_classes: Of the file's classifier: what tells the file for pitch (27) from that for the instrument.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """

    def __init__(self, sample_rate: int, file: Path) -> None:
        super().__init__(sample_rate)
        stored = read_tensors(file)
        self.num_classes = len(tensor(file, stored, "fc.weight"))
        numbers = tuple(str(number) for number in range(self.num_classes))
        self.network = _network(file, stored, {"class": numbers}, sample_rate, N_FFT)
        self.file_sha256 = sha256_of(file)
        self.dim = NUM_FEATURES

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """The features of the first 1.02 s of each clip.

        Raises:
            ValueError: The clips need a gradient and are at another rate than 16 kHz.
        """
        return self.hear(audio).embedding

    def hear(self, audio: Float[Tensor, "batch samples"]) -> Heard:
        """The features and, under "class", the logits of the file's classes by number."""
        return self.network(audio)

    def settings(self) -> Mapping[str, Any]:
        """The file by its content, how many classes it tells apart, and its picture."""
        return {"file_sha256": self.file_sha256, "num_classes": self.num_classes, "n_fft": N_FFT}
