"""How processes that were started together find each other, and how they end together.

`torchrun` starts N copies of a program and tells each, in environment variables, which of how many it is (RANK,
WORLD_SIZE), which on its machine (LOCAL_RANK), and where they meet (MASTER_ADDR, MASTER_PORT). At the meeting point is
a *store*, a small dictionary that all of them can read and write; through it they exchange addresses and then talk to
each other directly: by gloo between processors, by NCCL between GPUs, of which each process takes one.

A process that ends, for whatever reason, ends the others too, and a person should read one line about it rather than
N. Three things see to that. A closed connection is noticed at once by whoever is talking (`parallel`). `torchrun`
sends SIGTERM to those that are busy elsewhere, which is turned into an error here. And who has an error to tell takes
the one turn there is at the store; the others end silently.

Talking is done by threads of the group, and they must end before Python does: a thread that frees a tensor needs
Python's lock for it, and where there is no Python any more, the whole process is aborted ("terminate called without an
active exception"). `destroy_process_group` ends them only if nobody else holds the group. Somebody would:
`torch.distributed.nn.functional` takes the group that it finds at its own import for the default argument of its
functions, for good, and every optimizer of torch imports it when it is made. So it is imported here, before there is
any group.

References:
    https://docs.pytorch.org/docs/stable/elastic/run.html
    https://github.com/pytorch/pytorch/pull/179291 has the abort at the end of Python, and an attempt at it in torch
"""

import contextlib
import datetime
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

import torch
import torch.distributed.nn.functional
from torch import distributed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from retimbre.core.errors import ConfigError, RetimbreError, UserError
from retimbre.training import devices
from retimbre.training.parallel import ALONE, HOW_TO_GO_ON, World

# torchrun starts all processes within seconds; importing from a slow disk can take a minute.
MEETING_TIMEOUT = datetime.timedelta(minutes=2)

# A process that is killed closes its connections, which is noticed at once. The time is for one that hangs or whose
# machine has gone: far longer than one process may keep the others waiting, while it writes a state or compiles.
SILENCE_TIMEOUT = datetime.timedelta(minutes=5)

# How long the first process waits for others that have an error of their own to tell.
_LINGER_S = 5.0

# What a shell reports for a program that Ctrl-C ended: 128 and the number of the signal.
_INTERRUPTED = 130


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """Joins the processes that torchrun started, for a block; a process that was started alone is `ALONE`.

    An error that leaves the block is let through in one process; the others end with its exit status, silently.

    Args:
        device: `auto`, `cpu` or `cuda`. With several processes, `cuda` becomes a GPU of each one's own.

    Raises:
        ConfigError: The environment variables make no sense, or there are fewer GPUs than processes.
        RetimbreError: The others cannot be found, or one was lost.
    """
    world = _world()
    if world.size == 1:
        yield world
        return
    store = _meet(world)
    with _sigterm_as_error(world):
        try:
            backend = _take_device(device)
            with _failure_to_meet():
                distributed.init_process_group(
                    backend, store=store, rank=world.rank, world_size=world.size, timeout=SILENCE_TIMEOUT
                )
                world.wait()  # whoever ends before all are connected makes the others' transports complain
            yield world
        except (RetimbreError, OSError, KeyboardInterrupt) as error:
            if not _may_tell(store, world):
                raise SystemExit(_status(error)) from error
            raise
        except Exception:
            _may_tell(store, world)  # the others have nothing to add to a mistake of the program
            raise
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _world() -> World:
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        return ALONE
    rank = _number("RANK", -1)
    if not 0 <= rank < size:
        raise ConfigError(f"RANK is {os.environ.get('RANK')}, but takes 0 to {size - 1}, as torchrun sets it")
    return World(rank, size)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.removeprefix("-").isdecimal() or (name == "WORLD_SIZE" and int(text) < 1):
        raise ConfigError(f"{name} is {text!r}, but takes a whole number, as torchrun sets it")
    return int(text)


def _meet(world: World) -> Store:
    with _failure_to_meet():
        return next(
            rendezvous("env://", world.rank, world.size, timeout=MEETING_TIMEOUT),
        )[0]


@contextlib.contextmanager
def _failure_to_meet() -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        place = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        reason = str(error).splitlines()[0]
        raise RetimbreError(f"the processes cannot meet at {place}, as torchrun sets it: {reason}") from error


def _take_device(device: str) -> str:
    """Makes the process's own GPU the one that `cuda` means; returns what the processes talk by."""
    if devices.pick_device(device).type == "cpu":
        return "gloo"
    local_rank, count = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigError(
            f"{local_rank + 1} processes or more on this machine, but {count} GPUs: takes one each"
        )
    torch.cuda.set_device(local_rank)
    return "cpu:gloo,cuda:nccl"


@contextlib.contextmanager
def _sigterm_as_error(world: World) -> Iterator[None]:
    """Raises where the program stands when it is told to end, so that files are left whole and a line is said."""

    def end(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; the way out must not be interrupted
        raise RetimbreError(
            f"process {world.rank} of {world.size} was told to end, as happens when another is lost; {HOW_TO_GO_ON}"
        )

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _may_tell(store: Store, world: World) -> bool:
    """Whether this process is the first with something to tell."""
    try:
        turn = store.add("retimbre/told", 1)
        # The first process keeps the store, so it lingers until all have asked, or are not going to.
        patient_until_s = time.monotonic() + _LINGER_S
        while world.is_first and store.add("retimbre/told", 0) < world.size:
            if time.monotonic() > patient_until_s:
                break
            time.sleep(0.05)
    except RuntimeError:  # the store has ended with the process that kept it, and cannot say who has told
        return True
    return turn == 1


def _status(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    return 2 if isinstance(error, UserError) else 1
