"""The sorts of steps that the training of a GAN has, for a rehearsal to time one of each.

Two things make steps differ. A penalty on the slope of a critic costs as much as the rest of a step, and may be taken
at some updates of the critics only (`penalty_every`). A network that grows works on more cells, and on other batches,
at every scale. Every scale is tried at a step in its middle, where nothing is faded in any more if all goes well.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Trial


@dataclasses.dataclass(frozen=True)
class _Stretch:
    """Steps of one scale, the first and the last included."""

    name: str
    first: int
    last: int


def trials_of(config: GanRun) -> list[Trial]:
    """One step of every sort that occurs in a run, in the order of scales; those with penalties come last."""
    return [trial for stretch in _stretches(config) for trial in _sorts(config, stretch)]


def _stretches(config: GanRun) -> Iterator[_Stretch]:
    growth, last = config.growth, config.train.steps
    if growth is None:
        yield _Stretch("update", 1, last)
        return
    first = 1
    for scale in range(growth.start_scale, len(growth.steps)):
        is_largest = scale == len(growth.steps) - 1
        end = last if is_largest else min(last, first + growth.steps[scale] - 1)
        if first <= end:
            yield _Stretch(f"scale {scale}", first, end)
        first = end + 1


def _sorts(config: GanRun, stretch: _Stretch) -> Iterator[Trial]:
    """The steps of a stretch by how many penalties they have, which are two neighbouring numbers at most."""
    length = stretch.last - stretch.first + 1
    total = penalties_before(config, stretch.last + 1) - penalties_before(config, stretch.first)
    fewest, num_more = divmod(total, length)
    clips = config.batch_size_at(stretch.first) * config.task.loss.critic_steps
    for number, count in {fewest: length - num_more, fewest + 1: num_more}.items():
        if count:
            name = stretch.name if num_more == 0 else f"{stretch.name}, penalties: {number}"
            yield Trial(name, _a_step_with(config, stretch, number), count, clips)


def penalties_before(config: GanRun, step: int) -> int:
    """How many updates of the critics before a step take a penalty."""
    loss = config.task.loss
    if loss.gradient_penalty == loss.condition_penalty == loss.r1 == loss.r2 == 0.0:
        return 0
    return (step - 1) * loss.critic_steps // loss.penalty_every


def _a_step_with(config: GanRun, stretch: _Stretch, number: int) -> int:
    """The first step with so many penalties from the middle of a stretch on, else the last before the middle."""
    middle = (stretch.first + stretch.last) // 2
    steps = itertools.chain(range(middle, stretch.last + 1), range(middle - 1, stretch.first - 1, -1))
    return next(
        step
        for step in steps
        if penalties_before(config, step + 1) - penalties_before(config, step) == number
    )
