"""Laws of the game that are not seen in the weights: what a slope is measured with."""

import pytest
import torch
from torch import Tensor
from toy_gan import Toy, heaps_at, tones_at

from retimbre.gan import penalties
from retimbre.gan.config import LossConfig
from retimbre.gan.game import Part, Rows
from retimbre.gan.networks.wavegan import WaveGanCriticConfig
from retimbre.gan.task import GanTask
from retimbre.training.share import share_of_batch, whole

STEEP = LossConfig("relativistic", r1=1.0, r2=1.0, penalty_method="finite-difference")
SHUFFLING = Toy(
    LossConfig("non-saturating", r1=1.0, penalty_method="finite-difference"),
    num_samples=256,
    critic=WaveGanCriticConfig(channels=4, phase_shuffle=2),
)


def test_a_slope_by_finite_differences_is_that_of_a_critic_which_draws_alike_for_both_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[penalties.Scorer, Tensor, Tensor, float]] = []
    measure = penalties.finite_difference_square

    def watched(critic: penalties.Scorer, features: Tensor, noise: Tensor, deviation: float) -> Tensor:
        seen.append((critic, features, noise, deviation))
        return measure(critic, features, noise, deviation)

    monkeypatch.setattr(penalties, "finite_difference_square", watched)
    task = SHUFFLING.task()
    task.critics.train()
    audio = torch.nn.functional.pad(tones_at(1, rows=6).audio[0], (0, 16))
    part = Part(5, whole(6), audio, {}, {}, torch.randn(6, 8))
    with share_of_batch(part.share):
        rows = task.game.critic_rows(part, is_penalized=True)
        ((score, features, noise, deviation),) = seen
        # The critic does shuffle: asked twice it scores otherwise; as the penalty asks it, it scores the same.
        shuffled = [task.ears[0].critic(features, {}).score for _ in range(4)]
        assert any(not torch.equal(shuffled[0], other) for other in shuffled[1:])
        assert torch.equal(score(features), score(features))
        slope = ((score(features + deviation * noise) - score(features)) / deviation).square()
    torch.testing.assert_close(rows["penalty"], 0.5 * slope.detach())


def with_twin(task: GanTask) -> GanTask:
    """The task with its critic twice."""
    task.game.ears = [*task.game.ears, *task.game.ears]
    return task


def test_every_slope_has_noise_of_its_own_and_leaves_the_stream_where_none_has_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noises: list[Tensor] = []
    measure = penalties.finite_difference_square

    def watched(critic: penalties.Scorer, features: Tensor, noise: Tensor, deviation: float) -> Tensor:
        noises.append(noise)
        return measure(critic, features, noise, deviation)

    monkeypatch.setattr(penalties, "finite_difference_square", watched)
    task = with_twin(Toy(STEEP).task())
    part = Part(5, whole(6), heaps_at(1, rows=6).audio[0], {}, {}, torch.randn(6, 8))
    with share_of_batch(part.share):
        task.game.critic_rows(part, is_penalized=True)
    noises.append(torch.randn_like(noises[0]))
    assert len(noises) == 5  # R1 and R2 of two critics, and what comes after them
    for index, noise in enumerate(noises):
        assert not any(torch.equal(noise, other) for other in noises[:index])


def test_scores_are_means_over_critics_so_that_gamma_keeps_the_margin_of_one() -> None:
    part = Part(5, whole(6), heaps_at(1, rows=6).audio[0], {}, {}, torch.randn(6, 8))
    found: list[Rows] = []
    for task in (Toy(STEEP).task(), with_twin(Toy(STEEP).task())):
        with share_of_batch(part.share):
            found.append(task.game.critic_rows(part, is_penalized=False))
    for name in ("real_score", "generated_score"):
        torch.testing.assert_close(found[1][name], found[0][name])
    torch.testing.assert_close(found[1]["critic_loss"], 2.0 * found[0]["critic_loss"])
