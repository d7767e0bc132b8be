"""What may go wrong with a run of networks that grow is found before it begins, and its model is one of full size."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.gan.sounds import load_generator
from retimbre.gan.task import GanTask
from retimbre.training.run_checkpoints import Checkpoints
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.gan import GAN
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.run import RunFolder, read_run

# Two channels of 16 bins and 16 frames, at scales of 4, 8 and 16.
TINY = """
seed = 1
[task]
kind = "gan"
representation = "mag-if"
settings = { n_fft = 32, hop_length = 16, edges = "no-dc" }
sample_rate = 4000
num_samples = 240
latent_dim = 4
[task.generator]
kind = "progressive"
depths = [4, 4, 4]
factors = [[4, 4], [2, 2], [1, 1]]
[[task.critics]]
[task.critics.network]
kind = "progressive"
depths = [4, 4, 4]
factors = [[4, 4], [2, 2], [1, 1]]
[data]
notes = 24
instruments = 3
families = ["bass"]
validation_clips = 12
[growth]
steps = [2, 2, 4]
[train]
steps = 8
batch_size = 8
log_every = 2
validate_every = 1
checkpoint_every = 2
"""
FADING = ["growth.fade_jumps=[0, 1, 1]", "growth.fade_jump_steps=[1, 1, 2]"]


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "growing.toml"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["task.generator.factors=[[4, 4], [3, 3], [1, 1]]"],
            r"factors of generator and critic differ: at scale 1 the generator makes 6 x 6 cells",
        ),
        (
            ["task.rows_at_once=4", "growth.batch_sizes=[16, 16, 14]"],
            r"rows_at_once is 4, which cuts a group of 14 clips .* in a batch of 14 at scale 2; .* minibatch_group, 4",
        ),
        (["task.rows_at_once=2"], r"rows_at_once is 2, which cuts a group of 4 clips .* in a batch of 8;"),
    ],
)
def test_what_would_break_at_a_later_scale_is_refused_before_anything_is_written(
    overrides: list[str], message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        train(run_file, tmp_path / "run", overrides=overrides)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["task.rows_at_once=4", "growth.batch_sizes=[16, 4, 8]"],
        # Parts that are whole batches cut nothing, whatever divides them.
        ["task.rows_at_once=14", "growth.batch_sizes=[14, 7, 13]"],
        # What the first scale would do is of no concern where training begins with another.
        ["task.rows_at_once=4", "growth.batch_sizes=[14, 8, 8]", "growth.start_scale=1", "train.steps=6"],
    ],
)
def test_what_fits_at_every_scale_that_is_trained_trains(
    overrides: list[str], run_file: Path, tmp_path: Path
) -> None:
    assert train(run_file, tmp_path / "run", overrides=overrides)["finished"]


def run_of(run_file: Path, overrides: list[str]) -> GanRun:
    config = read_run(run_file, overrides)
    assert isinstance(config, GanRun)
    return config


@pytest.mark.parametrize(
    ("overrides", "best_after"),
    [
        ([], 4),
        (FADING, 6),
        # A fade that takes as long as there are steps never ends: all of the last scale may be the best.
        (["growth.fade_jumps=[0, 1, 2]", "growth.fade_jump_steps=[1, 1, 2]"], 4),
        (["growth.start_scale=2", "train.steps=4"], 0),
    ],
)
def test_validations_count_from_where_the_last_scale_is_faded_in(
    overrides: list[str], best_after: int, run_file: Path
) -> None:
    assert run_of(run_file, overrides).fit_config().best_after == best_after


def validating(values: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has validations find these distances, in order."""
    left = iter(values)
    monkeypatch.setattr(GanTask, "validate", lambda self, batches: {"kad": next(left)})


def test_the_model_of_a_growing_run_is_never_one_of_a_smaller_scale(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validating([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], monkeypatch)
    manifest = train(run_file, tmp_path / "run", overrides=FADING)
    assert manifest["best_step"] == 7
    assert manifest["stage"] == {"scale": 2, "scales": 3, "fade": 0.0}
    model = load_generator(tmp_path / "run")
    assert model.network.stage == model.stage
    assert (model.stage.scale, model.stage.fade) == (2, 0.0) if model.stage else False
    assert model.facts["stage"] == manifest["stage"]
    assert model.facts["step"] == manifest["best_step"]


def test_a_run_that_has_not_come_to_the_last_scale_gives_its_last_state_and_says_so(
    run_file: Path, tmp_path: Path
) -> None:
    manifest = train(run_file, tmp_path / "run", overrides=["train.steps=3"])
    assert manifest["best_step"] == manifest["step"] == 3
    assert manifest["stage"] == {"scale": 1, "scales": 3, "fade": 0.0}
    assert manifest["validation"].keys() == {"kad"}
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    assert not checkpoints.best.exists()
    # A state is a generator that has grown as far.
    state = load_generator(checkpoints.last)
    assert state.stage == load_generator(tmp_path / "run").stage
    model = load_generator(tmp_path / "run")
    assert model.stage is not None
    assert model.stage.scale == 1


def test_a_best_state_of_a_smaller_scale_from_an_earlier_session_is_passed_over(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validating([4.0, 3.0, 1.0, 2.0], monkeypatch)
    small = ["growth.steps=[2, 2]", "train.steps=4"]
    assert train(run_file, tmp_path / "run", overrides=small)["best_step"] == 3
    longer = run_of(run_file, [*small, "growth.steps=[2, 2, 4]"])
    folder = RunFolder(tmp_path / "run")
    GAN.export(longer, folder, {})
    last = folder.checkpoints.load_newest()
    assert last is not None
    assert last["step"] == 4
    model = load_generator(tmp_path / "run", "raw")
    for name, weight in model.network.state_dict().items():
        assert torch.equal(weight, last["task"]["generator"][name])


def test_runs_of_networks_of_one_size_have_no_stage(run_file: Path) -> None:
    config = dataclasses.replace(run_of(run_file, []), growth=None)
    assert config.facts_at(3) == {}
    assert config.fit_config().best_after == 0
