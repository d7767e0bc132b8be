"""Joining the processes that torchrun started: what is refused, who tells of an error, and how they end."""

import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
from several import in_processes

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.training import devices
from retimbre.training.launch import joined
from retimbre.training.parallel import ALONE

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("settings", [{}, {"WORLD_SIZE": "1", "RANK": "0"}])
def test_a_process_that_was_started_alone_is_alone(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with joined("cpu") as world:
        assert world == ALONE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "2"}, "RANK is None, but takes 0 to 1"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK is 'x'"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2, but takes 0 to 1"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "cannot meet at :, as torchrun sets it"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "x"}, "cannot meet at"),
    ],
)
def test_variables_that_make_no_sense_are_told_in_one_line(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RetimbreError, match=message) as caught, joined("cpu"):
        pass
    assert "\n" not in str(caught.value)


def make_the_same_mistake() -> None:
    with joined("cpu"):
        raise ConfigError("a mistake in the run file")


def test_the_mistake_that_all_processes_make_is_told_by_one_and_all_end_with_its_status() -> None:
    errors = [outcome.error for outcome in in_processes(3, make_the_same_mistake)]
    assert sorted(type(error) for error in errors if isinstance(error, ConfigError)) == [ConfigError]
    assert [error.code for error in errors if isinstance(error, SystemExit)] == [2, 2]


def fail_in_the_second() -> None:
    with joined("cpu") as world:
        world.wait()
        if world.rank == 1:
            raise ConfigError("only this process sees it")
        world.wait()


def test_the_error_of_one_process_is_told_by_it_and_not_by_those_that_lose_it() -> None:
    first, second = in_processes(2, fail_in_the_second)
    assert isinstance(second.error, ConfigError)
    assert isinstance(first.error, SystemExit)
    assert first.error.code == 1


def be_told_to_end() -> bool:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with joined("cpu") as world:
            world.wait()
            if world.rank == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            world.wait()
    finally:
        restored = signal.getsignal(signal.SIGTERM) == before
    return restored


def test_a_process_that_is_told_to_end_says_how_to_go_on() -> None:
    outcomes = in_processes(2, be_told_to_end)
    told = [str(outcome.error) for outcome in outcomes if isinstance(outcome.error, RetimbreError)]
    assert len(told) == 1
    assert "run the same command again to continue" in told[0]


def ask_for_a_gpu() -> None:
    devices.pick_device = lambda name: torch.device("cuda")  # pyright: ignore
    torch.cuda.device_count = lambda: 0
    with joined("cuda"):
        pass


def test_more_processes_than_gpus_are_refused_in_one_line() -> None:
    errors = [outcome.error for outcome in in_processes(2, ask_for_a_gpu)]
    assert sum("but 0 GPUs: takes one each" in str(error) for error in errors) == 1


# A process of its own, in which nothing of torch was imported before, as in the program.
TRAINS_AND_LEAVES = """
import pathlib
from retimbre.training.launch import joined
import torch

def threads():
    return sorted(each.read_text().strip() for each in pathlib.Path("/proc/self/task").glob("*/comm"))

with joined("cpu") as world:
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    world.wait()
    print(*threads())
print(*threads())
"""


@pytest.mark.slow
def test_the_threads_of_a_group_have_ended_when_it_is_left() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(listener.getsockname()[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAINS_AND_LEAVES],
            env=os.environ | place | {"RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        during, after = process.communicate(timeout=120)[0].splitlines()
        assert "gloo" in during
        assert "gloo" not in after
        assert process.returncode == 0
