"""Trainings in which every tenth step is checked for shapes.

A step calls the same functions with the same shapes as the step before, until a network grows or a penalty is due; to
check them all takes a quarter of the time of a small training.
"""

import contextlib
from collections.abc import Callable, Iterator

import jaxtyping

from retimbre.training.loop import Progress

CHECKED_FIRST = 2
CHECKED_EVERY = 10


@contextlib.contextmanager
def every_tenth_step_checked() -> Iterator[Callable[[Progress], object]]:
    """Yields what `train` tells of its steps; all is checked before the third one, and after the block."""

    def told(progress: Progress) -> None:
        following = progress.step + 1
        jaxtyping.config.update(
            "jaxtyping_disable", following > CHECKED_FIRST and following % CHECKED_EVERY != 0
        )

    try:
        yield told
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
