"""Dynamic time warping: the cheapest way to line two sequences up.

Two performances of the same notes differ in timing. Warping allows either sequence to wait: a path runs from the
first pair of frames to the last, forward in one sequence or in both at each step, and pays the local distance of every
pair it visits. The distance of the sequences is the cost of the cheapest path.

The step pattern is the one called symmetric2: a diagonal step pays the local distance twice, as much as the two single
steps it replaces. The weights of every path then sum to N + M - 1, and dividing the cost by N + M, as the published
figures do, makes pairs of different lengths comparable.

A cell depends on its left, upper and upper-left neighbours, so the cells of one anti-diagonal do not depend on each
other: N + M - 1 vector operations over cells and batch replace N * M scalar ones.

References:
    Sakoe & Chiba (1978), "Dynamic programming algorithm optimization for spoken word recognition",
    https://doi.org/10.1109/TASSP.1978.1163055
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Local distances held at once, in float64: 64 MiB.
_MAX_CELLS = 2**23


def mean_absolute_costs(
    first: Float[Tensor, "batch first features"], second: Float[Tensor, "batch second features"]
) -> Float[Tensor, "batch first second"]:
    """Mean absolute difference of every frame of one sequence to every frame of the other."""
    return torch.cdist(first, second, p=1.0) / first.shape[-1]


def warped_distance(
    first: Float[Tensor, "batch first features"], second: Float[Tensor, "batch second features"]
) -> Float[Tensor, " batch"]:
    """Cost of the cheapest path between two sequences of N and M frames under `mean_absolute_costs`, over N + M.

    Computed in float64 whatever the inputs, in chunks of bounded memory, and without gradients: an exact path choice
    is not a useful training signal. The result has the dtype of `first`.
    """
    with torch.no_grad():
        size = max(_MAX_CELLS // (first.shape[1] * second.shape[1]), 1)
        pairs = zip(first.split(size), second.split(size), strict=True)
        distances = [path_distance(mean_absolute_costs(one, other)) for one, other in pairs]
        return torch.cat(distances).to(first.dtype)


@torch.no_grad()
def path_distance(costs: Float[Tensor, "batch first second"]) -> Float[Tensor, " batch"]:
    """The cost of the cheapest path through matrices of local distances, divided by N + M; in float64."""
    batch, num_first, num_second = costs.shape
    # Cells before batch: an anti-diagonal is then a strided view of contiguous rows, and nothing is copied.
    costs = costs.permute(1, 2, 0).contiguous().double()
    # Accumulated cost on this anti-diagonal and the two before. Row i + 1 belongs to frame i of the first sequence;
    # what lies outside the matrix is never written and stays infinite.
    rows = costs.new_full((3, num_first + 1, batch), torch.inf)
    current, previous, older = rows[0], rows[1], rows[2]
    current[1] = costs[0, 0]
    for diagonal in range(1, num_first + num_second - 1):
        current, previous, older = older, current, previous
        start, stop = max(0, diagonal - num_second + 1), min(diagonal, num_first - 1) + 1
        local = costs.as_strided(
            (stop - start, batch),
            (max(num_second - 1, 1) * batch, 1),
            (start * num_second + diagonal - start) * batch,
        )
        target = current[start + 1 : stop + 1]
        torch.add(older[start:stop], local, out=target)
        torch.minimum(target, previous[start:stop], out=target)
        torch.minimum(target, previous[start + 1 : stop + 1], out=target)
        target += local
    return current[num_first] / (num_first + num_second)
