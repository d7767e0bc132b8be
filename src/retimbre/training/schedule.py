"""The learning rate as a pure function of the step.

How far each update moves the weights is seldom best left constant. At the start the optimizer's statistics are poor
and a large step can throw the network somewhere it never returns from, so the rate rises linearly over a *warm-up*.
Towards the end, smaller and smaller steps settle into a minimum instead of bouncing around it; a half *cosine* from
the peak down to a small fraction of it is the usual way down.

PyTorch's schedulers count calls and must be saved and restored. A function of the step has no state: a resumed run
asks for the rate of step 5001 and gets what an unbroken run gets.

References:
    Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts, https://arxiv.org/abs/1608.03983
    Goyal et al. (2017), Accurate, large minibatch SGD (warm-up), https://arxiv.org/abs/1706.02677
"""

import dataclasses
import math
from typing import Literal

import torch

from retimbre.core.errors import ConfigError, near_miss

_SHAPES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate moves over a run."""

    learning_rate: float = 1e-3
    """The peak, reached at the end of the warm-up."""
    shape: Literal["constant", "cosine"] = "constant"
    """What follows the warm-up."""
    warmup_steps: int = 0
    """Steps of linear rise from nothing to the peak; 0 for none."""
    final_fraction: float = 0.0
    """Where a cosine ends, as a fraction of the peak."""

    def __post_init__(self) -> None:
        """Refuses values out of range with ConfigError."""
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ConfigError(f"learning_rate is {self.learning_rate}; takes a positive number")
        if self.shape not in _SHAPES:
            raise ConfigError(f"schedule shape is {self.shape!r}; {near_miss(self.shape, _SHAPES)}")
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps is {self.warmup_steps}; takes 0 or more")
        if not 0 <= self.final_fraction <= 1:
            raise ConfigError(f"final_fraction is {self.final_fraction}; takes a number from 0 to 1")


def learning_rate_at(config: ScheduleConfig, step: int, *, num_steps: int) -> float:
    """The learning rate of a step.

    Args:
        config: the schedule.
        step: 1 for the first update. The peak is reached at step `warmup_steps`, a cosine's end at `num_steps`; later
            steps keep the final rate.
        num_steps: the length of the whole run.
    """
    if step < config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.shape == "constant":
        return config.learning_rate
    # A run no longer than its warm-up has no way down; the max keeps it from dividing by nothing.
    progress = min(1.0, (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps))
    way_down = (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_fraction + (1 - config.final_fraction) * way_down)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Gives every parameter group of an optimizer this learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(learning_rate)  # a captured graph reads it from this very tensor
        else:
            group["lr"] = learning_rate
