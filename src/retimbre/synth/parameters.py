"""Knobs: what they are called, what they mean, and how a network, a search and a person each write them down.

A synthesizer's knobs have four equivalent spellings, and everything that turns one into another lives here:

    unit      a point of the unit cube, `[batch, width]`: one column for a continuous or stepped knob, one
    column per
              choice (weights, summing to 1) for a categorical one. What a search moves.
    knobs     a mapping from name to tensor in the knob's own unit (`[batch]`; weights `[batch, choices]` for
    a
              categorical knob; `[batch, points]` for a curve in time). What `Synth.render` takes.
    classes   the index of the nearest level of each searched knob, `[batch, searched]`. What InverSynth predicts.
    one-hot   the classes as concatenated blocks, `[batch, total_classes]`. What a network's outputs line up
    with.

    unit <-> knobs <-> classes <-> one-hot

A space can hold some knobs fixed: they keep their value in every spelling that shows it, and take no room in
the others. All maps from the unit cube have finite gradients everywhere, its edges included.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss
from retimbre.synth.knobs import Choice, Continuous, Parameter, Value, evenly_spaced

Knobs = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class ParameterSpace:
    """The knobs of a synthesizer in a fixed order, some of which may be held at a fixed value."""

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Value] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ConfigError(f"there is no knob {name!r}; {near_miss(name, self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Every knob, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The knobs that are not fixed, in order: what columns, classes and one-hot blocks stand for."""
        return tuple(parameter for parameter in self.parameters if parameter.name not in self.fixed)

    @property
    def width(self) -> int:
        """Columns of the unit cube."""
        return sum(parameter.width for parameter in self.searched)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Classes of each searched knob."""
        return tuple(len(parameter.class_values()) for parameter in self.searched)

    @property
    def total_classes(self) -> int:
        """Length of the one-hot label."""
        return sum(self.class_counts)

    # Narrowing a space

    def with_fixed(self, values: Mapping[str, Value]) -> "ParameterSpace":
        """The same space with more knobs held at the given values."""
        checked = {name: self[name].check(value) for name, value in values.items()}
        return dataclasses.replace(self, fixed={**self.fixed, **checked})

    def with_levels(self, levels: Mapping[str, tuple[float, ...] | int]) -> "ParameterSpace":
        """The same space with other class values: an ascending list, or how many evenly spaced ones.

        Raises:
            ConfigError: A level is out of the knob's range, there are none, or the knob is not continuous.
        """
        changed = {name: _with_levels(self[name], given) for name, given in levels.items()}
        return dataclasses.replace(
            self, parameters=tuple(changed.get(parameter.name, parameter) for parameter in self.parameters)
        )

    # unit <-> knobs

    def from_unit(self, unit: Float[Tensor, "batch width"]) -> dict[str, Tensor]:
        """Points of the unit cube to all knobs, the fixed ones included. Weights of a choice are normalised."""
        knobs = self._fixed_knobs(unit)
        columns = iter(unit.split([parameter.width for parameter in self.searched], dim=1))
        for parameter in self.searched:
            knobs[parameter.name] = _knob_from_columns(parameter, next(columns))
        return {name: knobs[name] for name in self.names}

    def to_unit(self, knobs: Knobs) -> Float[Tensor, "batch width"]:
        """All knobs to points of the unit cube; fixed knobs are left out."""
        return torch.cat(
            [_columns_from_knob(parameter, knobs[parameter.name]) for parameter in self.searched], dim=1
        )

    # knobs <-> classes <-> one-hot

    def to_classes(self, knobs: Knobs) -> Int[Tensor, "batch searched"]:
        """The class nearest to each searched knob: nearest in travel, so that log knobs are judged by ratio."""
        return torch.stack(
            [_nearest_class(parameter, knobs[parameter.name]) for parameter in self.searched], dim=1
        )

    def from_classes(self, classes: Int[Tensor, "batch searched"]) -> dict[str, Tensor]:
        """Class indices to all knobs."""
        like = torch.empty(classes.shape[0], 0, device=classes.device)
        knobs = self._fixed_knobs(like)
        for parameter, index in zip(self.searched, classes.unbind(1), strict=True):
            knobs[parameter.name] = _knob_of_class(parameter, index)
        return {name: knobs[name] for name in self.names}

    def to_one_hot(self, classes: Int[Tensor, "batch searched"]) -> Float[Tensor, "batch total_classes"]:
        """Class indices to concatenated one-hot blocks."""
        blocks = [
            torch.nn.functional.one_hot(index, count)
            for index, count in zip(classes.unbind(1), self.class_counts, strict=True)
        ]
        return torch.cat(blocks, dim=1).float()

    def from_one_hot(self, scores: Float[Tensor, "batch total_classes"]) -> Int[Tensor, "batch searched"]:
        """The best-scored class of each block; one-hot labels and network outputs alike."""
        return torch.stack([block.argmax(1) for block in self.blocks(scores)], dim=1)

    def blocks(self, scores: Float[Tensor, "batch total_classes"]) -> tuple[Tensor, ...]:
        """The block of each searched knob."""
        return scores.split(list(self.class_counts), dim=1)

    # drawing

    def draw_classes(self, uniform: Float[Tensor, "count searched"]) -> Int[Tensor, "count searched"]:
        """Independent classes, equally likely, from uniform numbers in [0, 1): see `core.random.uniform`."""
        return (uniform * torch.tensor(self.class_counts, device=uniform.device)).long()

    def draw_unit(self, uniform: Float[Tensor, "count searched"]) -> Float[Tensor, "count width"]:
        """Points spread evenly over the cube, from uniform numbers in [0, 1); choices become one-hot weights."""
        columns = [
            _one_hot(column, parameter.width) if isinstance(parameter, Choice) else column[:, None]
            for column, parameter in zip(uniform.unbind(1), self.searched, strict=True)
        ]
        return torch.cat(columns, dim=1).float()

    @property
    def grid_size(self) -> int:
        """How many combinations of classes there are."""
        return math.prod(self.class_counts)

    def grid_classes(self, start: int, stop: int) -> Int[Tensor, "{stop-start} searched"]:
        """Rows `start` to `stop` of the exhaustive grid, the last knob turning fastest."""
        index = torch.arange(start, stop)
        columns = []
        for count in reversed(self.class_counts):
            columns.append(index % count)
            index = index // count
        return torch.stack(columns[::-1], dim=1)

    # people's spelling

    def from_values(self, values: Mapping[str, Value]) -> dict[str, Tensor]:
        """Named values of one patch to knobs with a batch of one; knobs that are not named take their default.

        Raises:
            ConfigError: A name is unknown, or a value is not one the knob can take.
        """
        known = {name: self[name].check(value) for name, value in values.items()}
        settings = (
            {parameter.name: parameter.default for parameter in self.parameters} | dict(self.fixed) | known
        )
        like = torch.empty(1, 0)
        return {
            parameter.name: _constant_knob(parameter, settings[parameter.name], like)
            for parameter in self.parameters
        }

    def to_values(self, knobs: Knobs, item: int = 0) -> dict[str, Value]:
        """The named values of one item of a batch of knobs."""
        return {
            parameter.name: _value_of(parameter, knobs[parameter.name][item]) for parameter in self.parameters
        }

    def _fixed_knobs(self, like: Tensor) -> dict[str, Tensor]:
        return {name: _constant_knob(self[name], value, like) for name, value in self.fixed.items()}


def _with_levels(parameter: Parameter, levels: tuple[float, ...] | int) -> Parameter:
    if not isinstance(parameter, Continuous):
        raise ConfigError(f"{parameter.name} has its own steps; levels are for continuous knobs")
    values = evenly_spaced(parameter, levels) if isinstance(levels, int) else tuple(levels)
    if not values:
        raise ConfigError(f"{parameter.name} needs at least one level")
    checked = tuple(parameter.check(value) for value in values)
    if any(after <= before for before, after in itertools.pairwise(checked)):
        raise ConfigError(f"{parameter.name} has levels that do not ascend: {values}")
    return dataclasses.replace(parameter, levels=checked)


def _knob_from_columns(parameter: Parameter, columns: Tensor) -> Tensor:
    if isinstance(parameter, Choice):
        weights = (
            columns.clamp(0.0, 1.0) + 1e-9
        )  # an all-zero block means "no preference", not a division by zero
        return weights / weights.sum(1, keepdim=True)
    return parameter.to_value(columns[:, 0])


def _columns_from_knob(parameter: Parameter, knob: Tensor) -> Tensor:
    return knob if isinstance(parameter, Choice) else parameter.to_unit(knob)[:, None]


def _nearest_class(parameter: Parameter, knob: Tensor) -> Tensor:
    if isinstance(parameter, Choice):
        return knob.argmax(1)
    travel = parameter.to_unit(knob.double())
    levels = parameter.to_unit(
        torch.tensor(parameter.class_values(), dtype=torch.float64, device=knob.device)
    )
    return (travel[:, None] - levels).abs().argmin(1)


def _knob_of_class(parameter: Parameter, index: Tensor) -> Tensor:
    if isinstance(parameter, Choice):
        return torch.nn.functional.one_hot(index, parameter.width).float()
    return torch.tensor(parameter.class_values(), device=index.device)[index]


def _constant_knob(parameter: Parameter, value: Value, like: Tensor) -> Tensor:
    batch = like.shape[0]
    if isinstance(parameter, Choice):
        index = torch.full((batch,), parameter.choices.index(str(value)), device=like.device)
        return torch.nn.functional.one_hot(index, parameter.width).to(like.dtype)
    return torch.full((batch,), float(value), dtype=like.dtype, device=like.device)


def _value_of(parameter: Parameter, knob: Tensor) -> Value:
    return parameter.choices[int(knob.argmax())] if isinstance(parameter, Choice) else float(knob)


def _one_hot(uniform: Tensor, width: int) -> Tensor:
    return torch.nn.functional.one_hot((uniform * width).long().clamp(max=width - 1), width).float()
