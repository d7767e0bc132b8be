"""Several processes: what they compute together is what one computes, and none waits for one that has gone."""

import os
import signal
import time

import pytest
import torch
from several import in_processes
from torch import Tensor, nn

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.training.launch import joined
from retimbre.training.parallel import ALONE, World

TORN = {
    "float": torch.randn(3, 4),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "one channel": torch.randn(4, 1, 3, 2).to(memory_format=torch.channels_last),
    "double": torch.randn(5, dtype=torch.float64),
    "bfloat16": torch.randn(5).bfloat16(),
    "count": torch.tensor(7),
    "truth": torch.tensor([True, False, True]),
    "nothing": torch.zeros(0),
}


def gradient(rows: slice, weight: float) -> tuple[nn.Module, Tensor]:
    """The toy's gradient over some rows of seven, and its weighted loss."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    batch = torch.randn(7, 3)
    loss = network(batch[rows]).square().mean() * weight
    loss.backward()
    return network, loss.detach()


def summed_gradient() -> list[list[float]]:
    with joined("cpu") as world:
        share = world.share(7)
        network, loss = gradient(share.rows, share.weight)
        values = world.sum_gradients(network.parameters(), loss[None])
        return [values.tolist(), *(each.grad.flatten().tolist() for each in network.parameters())]


def test_the_gradients_of_uneven_shares_sum_to_that_of_the_batch_in_every_process() -> None:
    network, loss = gradient(slice(None), 1.0)
    wanted = [loss[None], *(each.grad.flatten() for each in network.parameters())]
    first, second = in_processes(2, summed_gradient)
    assert first == second
    for found, exact in zip(first.value, wanted, strict=True):
        # Sums of seven float32 terms in another order.
        torch.testing.assert_close(torch.tensor(found), exact, rtol=1e-5, atol=1e-7)


def compared(rows: Tensor, everyone: Tensor) -> Tensor:
    """A value per row that depends on all of them, and on each in another way than on the others."""
    return (rows[:, None] - everyone).pow(3).mean(dim=(1, 2)) + everyone.square().sum() * rows.sum(dim=1)


def gathered(total: int) -> list[list[float]]:
    with joined("cpu") as world:
        torch.manual_seed(0)
        share = world.share(total)
        rows = torch.randn(total, 3, dtype=torch.float64)[share.rows].requires_grad_()
        everyone = world.gather(rows, share)
        (slope,) = torch.autograd.grad(compared(rows, everyone).sum(), rows, create_graph=True)
        (second,) = torch.autograd.grad(slope.square().sum(), rows)
        return [each.flatten().tolist() for each in (everyone, slope, second)]


@pytest.mark.parametrize("total", [4, 5])
def test_rows_are_gathered_with_their_first_and_second_derivatives(total: int) -> None:
    torch.manual_seed(0)
    rows = torch.randn(total, 3, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(compared(rows, rows).sum(), rows, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), rows)
    first, last = (outcome.value for outcome in in_processes(2, gathered, total))
    assert first[0] == last[0] == rows.flatten().tolist()
    for place, exact in ((1, slope), (2, second)):
        found = torch.tensor(first[place] + last[place], dtype=torch.float64)
        # Sums of float64 numbers in another order.
        torch.testing.assert_close(found, exact.flatten().detach(), rtol=1e-12, atol=1e-12)
    assert ALONE.gather(rows, ALONE.share(total)) is rows


def agreements() -> dict[str, object]:
    with joined("cpu") as world:
        world.wait()
        torch.manual_seed(0)
        tensors = {
            name: tensor.clone() if world.is_first else torch.zeros_like(tensor)
            for name, tensor in TORN.items()
        }
        world.copy_first(tensors.values())
        return {
            "copied": all(torch.equal(tensors[name], tensor) for name, tensor in TORN.items()),
            "number": world.first_number(2**40 + 1 + world.rank),
            "claim of the first": world.first_says(world.rank == 0),
            "claim of the last": (world.first_says(world.rank == 2), world.any_says(world.rank == 2)),
            "claim of nobody": world.any_says(False),
            "total": world.total(torch.tensor([1.0, float(world.rank)], dtype=torch.float64)).tolist(),
        }


def test_processes_agree_on_numbers_on_claims_and_on_states_of_any_kind() -> None:
    agreed = {
        "copied": True,
        "number": 2**40 + 1,
        "claim of the first": True,
        "claim of the last": (False, True),
        "claim of nobody": False,
        "total": [3.0, 3.0],
    }
    assert [outcome.value for outcome in in_processes(3, agreements)] == [agreed] * 3


def test_every_item_is_in_one_portion() -> None:
    portions = [World(rank, 3).portion(range(8)) for rank in range(3)]
    assert sorted(item for portion in portions for item in portion) == list(range(8))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.BatchNorm2d(4), nn.Dropout(0.1), nn.Dropout2d(0.1)])
def test_a_layer_that_would_depend_on_the_number_of_processes_is_refused_in_several(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(4, 4), layer)
    ALONE.check(network)
    with pytest.raises(ConfigError, match=f"layer '1' is a {type(layer).__name__}"):
        World(0, 2).check(network)


def test_a_batch_with_fewer_rows_than_processes_is_refused() -> None:
    assert World(1, 2).share(2).count == 1
    with pytest.raises(ConfigError, match="batch_size is 1, but 2 processes"):
        World(0, 2).share(1)


def wait_for_the_dead() -> float:
    with joined("cpu") as world:
        world.wait()
        if world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        begun_s = time.monotonic()
        try:
            world.wait()
        except RetimbreError as error:
            if "run the same command again" in str(error) and "\n" not in str(error):
                return time.monotonic() - begun_s
            raise
        raise RuntimeError("it waited for the dead, and went on")


def test_the_loss_of_a_process_is_noticed_at_once_and_told_in_one_line() -> None:
    survivor, killed = in_processes(2, wait_for_the_dead)
    assert (killed.value, killed.error) == (None, None)
    # A closed connection takes no time; the seconds are for a busy machine.
    assert survivor.value < 20.0
