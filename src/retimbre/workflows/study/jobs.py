"""The parts of a study, run one after another or side by side in processes of their own.

A part writes what it has found to a file of its own as it goes, and does nothing that is there already. So it does not
matter where a study is stopped, by a time limit, by a signal, or because a process is killed: run again, it does what
is missing. Each process computes with one thread, so that parts side by side do not fight over cores and a figure does
not depend on how many there were.
"""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, runtime_checkable

import torch

from retimbre.core.errors import RetimbreError


@runtime_checkable
class Job(Protocol):
    """A part of a study that can be sent to another process."""

    @property
    def name(self) -> str:
        """For the line that tells of it."""
        ...

    def run(self) -> str:
        """Does what is not done yet, and says in a line how it went."""
        ...


def run_jobs(jobs: Sequence[Job], workers: int, tell: Callable[[str], object]) -> list[str]:
    """Runs all jobs; one that fails does not stop the others.

    Args:
        jobs: What is to be done, in this order.
        workers: Processes side by side; with 1, everything runs in this one.
        tell: Told a line as each job ends.

    Returns:
        A line for each job that failed.
    """
    if workers > 1 and len(jobs) > 1:
        return _side_by_side(jobs, min(workers, len(jobs)), tell)
    failures: list[str] = []
    with one_thread():
        for job in jobs:
            try:
                tell(job.run())
            except RetimbreError as error:
                tell(_failed(job, error, failures))
    return failures


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute with one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _side_by_side(jobs: Sequence[Job], workers: int, tell: Callable[[str], object]) -> list[str]:
    failures: list[str] = []
    # A process that is forked while threads of a library run may hang, so each starts afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures: dict[Future[str], Job] = {pool.submit(job.run): job for job in jobs}
        for future in as_completed(futures):
            error = future.exception()
            tell(_failed(futures[future], error, failures) if error else future.result())
    return failures


def _failed(job: Job, error: BaseException, failures: list[str]) -> str:
    """Adds a failure to the list and returns the line that tells it."""
    died = isinstance(error, BrokenProcessPool)
    reason = (
        "a process of the study died; run it again to go on" if died else str(error) or type(error).__name__
    )
    failures.append(f"{job.name}: {reason}")
    return f"failed: {failures[-1]}"
