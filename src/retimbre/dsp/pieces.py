"""Work in pieces that fit the processor's cache.

A transform of a large batch is a chain of passes over memory: window, Fourier transform, logarithm, each reading what
the one before has written. On a processor a pass over a few hundred kilobytes runs out of the cache, one over tens of
megabytes waits for the memory, and so the same arithmetic takes two to three times as long. `in_pieces` sends a few
clips at a time through the whole chain. It changes nothing but the time, and stands aside where it would not help: on
other devices, for a batch that is small anyway, and where gradients or a graph are being recorded.
"""

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

# Values of the largest intermediate result at once. In float32 one megabyte: the second-level cache of a core.
PIECE_VALUES = 1 << 18


def in_pieces(
    transform: Callable[[Shaped[Tensor, "piece ..."]], Shaped[Tensor, "piece ..."]],
    batch: Shaped[Tensor, "batch ..."],
    *,
    values_per_item: int,
) -> Shaped[Tensor, "batch ..."]:
    """`transform(batch)`, computed a few items at a time.

    Args:
        transform: Treats each item by itself; its result has as many items, and its memory layout is kept.
        batch: What to transform.
        values_per_item: Size of the largest intermediate result of one item.
    """
    # Asked first: in a graph that is being recorded the size of the batch is a symbol, not to be compared.
    if torch.compiler.is_compiling() or batch.requires_grad or batch.device.type != "cpu":
        return transform(batch)
    items = max(1, PIECE_VALUES // max(1, values_per_item))
    if len(batch) <= items:
        return transform(batch)
    first = transform(batch[:items])
    whole = _empty_like(first, len(batch))
    whole[:items] = first
    for start in range(items, len(batch), items):
        whole[start : start + items] = transform(batch[start : start + items])
    return whole


def _empty_like(piece: Shaped[Tensor, "piece ..."], items: int) -> Shaped[Tensor, "batch ..."]:
    """Room for so many items, with the axes in the order in which `piece` has them in memory."""
    order = [0, *sorted(range(1, piece.ndim), key=lambda axis: -piece.stride(axis))]
    inverse = [order.index(axis) for axis in range(piece.ndim)]
    return piece.new_empty([items, *(piece.shape[axis] for axis in order[1:])]).permute(inverse)
