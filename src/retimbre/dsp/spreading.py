"""A sparse linear map from spectral lines to windowed bands that gathers in both directions.

Bands overlap, so one line of a spectrum goes into several of them, each time multiplied by another window. Forwards
that is a gather: for every place in a band, which line. Backwards each line is a sum over its places, and written
naively that is a scatter, which adds to the same memory again and again and is slow on any device, all the more as the
gradient of a gather is one. But the places of a line never change. Listed per line (the first place of every line, then
the second of those that have one, and so on) they make the way back a few gathers that are added up. Each direction is
the transpose of the other, so each is the other's gradient.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class BinMap:
    """A sparse linear map between spectral lines and the windowed lines of all bands, in both directions.

    Attributes:
        lines: For each windowed line, which line of the spectrum it is from.
        weights: What it is multiplied by, twice: for the real and for the imaginary part.
        entries: For each line of the spectrum, one of the windowed lines it goes into; then for the lines that go into
            a second one, that; and so on. Every such run starts at line 0.
        entry_weights: What those are multiplied by, twice; zero where a line has none.
        runs: How long each run of `entries` is; the first has all lines.
    """

    lines: Int[Tensor, " entries"]
    weights: Float[Tensor, " entries*2"]
    entries: Int[Tensor, " contributions"]
    entry_weights: Float[Tensor, " contributions*2"]
    runs: tuple[int, ...]


def bin_map(
    lines: Int[Tensor, " entries"],
    num_lines: int,
    weights: Float[Tensor, " entries"],
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> BinMap:
    """Sorts the windowed lines by the line they are from, so that the map can be walked backwards without a scatter."""
    used = weights.nonzero()[:, 0]
    order = used[torch.argsort(lines[used], stable=True)]
    sorted_lines = lines[order]
    first = torch.searchsorted(sorted_lines, sorted_lines)
    rank = torch.arange(len(order)) - first
    entries, entry_weights, runs = [], [], []
    for number in range(int(rank.max()) + 1):
        chosen = order[rank == number]
        run = num_lines if number == 0 else int(lines[chosen].max()) + 1
        entries.append(torch.zeros(run, dtype=torch.long).index_copy(0, lines[chosen], chosen))
        entry_weights.append(
            torch.zeros(run, dtype=torch.float64).index_copy(0, lines[chosen], weights[chosen])
        )
        runs.append(run)
    return BinMap(
        lines=lines.to(device),
        weights=weights.repeat_interleave(2).to(device, dtype),
        entries=torch.cat(entries).to(device),
        entry_weights=torch.cat(entry_weights).repeat_interleave(2).to(device, dtype),
        runs=tuple(runs),
    )


def spread(spectrum: Complex[Tensor, "batch lines"], bins: BinMap) -> Complex[Tensor, "batch entries"]:
    """The windowed lines of all bands."""
    return _Spread.apply(spectrum, bins)


def gather(windowed: Complex[Tensor, "batch entries"], bins: BinMap) -> Complex[Tensor, "batch lines"]:
    """The transpose of `spread`: windows the entries of all bands and adds them where they overlap."""
    return _Gather.apply(windowed, bins)


class _Spread(torch.autograd.Function):
    """Spectrum to the windowed lines of all bands. Its transpose is `_Gather`, so even gradients gather."""

    @staticmethod
    def forward(ctx: Any, spectrum: Complex[Tensor, "batch lines"], bins: BinMap) -> Tensor:
        """Takes each line where a band wants it, and multiplies by the window."""
        ctx.bins = bins
        return _taken(spectrum, bins.lines, bins.weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The transpose."""
        return _Gather.apply(gradients[0], ctx.bins), None


class _Gather(torch.autograd.Function):
    """Windowed lines of all bands to a spectrum, adding where bands overlap: the transpose of `_Spread`."""

    @staticmethod
    def forward(ctx: Any, lines: Complex[Tensor, "batch entries"], bins: BinMap) -> Tensor:
        """Takes for each line of the spectrum the first entry it has, adds the second, and so on."""
        ctx.bins = bins
        entries = bins.entries.split(bins.runs)
        weights = bins.entry_weights.split([2 * run for run in bins.runs])
        spectrum = _taken(lines, entries[0], weights[0])
        for run, index, weight in zip(bins.runs[1:], entries[1:], weights[1:], strict=True):
            target = torch.view_as_real(spectrum)[:, :run]
            target.addcmul_(_picked(lines, index), weight.view(-1, 2))
        return spectrum

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The transpose."""
        return _Spread.apply(gradients[0], ctx.bins), None


def _taken(
    values: Complex[Tensor, "batch old"], index: Tensor, weights: Tensor
) -> Complex[Tensor, "batch new"]:
    """`values[:, index]`, weighted."""
    taken = _picked(values, index)
    taken.flatten(1).mul_(weights)
    return torch.view_as_complex(taken)


def _picked(values: Complex[Tensor, "batch old"], index: Tensor) -> Float[Tensor, "batch new 2"]:
    """`values[:, index]` as pairs of real numbers; torch.gather is three times as fast as indexing on a CPU."""
    return torch.view_as_real(torch.gather(values, 1, index.expand(len(values), -1)))
