"""Laws of the training loop, on a toy: a small network with dropout, a schedule and averaged weights learns a line."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from retimbre.core import random
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError
from retimbre.training import checkpoint
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.journal import Journal, Row, curve, read_journal
from retimbre.training.loop import Best, FitConfig, FitResult, Progress, Records, Task, Watch, fit
from retimbre.training.run_checkpoints import Checkpoints
from retimbre.training.schedule import ScheduleConfig, learning_rate_at, set_learning_rate

SCHEDULE = ScheduleConfig(learning_rate=0.02, shape="cosine", warmup_steps=5)


@dataclasses.dataclass(frozen=True)
class Points:
    """Inputs and their targets, each [batch, 1]."""

    inputs: Tensor
    targets: Tensor


def points_at(step: int) -> Points:
    inputs = torch.randn(16, 1, generator=random.generator(0, "toy batch", step))
    return Points(inputs, 3 * inputs + 1)


HELD_OUT = [points_at(-1), points_at(-2)]


class Line(Task[Points]):
    """The toy. Its validation draws from the random stream too, which must not disturb the training."""

    def __init__(self, *, num_steps: int = 40, device: str = "cpu") -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.network = layers.to(device)
        self.device = device
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1.0)
        self.average = ExponentialMovingAverage(self.network, decay=0.9)
        self.num_steps = num_steps
        self.steps_seen: list[int] = []

    def update(self, batch: Points, *, step: int) -> Mapping[str, float | Tensor]:
        self.steps_seen.append(step)
        set_learning_rate(self.optimizer, rate := learning_rate_at(SCHEDULE, step, num_steps=self.num_steps))
        self.network.train()
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.average.update()
        return {"loss": loss, "learning_rate": rate}

    def loss(self, batch: Points) -> Tensor:
        return (self.network(batch.inputs.to(self.device)) - batch.targets.to(self.device)).square().mean()

    def validate(self, batches: Iterable[Points]) -> Mapping[str, float]:
        self.network.eval()
        with torch.no_grad(), self.average.applied():
            losses = [self.loss(each) for each in batches]
        return {"loss": float(torch.stack(losses).mean()), "draw": float(torch.rand(()))}

    def state_dict(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimizer": self.optimizer, "average": self.average}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])


class Scripted(Task[int]):
    """A task that learns nothing and measures what it is told to, step by step."""

    def __init__(self, losses: Callable[[int], float], validated: Callable[[int], float] = float) -> None:
        self.losses, self.validated = losses, validated
        self.weight = torch.zeros(1)

    def update(self, batch: int, *, step: int) -> Mapping[str, float | Tensor]:
        self.weight = torch.tensor([float(step)])
        return {"loss": torch.tensor(self.losses(step))}

    def validate(self, batches: Iterable[int]) -> Mapping[str, float]:
        return {"loss": self.validated(int(self.weight))}

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self.weight}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weight = state["weight"]


class Clock:
    """A clock that moves on by a second each time it is read."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


CONFIG = FitConfig(steps=40, log_every=7, validate_every=10, checkpoint_every=6, keep_every=15)


def records_in(folder: Path) -> Records:
    return Records(Journal(folder / "journal.csv"), Checkpoints(folder / "checkpoints", {"toy": True}))


def train(
    folder: Path,
    *,
    task: Task[Any] | None = None,
    config: FitConfig = CONFIG,
    batch_at: Callable[[int], Any] = points_at,
    validation: list[Any] = HELD_OUT,
    progress: Callable[[Progress], object] = lambda progress: None,
) -> FitResult:
    watch = Watch(Clock(), progress)
    return fit(
        Line() if task is None else task,
        batch_at,
        config,
        validation=validation,
        records=records_in(folder),
        watch=watch,
    )


def rows_in(folder: Path) -> list[tuple[Any, ...]]:
    """The journal without its seconds."""
    return [row[:4] for row in read_journal(folder / "journal.csv")]


def states_in(folder: Path) -> dict[str, Any]:
    """Every checkpoint by name, without its seconds."""
    paths = sorted((folder / "checkpoints").glob("*"))
    return {path.name: checkpoint.load(path)[0] | {"seconds": None} for path in paths}


def same(left: Any, right: Any) -> bool:
    """Equality to the bit."""
    if isinstance(left, Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    train(folder)
    return folder


def fails_at(bad_step: int) -> Callable[[int], Points]:
    def batch_at(step: int) -> Points:
        if step == bad_step:
            raise KeyboardInterrupt
        return points_at(step)

    return batch_at


@pytest.mark.parametrize("bad_step", [1, 2, 6, 7, 8, 10, 11, 14, 15, 16, 31, 40])
def test_an_interrupted_run_that_is_run_again_equals_an_unbroken_one(
    tmp_path: Path, unbroken: Path, bad_step: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, batch_at=fails_at(bad_step))
    train(tmp_path)
    assert rows_in(tmp_path) == rows_in(unbroken)
    assert same(states_in(tmp_path), states_in(unbroken))


def test_a_run_in_sessions_of_a_few_steps_equals_an_unbroken_one(tmp_path: Path, unbroken: Path) -> None:
    sessions = []
    for _ in range(100):
        result = train(tmp_path, config=dataclasses.replace(CONFIG, minutes=9 / 60))
        sessions.append(result)
        if result.reason != "minutes":
            break
    assert len(sessions) > 5
    assert [each.step for each in sessions] == sorted({each.step for each in sessions})
    assert [each.seconds for each in sessions] == sorted({each.seconds for each in sessions})
    assert rows_in(tmp_path) == rows_in(unbroken)
    assert same(states_in(tmp_path), states_in(unbroken))


@pytest.mark.gpu
def test_an_interrupted_run_on_a_gpu_equals_an_unbroken_one(tmp_path: Path) -> None:
    train(tmp_path / "unbroken", task=Line(device="cuda"))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "interrupted", task=Line(device="cuda"), batch_at=fails_at(23))
    train(tmp_path / "interrupted", task=Line(device="cuda"))
    assert rows_in(tmp_path / "interrupted") == rows_in(tmp_path / "unbroken")
    assert same(states_in(tmp_path / "interrupted"), states_in(tmp_path / "unbroken"))


@pytest.mark.parametrize("crash_at_write", range(1, 14))
def test_a_run_that_crashes_at_any_checkpoint_and_is_run_again_equals_an_unbroken_one(
    tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch, crash_at_write: int
) -> None:
    num_writes, save = 0, Checkpoints.save

    def save_or_crash(self: Checkpoints, path: Path, state: Mapping[str, object]) -> None:
        nonlocal num_writes
        num_writes += 1
        if num_writes == crash_at_write:
            raise OSError("no space left on device")
        save(self, path, state)

    monkeypatch.setattr(Checkpoints, "save", save_or_crash)
    with pytest.raises(OSError, match="no space left"):
        train(tmp_path)
    train(tmp_path)
    assert rows_in(tmp_path) == rows_in(unbroken)
    assert same(states_in(tmp_path), states_in(unbroken))


def test_a_run_that_broke_off_after_its_best_state_goes_on_from_that_one(tmp_path: Path) -> None:
    # Its weights are those that are exported: a run that went back behind them would call them by an older score.
    config = dataclasses.replace(CONFIG, validate_every=2, checkpoint_every=10)

    def breaks_off(step: int) -> float:
        if step == 17:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, task=Scripted(breaks_off, lambda step: -float(step)), config=config)
    checkpoints = records_in(tmp_path).checkpoints
    assert checkpoint.load(checkpoints.last)[0]["step"] == 10
    task = Scripted(lambda step: 1.0, lambda step: 0.0)
    result = train(tmp_path, task=task, config=dataclasses.replace(config, minutes=1e-6))
    assert (result.step, result.best) == (17, Best(16, -16.0))
    assert checkpoints.load_best()["best"] == {"step": 16, "value": -16.0}
    assert int(checkpoints.load_best()["task"]["weight"]) == 16


def test_a_session_too_short_for_one_step_still_makes_one(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, minutes=1e-9)
    assert [train(tmp_path, config=config).step for _ in range(3)] == [1, 2, 3]


def test_running_a_complete_run_again_changes_nothing(tmp_path: Path) -> None:
    first = train(tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")}
    task = Line()
    assert train(tmp_path, task=task) == first
    assert task.steps_seen == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")} == before


def test_the_task_ends_in_the_state_that_the_last_checkpoint_holds(tmp_path: Path) -> None:
    task = Line()
    result = train(tmp_path, task=task)
    state, metadata = checkpoint.load(result.checkpoint, kind="training")
    assert same(state["task"]["network"], dict(task.network.state_dict()))
    assert (state["step"], metadata) == (40, {"toy": True})
    resumed = Line()
    train(tmp_path, task=resumed)
    assert same(dict(resumed.network.state_dict()), dict(task.network.state_dict()))


def test_everything_is_written_at_its_step(unbroken: Path) -> None:
    rows = read_journal(unbroken / "journal.csv")
    assert curve(rows, "train", "loss")[0] == [7, 14, 21, 28, 35, 40]
    assert curve(rows, "train", "learning_rate")[0] == [7, 14, 21, 28, 35, 40]
    assert curve(rows, "validation", "loss")[0] == [10, 20, 30, 40]
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)
    names = ["best", "final", "last", "step-00000015", "step-00000030"]
    states = states_in(unbroken)
    assert list(states) == [f"{name}.safetensors" for name in names]
    assert states["step-00000015.safetensors"]["step"] == 15
    steps, losses = curve(rows, "validation", "loss")
    best_step = steps[losses.index(min(losses))]
    assert states["best.safetensors"]["step"] == best_step
    assert states["last.safetensors"]["best"] == {"step": best_step, "value": min(losses)}


def test_a_row_holds_the_mean_over_the_steps_since_the_last(tmp_path: Path) -> None:
    config = FitConfig(steps=7, log_every=3, validate_every=0)
    train(tmp_path, task=Scripted(float), config=config, batch_at=int)
    assert rows_in(tmp_path) == [
        (3, "train", "loss", 2.0),
        (6, "train", "loss", 5.0),
        (7, "train", "loss", 7.0),
    ]


def test_the_toy_learns(unbroken: Path) -> None:
    _, losses = curve(read_journal(unbroken / "journal.csv"), "validation", "loss")
    # The targets have mean square 1 + 9 = 10; a run that does not train stays there.
    assert losses[-1] < 0.5 * losses[0]
    assert losses[-1] < 5


def test_steps_and_batches_are_counted_from_one_without_gaps(tmp_path: Path) -> None:
    task, asked = Line(), []
    train(tmp_path, task=task, batch_at=lambda step: asked.append(step) or points_at(step))
    assert task.steps_seen == asked == list(range(1, 41))


def test_how_often_a_run_is_written_down_does_not_change_what_it_learns(
    tmp_path: Path, unbroken: Path
) -> None:
    rarely = FitConfig(steps=40, log_every=1000, validate_every=0, checkpoint_every=0)
    train(tmp_path, config=rarely)
    assert same(
        states_in(tmp_path)["last.safetensors"]["task"], states_in(unbroken)["last.safetensors"]["task"]
    )


def test_another_seed_is_another_run(tmp_path: Path, unbroken: Path) -> None:
    train(tmp_path, config=dataclasses.replace(CONFIG, seed=1))
    assert rows_in(tmp_path) != rows_in(unbroken)


def test_a_run_cannot_go_on_with_another_seed(tmp_path: Path) -> None:
    train(tmp_path, config=dataclasses.replace(CONFIG, steps=6))
    with pytest.raises(ConfigError, match="begun with seed 0; it cannot go on with 1"):
        train(tmp_path, config=dataclasses.replace(CONFIG, seed=1))


def test_validations_before_a_task_is_what_it_will_be_are_neither_the_best_nor_cost_patience(
    tmp_path: Path,
) -> None:
    # Validated at 10, 20, ...: the least of all at 10, and up until 60.
    task = Scripted(float, float)
    config = FitConfig(steps=1000, log_every=10, validate_every=10, patience=2, best_after=50, keep_every=0)
    result = train(tmp_path, task=task, config=config, batch_at=int, validation=[0])
    assert (result.reason, result.step, result.best) == ("patience", 80, Best(60, 60.0))
    # A session that sets it higher forgets a best state of before.
    later = dataclasses.replace(config, best_after=70, steps=80, patience=0)
    assert train(tmp_path, task=task, config=later, batch_at=int, validation=[0]).best is None


@pytest.mark.parametrize(("higher_is_better", "stop"), [(False, 50), (True, 60)])
def test_training_stops_when_patience_is_lost_and_keeps_the_best(
    tmp_path: Path, higher_is_better: bool, stop: int
) -> None:
    # Validated at 10, 20, ...: down until 20, up until 30, level from there on.
    values = {10: 5.0, 20: 1.0, 30: 9.0}
    task = Scripted(float, lambda step: values.get(step, 9.0))
    config = FitConfig(
        steps=1000,
        log_every=10,
        validate_every=10,
        patience=3,
        higher_is_better=higher_is_better,
        keep_every=0,
    )
    result = train(tmp_path, task=task, config=config, batch_at=int, validation=[0])
    best = Best(30, 9.0) if higher_is_better else Best(20, 1.0)
    assert (result.reason, result.step, result.best) == ("patience", stop, best)
    states = states_in(tmp_path)
    assert {name: state["step"] for name, state in states.items()} == {
        "best.safetensors": best.step,
        "final.safetensors": stop,
        "last.safetensors": stop,
    }
    assert train(tmp_path, task=task, config=config, batch_at=int, validation=[0]) == result
    longer = dataclasses.replace(config, patience=5)
    assert train(tmp_path, task=task, config=longer, batch_at=int, validation=[0]).step == stop + 20


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("bad_step", [1, 6, 7, 10, 11, 14, 26, 40])
def test_a_loss_that_is_not_finite_stops_the_run_and_the_checkpoint_from_before_stays(
    tmp_path: Path, bad_step: int, value: float
) -> None:
    task = Scripted(lambda step: value if step == bad_step else 1.0)
    with pytest.raises(RetimbreError, match=rf"training diverged: 'loss' is {value} at step {bad_step};"):
        train(tmp_path, task=task, batch_at=int, validation=[0])
    assert all(state["step"] < bad_step for state in states_in(tmp_path).values())
    assert all(math.isfinite(row[3]) and row[0] < bad_step for row in rows_in(tmp_path))
    assert not list(tmp_path.rglob(".*"))


def test_a_validation_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    task = Scripted(float, lambda step: math.nan if step == 20 else 1.0)
    with pytest.raises(RetimbreError, match="validated 'loss' is nan at step 20"):
        train(tmp_path, task=task, batch_at=int, validation=[0])
    assert states_in(tmp_path)["last.safetensors"]["step"] == 18


def test_weights_that_become_nan_behind_a_finite_loss_are_not_saved(tmp_path: Path) -> None:
    class Spoilt(Scripted):
        def state_dict(self) -> dict[str, Any]:
            return {"weight": self.weight.masked_fill(self.weight >= 12, math.nan)}

    with pytest.raises(RetimbreError, match="'task/weight' holds NaN after step 12; it is not saved"):
        train(tmp_path, task=Spoilt(float), batch_at=int, validation=[0])
    assert states_in(tmp_path)["last.safetensors"]["step"] == 6


def illustrated(folder: Path, task: Task[int], steps: int) -> list[tuple[int, bool]]:
    """At which steps samples were made, and whether that step had been saved by then."""
    seen: list[tuple[int, bool]] = []
    records = records_in(folder)

    def illustrate(step: int) -> None:
        state = records.checkpoints.load_newest()
        seen.append((step, state is not None and state["step"] == step))

    fit(
        task,
        lambda step: step,
        FitConfig(steps=steps, checkpoint_every=2, samples_every=4),
        validation=[],
        records=dataclasses.replace(records, illustrate=illustrate),
        watch=Watch(Clock(), lambda progress: None),
    )
    return seen


def test_samples_are_made_at_their_steps_and_the_last_before_these_are_saved(tmp_path: Path) -> None:
    assert illustrated(tmp_path / "run", Scripted(float), steps=6) == [(4, False), (6, False)]
    # The run that goes on does not make those of the steps that it has.
    assert illustrated(tmp_path / "run", Scripted(float), steps=9) == [(8, False), (9, False)]


def test_a_run_that_has_diverged_is_an_error_before_samples_are_made_of_it(tmp_path: Path) -> None:
    with pytest.raises(RetimbreError, match="diverged"):
        illustrated(tmp_path, Scripted(lambda step: math.nan if step == 4 else 1.0), steps=6)


def test_an_exception_of_a_batch_is_passed_on_and_nothing_is_saved(tmp_path: Path) -> None:
    def batch_at(step: int) -> Points:
        if step == 3:
            raise OSError("disk on fire")
        return points_at(step)

    with pytest.raises(OSError, match="disk on fire"):
        train(tmp_path, batch_at=batch_at)
    assert not (tmp_path / "checkpoints").exists()


def test_an_unknown_quantity_to_monitor_is_answered_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="named 'lost'; did you mean 'loss'"):
        train(tmp_path, config=dataclasses.replace(CONFIG, monitor="lost"))


def test_a_damaged_last_checkpoint_is_refused_and_kept(tmp_path: Path) -> None:
    train(tmp_path, config=dataclasses.replace(CONFIG, steps=6))
    last = records_in(tmp_path).checkpoints.last
    last.write_bytes(last.read_bytes()[:-10])
    damaged = last.read_bytes()
    with pytest.raises(CheckpointError, match="damaged"):
        train(tmp_path)
    assert last.read_bytes() == damaged


def test_the_checkpoint_of_another_task_is_refused_in_one_line(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=6)
    train(tmp_path, task=Scripted(float), config=config, batch_at=int, validation=[0])
    with pytest.raises(CheckpointError, match="does not fit what is being trained") as caught:
        train(tmp_path)
    assert "\n" not in str(caught.value)


def test_progress_is_told_after_each_step_with_the_newest_values(tmp_path: Path) -> None:
    told: list[Progress] = []
    train(tmp_path, progress=told.append)
    assert [each.step for each in told] == list(range(1, 41))
    assert {each.num_steps for each in told} == {40}
    assert not told[5].values
    assert sorted(told[6].values) == ["train/learning_rate", "train/loss"]
    last = {f"{row.split}/{row.name}": row.value for row in read_journal(tmp_path / "journal.csv")}
    assert told[-1].values == last


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", 0),
        ("log_every", 0),
        ("validate_every", -1),
        ("checkpoint_every", -1),
        ("keep_every", -1),
        ("patience", -1),
        ("minutes", -1.0),
        ("minutes", math.nan),
        ("seed", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{option} is {value}; takes"):
        FitConfig(**{"steps": 10, option: value})


def test_rows_compare_without_their_seconds() -> None:
    assert Row._fields[:4] == ("step", "split", "name", "value")
