"""Laws of the games that generators and critics play."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.gan.losses import LOSSES

REAL = torch.tensor([0.5, -1.0, 2.0])
FAKE = torch.tensor([0.25, 1.5, -3.0])


def log_loss(margin: float) -> float:
    """-log sigmoid(margin), from the definition."""
    return -math.log(1.0 / (1.0 + math.exp(-margin)))


BY_HAND = {
    "wgan": (lambda real, fake: fake - real, lambda real, fake: -fake),
    "lsgan": (
        lambda real, fake: ((real - 1) ** 2 + fake**2) / 2,
        lambda real, fake: (fake - 1) ** 2 / 2,
    ),
    "non-saturating": (
        lambda real, fake: log_loss(real) + log_loss(-fake),
        lambda real, fake: log_loss(fake),
    ),
    "logistic": (
        lambda real, fake: log_loss(real) + log_loss(-fake),
        lambda real, fake: log_loss(fake),
    ),
    "relativistic": (
        lambda real, fake: log_loss(real - fake),
        lambda real, fake: log_loss(fake - real),
    ),
}

every_loss = pytest.mark.parametrize("name", LOSSES)
both_players = pytest.mark.parametrize("player", ["critic", "generator"])


@every_loss
def test_the_values_are_those_of_the_definition(name: str) -> None:
    loss = LOSSES[name]
    for value, by_hand in zip(
        (loss.critic(REAL, FAKE), loss.generator(REAL, FAKE)), BY_HAND[name], strict=True
    ):
        expected = torch.tensor([by_hand(*pair) for pair in zip(REAL.tolist(), FAKE.tolist(), strict=True)])
        torch.testing.assert_close(value, expected)


@every_loss
def test_the_critic_wants_real_clips_above_generated_ones_and_the_generator_its_own_higher(
    name: str,
) -> None:
    loss = LOSSES[name]
    zero, one = torch.zeros(1), torch.ones(1)
    assert loss.critic(one, zero) < loss.critic(zero, zero) < loss.critic(zero, one)
    assert loss.generator(one, one) < loss.generator(one, zero)


@every_loss
@both_players
def test_a_step_down_the_gradient_lowers_the_value(name: str, player: str) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    value = getattr(LOSSES[name], player)(real, fake).sum()
    value.backward()
    stepped = [scores if scores.grad is None else scores - 0.01 * scores.grad for scores in (real, fake)]
    assert getattr(LOSSES[name], player)(*stepped).sum() < value


@every_loss
@both_players
def test_row_i_depends_on_row_i_of_the_scores_alone(name: str, player: str) -> None:
    def values(scores: Tensor) -> Tensor:
        return getattr(LOSSES[name], player)(*scores)

    slopes = torch.autograd.functional.jacobian(values, torch.stack([REAL, FAKE]))
    elsewhere = slopes * (1.0 - torch.eye(3)[:, None, :])
    assert torch.equal(elsewhere, torch.zeros_like(elsewhere))
    assert slopes.abs().sum() > 0.0


@every_loss
def test_the_generator_needs_the_scores_of_real_clips_only_where_it_says_so(name: str) -> None:
    real = REAL.clone().requires_grad_()
    value = LOSSES[name].generator(real, FAKE).sum()
    assert LOSSES[name].uses_real_in_generator == value.requires_grad


@every_loss
@both_players
@pytest.mark.parametrize("size", [1e4, 1e18])
def test_gradients_stay_finite_at_extreme_scores(name: str, player: str, size: float) -> None:
    real = torch.tensor([size, -size, size, -size], requires_grad=True)
    fake = torch.tensor([size, -size, -size, size], requires_grad=True)
    value = getattr(LOSSES[name], player)(real, fake)
    value.sum().backward()
    assert value.isfinite().all()
    assert all(scores.grad is None or scores.grad.isfinite().all() for scores in (real, fake))


@every_loss
@both_players
def test_scores_in_bfloat16_give_the_value_of_the_same_scores_in_float32(name: str, player: str) -> None:
    real, fake = REAL.bfloat16(), FAKE.bfloat16()  # exact: few binary digits
    value = getattr(LOSSES[name], player)(real, fake)
    assert value.dtype == torch.float32
    assert torch.equal(value, getattr(LOSSES[name], player)(REAL, FAKE))
    assert getattr(LOSSES[name], player)(REAL.double(), FAKE.double()).dtype == torch.float64


def test_only_the_difference_counts_in_the_relativistic_game() -> None:
    loss = LOSSES["relativistic"]
    torch.testing.assert_close(loss.critic(REAL + 5.0, FAKE + 5.0), loss.critic(REAL, FAKE))
    assert torch.equal(loss.generator(REAL, FAKE), loss.critic(FAKE, REAL))


def test_the_non_saturating_generator_learns_most_where_the_critic_is_surest() -> None:
    fake = torch.tensor([-20.0, 0.0, 20.0], requires_grad=True)
    LOSSES["non-saturating"].generator(torch.zeros(3), fake).sum().backward()
    torch.testing.assert_close(fake.grad, torch.tensor([-1.0, -0.5, 0.0]), atol=1e-6, rtol=0.0)
