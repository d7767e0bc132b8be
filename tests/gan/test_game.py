"""Laws of the game that are not seen in the weights: what a slope is measured with."""

import pytest
import torch
from torch import Tensor
from toy_gan import Toy, tones_at

from retimbre.gan import penalties
from retimbre.gan.config import LossConfig
from retimbre.gan.game import Part
from retimbre.gan.networks.wavegan import WaveGanCriticConfig
from retimbre.training.share import share_of_batch, whole

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
