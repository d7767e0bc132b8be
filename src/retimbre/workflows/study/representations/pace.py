"""How many updates of a contestant make up its budget.

Schedules of learning rates and of growth count updates, so their number has to be known before a training begins. Each
contestant therefore makes an update of every sort a few times first (at each scale, with and without a penalty), and
the fastest says what such an update takes: whatever else a machine does only adds to the time. On a CPU it is the time
of the process, on a GPU that of the clock.

What was measured is kept. A study that goes on elsewhere, or after an interruption, makes the updates that were planned
when it began.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, final

import torch

from retimbre.core.errors import ConfigError
from retimbre.core.files import write_json
from retimbre.training.devices import pick_device
from retimbre.workflows.study.representations.contest import Contestant
from retimbre.workflows.study.representations.spent import spent_s
from retimbre.workflows.training.gan import GAN
from retimbre.workflows.training.kind import Prepared, Session

# An update is made so often, after a first time that sets up kernels, or fewer times if it takes long.
_MOST_REPEATS, _ENOUGH_S = 4, 1.0


@final
@dataclasses.dataclass(frozen=True)
class Pace:
    """What the updates of a contestant take.

    Attributes:
        update_s: Seconds of an update at each scale; one number for a model that does not grow.
        weights: The share of updates at each scale.
        parameters: Of the generator.
        critic_parameters: Of all critics together.
        features: The shape of what is generated.
    """

    update_s: tuple[float, ...]
    weights: tuple[float, ...]
    parameters: int
    critic_parameters: int
    features: tuple[int, ...]

    def steps(self, seconds: float) -> tuple[int, ...]:
        """Updates at each scale that take so long together; one of each at least."""
        share_s = sum(weight * each for weight, each in zip(self.weights, self.update_s, strict=True))
        return tuple(max(1, math.floor(seconds * weight / share_s)) for weight in self.weights)


def pace_of(contestant: Contestant, path: Path, device: str) -> Pace:
    """The pace of a contestant: what a file says of it, or else measured now and written there.

    Raises:
        ConfigError: The file is something else.
    """
    if path.is_file():
        return _read(path, contestant)
    pace = measure_pace(contestant, path.parent, device)
    write_json(path, dataclasses.asdict(pace))
    return pace


def measure_pace(contestant: Contestant, folder: Path, device: str) -> Pace:
    """Times updates; nothing is written."""
    weights = contestant.model.weights
    # At each scale as many updates as there are from one penalty to the next, so that every sort occurs.
    length = 2 * contestant.run((1,) * len(weights), {}, seed=0).task.loss.penalty_every
    config = contestant.run((length,) * len(weights), {}, seed=0)
    prepared = GAN.prepare(config, Session(folder, device, rehearsal=True))
    spent_s, made = [0.0] * len(weights), [0] * len(weights)
    for trial in prepared.trials:
        scale = config.growth.at(trial.step).scale if config.growth else 0
        spent_s[scale] += trial.count * _update_s(prepared, trial.step, pick_device(device))
        made[scale] += trial.count
    sizes = prepared.sizes
    return Pace(
        tuple(seconds / count for seconds, count in zip(spent_s, made, strict=True)),
        weights,
        int(sizes["parameters"]),
        sum(sizes["critic_parameters"]),
        tuple(sizes["features"]),
    )


def _update_s(prepared: Prepared[Any], step: int, device: torch.device) -> float:
    """Seconds of an update and of its batch, the fastest of a few."""
    prepared.task.update(prepared.batch_at(step), step=step)
    times: list[float] = []
    while len(times) < _MOST_REPEATS and sum(times) < _ENOUGH_S:
        begun_s = spent_s(device)
        prepared.task.update(prepared.batch_at(step), step=step)
        times.append(spent_s(device) - begun_s)
    return min(times)


def _read(path: Path, contestant: Contestant) -> Pace:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pace = Pace(
            tuple(float(each) for each in content["update_s"]),
            tuple(float(each) for each in content["weights"]),
            int(content["parameters"]),
            int(content["critic_parameters"]),
            tuple(int(each) for each in content["features"]),
        )
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise ConfigError(f"{path}: not the pace of a contestant: {error}; delete it") from error
    if pace.weights != contestant.model.weights or not all(each > 0.0 for each in pace.update_s):
        raise ConfigError(f"{path}: not the pace of {contestant.name}; delete it or take another folder")
    return pace
