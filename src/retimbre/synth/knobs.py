"""One knob: its name, its unit, its travel, and the values that its classes stand for.

There are three kinds. A `Continuous` knob turns smoothly; a `Stepped` one clicks through numbers; a `Choice`
selects a named thing. Each maps its share of the unit cube to its own unit and back, and names a value for
each class that a network can predict. `ParameterSpace` (in `parameters.py`) puts knobs together.
"""

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss

Value = float | str
Scale = Literal["linear", "log", "square", "cubic"]


@dataclasses.dataclass(frozen=True)
class Continuous:
    """A knob that turns smoothly from `low` to `high`.

    Attributes:
        scale: `linear`; `log` where equal turns multiply by equal factors (frequencies, times); `square` for
            depths, whose small values want room near `low`; `cubic` for offsets, finest around the middle.
        levels: The values that classes stand for; empty means 16, evenly spread over the knob's travel.
    """

    name: str
    low: float
    high: float
    default: float
    unit: str = ""
    scale: Scale = "linear"
    levels: tuple[float, ...] = ()
    group: str = ""
    description: str = ""

    width = 1

    def class_values(self) -> tuple[float, ...]:
        """The value of each class, in class order."""
        return self.levels or evenly_spaced(self, 16)

    def to_value(self, unit: Tensor) -> Tensor:
        """Unit interval to the knob's own unit; beyond the interval the knob stays at its stop."""
        travel = unit.clamp(0.0, 1.0)
        if self.scale == "log":
            return self.low * torch.exp(travel * math.log(self.high / self.low))
        if self.scale == "square":
            travel = travel.square()
        if self.scale == "cubic":
            travel = 0.5 + 0.5 * (2.0 * travel - 1.0) ** 3
        return self.low + (self.high - self.low) * travel

    def to_unit(self, value: Tensor) -> Tensor:
        """The knob's own unit to the unit interval; values out of range land on its ends."""
        inside = value.clamp(self.low, self.high)
        if self.scale == "log":
            return torch.log(inside / self.low) / math.log(self.high / self.low)
        travel = (inside - self.low) / (self.high - self.low)
        if self.scale == "square":
            return travel.sqrt()
        if self.scale == "cubic":
            offset = 2.0 * travel - 1.0
            return 0.5 + 0.5 * offset.sign() * offset.abs() ** (1 / 3)
        return travel

    def check(self, value: Value) -> float:
        """The value as a float, if the knob can take it."""
        return _number_between(self.name, value, self.low, self.high, self.unit)


@dataclasses.dataclass(frozen=True)
class Stepped:
    """A knob that clicks through an ascending list of numbers; each has an equal share of the travel."""

    name: str
    values: tuple[float, ...]
    default: float
    unit: str = ""
    group: str = ""
    description: str = ""

    width = 1

    def class_values(self) -> tuple[float, ...]:
        """The value of each class, in class order."""
        return self.values

    def to_value(self, unit: Tensor) -> Tensor:
        """Unit interval to the step whose share of the travel it is in."""
        steps = torch.tensor(self.values, dtype=unit.dtype, device=unit.device)
        return steps[(unit * len(self.values)).long().clamp(0, len(self.values) - 1)]

    def to_unit(self, value: Tensor) -> Tensor:
        """The middle of the share of the nearest step."""
        steps = torch.tensor(self.values, dtype=value.dtype, device=value.device)
        nearest = (value[..., None] - steps).abs().argmin(-1)
        return (nearest.to(value.dtype) + 0.5) / len(self.values)

    def check(self, value: Value) -> float:
        """The nearest step, if the value is within the steps' range."""
        number = _number_between(self.name, value, self.values[0], self.values[-1], self.unit)
        return min(self.values, key=lambda step: abs(step - number))


@dataclasses.dataclass(frozen=True)
class Choice:
    """A knob that selects one of several named things, which have no order."""

    name: str
    choices: tuple[str, ...]
    default: str
    group: str = ""
    description: str = ""

    unit = ""

    @property
    def width(self) -> int:
        """Columns in the unit cube: one weight per choice."""
        return len(self.choices)

    def class_values(self) -> tuple[str, ...]:
        """The choice of each class, in class order."""
        return self.choices

    def check(self, value: Value) -> str:
        """The choice, if it is one."""
        if value not in self.choices:
            raise ConfigError(f"{self.name} has no choice {value!r}; {near_miss(str(value), self.choices)}")
        return str(value)


Parameter = Continuous | Stepped | Choice


def evenly_spaced(parameter: Continuous, count: int) -> tuple[float, ...]:
    """`count` values at equal turns of a knob, both ends included (the middle, if `count` is 1)."""
    turns = (
        torch.linspace(0.0, 1.0, count, dtype=torch.float64) if count > 1 else torch.tensor([0.5]).double()
    )
    return tuple(parameter.to_value(turns).tolist())


def _number_between(name: str, value: Value, low: float, high: float, unit: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} takes a number, not {value!r}") from None
    slack = 1e-6 * max(abs(low), abs(high))
    if not low - slack <= number <= high + slack:
        raise ConfigError(f"{name} is {number:g}, but takes {low:g} to {high:g} {unit}".rstrip())
    return min(max(number, low), high)
