"""One training loop for everything that is trained.

Training repeats one thing: take a batch, let the task improve itself with it, now and then write down how well it
goes. `fit` is that loop, once and for all. It knows neither networks nor data. What is trained is a `Task`, which owns
its networks and optimizers, however many; what it is trained with is a function from a step to a batch.

Steps count from 1. Step n is the n-th update, and a checkpoint of step n holds the state after it. All that happens at
step n depends on the state before it and on n alone: the batch is `batch_at(n)`, and PyTorch's random streams are moved
to the address of the step before every update and every validation. So a run can stop anywhere, and **to resume it is
to run it again**: it goes on at its newest checkpoint, drops what the journal says of later steps, and does so bit for
bit, on a GPU with `devices.make_deterministic`, as if it had never stopped. Of the streams only seed and step are kept.

A run whose loss is no longer finite stops with an error and saves nothing more: the last checkpoint is from before. No
exception of a task is caught, and `last` is always the last file written: a crash leaves a state to continue from.

In several processes (`parallel`) every one runs this loop. All know the step, the means and the validated values, and
come to the same decisions; the first writes them down, and its clock says when the minutes are over.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal

from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError, near_miss
from retimbre.training import checkpoint, devices
from retimbre.training.journal import Journal, Readings
from retimbre.training.parallel import ALONE, World
from retimbre.training.run_checkpoints import Checkpoints
from retimbre.training.task import Batch, Task

StopReason = Literal["steps", "patience", "minutes"]


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How long to train, and what to write down when. A count of 0 switches its option off."""

    steps: int
    """Updates in the whole run, all its sessions together."""
    log_every: int = 50
    """Steps between two rows of the journal; each holds means over these steps."""
    validate_every: int = 500
    """Steps between two validations; the last step is validated too."""
    checkpoint_every: int = 500
    """Steps between two writings of `last`; it is also written when training stops."""
    keep_every: int = 0
    """Steps between two snapshots that are kept for good."""
    samples_every: int = 0
    """Steps between two calls of `Records.illustrate`, which the last step has, too."""
    patience: int = 0
    """Validations in a row without a new best, after which training stops."""
    minutes: float = 0.0
    """Wall time after which this session stops; running again continues. At least one step is made."""
    monitor: str = "loss"
    """The validated quantity that decides which state is the best."""
    higher_is_better: bool = False
    """Whether more of that quantity is better."""
    best_after: int = 0
    """Steps whose validations neither are the best nor cost patience: the task is not yet what it will be."""
    seed: int = 0
    """Which random streams the run draws from."""

    def __post_init__(self) -> None:
        """Refuses values out of range with ConfigError."""
        for name, value in dataclasses.asdict(self).items():
            least = 1 if name in ("steps", "log_every") else 0
            if isinstance(value, int | float) and not value >= least:
                raise ConfigError(f"{name} is {value}; takes {least} or more")


@dataclasses.dataclass(frozen=True)
class Records:
    """Where a run is written down."""

    journal: Journal
    checkpoints: Checkpoints
    illustrate: Callable[[int], object] = lambda step: None
    """Writes down what the task makes after a step; called in the first process, before that step is saved."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is. `values` are the newest known, under `train/loss`, `validation/accuracy`, ..."""

    step: int
    num_steps: int
    seconds: float
    values: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Watch:
    """The world outside: a clock in seconds (`time.monotonic`), someone to tell after each step, and the processes."""

    clock: Callable[[], float]
    progress: Callable[[Progress], object]
    world: World = ALONE


@dataclasses.dataclass(frozen=True)
class Best:
    """The best validation so far: after which step, and the monitored value."""

    step: int
    value: float


@dataclasses.dataclass(frozen=True)
class FitResult:
    """How a session of training ended."""

    step: int
    reason: StopReason
    """All steps made, patience lost, or the session's minutes over."""
    best: Best | None
    """None where nothing was validated."""
    seconds: float
    """Wall time of the whole run, all its sessions together."""
    checkpoint: Path
    """The state that training ended in."""


@dataclasses.dataclass
class _Run(Generic[Batch]):
    """A run in progress: what it is made of, and where it stands."""

    task: Task[Batch]
    config: FitConfig
    records: Records
    world: World
    readings: Readings = dataclasses.field(default_factory=Readings)
    values: dict[str, float] = dataclasses.field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    best: Best | None = None
    num_stale: int = 0
    """Validations since the best one."""

    def is_due(self, every: int, *, last_too: bool = False) -> bool:
        """Whether something done every so many steps is done after this one."""
        return every > 0 and (self.step % every == 0 or (last_too and self.step == self.config.steps))

    def save(self, *paths: Path) -> None:
        """Writes the state; what must not be saved is found by all processes, and the first one writes."""
        if paths:
            state = _state(self)
            for path in paths if self.world.is_first else ():
                self.records.checkpoints.save(path, state)


def fit(
    task: Task[Batch],
    batch_at: Callable[[int], Batch],
    config: FitConfig,
    *,
    validation: Sequence[Batch],
    records: Records,
    watch: Watch,
) -> FitResult:
    """Trains a task, or continues a run that was stopped.

    A run that is complete returns at once and writes nothing. One whose `steps` or `patience` were raised goes on.

    Args:
        task: what to train; a resumed run overwrites its state.
        batch_at: the batch of a step, 1 for the first; a pure function, or resuming is not exact.
        config: how long to train and what to write when.
        validation: held-out batches, this process's portion, gone through at every validation; empty in all
            processes for no validation.
        records: the journal and the checkpoints of the run.
        watch: the clock, who is told of each step, and the processes that train together.

    Raises:
        RetimbreError: a measured value is not finite, or the state would be saved with a NaN in it.
        CheckpointError: the last checkpoint cannot be read or does not fit the task.
        ConfigError: the run was begun with another seed, or no validated quantity has the monitored name.
    """
    run = _Run(task, config, records, watch.world)
    _resume(run)
    _start_alike(run)
    is_validated = watch.world.any_says(len(validation) > 0)
    session_start_s = watch.clock()
    origin_s = session_start_s - run.seconds
    reason = _reason_to_stop(run, 0.0)
    if reason is None and run.world.is_first:
        records.journal.resume_at(run.step)
    while reason is None:
        run.step += 1
        devices.restart_random(config.seed, "update", run.step)
        run.readings.add(run.step, task.update(batch_at(run.step), step=run.step))
        run.seconds = watch.clock() - origin_s
        _log(run)
        if is_validated:
            _validate(run, validation)
        _illustrate(run)
        now_s = watch.clock()
        run.seconds = now_s - origin_s
        reason = _reason_to_stop(run, now_s - session_start_s)
        _save(run, reason)
        watch.progress(Progress(run.step, config.steps, run.seconds, run.values))
    return FitResult(run.step, reason, run.best, run.seconds, records.checkpoints.last)


def _resume(run: _Run[Any]) -> None:
    """Takes up the newest state, if there is one."""
    state = run.records.checkpoints.load_newest()
    if state is None:
        return
    path = run.records.checkpoints.newest
    try:
        begun_seed = state["seed"]
        run.step, run.seconds, run.num_stale = state["step"], state["seconds"], state["num_stale"]
        best = None if state["best"] is None else Best(**state["best"])
        run.best = best if best and best.step > run.config.best_after else None
        run.readings.load_state_dict(state["readings"])
        run.task.load_state_dict(state["task"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # the last is torch's
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: does not fit what is being trained: {reason}") from error
    if begun_seed != run.config.seed:
        raise ConfigError(
            f"{path}: the run was begun with seed {begun_seed}; it cannot go on with {run.config.seed}"
        )


def _start_alike(run: _Run[Any]) -> None:
    """Gives all processes the state of the first: fresh weights may differ between machines in their last bits."""
    if run.world.size == 1:
        return
    if run.world.any_says(run.world.first_number(run.step) != run.step):
        raise ConfigError(
            f"{run.records.checkpoints.folder}: not all processes see this folder; takes a shared one"
        )
    state = run.task.state_dict()
    run.world.copy_first(checkpoint.named_tensors(state).values())
    run.task.load_state_dict(state)


def _log(run: _Run[Any]) -> None:
    """Writes the means since the last row, when a row is due or no further step will come."""
    if run.is_due(run.config.log_every, last_too=True):
        _write(run, "train", run.readings.take_means())


def _validate(run: _Run[Batch], validation: Sequence[Batch]) -> None:
    """Measures the task on held-out data, when that is due, and takes note of the best so far."""
    config = run.config
    if not run.is_due(config.validate_every, last_too=True):
        return
    # Before the measuring, so that a diverged step is reported as such and not as a bad validation.
    run.readings.settle()
    devices.restart_random(config.seed, "validation", run.step)
    values = {name: float(value) for name, value in run.task.validate(validation).items()}
    if config.monitor not in values:
        raise ConfigError(
            f"no validated quantity is named {config.monitor!r}; {near_miss(config.monitor, values)}"
        )
    for name, value in values.items():
        if not math.isfinite(value):
            raise RetimbreError(f"training diverged: validated {name!r} is {value} at step {run.step}")
    _write(run, "validation", values)
    counts = run.step > config.best_after
    if counts and _is_better(values[config.monitor], run.best, config):
        run.best, run.num_stale = Best(run.step, values[config.monitor]), 0
    else:
        run.num_stale += counts


def _illustrate(run: _Run[Any]) -> None:
    """Has samples made, when they are due: none of a task that has diverged, which is an error."""
    if run.is_due(run.config.samples_every, last_too=True):
        run.readings.settle()
        _state(run)  # raises RetimbreError for weights that are not numbers
        if run.world.is_first:
            run.records.illustrate(run.step)


def _is_better(value: float, best: Best | None, config: FitConfig) -> bool:
    return best is None or (value > best.value if config.higher_is_better else value < best.value)


def _write(run: _Run[Any], split: str, values: Mapping[str, float]) -> None:
    if run.world.is_first:
        run.records.journal.append(run.step, split, values, seconds=run.seconds)
    run.values = run.values | {f"{split}/{name}": value for name, value in values.items()}


def _reason_to_stop(run: _Run[Any], session_s: float) -> StopReason | None:
    config = run.config
    if run.step >= config.steps:
        return "steps"
    if 0 < config.patience <= run.num_stale:
        return "patience"
    if config.minutes > 0 and run.world.first_says(config.minutes * 60 <= session_s):
        return "minutes"
    return None


def _save(run: _Run[Any], reason: StopReason | None) -> None:
    """Writes the checkpoints that are due, those to go on from at the end: whatever they promise then exists."""
    checkpoints = run.records.checkpoints
    wanted = {
        checkpoints.at(run.step): run.is_due(run.config.keep_every),
        checkpoints.final: reason in ("steps", "patience"),
        checkpoints.best: run.best is not None and run.best.step == run.step,
        checkpoints.last: reason is not None or run.is_due(run.config.checkpoint_every),
    }
    run.save(*(path for path, is_wanted in wanted.items() if is_wanted))


def _state(run: _Run[Any]) -> dict[str, Any]:
    """Everything a resumed run needs. Raises RetimbreError rather than hand out a NaN to be saved."""
    state = {
        "step": run.step,
        "seed": run.config.seed,
        "seconds": run.seconds,
        "best": None if run.best is None else dataclasses.asdict(run.best),
        "num_stale": run.num_stale,
        "readings": run.readings.state_dict(),
        "task": run.task.state_dict(),
    }
    # A finite loss with an infinite gradient spoils the weights one step before the loss shows it.
    for name, tensor in checkpoint.named_tensors(state).items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise RetimbreError(
                f"training diverged: {name!r} holds NaN after step {run.step}; it is not saved"
            )
    return state
