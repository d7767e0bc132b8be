"""Laws of the penalty weight that is found while training."""

import math

import pytest

from retimbre.core.errors import ConfigError
from retimbre.gan.gamma import AutoGamma, GammaConfig


def after(margins: list[float], start: float = 1.0) -> AutoGamma:
    gamma = AutoGamma(start)
    for margin in margins:
        gamma.update(margin)
    return gamma


def test_it_grows_while_the_critic_wins_too_clearly_and_shrinks_while_it_cannot_tell() -> None:
    assert after([5.0] * 100).value == pytest.approx(1.01**100)
    assert after([0.0] * 100).value == pytest.approx(1.01**-100)
    assert after([0.3] * 100).value == 1.0


def test_one_odd_step_does_not_move_it() -> None:
    steady = [0.3] * 200
    assert after([*steady, 10.0, -9.0, *steady]).value == pytest.approx(1.0, rel=0.02)


def test_a_critic_whose_margin_falls_with_gamma_is_held_within_the_band() -> None:
    gamma, config = AutoGamma(0.1), GammaConfig()
    for _ in range(2000):
        gamma.update(1.0 / math.sqrt(gamma.value))
    assert config.lowest_margin <= 1.0 / math.sqrt(gamma.value) <= config.highest_margin


@pytest.mark.parametrize("start", [1e-4, 150.0])
def test_it_stays_within_its_span_and_scales_with_its_start(start: float) -> None:
    assert after([9.0] * 2000, start).value == pytest.approx(1000.0 * start)
    assert after([-9.0] * 2000, start).value == pytest.approx(start / 1000.0)


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    margins = [math.sin(step) + 1.0 + step / 200 for step in range(200)]
    unbroken = after(margins)
    resumed = AutoGamma(1.0)
    resumed.load_state_dict(after(margins[:77]).state_dict())
    for margin in margins[77:]:
        resumed.update(margin)
    assert resumed.state_dict() == unbroken.state_dict()


@pytest.mark.parametrize("margin", [math.nan, math.inf])
def test_a_margin_that_is_not_finite_changes_nothing(margin: float) -> None:
    gamma = after([2.0] * 10)
    before = gamma.state_dict()
    gamma.update(margin)
    assert gamma.state_dict() == before


@pytest.mark.parametrize("start", [0.0, -1.0, math.nan, math.inf])
def test_it_has_to_begin_above_zero(start: float) -> None:
    with pytest.raises(ConfigError, match="gamma begins at"):
        AutoGamma(start)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest_margin": 2.0}, "lowest_margin is 2, but takes less than 0.6"),
        ({"rate": -0.1}, "rate is -0.1, but takes 0 or more"),
        ({"memory_steps": 0.0}, "memory_steps is 0, but takes 1 or more"),
        ({"span": 0.5}, "span is 0.5, but takes 1 or more"),
    ],
)
def test_impossible_settings_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GammaConfig(**options)
