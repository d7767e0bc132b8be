"""An exponential moving average of a network's weights.

Gradient descent with mini-batches does not stop at a minimum; it keeps rattling around it. The average of the weights
along the way lies nearer to the minimum than any of them, so it is evaluated and shipped in place of the raw weights:

    average <- average + (1 - decay) (weights - average)            after each update

A decay of 0.999 averages over about the last 1 / (1 - 0.999) = 1000 updates. Early on there are no 1000 updates to
average over, and the random initial weights would linger; so the decay itself warms up, as (1 + n) / (10 + n) after n
updates, until it reaches its value.

The average is part of the run's state: it is saved with it and taken up again. (An average that restarts from the raw
weights whenever a checkpoint is loaded is no average.)

References:
    Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging, https://doi.org/10.1137/0330046
    The warm-up is that of TensorFlow's `ExponentialMovingAverage(num_updates=...)`.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError, ConfigError

# The warm-up averages over about a ninth of the updates made so far.
_WARMUP_UPDATES = 10


class ExponentialMovingAverage:
    """The running average of one module's parameters and buffers, on the module's device.

    Floating-point tensors are averaged, in float32 at least; counters and the like are copied. Tied weights are
    averaged once, and buffers that the module does not save are left alone.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        """Starts at the module's present weights.

        Args:
            module: the module to follow; not a compiled wrapper, whose names differ.
            decay: the share of the average that an update keeps once warmed up: from 0 (no averaging) to below 1.

        Raises:
            ConfigError: the decay is out of range.
        """
        if not 0 <= decay < 1:
            raise ConfigError(f"EMA decay is {decay}; takes a number from 0 to below 1")
        self.decay = decay
        self.num_updates = 0
        self._module = module
        self._averages = {name: _start(tensor) for name, tensor in _tracked(module).items()}

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the module's present weights. Call it after each update of the weights."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (_WARMUP_UPDATES + self.num_updates))
        for name, tensor in _tracked(self._module).items():
            average = self._averages[name]
            if average.is_floating_point():
                average.lerp_(tensor.to(average.dtype), 1 - decay)
            else:
                average.copy_(tensor)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Lends the averaged weights to the module for a block; afterwards it has its own again."""
        own = {name: tensor.detach().clone() for name, tensor in _tracked(self._module).items()}
        try:
            _overwrite(self._module, self._averages)
            yield
        finally:
            _overwrite(self._module, own)

    def settle(self) -> None:
        """Gives the averaged weights to the module for good."""
        _overwrite(self._module, self._averages)

    def state_dict(self) -> dict[str, Any]:
        """The averages by name, and the count that the warm-up goes by."""
        return {"num_updates": self.num_updates, "averages": dict(self._averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up saved averages, on the module's device.

        Raises:
            CheckpointError: they are of another module: names or shapes differ.
        """
        saved = state["averages"]
        if saved.keys() != self._averages.keys():
            name = min(saved.keys() ^ self._averages.keys())
            raise CheckpointError(f"EMA state does not fit the module: {name!r} is in only one of them")
        for name, average in self._averages.items():
            if saved[name].shape != average.shape:
                shapes = f"{tuple(saved[name].shape)}; the module's is {tuple(average.shape)}"
                raise CheckpointError(f"EMA state does not fit the module: {name!r} has shape {shapes}")
        for name, average in self._averages.items():
            average.copy_(saved[name])
        self.num_updates = int(state["num_updates"])


def _tracked(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and the saved buffers of a module, each tensor once."""
    saved = module.state_dict().keys()
    named = itertools.chain(module.named_parameters(), module.named_buffers())
    return {name: tensor for name, tensor in named if name in saved}


def _start(tensor: Tensor) -> Tensor:
    """A copy to average in. bfloat16 cannot hold a thousandth of a change, so narrow types are widened."""
    narrow = tensor.is_floating_point() and tensor.element_size() < 4  # bytes
    return tensor.detach().to(torch.float32 if narrow else tensor.dtype, copy=True)


@torch.no_grad()
def _overwrite(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in _tracked(module).items():
        tensor.copy_(tensors[name])
