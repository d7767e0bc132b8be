"""What single options of a GAN do to an update: each what it says, and nothing else."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_gan import CENTRES, NUM_SAMPLES, Toy, gradients, heaps_at, made_points, tones_at, updated

from retimbre.gan.config import LossConfig
from retimbre.gan.hearing import ears_of
from retimbre.gan.networks.progressive import ProgressiveCriticConfig
from retimbre.gan.sounds import SoundGenerator
from retimbre.gan.task import ClipBatch, GanTask

POINTS = Toy(LossConfig("non-saturating"))


def task_of(toy: Toy, **options: Any) -> GanTask:
    """The task of a toy with options of [task] that toys do not have."""
    plain = toy.task()
    torch.manual_seed(0)
    sounds = SoundGenerator(dataclasses.replace(plain.sounds.config, **options), toy.classes)
    return GanTask(sounds, ears_of(sounds, [None]), plain.config, toy.growth, plain.device)


def weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten().clone() for each in network.parameters()])


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 5e-3), (2e-2, 2e-2), (1e-4, 1e-4)])
def test_the_learning_rate_of_critics_moves_critics_alone(rate: float, expected: float) -> None:
    task = task_of(POINTS, critic_learning_rate=rate)
    before = weights(task.generator), weights(task.critics)
    updated(task, heaps_at(1), 1)
    moved = [weights(after) - was for after, was in zip((task.generator, task.critics), before, strict=True)]
    # Adam's first step is the learning rate for every weight with a slope, within float32's rounding of weights.
    for move, length in zip(moved, (5e-3, expected), strict=True):
        assert float(move.abs().max()) == pytest.approx(length, rel=1e-2)
        assert float(move.abs().median()) == pytest.approx(length, rel=1e-2)


def latents_of(task: GanTask) -> list[Tensor]:
    """What the generator is given in an update."""
    given: list[Tensor] = []
    task.generator.register_forward_pre_hook(lambda _, asked: given.append(asked[0].clone()))
    updated(task, heaps_at(1, rows=512, updates=2), 1)
    return given


def test_even_latents_are_drawn_between_minus_one_and_one_for_training_and_for_playing() -> None:
    task = task_of(POINTS, latent="uniform")
    given = latents_of(task)
    assert len(given) == 3  # two updates of the critics and one of the generator
    assert not any(torch.equal(given[0], each) for each in given[1:])
    for latent in (*given, task.sounds.draw_latents(512, seed=0)):
        # Of 4096 numbers the furthest are within 1 % of the ends, and the mean square is 1/3 but for 1.5 %.
        assert -1.0 <= float(latent.min()) < -0.99
        assert 0.99 < float(latent.max()) <= 1.0
        assert float(latent.square().mean()) == pytest.approx(1.0 / 3.0, rel=0.06)


def test_normal_latents_are_not_bounded() -> None:
    for latent in latents_of(task_of(POINTS)):
        assert float(latent.abs().max()) > 3.0
        assert float(latent.square().mean()) == pytest.approx(1.0, rel=0.1)


# Two attributes that a critic guesses, and hardly any learning between the two halves of an update.
GUESSED = {"word": ("a", "b", "c", "d"), "voice": ("high", "low")}
SCALES: Any = {"depths": (4,), "factors": ((1, 1),)}
GUESSING = Toy(
    LossConfig("wgan", class_weight_critic=1.0, class_weight_generator=2.0),
    GUESSED,
    num_samples=NUM_SAMPLES,
    critic=ProgressiveCriticConfig(**SCALES),
    learning_rate=1e-30,
)


def guessed(**options: Any) -> tuple[dict[str, float], dict[str, Tensor], dict[str, Tensor]]:
    """The figures of an update, and the slopes of generator and critics."""
    task = dataclasses.replace(GUESSING, loss=dataclasses.replace(GUESSING.loss, **options)).task()
    tones = tones_at(1, rows=8)
    voices = torch.arange(8)[None] % 2
    figures = updated(task, ClipBatch(tones.audio, tones.labels | {"voice": voices}), 1)
    return figures, gradients(task.generator), gradients(task.critics)


def assert_same_slopes(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, slope in one.items():
        torch.testing.assert_close(slope, other[name])


def test_attributes_that_are_skipped_count_for_real_clips_and_not_for_generated_ones() -> None:
    each, word, voice, neither = (
        guessed(class_skip=skip) for skip in ((), ("word",), ("voice",), ("word", "voice"))
    )
    for figures, _, of_critics in (word, voice, neither):
        assert figures["critic_class_loss"] == each[0]["critic_class_loss"]
        assert_same_slopes(of_critics, each[2])
    lost = [figures["generator_class_loss"] for figures, _, _ in (each, word, voice, neither)]
    assert min(lost[1:3]) > 0.1
    assert lost[1] + lost[2] == pytest.approx(lost[0], rel=1e-5)
    assert lost[3] == 0.0
    assert_same_slopes(neither[1], guessed(class_weight_generator=0.0)[1])
    assert any(not torch.allclose(slope, neither[1][name]) for name, slope in each[1].items())


def steepness(task: GanTask) -> float:
    """How steep the critic is between heaps and what is generated, as a root mean square."""
    real = CENTRES.repeat(250, 1)
    chance = torch.rand(len(real), 1, generator=torch.Generator().manual_seed(0))
    between = real.lerp(made_points(task, {}), chance)[:, None].requires_grad_()
    score = task.ears[0].critic(between, {}).score
    (slope,) = torch.autograd.grad(score.sum(), between)
    return math.sqrt(float(slope.square().sum(dim=(1, 2)).mean()))


@pytest.mark.parametrize("kind", ["lsgan", "non-saturating"])
def test_a_gradient_penalty_lowers_the_slope_in_games_other_than_wassersteins(kind: str) -> None:
    slopes = {}
    for weight in (0.0, 10.0):
        task = Toy(LossConfig(kind, gradient_penalty=weight), learning_rate=2e-2).task()
        with torch.no_grad():  # a critic that is too steep to begin with
            for each in task.critics.parameters():
                each.mul_(4.0)
        began = steepness(task)
        for step in range(1, 31):
            figures = updated(task, heaps_at(step, rows=32), step)
            assert ("penalty" in figures) == (weight > 0.0)
        slopes[weight] = steepness(task)
    assert began > 3.0
    # The penalty aims at 1. Least squares are no friend of steep critics either: they bring it from 10 to 2.4.
    assert slopes[10.0] - 1.0 < 0.5 * (slopes[0.0] - 1.0)
