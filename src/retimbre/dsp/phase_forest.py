"""Summing increments over a grid along its loudest paths, for a whole batch at once.

Between any two neighbouring cells of a spectrogram the phase is known to grow by about so much. To turn these
increments into phases one starts somewhere and walks from cell to cell. The increments do not quite agree with each
other, so the walk matters: it should keep to loud cells, where increments are right, and cross faint ones last. The
usual way is a heap from which the loudest cell reached so far is taken, one after another. What that walk draws is a
spanning tree in which any two cells are joined by the path whose faintest cell is loudest, and such a tree can also
be found by many cells at once:

1. Every cell points to its loudest neighbour. Following the pointers leads uphill to a peak; all cells that end on
   the same peak are its basin. Doubling each pointer a few times (pointer jumping) finds all peaks.
2. Every basin looks for its highest pass into another basin and the two are joined there (Boruvka's rounds), until
   no passes are left. Each round at least halves the number of basins.

Phases add up along the pointers as they are doubled. Each separate island of cells has phase 0 at one of its peaks.
Phases are counted in turns here (1 turn = 2 pi), which are wrapped by rounding.

References:
    Prusa, Balazs and Sondergaard (2017), "A noniterative method for reconstruction of phase from STFT magnitude",
    https://doi.org/10.1109/TASLP.2017.2678166 (the heap)
    Boruvka (1926), "O jistem problemu minimalnim", http://hdl.handle.net/10338.dmlcz/500114
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64
from torch import Tensor

# The bits of a positive float order like the float. The lowest three, 1e-6 of the value, hold a direction instead:
# the place in these lists. The last says "stay": the cell is a peak.
_DIRECTION_BITS = 7
# Pointer doublings over all cells before the few that are not yet at their peak go on alone.
_DENSE_DOUBLINGS = 3
_LOW_HALF = 0xFFFFFFFF


class Grid(NamedTuple):
    """What is integrated.

    Attributes:
        values: How loud each cell is, in (0, 1] per item.
        down: Growth in turns from a cell to the next along dimension 1; the last is not used.
        right: Growth in turns from a cell to the next along dimension 2; the last is not used.
    """

    values: Float32[Tensor, "batch rows columns"]
    down: Float32[Tensor, "batch rows columns"]
    right: Float32[Tensor, "batch rows columns"]


class _Basins(NamedTuple):
    """Cells grouped by the peak that they lead up to: its number, and the phase relative to it."""

    label: Int32[Tensor, " cells"]
    turns: Float32[Tensor, " cells"]
    num_peaks: int


class _Passes(NamedTuple):
    """Ways between basins.

    Attributes:
        start: The basin at one end.
        end: The basin at the other.
        height: The fainter of the two cells, as a number that orders like it.
        turns: How much the phase of the peak of `end` would be over that of `start` along this way.
    """

    start: Int32[Tensor, " passes"]
    end: Int32[Tensor, " passes"]
    height: Int32[Tensor, " passes"]
    turns: Float32[Tensor, " passes"]

    def kept(self, chosen: Int64[Tensor, " chosen"]) -> "_Passes":
        return _Passes(*(each.index_select(0, chosen) for each in self))


def integrate(
    grid: Grid, tolerance: float
) -> tuple[Float32[Tensor, "batch rows columns"], Bool[Tensor, "batch rows columns"]]:
    """Phases in turns within half a turn of zero, and which cells have one: those louder than `tolerance`.

    The grid must have fewer than 2 ** 30 cells, since cells are numbered in 32 bits. Item i depends on item i alone.
    """
    heights = grid.values.contiguous().view(torch.int32) & ~_DIRECTION_BITS
    sea_level = int(torch.tensor(tolerance, dtype=torch.float32).view(torch.int32))
    increments = torch.cat([grid.down.reshape(-1), grid.right.reshape(-1)])
    active = heights > sea_level
    basins = _basins(heights, increments, active.view(-1))
    passes = _passes(heights, sea_level, increments, basins)
    offsets = _join(passes, basins.num_peaks)
    # Cells under the tolerance lead to no numbered peak; theirs is never read.
    turns = basins.turns
    if basins.num_peaks:
        turns = turns + offsets.index_select(0, basins.label.clamp_min(0))
    return (turns - turns.round()).view(heights.shape), active


def _uphill(
    heights: Int32[Tensor, "batch rows columns"],
) -> Int32[Tensor, " cells"]:
    """The direction of the loudest of a cell and its four neighbours: 0 up, 1 down, 2 left, 3 right, 7 stay."""
    best = heights | _DIRECTION_BITS
    for direction, (here, there) in enumerate(
        (
            ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
            ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
            ((..., slice(1, None)), (..., slice(None, -1))),
            ((..., slice(None, -1)), (..., slice(1, None))),
        )
    ):
        best[here] = torch.maximum(best[here], heights[there] | direction)
    return (best & _DIRECTION_BITS).view(-1)


def _basins(
    heights: Int32[Tensor, "batch rows columns"],
    increments: Float32[Tensor, " twice_cells"],
    active: Bool[Tensor, " cells"],
) -> _Basins:
    cells, columns = heights.numel(), heights.shape[2]
    device = heights.device
    direction = _uphill(heights)
    cell = torch.arange(cells, dtype=torch.int32, device=device)

    def by_direction(up: float, down: float, left: float, right: float, dtype: torch.dtype) -> Tensor:
        table = torch.tensor([up, down, left, right, 0, 0, 0, 0], dtype=dtype, device=device)
        return table.index_select(0, direction)

    pointer = cell + by_direction(-columns, columns, -1, 1, torch.int32)
    # The increment between a cell and the next is kept at the first of the two, those along rows after all others.
    kept_at = cell + by_direction(-columns, 0, cells - 1, cells, torch.int32)
    turns = increments.index_select(0, kept_at) * by_direction(1, -1, 1, -1, torch.float32)
    pointer, turns = _follow(pointer, turns)
    peak = (pointer == cell) & active
    number = peak.cumsum(0, dtype=torch.int32) - 1
    return _Basins(number.index_select(0, pointer), turns - turns.round(), int(number[-1]) + 1)


def _follow(
    pointer: Int32[Tensor, " cells"], turns: Float32[Tensor, " cells"]
) -> tuple[Int32[Tensor, " cells"], Float32[Tensor, " cells"]]:
    """Where each chain of pointers ends, and the sum of the turns along it; the end of a chain points to itself."""
    for _ in range(_DENSE_DOUBLINGS):
        turns = turns + turns.index_select(0, pointer)
        pointer = pointer.index_select(0, pointer)
    going = (pointer.index_select(0, pointer) != pointer).nonzero()[:, 0]
    while len(going):
        target = pointer.index_select(0, going)
        further = pointer.index_select(0, target)
        turns[going] += turns.index_select(0, target)
        pointer[going] = further
        going = going.masked_select(pointer.index_select(0, further) != further)
    return pointer, turns


def _passes(
    heights: Int32[Tensor, "batch rows columns"],
    sea_level: int,
    increments: Float32[Tensor, " twice_cells"],
    basins: _Basins,
) -> _Passes:
    """The highest crossings between neighbouring basins.

    Two basins touch in many cells. Only crossings that are no lower than those beside them are kept: the others are
    never the highest.
    """
    label = basins.label.view(heights.shape)
    same = (label[:, :-1] == label[:, 1:], label[..., :-1] == label[..., 1:])
    found, flat = [], heights.view(-1)
    for dim, step in ((1, heights.shape[2]), (2, 1)):
        across, along = same[dim - 1], same[2 - dim]
        length = heights.shape[dim] - 1
        lower = torch.minimum(heights.narrow(dim, 0, length), heights.narrow(dim, 1, length))
        lower = lower * ~across
        # Both ends of a crossing lie in the same two basins as those of the crossing beside it.
        beside = along.narrow(dim, 0, length) & along.narrow(dim, 1, length)
        start = _local_highest(lower, beside, 3 - dim, sea_level, heights.shape)
        end = start + step
        turns = increments.index_select(0, start if dim == 1 else start + heights.numel())
        turns = basins.turns.index_select(0, start) + turns - basins.turns.index_select(0, end)
        height = torch.minimum(flat.index_select(0, start), flat.index_select(0, end))
        from_, to = basins.label.index_select(0, start), basins.label.index_select(0, end)
        found.append(_Passes(from_, to, height, turns))
    return _Passes(*(torch.cat(pair) for pair in zip(*found, strict=True)))


def _local_highest(
    lower: Int32[Tensor, "batch rows_of columns_of"],
    beside: Bool[Tensor, "batch rows_beside columns_beside"],
    dim: int,
    sea_level: int,
    shape: torch.Size,
) -> Int64[Tensor, " chosen"]:
    """Numbers of the cells where crossings start that are above the sea and not below a neighbour along `dim`."""
    keep = torch.zeros(shape, dtype=torch.bool, device=lower.device)
    chosen = keep[:, : lower.shape[1], : lower.shape[2]]
    chosen.copy_(lower > sea_level)
    pairs = lower.shape[dim] - 1
    rises = lower.narrow(dim, 0, pairs) <= lower.narrow(dim, 1, pairs)
    chosen.narrow(dim, 0, pairs).logical_and_(~(beside & rises))
    chosen.narrow(dim, 1, pairs).logical_and_(~(beside & ~rises))
    return keep.view(-1).nonzero()[:, 0]


def _join(passes: _Passes, count: int) -> Float[Tensor, " basins"]:
    """The phase of every basin's peak in turns, once the basins are joined over their highest passes."""
    rounds: list[tuple[Tensor, Tensor]] = []
    while len(passes.start):
        group, turns, count = _join_once(passes, count)
        rounds.append((group, turns))
        ends = [group.index_select(0, each) for each in (passes.start, passes.end)]
        moved = passes.turns + turns.index_select(0, passes.start) - turns.index_select(0, passes.end)
        open_ones = (ends[0] != ends[1]).nonzero()[:, 0]
        passes = _Passes(ends[0], ends[1], passes.height, moved).kept(open_ones)
    offsets = torch.zeros(count, device=passes.turns.device)
    for group, turns in reversed(rounds):
        offsets = offsets.index_select(0, group) + turns
    return offsets


def _join_once(passes: _Passes, count: int) -> tuple[Int32[Tensor, " n"], Float32[Tensor, " n"], int]:
    """Joins every basin over its highest pass: the number of its group, its turns within it, how many groups."""
    device = passes.turns.device
    # Height in the upper half, number in the lower: one maximum finds the pass, and no two are equal.
    order = (passes.height.long() << 32) | torch.arange(len(passes.start), device=device)
    best = torch.full((count,), -1, dtype=torch.int64, device=device)
    for end in (passes.start, passes.end):
        best.scatter_reduce_(0, end.long(), order, "amax")
    lonely = best < 0
    chosen = passes.kept((best & _LOW_HALF) * ~lonely)
    basin = torch.arange(count, dtype=torch.int32, device=device)
    leaves = chosen.start == basin
    target = torch.where(leaves, chosen.end, chosen.start)
    turns = torch.where(leaves, -chosen.turns, chosen.turns)
    # Keys differ, so following best passes can only circle between two basins that chose the same one.
    stays = lonely | ((best.index_select(0, target) == best) & (basin < target))
    target, turns = _follow(torch.where(stays, basin, target), turns * ~stays)
    number = (target == basin).cumsum(0, dtype=torch.int32) - 1
    return number.index_select(0, target), turns - turns.round(), int(number[-1]) + 1
