"""Weights that every machine draws alike, so that a golden of a network need not bring them along."""

import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def drawn(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """A state by its names and shapes, none of it neutral: norms shift and scale, and activations keep their size."""
    return {name: torch.from_numpy(_drawn(name, tuple(shape))).float() for name, shape in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return np.exp(0.2 * values)
    if len(shape) < 2:
        # Scales of norms lie around 1, and biases and means around 0.
        return (1.0 if name.endswith("weight") else 0.0) + 0.1 * values
    # Half of what comes in was rectified away.
    return values * np.sqrt(2.0 / np.prod(shape[1:]))


def shapes_of(network: torch.nn.Module) -> dict[str, torch.Size]:
    """The tensors that a file of a network holds, but for the counts of batches."""
    return {
        name: here.shape
        for name, here in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
