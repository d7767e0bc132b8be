"""Laws of the learning rate."""

import math
from typing import Any

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.training.schedule import ScheduleConfig, learning_rate_at, set_learning_rate

COSINE = ScheduleConfig(learning_rate=0.5, shape="cosine", warmup_steps=10, final_fraction=0.1)
SCHEDULES = {
    "constant": ScheduleConfig(learning_rate=0.5),
    "constant after a warm-up": ScheduleConfig(learning_rate=0.5, warmup_steps=10),
    "cosine": ScheduleConfig(learning_rate=0.5, shape="cosine"),
    "cosine after a warm-up": COSINE,
    "all warm-up": ScheduleConfig(learning_rate=0.5, shape="cosine", warmup_steps=100),
    "longer warm-up than run": ScheduleConfig(learning_rate=0.5, shape="cosine", warmup_steps=1000),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_rises_then_falls_and_stays_within_its_peak(name: str) -> None:
    config = SCHEDULES[name]
    rates = [learning_rate_at(config, step, num_steps=100) for step in range(1, 101)]
    assert all(0 <= rate <= config.learning_rate for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[0] > 0


def test_the_peak_is_reached_at_the_end_of_the_warm_up_and_the_end_at_the_last_step() -> None:
    assert learning_rate_at(COSINE, 5, num_steps=110) == 0.25
    assert learning_rate_at(COSINE, 10, num_steps=110) == 0.5
    # Half-way down a half cosine lies the mean of both ends. Tolerance: rounding of a few float64 operations.
    assert learning_rate_at(COSINE, 60, num_steps=110) == pytest.approx(0.5 * (1 + 0.1) / 2, rel=1e-12)
    assert learning_rate_at(COSINE, 110, num_steps=110) == pytest.approx(0.05, rel=1e-12)
    assert learning_rate_at(COSINE, 500, num_steps=110) == learning_rate_at(COSINE, 110, num_steps=110)


@pytest.mark.parametrize("rate", [1e-3, torch.tensor(1e-3)])
def test_every_parameter_group_gets_the_rate(rate: float | torch.Tensor) -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.Adam([{"params": [w], "lr": rate} for w in weights], foreach=False)
    set_learning_rate(optimizer, 0.25)
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.25, 0.25]
    assert all(type(group["lr"]) is type(rate) for group in optimizer.param_groups)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("warmup_steps", -1),
        ("final_fraction", -0.1),
        ("final_fraction", 1.1),
        ("final_fraction", math.nan),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{option} is {value}; takes"):
        ScheduleConfig(**{option: value})
