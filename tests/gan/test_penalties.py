"""Laws of the penalties on a critic's gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from retimbre.gan.penalties import (
    finite_difference_square,
    gradient_square,
    gradient_square_of,
    interpolation_penalty,
)

SHAPES = [(2,), (1, 12), (2, 4, 3)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
PENALTIES: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]] = {
    "interpolation": lambda critic, x: interpolation_penalty(critic, x, -x, torch.full((len(x),), 0.25)),
    "gradient square": gradient_square,
    "finite difference": lambda critic, x: finite_difference_square(critic, x, drawn(x.shape, 9), 1e-2),
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)


def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def linear(direction: Tensor) -> Callable[[Tensor], Tensor]:
    """A critic whose gradient is `direction` everywhere."""
    return lambda features: (features * direction).flatten(1).sum(1) + 3.0


def curved() -> nn.Sequential:
    """A smooth critic of five features."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))


@every_shape
def test_the_interpolation_penalty_of_a_linear_critic_is_the_square_of_its_slope_less_one(
    shape: tuple[int, ...],
) -> None:
    direction = drawn(shape, 0)
    real, fake, chance = drawn((6, *shape), 1), drawn((6, *shape), 2), torch.rand(6)
    unit = interpolation_penalty(linear(direction / direction.norm()), real, fake, chance)
    torch.testing.assert_close(unit, torch.zeros(6), atol=1e-12, rtol=0.0)  # (float32's rounding)^2
    # The slope of a whole clip counts: 3 over all axes together, not per axis.
    steep = interpolation_penalty(linear(3.0 * direction / direction.norm()), real, fake, chance)
    torch.testing.assert_close(steep, torch.full((6,), 4.0))


def test_the_interpolation_penalty_is_taken_between_the_clips_at_the_chance_of_each_row() -> None:
    real, fake, chance = drawn((3, 5), 3), drawn((3, 5), 4), torch.tensor([0.0, 0.25, 1.0])
    shown = []

    def seeing(features: Tensor) -> Tensor:
        shown.append(features.detach())
        return features.square().sum(1)

    value = interpolation_penalty(seeing, real, fake, chance)
    expected = torch.stack([fake[0], 0.25 * real[1] + 0.75 * fake[1], real[2]])
    torch.testing.assert_close(shown[0], expected)
    torch.testing.assert_close(value, (2.0 * expected.norm(dim=1) - 1.0).square())


@every_shape
def test_the_gradient_square_of_a_linear_critic_is_that_of_its_weights(shape: tuple[int, ...]) -> None:
    direction = drawn(shape, 0)
    value = gradient_square(linear(direction), drawn((4, *shape), 1))
    torch.testing.assert_close(value, direction.square().sum().expand(4))


def test_the_gradient_square_of_a_quadratic_critic_is_four_times_the_square() -> None:
    features = drawn((4, 2, 3), 1)
    value = gradient_square(lambda x: x.square().flatten(1).sum(1), features)
    torch.testing.assert_close(value, 4.0 * features.square().flatten(1).sum(1))


def test_scores_that_are_at_hand_give_the_same_gradient_square_and_the_same_derivative_of_it() -> None:
    critic, features = curved(), drawn((4, 5), 1)
    again = gradient_square(critic, features)
    shown = features.clone().requires_grad_()
    at_hand = gradient_square_of(critic(shown), shown)
    torch.testing.assert_close(at_hand, again)
    weight = critic[0].weight
    slopes = [torch.autograd.grad(value.sum(), weight)[0] for value in (again, at_hand)]
    torch.testing.assert_close(slopes[1], slopes[0])


def test_the_finite_difference_of_a_linear_critic_is_its_slope_along_the_noise() -> None:
    direction, features, noise = drawn((2, 3), 0), drawn((4, 2, 3), 1).double(), drawn((4, 2, 3), 2).double()
    for deviation in (1e-3, 0.1, 10.0):
        value = finite_difference_square(linear(direction.double()), features, noise, deviation)
        torch.testing.assert_close(value, linear(direction.double())(noise).sub(3.0).square())


def test_the_finite_difference_agrees_with_the_exact_square_in_the_mean() -> None:
    critic = curved().double()
    features = drawn((1, 5), 5).double().expand(20_000, -1)
    exact = gradient_square(critic, features[:1])
    estimate = finite_difference_square(critic, features, drawn((20_000, 5), 6).double(), 1e-3)
    # A standard deviation of sqrt(2) of the value: over 20,000 rows 1 %, so 4 % is four of them.
    torch.testing.assert_close(estimate.mean()[None], exact, rtol=0.04, atol=0.0)
    assert float((estimate / exact).detach().std()) == pytest.approx(2.0**0.5, rel=0.1)


@every_penalty
def test_row_i_depends_on_row_i_of_the_features_alone(name: str) -> None:
    critic, features = curved(), drawn((4, 5), 7)
    whole = PENALTIES[name](critic, features)
    changed = features.clone()
    changed[2] += 1.0
    other = PENALTIES[name](critic, changed)
    assert (whole != other).tolist() == [False, False, True, False]


@every_penalty
def test_the_gradient_of_a_penalty_is_that_of_its_values(name: str) -> None:
    critic, features = curved().double(), drawn((3, 5), 8).double()
    weight = critic[0].weight
    (slope,) = torch.autograd.grad(PENALTIES[name](critic, features).sum(), weight)
    direction = drawn((16, 5), 9).double()
    step = 1e-5
    with torch.no_grad():
        weight += step * direction
        above = PENALTIES[name](critic, features).sum()
        weight -= 2.0 * step * direction
        below = PENALTIES[name](critic, features).sum()
    # Central differences err by the square of the step times the third derivative.
    torch.testing.assert_close((above - below) / (2.0 * step), (slope * direction).sum(), rtol=1e-6, atol=0.0)


@every_penalty
def test_nothing_is_learned_from_the_features(name: str) -> None:
    features = drawn((3, 5), 8).requires_grad_()
    PENALTIES[name](curved(), features).sum().backward()
    assert features.grad is None


@every_penalty
def test_a_flat_critic_gives_finite_gradients(name: str) -> None:
    critic = curved()
    nn.init.zeros_(critic[2].weight)
    value = PENALTIES[name](critic, drawn((3, 5), 8)).sum()
    value.backward()
    assert value.item() == pytest.approx(3.0 if name == "interpolation" else 0.0)
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in critic.parameters())


@every_penalty
def test_under_bfloat16_autocast_the_value_is_float32_and_near_the_exact_one(name: str) -> None:
    critic, features = curved(), drawn((64, 5), 8)
    exact = PENALTIES[name](critic, features)
    with torch.autocast("cpu", torch.bfloat16):
        value = PENALTIES[name](critic, features)
    value.sum().backward()
    assert value.dtype == torch.float32
    # bfloat16 has 8 binary digits: an error of 0.4 % per product.
    assert value.mean().item() == pytest.approx(exact.mean().item(), rel=0.02)
    assert all(weight.grad.isfinite().all() for weight in critic[:2].parameters())


@every_penalty
def test_penalties_are_measured_where_gradients_are_off(name: str) -> None:
    critic, features = curved(), drawn((3, 5), 8)
    with torch.no_grad():
        value = PENALTIES[name](critic, features)
    assert not value.requires_grad
    torch.testing.assert_close(value, PENALTIES[name](critic, features).detach())
