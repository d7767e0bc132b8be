"""Several processes that train one network as one process would.

In *data-parallel* training every process has the same weights. Each takes its share of the global batch (`share`),
multiplies its loss by the share's weight and computes the gradient over its own rows. Then all of them replace their
gradients by the sum over the processes: the gradient over the whole batch, up to rounding. From there on, each does
what a single process would do (clips the gradient, moves the weights, averages them) and arrives at the same weights as
the others. So the number of processes changes how fast a run is and nothing else: neither the batch nor the learning
rate nor what the journal says.

The gradients travel as one flat vector in a single sum over the processes (an *all-reduce*) after the backward pass.
PyTorch's DistributedDataParallel would send them in pieces during it and so hide some of the waiting, but it wraps one
network and one backward pass per step, takes shares of equal length only, and renames the weights. The flat sum is one
line in an update, whatever networks and optimizers a task has.

A `World` is what a process knows of the others; `ALONE` is the world of one process, in which all of this costs
nothing. Decisions that could differ between processes (a clock, a file that only some see) are taken by the first and
told to the rest; everything else follows from numbers that all of them have, so it needs no talk.

A layer that compares the rows of a batch (a critic's minibatch deviation) has to see those of the others, and its
gradient has to find the way back: what a row adds to another process's loss counts there, too. `World.gather` brings
the rows together; its derivative hands every process the sum of what all of them made of its rows, and the derivative
of that is a gathering again. So it may be differentiated twice, as penalties on slopes do.

References:
    Goyal et al. (2017), Accurate, large minibatch SGD, https://arxiv.org/abs/1706.02677
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.training.share import Share, share_of

Item = TypeVar("Item")

HOW_TO_GO_ON = "run the same command again to continue at the last saved state"

# What these layers do to a row depends on the other rows, or on the random numbers drawn for them.
_LAYERS_OF_ONE_PROCESS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@dataclasses.dataclass(frozen=True)
class World:
    """The processes that train together, seen from one of them. All must call the same methods in the same order.

    Attributes:
        rank: Which of them this is, 0 for the first: the one that writes and prints.
        size: How many they are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, batch_size: int) -> Share:
        """The rows of a global batch that this process has. Raises ConfigError if there is none for some process."""
        if batch_size < self.size:
            raise ConfigError(
                f"batch_size is {batch_size}, but {self.size} processes take a row each: {self.size} or more"
            )
        return share_of(batch_size, self.rank, self.size)

    def portion(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every item that is this process's to work on, dealt like cards; may be none."""
        return items[self.rank :: self.size]

    def check(self, network: nn.Module) -> None:
        """Refuses, with ConfigError, a network that would learn something else in several processes."""
        if self.size == 1:
            return
        for name, layer in network.named_modules():
            if isinstance(layer, _LAYERS_OF_ONE_PROCESS):
                kind = type(layer).__name__
                raise ConfigError(
                    f"layer {name!r} is a {kind}, which depends on the number of processes; takes 1"
                )

    def sum_gradients(
        self, parameters: Iterable[nn.Parameter], values: Float[Tensor, " values"]
    ) -> Float[Tensor, " values"]:
        """Replaces gradients by their sums over the processes; returns the sums of some values, too.

        Losses over a share that were multiplied by its weight become the losses over the global batch this way, and
        their gradients the gradients over it; several losses may have shares of their own.

        Args:
            parameters: What was differentiated. Which of them have a gradient must not depend on the process.
            values: Weighted losses.
        """
        if self.size == 1:
            return values
        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = torch.cat([*(each.flatten() for each in gradients), values.detach()])
        self._sum(flat)
        *sums, values = flat.split([*(each.numel() for each in gradients), len(values)])
        for gradient, summed in zip(gradients, sums, strict=True):
            gradient.copy_(summed.view(gradient.shape))
        return values

    def total(self, values: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
        """The sums of these numbers, on the CPU, over the processes."""
        if self.size == 1:
            return values
        summed = values.clone()
        self._sum(summed)
        return summed

    def gather(self, rows: Float[Tensor, "rows ..."], share: Share) -> Float[Tensor, "total ..."]:
        """The rows of all processes in the order of the global batch, differentiably and more than once.

        All processes must differentiate what they make of it, the same number of times and in the same order.

        Args:
            rows: This process's.
            share: Which of the global batch they are.
        """
        return rows if self.size == 1 else _Gather.apply(rows, share, self)  # pyright: ignore[reportReturnType]

    def first_number(self, number: int) -> int:
        """The first process's number."""
        return round(self.total(torch.tensor([number * self.is_first], dtype=torch.float64)).item())

    def first_says(self, claim: bool) -> bool:
        """What the first process holds to be true."""
        return self.first_number(int(claim)) == 1

    def any_says(self, claim: bool) -> bool:
        """Whether some process holds it to be true."""
        return bool(self.total(torch.tensor([float(claim)])).item())

    def wait(self) -> None:
        """Goes on when all processes have come here."""
        self.total(torch.zeros(1))

    def copy_first(self, tensors: Iterable[Shaped[Tensor, "..."]]) -> None:
        """Overwrites these tensors with the first process's: the same number of them, of the same shapes."""
        if self.size == 1:
            return
        for tensor in tensors:
            # A copy in one piece, as bytes: not every layout and kind of number can be sent.
            copy = tensor.detach().clone(memory_format=torch.contiguous_format)
            sent = copy.flatten().view(torch.uint8)
            with _loss_of_a_process(self):
                distributed.broadcast(sent, 0)
            with torch.no_grad():
                tensor.copy_(copy)

    def _sum(self, flat: Tensor) -> None:
        with _loss_of_a_process(self):
            distributed.all_reduce(flat)


ALONE = World()


class _Gather(torch.autograd.Function):
    """Rows of one process to rows of all."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, share: Share, world: World) -> Tensor:
        ctx.share, ctx.world = share, world
        everyone = rows.new_zeros(share.total, *rows.shape[1:])
        everyone[share.rows] = rows
        world._sum(everyone)
        return everyone

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, None, None]:
        return _SumOwn.apply(gradients[0], ctx.share, ctx.world), None, None


class _SumOwn(torch.autograd.Function):
    """Values for all rows, of which every process has other ones, to the sums of those for a process's own rows."""

    @staticmethod
    def forward(ctx: Any, everyone: Tensor, share: Share, world: World) -> Tensor:
        ctx.share, ctx.world = share, world
        summed = everyone.clone(memory_format=torch.contiguous_format)
        world._sum(summed)
        return summed[share.rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, None, None]:
        return _Gather.apply(gradients[0], ctx.share, ctx.world), None, None


@contextlib.contextmanager
def _loss_of_a_process(world: World) -> Iterator[None]:
    """Says in one line what the transports say in many: a connection closed, or nothing came for too long."""
    try:
        yield
    except RuntimeError as error:
        raise RetimbreError(
            f"process {world.rank} of {world.size} lost touch with another, which ended or hangs; {HOW_TO_GO_ON}"
        ) from error
