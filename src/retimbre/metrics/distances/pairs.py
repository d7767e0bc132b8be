"""Distances between all pairs of vectors, a few rows at a time, so that memory does not grow with the sets.

The squared distance of x and y is |x|^2 + |y|^2 - 2 x.y, one matrix product for many pairs. What it costs is digits:
where two vectors are nearly equal, the difference of large numbers is left, so equal vectors come out a little apart.
Vectors are therefore moved to the reference's mean first, and what is within rounding of zero is zero: a copy is a
copy.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float64
from torch import Tensor

# Rows of one set held against all of the other, and fewer where the other is so large that they make more pairs than
# that: 8 MiB of float64, whatever the sets. A matrix product of fewer rows than the least wastes most of its time.
ROWS_AT_ONCE, PAIRS_AT_ONCE, _LEAST_ROWS = 512, 1 << 20, 16

# In units of |x|^2 + |y|^2: distances below 8e-8 of the vectors' length, a rounding of float32, are none.
_ROUNDING = 32 * torch.finfo(torch.float64).eps


def squared_distances(
    rows: Float64[Tensor, "rows dim"], columns: Float64[Tensor, "columns dim"]
) -> Float64[Tensor, "rows columns"]:
    """The squared Euclidean distance of every row from every column; exactly 0 between equal vectors."""
    scale = rows.square().sum(dim=1)[:, None] + columns.square().sum(dim=1)
    squared = torch.addmm(scale, rows, columns.T, alpha=-2.0)
    return squared.masked_fill_(squared <= _ROUNDING * scale, 0.0)


def blocks(num_rows: int, num_columns: int) -> Iterator[slice]:
    """Slices that cover the rows of a set, in order, each of which makes few pairs with all columns."""
    at_once = min(max(PAIRS_AT_ONCE // num_columns, _LEAST_ROWS), ROWS_AT_ONCE)
    for start in range(0, num_rows, at_once):
        yield slice(start, min(start + at_once, num_rows))
