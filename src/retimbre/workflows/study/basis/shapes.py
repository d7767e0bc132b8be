"""The functions of a basis, measured and put in order.

A table of functions says little until they stand in an order. By their *centre frequency*, the mean of frequency over
the power of the spectrum, neighbours look alike and gaps show. The other order is that of an earlier program: by the
distance to the function of the smallest norm, whose kernels are as they were learned, with their own levels. Nearly
unused ones come first there, since a kernel that is near zero is near to the smallest one.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.dsp.windowed_waves import spectra
from retimbre.representation.basis_functions import FreeFunctions
from retimbre.representation.learned_basis import Basis

Row = dict[str, Any]

_NOTHING = 1e-30


def kernels_of(basis: Basis) -> list[Float[Tensor, "functions length"]]:
    """The functions by length, free ones with the levels that they were learned with."""
    if isinstance(basis.functions, FreeFunctions):
        return [basis.functions.decoder.detach()]
    return basis.functions.functions()


def centres_hz(kernels: Float[Tensor, "functions length"], sample_rate: int) -> Float[Tensor, " functions"]:
    """The mean frequency of each function over its power."""
    power = spectra(kernels)
    frequency = torch.linspace(0.0, sample_rate / 2, power.shape[1], dtype=power.dtype)
    return (power * frequency).sum(1) / power.sum(1).clamp_min(_NOTHING)


def by_distance(kernels: Float[Tensor, "functions length"]) -> Int[Tensor, " functions"]:
    """Numbers of the functions in the order of their distance to the one of the smallest norm."""
    smallest = kernels.norm(dim=1).argmin()
    return (kernels.double() - kernels[smallest].double()).norm(dim=1).argsort(stable=True)


def shape_rows(basis: Basis) -> list[Row]:
    """A row per function: its centre and width in frequency and in time, and its place in both orders."""
    rows: list[Row] = []
    for kernels in kernels_of(basis):
        rows += _rows_of_length(kernels, basis.config.sample_rate)
    return rows


def _rows_of_length(kernels: Float[Tensor, "functions length"], sample_rate: int) -> list[Row]:
    power, energy = spectra(kernels), kernels.double().square()
    frequency = torch.linspace(0.0, sample_rate / 2, power.shape[1], dtype=power.dtype)
    time_ms = torch.arange(kernels.shape[1], dtype=power.dtype) / sample_rate * 1e3
    centre_hz, width_hz = _moments(power, frequency)
    centre_ms, width_ms = _moments(energy, time_ms)
    by_centre, distance = _places(centre_hz.argsort(stable=True)), _places(by_distance(kernels))
    return [
        {
            "length_samples": kernels.shape[1],
            "function": index,
            "norm": float(kernels[index].norm()),
            "centre_hz": float(centre_hz[index]),
            "width_hz": float(width_hz[index]),
            "centre_ms": float(centre_ms[index]),
            "width_ms": float(width_ms[index]),
            "place_by_frequency": by_centre[index],
            "place_by_distance": distance[index],
        }
        for index in range(len(kernels))
    ]


def _moments(weights: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the standard deviation along an axis."""
    share = weights / weights.sum(1, keepdim=True).clamp_min(_NOTHING)
    mean = (share * axis).sum(1)
    return mean, (share * (axis - mean[:, None]).square()).sum(1).sqrt()


def _places(order: Tensor) -> list[int]:
    """The place of each in an order."""
    return order.argsort().tolist()
