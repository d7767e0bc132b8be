"""Principal components: the directions in which vectors differ most, learned from them without any labels.

The first K of them describe the vectors better than any other K directions. They are computed by a method that costs
little where there are thousands of dimensions or vectors, and that takes its chance from a generator, so that the same
vectors and seed give the same answer.

References:
    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011,
    https://arxiv.org/abs/0909.4061
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

# Directions tried beyond those wanted, and rounds of refinement: with these, the variance explained is within a
# thousandth of an exact decomposition's where it halves every four components (the tests).
_OVERSAMPLING = 16
_POWER_ITERATIONS = 4


@dataclasses.dataclass(frozen=True)
class Components:
    """Principal components of some vectors.

    Attributes:
        basis: Orthonormal rows, most variance first; rows of zeros where the vectors have fewer dimensions.
        deviations: The standard deviation of the vectors along each row.
        explained: The share of all variance that the rows have together.
    """

    basis: Float[Tensor, "components width"]
    deviations: Float[Tensor, " components"]
    explained: float


def principal_components(
    centred: Float[Tensor, "vectors width"], count: int, generator: torch.Generator
) -> Components:
    """The directions in which vectors of mean zero differ most, by a randomised decomposition."""
    wanted = min(count, *centred.shape)
    tried = min(wanted + _OVERSAMPLING, *centred.shape)
    directions = torch.randn(centred.shape[1], tried, generator=generator, dtype=centred.dtype)
    for _ in range(_POWER_ITERATIONS):
        directions = torch.linalg.qr(centred.T @ torch.linalg.qr(centred @ directions).Q).Q
    _, scales, rows = torch.linalg.svd(centred @ directions, full_matrices=False)
    basis = torch.zeros(count, centred.shape[1], dtype=centred.dtype)
    basis[:wanted] = (rows @ directions.T)[:wanted]
    deviations = torch.zeros(count, dtype=centred.dtype)
    deviations[:wanted] = scales[:wanted] / len(centred) ** 0.5
    total = float(centred.double().square().sum()) / len(centred)
    return Components(basis, deviations, float(deviations.double().square().sum()) / max(total, 1e-300))
