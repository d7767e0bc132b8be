"""The comparison of inverters: same sounds for all, controls that learn nothing, and studies that go on."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import ConfigError, PartialFailure
from retimbre.matching.networks.catalog import MODELS
from retimbre.workflows.study.matching import contest
from retimbre.workflows.study.matching.contest import BUDGETS, PAPER_RANKS, entrants, paper_run
from retimbre.workflows.study.matching.measure import Marks, verdicts
from retimbre.workflows.study.matching.page import report_page
from retimbre.workflows.study.matching.study import StudyOptions, study_matching
from retimbre.workflows.training.run import read_run

PAPER_RUNS = Path(__file__).parents[2] / "runs" / "paper"

TINY = """
[task]
synth = "fm"
model = "{model}"
seconds = 0.25
[train]
steps = 40
batch_size = 32
learning_rate = 3e-3
ema_decay = 0.9
"""


SMALL = contest.Budget(("data.validation_clips=32",), control_steps=0, test_clips=256, audio_clips=8)


def written_run_files(folder: Path) -> tuple[Path, ...]:
    paths = tuple(folder / f"{model}.toml" for model in ("conv1", "conv2"))
    for path in paths:
        path.write_text(TINY.format(model=path.stem))
    return paths


@pytest.fixture
def run_files(tmp_path: Path) -> tuple[Path, ...]:
    return written_run_files(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "smoke", SMALL)


@dataclasses.dataclass(frozen=True)
class Continued:
    """A study that was stopped before it began and then continued to its end, and what both sessions returned."""

    out: Path
    run_files: tuple[Path, ...]
    stopped: dict[str, Any]
    whole: dict[str, Any]


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> Continued:
    """Four networks are trained once for all tests that look at what a study finds or leaves."""
    folder = tmp_path_factory.mktemp("continued")
    run_files, out = written_run_files(folder), folder / "study"
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(BUDGETS, "smoke", SMALL)
        stopped = study_matching(out, StudyOptions(run_files, "smoke", minutes=1e-6))
        return Continued(out, run_files, stopped, study_matching(out, StudyOptions(run_files, "smoke")))


def test_the_run_files_of_the_paper_are_those_that_the_study_runs() -> None:
    files = {read_run(path, []).task.model: read_run(path, []) for path in PAPER_RUNS.glob("*.toml")}  # type: ignore[union-attr]
    assert files == {model: paper_run(model) for model in PAPER_RANKS}


def test_the_paper_has_fourteen_models_and_all_are_in_the_catalog() -> None:
    assert len(PAPER_RANKS) == 14
    assert PAPER_RANKS.keys() <= MODELS.keys()


def test_all_entrants_hear_the_same_number_of_clips_and_controls_differ_in_their_labels_only(
    tmp_path: Path,
) -> None:
    pairs = entrants([], "full", [], tmp_path)
    assert len({model.config.train.steps * model.config.train.batch_size for model, _ in pairs}) == 1
    for model, control in pairs:
        assert not model.config.data.shuffled_labels
        straight = dataclasses.replace(control.config.data, shuffled_labels=False)
        assert dataclasses.replace(control.config, data=straight) == model.config


def test_a_network_stands_above_its_control_and_the_control_at_chance(continued: Continued) -> None:
    result, out = continued.whole, continued.out
    assert [row["name"] for row in result["models"]] == ["conv1", "conv2"]
    for row in result["models"]:
        assert row["low"] > 51
        # The mean over 256 clips and nine knobs varies by 0.6 where nothing is known.
        assert abs(row["control"] - 50) < 3
        assert 1 <= row["above_control"] <= row["observable"] <= 9
    table = list(csv.DictReader((out / "table.csv").open()))
    assert [row["name"] for row in table] == ["conv1", "conv2"]
    knobs = list(csv.DictReader((out / "knobs.csv").open()))
    assert len(knobs) == 18
    assert json.loads((out / "study.json").read_text()) == result
    assert "`conv1`" in (out / "report.md").read_text()


def test_a_stopped_study_goes_on_and_trains_nothing_twice(continued: Continued, small: None) -> None:
    out = continued.out
    assert continued.stopped["unfinished"] == ["conv1", "conv2"]
    journals = {path: path.read_bytes() for path in out.rglob("journal.csv")}
    marks = {path: path.stat().st_mtime_ns for path in out.rglob("marks.safetensors")}
    assert len(journals) == len(marks) == 4
    assert study_matching(out, StudyOptions(continued.run_files, "smoke")) == continued.whole
    assert journals == {path: path.read_bytes() for path in out.rglob("journal.csv")}
    assert marks == {path: path.stat().st_mtime_ns for path in out.rglob("marks.safetensors")}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('synth = "fm"', 'synth = "two-sine"'), "synth"),
        (("seconds = 0.25", "seconds = 0.5"), "seconds"),
        (("[train]", "[data]\npitch_hz = [100.0, 200.0]\n[train]"), "pitch_hz"),
        (("[task]", "seed = 9\n[task]"), "seed"),
    ],
)
def test_models_that_would_not_hear_the_same_sounds_are_not_compared(
    change: tuple[str, str], what: str, run_files: tuple[Path, ...], tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(TINY.format(model="C1").replace(*change))
    with pytest.raises(ConfigError, match=f"conv1 and other differ in .*{what}"):
        entrants([*run_files, other], "smoke", [], tmp_path)


def test_a_model_that_fails_does_not_stop_the_others(
    run_files: tuple[Path, ...], small: None, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(TINY.format(model="C1").replace("learning_rate = 3e-3", "learning_rate = 1e30"))
    options = StudyOptions((broken, run_files[0]), "smoke", ("train.steps=4",))
    with pytest.raises(PartialFailure, match=r"broken.*diverged"):
        study_matching(tmp_path / "study", options)
    table = list(csv.DictReader((tmp_path / "study" / "table.csv").open()))
    assert [row["name"] for row in table] == ["conv1"]


def test_an_unknown_budget_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'cpu'"):
        entrants([], "cpus", [], Path())


def marks_of(ranks: list[float]) -> Marks:
    column = torch.tensor(ranks)[:, None]
    return Marks(column, column, column, {})


def test_a_knob_that_ranks_as_its_control_beats_neither_it_nor_chance() -> None:
    ranks = [0.0, 100.0] * 200
    (verdict,) = verdicts(("knob",), marks_of(ranks), marks_of(ranks))
    assert not verdict.beats_chance
    assert not verdict.beats_control
    assert verdict.over_control.value == 0.0


def test_a_knob_that_ranks_higher_clip_by_clip_beats_both() -> None:
    control = [0.0, 100.0] * 200
    model = [20.0, 100.0] * 200
    (verdict,) = verdicts(("knob",), marks_of(model), marks_of(control))
    assert verdict.beats_chance
    assert verdict.beats_control
    assert verdict.over_control.value == pytest.approx(10.0)


@pytest.mark.parametrize(("order", "agreement"), [((1, 2, 3, 4), "1.00"), ((4, 3, 2, 1), "-1.00")])
def test_the_page_tells_how_far_the_order_is_the_papers(order: tuple[int, ...], agreement: str) -> None:
    row = {
        **dict.fromkeys(("percentile_rank", "low", "high", "control", "exact", "seconds", "megabytes"), 50.0),
        **dict.fromkeys(("observable", "above_chance", "above_control", "parameters"), 1),
    }
    models = [
        {**row, "name": str(place), "percentile_rank": float(ours), "paper": float(place)}
        for place, ours in enumerate(order, start=1)
    ]
    result = {"budget": "cpu", "models": models, "audible": {}, "unfinished": []}
    assert f"over 4 models: {agreement}." in report_page(result, [])
