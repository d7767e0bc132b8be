"""Weights of the earlier envelope system, read from its files.

That program saved the state of a network as PyTorch pickles it (`G_1000.pth.tar`, which is no archive but one pickle).
Such a file is opened by the restricted reader alone, which makes tensors and runs nothing (`listening.weights_file`); a
safetensors file of the same tensors will do as well.
"""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import CheckpointError
from retimbre.listening.weights_file import pour, read_tensors
from retimbre.workflows.legacy.neurosynth_networks import NeuroSynthCritic, NeuroSynthGenerator, told

SUFFIXES = (".tar", ".pth", ".pt", ".bin")
"""Of files that PyTorch pickles into."""

MOST_SAMPLES = 1 << 23
"""Of a sound: its normalisations hear the whole of it at once, which then takes about 1 GB."""

_FEWEST_SAMPLES = 8  # so that a normalisation has two places to take a level of
_STRIDE = 4
_ITS_OWN = "tcnv2.weight"


def is_legacy(path: Path) -> bool:
    """Whether a file is of the earlier system: pickled, or safetensors with its names."""
    if path.suffix in SUFFIXES:
        return path.is_file()
    try:
        with safe_open(path, framework="pt") as file:
            return _ITS_OWN in set(file.keys())
    except (SafetensorError, OSError):
        return False


def load_generator_weights(path: Path) -> NeuroSynthGenerator:
    """The generator of a file.

    Raises:
        CheckpointError: It is missing, damaged, or has other tensors; the message names them.
    """
    stored = read_tensors(path, takes="the weights of a NeuroSynth generator, such as G_1000.pth.tar")
    if "src_output.weight" in stored:
        raise CheckpointError(f"{path}: holds the critic of NeuroSynth; takes its generator, G_*.pth.tar")
    generator = NeuroSynthGenerator()
    pour(path, stored, generator)
    return generator


def load_critic_weights(path: Path) -> NeuroSynthCritic:
    """The critic of a file. Raises CheckpointError as `load_generator_weights`."""
    critic = NeuroSynthCritic()
    pour(path, read_tensors(path, takes="the weights of a NeuroSynth critic, such as D_1000.pth.tar"), critic)
    return critic


@torch.no_grad()
def reshape_as_neurosynth(
    generator: NeuroSynthGenerator, sound: Float[Tensor, "batch samples"], classes: Int[Tensor, "batch 3"]
) -> Float[Tensor, "batch samples"]:
    """Sounds under envelopes.

    The network is convolutional, so it takes sounds of any length: the numbers of the samples then run from 0 to 127
    over the whole of the sound. What it makes of a sound that is not 128 samples long is its own affair.

    Args:
        generator: With its weights.
        sound: Silence is added until there are eight samples, and a multiple of four.
        classes: The places of attack, sustain and release in their lists.
    """
    length = sound.shape[-1]
    missing = max(_FEWEST_SAMPLES - length, -length % _STRIDE)
    return generator(told(functional.pad(sound, (0, missing)), classes))[:, 0, :length]
