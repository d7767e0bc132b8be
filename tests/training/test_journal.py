"""Laws of the journal: whole rows, exact values, nothing of abandoned steps, no lost NaN."""

import csv
import math
import sys
from collections import deque
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retimbre.core.errors import MissingExtra, RetimbreError, UserError
from retimbre.training.journal import Journal, Readings, Row, TensorBoard, curve, read_journal


def started(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.csv")
    journal.resume_at(0)
    return journal


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    values=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.floats(allow_nan=False)
    )
)
def test_values_and_names_come_back_exactly(tmp_path: Path, values: dict[str, float]) -> None:
    (tmp_path / "journal.csv").unlink(missing_ok=True)
    journal = started(tmp_path)
    journal.append(7, "train", values, seconds=1.5)
    assert read_journal(journal.path) == [Row(7, "train", name, value, 1.5) for name, value in values.items()]


def test_the_columns_are_the_same_whatever_is_measured_and_the_seconds_stand_last(tmp_path: Path) -> None:
    journal = started(tmp_path)
    journal.append(1, "train", {"loss": 0.5}, seconds=1.0)
    journal.append(1, "validation", {"loss": 0.25, "accuracy": 1.0}, seconds=2.0)
    with journal.path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["step", "split", "name", "value", "seconds"]
    assert [row[:4] for row in rows[1:]] == [
        ["1", "train", "loss", "0.5"],
        ["1", "validation", "loss", "0.25"],
        ["1", "validation", "accuracy", "1.0"],
    ]


@pytest.mark.parametrize("step", [0, 1, 2, 5, 9])
def test_resuming_at_a_step_drops_exactly_the_rows_of_later_steps(tmp_path: Path, step: int) -> None:
    journal = started(tmp_path)
    for number in range(1, 6):
        journal.append(number, "train", {"loss": 1 / number}, seconds=float(number))
    journal.resume_at(step)
    assert [row.step for row in read_journal(journal.path)] == [n for n in range(1, 6) if n <= step]


def test_a_line_cut_short_by_a_power_cut_is_not_read_and_is_gone_after_resuming(tmp_path: Path) -> None:
    journal = started(tmp_path)
    journal.append(1, "train", {"loss": 0.5}, seconds=1.0)
    whole = journal.path.read_text()
    journal.path.write_text(whole + "2,train,lo")
    assert [row.step for row in read_journal(journal.path)] == [1]
    journal.resume_at(2)
    assert journal.path.read_text() == whole


@pytest.mark.parametrize(
    "text", ["a,b,c\n1,2,3\n", "\x00\xff\n", "step,split,name,value,seconds\n1,train,loss\n"]
)
def test_a_file_that_is_no_journal_is_refused_by_name_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"journal\.csv: "):
        Journal(path).resume_at(5)
    assert path.read_text(encoding="latin-1") == text


def test_a_missing_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such journal"):
        read_journal(tmp_path / "journal.csv")


def test_a_curve_is_one_quantity_of_one_split() -> None:
    rows = [
        Row(1, "train", "loss", 3.0, 0),
        Row(2, "validation", "loss", 2.0, 0),
        Row(2, "train", "loss", 1.0, 0),
    ]
    assert curve(rows, "train", "loss") == ([1, 2], [3.0, 1.0])


def test_a_reading_is_the_mean_over_the_steps_that_measured_it() -> None:
    readings = Readings()
    readings.add(1, {"loss": torch.tensor(1.0), "penalty": 4.0})
    readings.add(2, {"loss": torch.tensor(3.0, dtype=torch.bfloat16)})
    assert readings.take_means() == {"loss": 2.0, "penalty": 4.0}
    readings.add(3, {"loss": 7.0})
    assert readings.take_means() == {"loss": 7.0}


def test_a_task_may_reuse_the_memory_of_its_loss() -> None:
    readings, loss = Readings(), torch.zeros((), dtype=torch.float64)
    for step in (1, 2, 3):
        loss.fill_(step)
        readings.add(step, {"loss": loss})
    assert readings.take_means() == {"loss": 2.0}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_the_first_value_that_is_not_finite_is_named_with_its_step(value: float, as_tensor: bool) -> None:
    readings = Readings()
    readings.add(1, {"loss": 1.0, "penalty": 1.0})
    readings.add(2, {"loss": 1.0, "penalty": torch.tensor(value) if as_tensor else value})
    readings.add(3, {"loss": math.nan, "penalty": math.nan})
    with pytest.raises(RetimbreError, match=rf"'penalty' is {value} at step 2"):
        readings.settle()


def test_a_diverged_run_without_rows_or_checkpoints_is_still_noticed() -> None:
    readings = Readings()
    diverged = {"loss": torch.tensor(math.nan)}
    with pytest.raises(RetimbreError, match="at step 1;"):
        deque((readings.add(step, diverged) for step in range(1, 1000)), maxlen=0)


def test_readings_saved_between_two_rows_give_the_same_mean() -> None:
    unbroken, first, second = Readings(), Readings(), Readings()
    values = torch.rand(10, generator=torch.Generator().manual_seed(0))
    for step in range(10):
        unbroken.add(step, {"loss": values[step]})
        (first if step < 6 else second).add(step, {"loss": values[step]})
        if step == 5:
            second.load_state_dict(first.state_dict())
    assert second.take_means() == unbroken.take_means()


def test_a_mirror_without_tensorboard_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    journal = Journal(tmp_path / "journal.csv", mirror=TensorBoard(tmp_path / "tensorboard"))
    with pytest.raises(MissingExtra, match=r"pip install 'retimbre\[tensorboard\]'"):
        journal.resume_at(0)
    assert not journal.path.exists()


@pytest.mark.slow
def test_the_mirror_shows_the_rows_of_the_journal(tmp_path: Path) -> None:
    mirror = TensorBoard(tmp_path / "tensorboard")
    journal = Journal(tmp_path / "journal.csv", mirror=mirror)
    journal.resume_at(0)
    for step in (1, 2, 3):
        journal.append(step, "train", {"loss": 1 / step}, seconds=0.0)
    journal.resume_at(2)
    journal.append(3, "train", {"loss": 5.0}, seconds=0.0)
    mirror.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(mirror.folder)).Reload().Scalars("train/loss")
    assert [(event.step, event.value) for event in events] == [(1, 1.0), (2, 0.5), (3, 5.0)]
