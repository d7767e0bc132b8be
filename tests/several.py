"""Processes that train together, for tests: forked from the test, so that patches hold in them and nothing is imported.

They are told of each other by environment variables, as by torchrun.
"""

import multiprocessing
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch._dynamo  # noqa: F401  (every optimizer imports it, for seconds; here once, before processes are forked)

# Far beyond what any of the tests takes, even on a machine that is busy with other things.
PATIENCE_S = 120.0


class Outcome(NamedTuple):
    """How a process ended: with a value, with an error, or (neither) killed."""

    value: Any = None
    error: BaseException | None = None


def in_processes(count: int, function: Callable[..., Any], *arguments: object) -> list[Outcome]:
    """Calls a function in so many processes that can meet; the outcomes by rank."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes = [
        context.Process(
            target=_call, args=(pipes[rank][1], _settings(rank, count, port), function, arguments)
        )
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for _, sender in pipes:
        sender.close()
    try:
        return [_receive(receiver) for receiver, _ in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _settings(rank: int, count: int, port: int) -> dict[str, str]:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), **place}


def _call(
    sender: Any, settings: dict[str, str], function: Callable[..., Any], arguments: Sequence[object]
) -> None:
    os.environ.update(settings)
    try:
        outcome = Outcome(function(*arguments))
        sender.send(outcome)
    except (Exception, SystemExit) as error:
        sender.send(Outcome(error=error))
        raise


def _receive(receiver: Any) -> Outcome:
    if not receiver.poll(PATIENCE_S):
        raise TimeoutError(f"a process has not ended within {PATIENCE_S:g} s")
    try:
        return receiver.recv()
    except EOFError:
        return Outcome()
