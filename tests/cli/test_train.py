"""`retimbre train`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest

from retimbre.cli.app import run
from retimbre.matching.task import InversionTask

TINY = """
[task]
synth = "two-sine"
model = "C1"
seconds = 0.25
[data]
validation_clips = 4
[train]
steps = 2
batch_size = 2
"""


@pytest.fixture
def run_file(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def test_it_trains_and_prints_one_json_value(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", run_file, "--out", str(tmp_path / "run"), "--json", "--set", "train.steps=3"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 3


def test_a_session_that_ran_out_of_minutes_says_how_to_go_on(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", run_file, "--out", str(tmp_path / "run"), "--minutes", "1e-9"]) == 0
    assert "stopped at step 1 of 2; run it again to continue" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", run_file, "--out", str(tmp_path / "run"), "--dry-run", "--seed", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["seed"] == 5
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "train.stepz=3"], "did you mean 'steps'"),
        (["--from", "nothing"], "there is no model 'nothing'"),
        (["--set", "steps"], "TABLE.OPTION=VALUE"),
    ],
)
def test_the_users_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], message: str, run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", run_file, "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_ctrl_c_says_how_to_go_on_and_ends_with_130(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, batch: object, *, step: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(InversionTask, "update", interrupt)
    assert run(["train", run_file, "--out", str(tmp_path / "run")]) == 130
    assert "run the same command again" in capsys.readouterr().err
