"""A run whose networks grow, by the training loop: stopped anywhere, it goes on bit for bit."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_gan import NUM_SAMPLES, TONES, Toy, tones_at

from retimbre.gan.base import Stage
from retimbre.gan.config import LossConfig
from retimbre.gan.growth import Growth
from retimbre.gan.networks.progressive import ProgressiveCriticConfig, ProgressiveGeneratorConfig
from retimbre.gan.task import GanTask
from retimbre.training.journal import Journal, read_journal
from retimbre.training.loop import FitConfig, Records, Watch, fit
from retimbre.training.run_checkpoints import Checkpoints

SCALES: Any = {"depths": (4, 4), "factors": ((2, 2), (1, 1))}
# Two channels of 16 bins and 16 frames. Steps 1 to 3 are at the smaller scale; the larger is faded in at 4 to 7.
GROWING = Toy(
    LossConfig(
        "wgan", gradient_penalty=10.0, drift=1e-3, class_weight_critic=1.0, class_weight_generator=1.0
    ),
    TONES,
    NUM_SAMPLES,
    generator=ProgressiveGeneratorConfig(**SCALES),
    critic=ProgressiveCriticConfig(**SCALES),
    num_steps=9,
    learning_rate=1e-3,
    growth=Growth((3, 6), (0, 2), (1, 2)),
    representation="mag-if",
    settings={"n_fft": 32, "hop_length": 16, "edges": "no-dc"},
)
LAST_STEP = 9


def fitted(folder: Path, steps: int) -> GanTask:
    """A fresh task, that takes up what is in the folder and goes on to a step."""
    task = GROWING.task()
    config = FitConfig(steps, log_every=1, validate_every=2, checkpoint_every=100, monitor="kad", seed=1)
    records = Records(Journal(folder / "journal.csv"), Checkpoints(folder / "checkpoints", {"toy": True}))
    watch = Watch(itertools.count().__next__, lambda progress: None)
    batches = [tones_at(-1, rows=8)]
    fit(
        task,
        lambda step: tones_at(step, rows=8),
        config,
        validation=batches,
        records=records,
        watch=watch,
    )
    return task


def leaves(state: Any, name: str = "") -> dict[str, Any]:
    """The values of a state by their path."""
    if isinstance(state, list | tuple):
        state = dict(enumerate(state))
    if isinstance(state, dict):
        return {k: v for key, each in state.items() for k, v in leaves(each, f"{name}.{key}").items()}
    return {name: state}


def rows_in(folder: Path) -> set[tuple[int, str, str, float]]:
    return {(row.step, row.split, row.name, row.value) for row in read_journal(folder / "journal.csv")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[GanTask, Path]:
    folder = tmp_path_factory.mktemp("unbroken")
    return fitted(folder, LAST_STEP), folder


# In the last update before the transition, in the first after it, and in the midst of the fade.
@pytest.mark.parametrize("stopped_at", [3, 4, 6])
def test_a_growing_run_that_is_stopped_goes_on_bit_for_bit(
    stopped_at: int, unbroken: tuple[GanTask, Path], tmp_path: Path
) -> None:
    whole, folder = unbroken
    assert whole.generator.stage == whole.ears[0].critic.stage == Stage(1, 0.0)
    stopped = fitted(tmp_path, stopped_at)
    assert GROWING.growth is not None
    assert stopped.generator.stage == GROWING.growth.at(stopped_at) != whole.generator.stage
    resumed = fitted(tmp_path, LAST_STEP)
    expected, found = leaves(whole.state_dict()), leaves(resumed.state_dict())
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        same = torch.equal(value, found[name]) if isinstance(value, Tensor) else value == found[name]
        assert same, name
    # The stopped run was also validated where it ended.
    assert rows_in(folder) <= rows_in(tmp_path)
