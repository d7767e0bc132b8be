"""A run in several processes is the run of one: its losses, its files, how it is continued, and how it ends."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from several import Outcome, in_processes
from torch import Tensor, nn

from retimbre.core.errors import RetimbreError
from retimbre.matching import pairs
from retimbre.matching.inverter import Inverter, load_inverter
from retimbre.matching.networks import catalog
from retimbre.training.dropout import Dropout
from retimbre.training.journal import Journal
from retimbre.training.parallel import World
from retimbre.training.run_checkpoints import Checkpoints
from retimbre.workflows.training import fit, run
from retimbre.workflows.training.fit import train

# Seven rows for two processes: one has four, the other three. Two pieces of validation, the second shorter.
TINY = """
seed = 1
[task]
synth = "two-sine"
model = "C1"
seconds = 0.05
[data]
validation_clips = 260
[train]
steps = 20
batch_size = 7
schedule = "constant"
log_every = 1
validate_every = 10
checkpoint_every = 5
"""

# Sums in another order differ by float32's rounding, 6e-8, which twenty updates may make some tens of times larger.
TOLERANCE = 1e-5


class Forgetful(nn.Module):
    """A dense network with two layers of dropout."""

    def __init__(self, example: Tensor, num_outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(example[0].numel(), 16),
            Dropout(0.5),
            nn.ReLU(),
            Dropout(0.1),
            nn.Linear(16, num_outputs),
        )

    def forward(self, features: Tensor, note: Tensor) -> Tensor:
        return self.layers(features)


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalog.ModelEntry("dropout", "log-mel", Forgetful)
    monkeypatch.setitem(catalog.MODELS, "Forgetful", entry)


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process that nothing disturbs makes of the run file, for all that has to come to the same."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "tiny.toml").write_text(TINY)
    train(folder / "tiny.toml", folder / "run", device="cpu")
    return folder / "run"


def rows(folder: Path) -> dict[tuple[str, ...], float]:
    """The journal: step, split and name to value."""
    lines = list(csv.reader((folder / "journal.csv").open()))[1:]
    journal = {tuple(line[:3]): float(line[3]) for line in lines}
    assert len(journal) == len(lines), "a row was written twice"
    return journal


def train_together(count: int, run_file: Path, out: Path, *overrides: str) -> list[Outcome]:
    return in_processes(count, lambda: train(run_file, out, overrides=overrides, device="cpu"))


@pytest.mark.parametrize("model", ["C1", "Forgetful"])
def test_two_processes_write_the_journal_of_one(model: str, run_file: Path, tmp_path: Path) -> None:
    overrides = [f"task.model={model}"]
    train(run_file, tmp_path / "one", overrides=overrides, device="cpu")
    first, second = train_together(2, run_file, tmp_path / "two", *overrides)
    assert first.value["processes"] == 2
    assert first.value["clips_seen"] == 140
    assert second.value == {}
    assert rows(tmp_path / "two") == pytest.approx(rows(tmp_path / "one"), rel=TOLERANCE)
    one, two = (load_inverter(tmp_path / name).state_dict() for name in ("one", "two"))
    for name, weights in one.items():
        # Stored in 16 bits, where a rounding that tips over is a thousandth.
        torch.testing.assert_close(two[name], weights, rtol=2e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_a_run_goes_on_with_another_number_of_processes(
    before: int, after: int, run_file: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    for count, overrides in ((before, ["train.steps=10"]), (after, [])):
        if count == 1:
            train(run_file, out, overrides=overrides, device="cpu")
        else:
            assert train_together(count, run_file, out, *overrides)[0].error is None
    assert rows(out) == pytest.approx(rows(unbroken), rel=TOLERANCE)


@pytest.mark.slow
def test_a_warm_start_is_the_same_in_all_processes(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "first", overrides=["train.steps=2"], device="cpu")
    start, overrides = str(tmp_path / "first"), ["train.steps=3"]
    train(run_file, tmp_path / "one", overrides=overrides, device="cpu", warm_start=start)
    in_processes(
        2,
        lambda: train(run_file, tmp_path / "two", overrides=overrides, device="cpu", warm_start=start),
    )
    assert rows(tmp_path / "two") == pytest.approx(rows(tmp_path / "one"), rel=TOLERANCE)


@pytest.mark.slow
def test_weights_that_were_drawn_differently_become_those_of_the_first(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(example: Tensor, num_outputs: int) -> nn.Module:
        network = Forgetful(example, num_outputs)
        if os.environ.get("RANK") == "1":
            nn.init.constant_(network.layers[1].weight, 1.0)
        return network

    overrides = ["task.model=Forgetful", "train.steps=2"]
    train(run_file, tmp_path / "alone", overrides=overrides, device="cpu")
    entry = dataclasses.replace(catalog.MODELS["Forgetful"], build=disturbed)
    monkeypatch.setitem(catalog.MODELS, "Forgetful", entry)
    train_together(2, run_file, tmp_path / "two", *overrides)
    assert rows(tmp_path / "two") == pytest.approx(rows(tmp_path / "alone"), rel=TOLERANCE)


def refuse(*arguments: object, **options: object) -> None:
    raise RuntimeError("only the first process writes")


def train_in_a_rank_that_must_not_write(run_file: Path, out: Path) -> dict[str, Any]:
    if os.environ["RANK"] != "0":
        Checkpoints.save = refuse
        Journal.append = Journal.resume_at = refuse
        run.write_toml = fit.write_json = fit.whole_file = refuse
    return train(run_file, out, overrides=["train.minutes=1e-9"], device="cpu")


def test_only_the_first_process_writes_and_all_end_together_when_the_minutes_are_over(
    run_file: Path, tmp_path: Path
) -> None:
    first, second = in_processes(2, train_in_a_rank_that_must_not_write, run_file, tmp_path / "run")
    assert (first.value["step"], first.value["stopped_by"]) == (1, "minutes")
    assert second == Outcome({})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("config.toml", "journal.csv", "history.png", "model.safetensors", "run.json", "checkpoints"),
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.batch_size=1"], "batch_size is 1, but 2 processes"),
        (["train.stepz=1"], "did you mean 'steps'"),
        (["seed=2"], "holds a run that differs in seed"),
    ],
)
def test_what_is_refused_is_told_once(
    overrides: list[str], message: str, run_file: Path, tmp_path: Path
) -> None:
    train(run_file, tmp_path / "run", overrides=["train.steps=1"], device="cpu")
    errors = [outcome.error for outcome in train_together(2, run_file, tmp_path / "run", *overrides)]
    assert [message in str(error) for error in errors if isinstance(error, RetimbreError)] == [True]
    assert all(isinstance(error, RetimbreError | SystemExit) for error in errors)


def die_at_step_12(run_file: Path, out: Path) -> dict[str, Any]:
    part = pairs.Source.part

    def dying(self: Any, step: int, *arguments: Any) -> Any:
        if step == 12 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return part(self, step, *arguments)

    pairs.Source.part = dying
    return train(run_file, out, device="cpu")


def test_when_a_process_is_killed_the_other_ends_with_one_line_and_the_run_goes_on(
    run_file: Path, unbroken: Path, tmp_path: Path
) -> None:
    survivor, _ = in_processes(2, die_at_step_12, run_file, tmp_path / "run")
    assert isinstance(survivor.error, RetimbreError)
    assert "lost touch with another" in str(survivor.error)
    assert "\n" not in str(survivor.error)
    kept = [step for step, split, _ in rows(tmp_path / "run") if split == "train"]
    assert max(map(int, kept)) == 11
    manifest = train(run_file, tmp_path / "run", device="cpu")
    assert manifest["finished"]
    assert rows(tmp_path / "run") == pytest.approx(rows(unbroken), rel=TOLERANCE)


KILLS_ITSELF = """
import os, signal, sys, threading, time
from pathlib import Path
from retimbre.cli.app import main

def die():
    while not Path(sys.argv[-1], "checkpoints", "last.safetensors").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

if os.environ["RANK"] == "1":
    threading.Thread(target=die, daemon=True).start()
main()
"""


@pytest.mark.slow
def test_under_torchrun_a_killed_process_costs_what_was_done_since_the_last_saved_state(
    run_file: Path, tmp_path: Path
) -> None:
    script = tmp_path / "kills_itself.py"
    script.write_text(KILLS_ITSELF)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    arguments = ["train", str(run_file), "--device", "cpu", "--out", str(tmp_path / "run")]
    lasting = ["--set", "train.steps=100000"]
    killed = subprocess.run(
        [*torchrun, str(script), *arguments[:-2], *lasting, *arguments[-2:]],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert killed.returncode != 0
    lines = [line for line in killed.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "run the same command again to continue at the last saved state" in lines[0]
    reached = max(int(step) for step, _, _ in rows(tmp_path / "run"))
    again = [*torchrun, "-m", "retimbre", *arguments, "--set", f"train.steps={reached + 5}"]
    resumed = subprocess.run(
        again, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert resumed.returncode == 0, resumed.stderr
    assert {int(step) for step, _, _ in rows(tmp_path / "run")} == set(range(1, reached + 6))
    # The first process alone prints.
    assert resumed.stdout.count("finished: True") == 1


def test_the_clips_of_a_share_are_those_of_the_batch(run_file: Path) -> None:
    config = run.read_run(run_file, [])
    source = config.pair_source(Inverter(config.task))
    device = torch.device("cpu")
    whole = source.batch(3, 7, "train", device)
    parts = [source.part(3, World(rank, 2).share(7), "train", device) for rank in range(2)]
    assert torch.equal(torch.cat([part.audio for part in parts]), whole.audio)
    assert torch.equal(torch.cat([part.classes for part in parts]), whole.classes)
