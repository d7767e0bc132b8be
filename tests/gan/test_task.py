"""Laws of an update of generator and critics, on toys."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_gan import (
    CENTRES,
    HEAPS,
    NUM_HEAPS,
    NUM_SAMPLES,
    TONES,
    Toy,
    gradients,
    heaps_at,
    made_points,
    tones_at,
    train,
    updated,
)

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.gan.config import LossConfig, PenaltyMethod
from retimbre.gan.losses import LOSSES
from retimbre.gan.sounds import load_generator, save_generator
from retimbre.gan.task import ClipBatch, GanTask
from retimbre.training.devices import Precision
from retimbre.training.journal import Journal, read_journal
from retimbre.training.loop import FitConfig, FitResult, Records, Watch, fit
from retimbre.training.run_checkpoints import Checkpoints

ZERO_CENTRED = {"r1": 0.1, "r2": 0.1}
GAMES = {
    name: LossConfig("wgan", gradient_penalty=1.0, critic_steps=2)
    if name == "wgan"
    else LossConfig(name, **ZERO_CENTRED)
    for name in LOSSES
    if name != "logistic"  # which is `non-saturating` by another name
}
every_game = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
EVERYTHING = LossConfig("relativistic", gradient_penalty=3.0, drift=0.1, critic_steps=2, **ZERO_CENTRED)


def found(points: Tensor) -> list[int]:
    """How many points lie in each of the heaps: within 0.2, a quarter of the way to the next."""
    distance, heap = torch.cdist(points, CENTRES).min(dim=1)
    return torch.bincount(heap[distance < 0.2], minlength=NUM_HEAPS).tolist()


@every_game
def test_every_game_finds_all_eight_heaps(game: LossConfig) -> None:
    task = Toy(game, num_steps=160 if game.kind == "wgan" else 100).task()
    assert max(found(made_points(task, {}))) == 0
    train(task)
    # Of 2000 points. Most still lie between the heaps; four times as many steps bring half of them in.
    assert min(found(made_points(task, {}))) >= 20


def right(task: GanTask) -> float:
    """The share of points that are nearest to the heap that was asked for."""
    wanted = torch.arange(2000) % NUM_HEAPS
    return float(
        (torch.cdist(made_points(task, {"word": wanted}), CENTRES).argmin(1) == wanted).float().mean()
    )


def test_labels_are_learned_and_untrained_and_shuffled_controls_lose() -> None:
    toy = Toy(GAMES["relativistic"], HEAPS, num_steps=70)
    told, shuffled = toy.task(), toy.task()
    untrained = right(told)
    for step in range(1, 71):
        batch = heaps_at(step, rows=64)
        updated(told, batch, step)
        order = torch.randperm(64, generator=torch.Generator().manual_seed(step))
        updated(shuffled, ClipBatch(batch.audio, {"word": batch.labels["word"][:, order]}), step)
    # Chance is 1 in 8; 2000 points have a standard deviation of 0.7 % of their own about it.
    assert right(told) >= 0.9
    assert untrained <= 0.25
    assert right(shuffled) <= 0.25


def test_a_batch_of_64_with_four_classes_is_learned_from() -> None:
    task = Toy(GAMES["relativistic"], TONES, num_samples=NUM_SAMPLES).task()
    before = task.generator.state_dict()["layers.0.weight"].clone()
    figures = updated(task, tones_at(1, rows=64), 1)
    assert all(math.isfinite(value) for value in figures.values())
    assert not torch.equal(task.generator.state_dict()["layers.0.weight"], before)


@pytest.mark.parametrize("critic_steps", [1, 5])
def test_critics_are_updated_so_many_times_for_each_update_of_the_generator(critic_steps: int) -> None:
    task = Toy(LossConfig("wgan", gradient_penalty=10.0, critic_steps=critic_steps)).task()
    for step in (1, 2, 3):
        updated(task, heaps_at(step, rows=8, updates=critic_steps), step)
    steps = {
        name: {int(each["step"]) for each in task.state_dict()[name]["state"].values()}
        for name in ("critic_optimizer", "generator_optimizer")
    }
    assert steps == {"critic_optimizer": {3 * critic_steps}, "generator_optimizer": {3}}


def critic_gradient(game: LossConfig, steps: int) -> dict[str, Tensor]:
    """What some steps on the same clips move the critics by together, if nothing moves in between."""
    task = Toy(game, learning_rate=1e-30).task()
    total: dict[str, Tensor] = {}
    for step in range(1, steps + 1):
        updated(task, heaps_at(1, rows=32), step)
        for name, gradient in gradients(task.critics).items():
            total[name] = total.get(name, 0.0) + gradient
    return total


def test_a_penalty_at_every_fourth_step_pulls_as_hard_as_one_at_each() -> None:
    # Slopes at real clips alone: the generated ones are others at each step.
    each, lazy, none = (
        critic_gradient(LossConfig("wgan", r1=weight, penalty_every=every), 4)
        for weight, every in ((5.0, 1), (5.0, 4), (0.0, 1))
    )
    for name, gradient in each.items():
        # Sums of a hundred float32 numbers.
        torch.testing.assert_close(lazy[name], gradient, rtol=1e-5, atol=1e-5)
    assert any(float((each[name] - none[name]).abs().max()) > 0.1 for name in each)


def test_a_lazy_penalty_is_taken_at_every_so_many_critic_steps() -> None:
    task = Toy(LossConfig("wgan", r1=1.0, penalty_every=4, critic_steps=2)).task()
    taken = ["penalty" in updated(task, heaps_at(step, rows=8, updates=2), step) for step in range(1, 7)]
    assert taken == [False, True] * 3


def test_slopes_by_finite_differences_are_the_exact_ones_in_the_mean_even_in_bfloat16() -> None:
    def penalty(method: PenaltyMethod, precision: Precision) -> float:
        game = LossConfig("wgan", r1=1.0, r2=1.0, penalty_method=method)
        task = Toy(game, learning_rate=1e-30, precision=precision).task()
        return math.fsum(updated(task, heaps_at(1, rows=512), step)["penalty"] for step in range(1, 11)) / 10

    exact = penalty("exact", Precision.FP32)
    # 5120 draws, each of a relative deviation of sqrt(2): 2 % together.
    for precision in Precision:
        assert penalty("finite-difference", precision) == pytest.approx(exact, rel=0.08)


ACCUMULATED = {
    "everything": EVERYTHING,
    "finite differences": dataclasses.replace(EVERYTHING, penalty_method="finite-difference"),
    "sums": dataclasses.replace(EVERYTHING, reduction="sum"),
}


@pytest.mark.parametrize("game", ACCUMULATED.values(), ids=ACCUMULATED)
@pytest.mark.parametrize("rows_at_once", [1, 5, 12])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(game: LossConfig, rows_at_once: int) -> None:
    whole, parts = (Toy(game, HEAPS, rows_at_once=rows).task() for rows in (0, rows_at_once))
    batch = heaps_at(1, rows=12, updates=2)
    figures, of_parts = (updated(task, batch, 1) for task in (whole, parts))
    for network, other in ((whole.critics, parts.critics), (whole.generator, parts.generator)):
        expected = gradients(network)
        assert expected
        scale = max(float(each.abs().max()) for each in expected.values())
        for name, gradient in gradients(other).items():
            # A few roundings of float32; the second critic update starts from weights that differ by as much.
            torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=3e-6 * scale)
    assert of_parts == pytest.approx(figures, rel=1e-5)


def test_a_sum_over_the_batch_is_as_many_times_the_mean() -> None:
    of_mean, of_sum = (
        critic_gradient(dataclasses.replace(EVERYTHING, reduction=each), 1) for each in ("mean", "sum")
    )
    for name, gradient in of_mean.items():
        torch.testing.assert_close(of_sum[name], 32.0 * gradient, rtol=1e-5, atol=1e-4)


def test_the_figures_are_means_whatever_the_reduction() -> None:
    figures = [
        updated(Toy(dataclasses.replace(EVERYTHING, reduction=each)).task(), heaps_at(1, updates=2), 1)
        for each in ("mean", "sum")
    ]
    # The second critic update comes after a first one of Adam, which takes no notice of the scale.
    for name in ("critic_loss", "generator_loss", "penalty"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-2)


@pytest.mark.slow
def test_bfloat16_learns_the_heaps_too() -> None:
    task = Toy(dataclasses.replace(GAMES["relativistic"], penalty_every=4), precision=Precision.BF16).task()
    train(task)
    assert min(found(made_points(task, {}))) >= 20


def test_a_gamma_that_holds_the_critic_too_tightly_is_lowered_and_takes_part() -> None:
    found_by = LossConfig("relativistic", r1=10.0, r2=10.0, auto_gamma=True)
    steered, fixed = Toy(found_by).task(), Toy(dataclasses.replace(found_by, auto_gamma=False)).task()
    assert steered.game.gamma is not None
    for step in range(1, 21):
        figures = updated(steered, heaps_at(step), step)
        updated(fixed, heaps_at(step), step)
        assert figures["gamma"] == steered.game.gamma.value
    # The margin is near 0 all the time: a hundredth less at each step.
    assert steered.game.gamma.value == pytest.approx(1.01**-20)
    weights = [task.critics.state_dict()["0.layers.0.weight"] for task in (steered, fixed)]
    assert not torch.equal(*weights)


# --- what is kept ---------------------------------------------------------------------------------------------------

TINY = Toy(
    LossConfig("relativistic", penalty_every=3, auto_gamma=True, **ZERO_CENTRED),
    TONES,
    num_samples=NUM_SAMPLES,
)
HELD_OUT = [tones_at(-1, rows=12)]


def fitted(task: Any, folder: Path, steps: int, batch_at: Any = tones_at) -> FitResult:
    config = FitConfig(steps, log_every=4, validate_every=5, checkpoint_every=3, monitor="kad", seed=1)
    records = Records(Journal(folder / "journal.csv"), Checkpoints(folder / "checkpoints", {"toy": True}))
    watch = Watch(itertools.count().__next__, lambda progress: None)
    return fit(task, batch_at, config, validation=HELD_OUT, records=records, watch=watch)


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a state by their path."""
    if isinstance(state, dict):
        return {k: v for key, each in state.items() for k, v in flat(each, f"{name}.{key}").items()}
    if isinstance(state, list | tuple):
        return flat(dict(enumerate(state)), name)
    return {name: state}


def assert_same(left: Any, right: Any) -> None:
    left, right = flat(left), flat(right)
    assert left.keys() == right.keys()
    for name, value in left.items():
        same = torch.equal(value, right[name]) if isinstance(value, Tensor) else value == right[name]
        assert same, name


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    unbroken, first, second = TINY.task(), TINY.task(), TINY.task()
    fitted(unbroken, tmp_path / "unbroken", 12)
    fitted(first, tmp_path / "broken", 7)
    with torch.no_grad():  # a fresh task has to take up everything
        for weight in itertools.chain(second.generator.parameters(), second.critics.parameters()):
            weight.add_(1.0)
    fitted(second, tmp_path / "broken", 12)
    assert_same(second.state_dict(), unbroken.state_dict())
    rows = [
        {(row.step, row.split, row.name, row.value) for row in read_journal(tmp_path / name / "journal.csv")}
        for name in ("broken", "unbroken")
    ]
    # The broken run was also written down and validated where it stopped.
    assert {row for row in rows[1] if row[1] == "validation"} <= rows[0]


def test_the_average_survives_the_file_and_is_not_the_last_weights(tmp_path: Path) -> None:
    task = TINY.task()
    for step in range(1, 13):
        updated(task, tones_at(step), step)
    raw = {name: weight.clone() for name, weight in task.generator.state_dict().items()}
    with task.average.applied():
        averaged = {name: weight.clone() for name, weight in task.generator.state_dict().items()}
        save_generator(tmp_path / "model.safetensors", task.sounds, facts={}, raw_state=raw)
    assert any(not torch.equal(raw[name], averaged[name]) for name in raw)
    for weights, expected in (("average", averaged), ("raw", raw)):
        assert_same(
            dict(load_generator(tmp_path / "model.safetensors", weights).network.state_dict()), expected
        )
    reloaded = TINY.task()
    reloaded.load_state_dict(task.state_dict())
    with reloaded.average.applied():
        assert_same(dict(reloaded.generator.state_dict()), averaged)
    assert_same(dict(reloaded.generator.state_dict()), raw)


def test_validation_hears_the_average_and_changes_nothing() -> None:
    task = TINY.task()
    for step in range(1, 5):
        updated(task, tones_at(step), step)
    before = {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in flat(task.state_dict()).items()
    }
    first = task.validate(HELD_OUT)
    assert_same(flat(task.state_dict()), before)
    assert task.validate(HELD_OUT) == first
    with torch.no_grad():
        for average in task.state_dict()["average"]["averages"].values():
            average.zero_()
    assert task.validate(HELD_OUT) != first


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_the_last_good_state(tmp_path: Path) -> None:
    task = TINY.task()

    def spoiling(step: int) -> ClipBatch:
        if step == 8:
            with torch.no_grad():
                next(task.critics.parameters()).mul_(float("nan"))
        return tones_at(step)

    with pytest.raises(RetimbreError, match="training diverged"):
        fitted(task, tmp_path, 20, spoiling)
    state = Checkpoints(tmp_path / "checkpoints", {"toy": True}).load_newest()
    assert state is not None
    assert state["step"] == 6
    assert all(
        bool(value.isfinite().all()) for value in flat(state["task"]).values() if isinstance(value, Tensor)
    )
    assert fitted(TINY.task(), tmp_path, 12).step == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wgna"}, "no loss 'wgna'; did you mean 'wgan'"),
        ({"critic_steps": 0}, "critic_steps is 0, but takes 1 or more"),
        ({"r1": -1.0}, "r1 is -1, but takes 0 or more"),
        ({"auto_gamma": True}, "auto_gamma needs r1 or r2"),
        ({"soft_labels": True}, "soft_labels needs class_weight_critic or class_weight_generator"),
    ],
)
def test_impossible_games_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LossConfig(**options)
