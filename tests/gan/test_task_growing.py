"""Laws of training in which networks grow, and in which several processes take part."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from several import in_processes
from torch import Tensor
from toy_gan import NUM_SAMPLES, TONES, Toy, tones_at, updated

from retimbre.gan.base import Stage
from retimbre.gan.config import LossConfig
from retimbre.gan.growth import Growth
from retimbre.gan.networks.progressive import ProgressiveCriticConfig, ProgressiveGeneratorConfig
from retimbre.gan.networks.residual import ResidualCriticConfig, ResidualGeneratorConfig
from retimbre.gan.sounds import load_generator, save_generator
from retimbre.gan.task import GanTask
from retimbre.training.launch import joined
from retimbre.training.parallel import ALONE, World

# Two channels of 16 bins and 16 frames.
SPECTRAL = {
    "num_samples": NUM_SAMPLES,
    "representation": "mag-if",
    "settings": {"n_fft": 32, "hop_length": 16, "edges": "no-dc"},
}
SCALES: Any = {"depths": (8, 8), "factors": ((2, 2), (1, 1))}
PROGRESSIVE = Toy(
    LossConfig(
        "wgan", gradient_penalty=10.0, drift=1e-3, class_weight_critic=1.0, class_weight_generator=1.0
    ),
    TONES,
    generator=ProgressiveGeneratorConfig(**SCALES),
    critic=ProgressiveCriticConfig(**SCALES),
    num_steps=20,
    learning_rate=1e-3,
    **SPECTRAL,
)
GROWING = dataclasses.replace(PROGRESSIVE, growth=Growth((4, 8), (0, 2), (1, 2)))
RESIDUAL = Toy(
    LossConfig("relativistic", r1=1.0, r2=1.0),
    TONES,
    generator=ResidualGeneratorConfig(channels=(16, 16), group=8, embedding=4),
    critic=ResidualCriticConfig(channels=(16, 16), group=8),
    num_steps=20,
    learning_rate=1e-3,
    **SPECTRAL,
)
LAZY = dataclasses.replace(
    RESIDUAL, loss=dataclasses.replace(RESIDUAL.loss, penalty_every=3, auto_gamma=True)
)


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def averaged(task: GanTask) -> dict[str, Tensor]:
    with task.average.applied():
        return copied(task.generator.state_dict())


def test_the_average_goes_on_through_growth_and_reloading_and_differs_from_the_weights(
    tmp_path: Path,
) -> None:
    task = GROWING.task()
    for step in range(1, 5):
        updated(task, tones_at(step, rows=8), step)
    before = averaged(task)
    updated(task, tones_at(5, rows=8), 5)
    assert task.generator.stage == Stage(1, 1.0)
    after, raw = averaged(task), copied(task.generator.state_dict())
    assert task.average.num_updates == 5
    # The warm-up of the average: (1 + 5) / (10 + 5) of what was before is kept when the scale is added.
    for name, average in after.items():
        torch.testing.assert_close(average, before[name].lerp(raw[name], 1.0 - 6.0 / 15.0))
    assert any(not torch.equal(after[name], raw[name]) for name in raw)
    reloaded = GROWING.task()
    reloaded.load_state_dict(
        copy.deepcopy(task.state_dict())
    )  # torch's optimizers keep the tensors they are given
    assert all(torch.equal(average, after[name]) for name, average in averaged(reloaded).items())
    for step in (6, 7):
        assert updated(task, tones_at(step, rows=8), step) == updated(reloaded, tones_at(step, rows=8), step)
    with task.average.applied():
        save_generator(tmp_path / "model.safetensors", task.sounds, facts={})
    model = load_generator(tmp_path / "model.safetensors")
    assert model.network.stage == task.generator.stage
    assert all(
        torch.equal(weight, averaged(task)[name]) for name, weight in model.network.state_dict().items()
    )


def test_every_transition_is_faded_in_on_both_networks() -> None:
    task = GROWING.task()
    fades = []
    for step in range(1, 13):
        updated(task, tones_at(step, rows=8), step)
        assert task.generator.stage == task.ears[0].critic.stage
        fades.append((task.generator.stage.scale, task.generator.stage.fade))
    assert fades == [(0, 0.0)] * 4 + [(1, 1.0)] * 2 + [(1, 0.5)] * 2 + [(1, 0.0)] * 4


def twenty_steps(toy: Toy, rows: int, world: World) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """All weights, as NumPy's arrays, which can be sent to another process; and the figures of every step."""
    task = toy.task(world)
    share = world.share(rows)
    figures = [updated(task, tones_at(step, rows=rows, share=share), step) for step in range(1, 21)]
    networks = torch.nn.ModuleList([task.generator, task.critics])
    return {name: weight.numpy() for name, weight in networks.state_dict().items()}, figures


def together(toy: Toy, rows: int) -> Any:
    with joined("cpu") as world:
        return twenty_steps(toy, rows, world)


def assert_two_do_what_one_does(toy: Toy, rows: int, *, rows_at_once: int = 0) -> None:
    weights, figures = twenty_steps(toy, rows, ALONE)
    for outcome in in_processes(2, together, dataclasses.replace(toy, rows_at_once=rows_at_once), rows):
        assert outcome.error is None, outcome.error
        others, other_figures = outcome.value
        # 1e-5 of the figures and of weights of about 1, as updates of 1e-3 each are made of sums in another order.
        for one, other in zip(figures, other_figures, strict=True):
            assert other == pytest.approx(one, rel=1e-5, abs=1e-5)
        for name, weight in weights.items():
            np.testing.assert_allclose(others[name], weight, rtol=1e-5, atol=1e-5, err_msg=name)


def test_two_processes_do_what_one_does_though_groups_that_a_critic_compares_are_cut_in_two() -> None:
    assert_two_do_what_one_does(PROGRESSIVE, 12)


def test_two_processes_do_what_one_does_with_penalties_at_both_ends_and_unequal_shares() -> None:
    assert_two_do_what_one_does(RESIDUAL, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "rows"), [(PROGRESSIVE, 16), (GROWING, 7), (LAZY, 7)], ids=["whole groups", "growing", "lazy"]
)
def test_two_processes_do_what_one_does_in_other_games(toy: Toy, rows: int) -> None:
    assert_two_do_what_one_does(toy, rows)


@pytest.mark.slow
def test_processes_whose_shares_have_other_numbers_of_parts_still_do_what_one_does() -> None:
    # Shares of 4 and 3 rows, in parts of 3 and 1, and of 3.
    assert_two_do_what_one_does(RESIDUAL, 7, rows_at_once=3)
