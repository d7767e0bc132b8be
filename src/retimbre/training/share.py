"""Which rows of a batch a process has to work on.

When several processes train one network together, they work on one *global batch* per step: the batch that a single
process would take. Each of them makes and hears only its *share*, a run of neighbouring rows. Shares follow from the
size of the batch, the number of processes and the rank alone, so nobody has to hand anything out; where the batch does
not divide evenly, the first shares are one row longer. What is averaged over the batch must then be weighted by the
length of the shares (`Share.weight`), or the rows of the short ones would count for more.

A layer deep inside a network sees its rows only. One that draws random numbers has to know which rows of the whole they
are (`dropout`), so a task says it for the time of an update: `with share_of_batch(share): ...`. A layer that compares
the rows of a batch needs those of the other processes as well; where the task also names the processes,
`with share_of_batch(share, world): ...`, it can ask for them (`current_processes`).
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Share:
    """Neighbouring rows of a global batch.

    Attributes:
        first: The first of the rows, counted from 0.
        count: How many they are.
        total: How many rows the global batch has.
    """

    first: int
    count: int
    total: int

    @property
    def weight(self) -> float:
        """What a mean over the share counts in the mean over the batch."""
        return self.count / self.total

    @property
    def rows(self) -> slice:
        """The rows, to index the global batch with."""
        return slice(self.first, self.first + self.count)


def whole(total: int) -> Share:
    """All rows of a batch: the share of a process that is alone."""
    return Share(0, total, total)


def share_of(total: int, rank: int, num_ranks: int) -> Share:
    """The rows of one rank, 0 for the first; empty where there are fewer rows than ranks."""
    rows_each, left_over = divmod(total, num_ranks)
    first = rank * rows_each + min(rank, left_over)
    return Share(first, rows_each + (rank < left_over), total)


@runtime_checkable
class Processes(Protocol):
    """What a layer may ask of the processes that train together: `parallel.World`."""

    @property
    def size(self) -> int:
        """How many they are."""
        ...

    def share(self, batch_size: int) -> Share:
        """The rows of a global batch that this process has."""
        ...

    def gather(self, rows: Float[Tensor, "rows ..."], share: Share) -> Float[Tensor, "total ..."]:
        """The rows of all processes, differentiably."""
        ...


_CURRENT: contextvars.ContextVar[tuple[Share, Processes | None] | None] = contextvars.ContextVar(
    "share", default=None
)


@contextlib.contextmanager
def share_of_batch(share: Share, processes: Processes | None = None) -> Iterator[None]:
    """Says, for a block, which rows of the global batch the networks are given, and who has the others."""
    token = _CURRENT.set((share, processes))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_share(num_rows: int) -> Share:
    """The share that is being worked on; outside of `share_of_batch` it is the whole of a batch of these rows.

    Raises:
        ValueError: The layer that asks was given another number of rows than the share has.
    """
    current = _CURRENT.get()
    share = current[0] if current else whole(num_rows)
    if share.count != num_rows:
        raise ValueError(f"a layer got {num_rows} rows, but the share of the batch has {share.count}")
    return share


def current_processes() -> Processes | None:
    """The processes that have the other rows of the batch; None where there are none, or nobody named them."""
    current = _CURRENT.get()
    return current[1] if current else None
