"""How weights are moved: what of `[train]` a task needs, and the optimizer that it makes.

Adam scales every weight's step by the size of its recent gradients. AdamW also pulls weights towards zero, which
keeps large networks from leaning on single inputs; the pull is for matrices and kernels only, since a bias or the scale
of a normalisation has no reason to be small.

References:
    Kingma and Ba (2014), Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980
    Loshchilov and Hutter (2017), Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101
"""

import dataclasses
from typing import Literal

import torch
from torch import nn

from retimbre.core.errors import ConfigError
from retimbre.training.devices import Precision
from retimbre.training.schedule import ScheduleConfig


@dataclasses.dataclass(frozen=True)
class UpdateConfig:
    """How weights are moved.

    Attributes:
        schedule: The learning rate over the run.
        num_steps: The length of the run.
        optimizer: `adam`, or `adamw`, whose weight decay pulls on matrices and kernels only.
        weight_decay: How hard, for `adamw`.
        clip_norm: The longest gradient, as a norm over all weights; 0 for any.
        ema_decay: What an update keeps of the average of the weights; 0 for no average.
        precision: Of matrix products and convolutions.
        betas: What Adam keeps of its running means of gradients and of their squares at each update.
    """

    schedule: ScheduleConfig
    num_steps: int
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    precision: Precision = Precision.FP32
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        """Refuses values out of range with ConfigError."""
        for name, value in (("weight_decay", self.weight_decay), ("clip_norm", self.clip_norm)):
            if not value >= 0.0:  # false of NaN, too
                raise ConfigError(f"{name} is {value:g}; takes 0 or more")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ConfigError(f"ema_decay is {self.ema_decay:g}; takes a number from 0 to below 1")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ConfigError(f"betas is {list(self.betas)}; takes two numbers from 0 to below 1")


def optimizer_of(network: nn.Module, config: UpdateConfig) -> torch.optim.Optimizer:
    """Adam over what of a network is trained, with weight decay on matrices and kernels if it is asked for."""
    weights = [each for each in network.parameters() if each.requires_grad]
    # One kernel for all weights: a third of the time of a loop over them on the CPU, more on a GPU.
    if config.optimizer == "adam":
        return torch.optim.Adam(weights, lr=config.schedule.learning_rate, betas=config.betas, fused=True)
    groups = [
        {"params": [each for each in weights if each.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in weights if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.schedule.learning_rate, betas=config.betas, fused=True)
