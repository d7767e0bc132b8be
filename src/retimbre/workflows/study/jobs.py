"""The parts of a study, run one after another or side by side in processes of their own.

A part writes what it has found to a file of its own as it goes, and does nothing that is there already. So it does not
matter where a study is stopped, by a time limit, by a signal, or because a process is killed: run again, it does what
is missing. Each process computes with one thread, so that parts side by side do not fight over cores and a figure does
not depend on how many there were.

Ctrl-C reaches every process of a terminal's group at once. Only the one that the user started may answer it, or there
are as many answers as processes: the others never hear it, and are ended by the first, with whatever they are at.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar, runtime_checkable

import torch

from retimbre.core.errors import RetimbreError

Result = TypeVar("Result")


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
                said = job.run()
            # As side by side, where whatever went wrong in a process is the end of that job alone.
            except Exception as error:  # noqa: BLE001 (a mistake of the program in one part is told, too)
                said = _failed(job, error, failures)
            tell(said)
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


@contextlib.contextmanager
def in_processes(
    calls: Sequence[Callable[[], Result]], workers: int, *, threads: int | None = 1
) -> Iterator[list[Future[Result]]]:
    """Makes calls in processes of their own; when the block ends early, by an error or Ctrl-C, so do they, at once.

    Args:
        calls: What can be sent to another process.
        workers: Processes side by side.
        threads: With which torch computes in each; None for as many as it likes.

    Yields:
        What will be the result of each call, in their order.
    """
    others = set(multiprocessing.active_children())
    # A process that is forked while threads of a library run may hang, so each starts afresh.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(threads,))
    try:
        with _ctrl_c_held_back():
            futures = [pool.submit(call) for call in calls]
        yield futures
    except BaseException:
        # Whatever comes meanwhile must wait, or a second Ctrl-C leaves processes behind.
        with _ctrl_c_held_back():
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        raise
    pool.shutdown()


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Lets Ctrl-C wait until the block ends; processes that are started inside never hear it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threads: int | None) -> None:
    """What a process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        torch.set_num_threads(threads)


def _side_by_side(jobs: Sequence[Job], workers: int, tell: Callable[[str], object]) -> list[str]:
    failures: list[str] = []
    with in_processes([job.run for job in jobs], workers) as futures:
        job_of = dict(zip(futures, jobs, strict=True))
        for future in as_completed(futures):
            error = future.exception()
            tell(_failed(job_of[future], error, failures) if error else future.result())
    return failures


def _failed(job: Job, error: BaseException, failures: list[str]) -> str:
    """Adds a failure to the list and returns the line that tells it."""
    failures.append(f"{job.name}: {_reason(error)}")
    return f"failed: {failures[-1]}"


def _reason(error: BaseException) -> str:
    """What to tell of an error: its line, or for one that nobody meant to be read also what it is called."""
    if isinstance(error, BrokenProcessPool):
        return "a process of the study died; run it again to go on"
    said = str(error)
    if isinstance(error, RetimbreError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
