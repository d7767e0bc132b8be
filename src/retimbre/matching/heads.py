"""What a network's outputs mean: how they are scored against the truth, and which patches they make likely.

An inverter does not name one patch; it says how likely each class of each knob is. Three readings of its outputs:

    sigmoid       one number per class, each its own yes-or-no question, scored by binary cross-entropy: InverSynth's.
    softmax       one number per class, the classes of a knob competing, scored by cross-entropy. The paper found
                  it on a par; it is the default, because what it gives are probabilities.
    regression    one number per ordered knob, its place in the unit interval, scored by squared error; the classes
                  around it are likely by a Gaussian whose width is learned from the errors. Choices, which have no
                  order, keep one number per class.

However it is read, `probabilities` has one form: `[batch, searched, most classes]`, each knob summing to 1,
with zeros where a knob has fewer classes than the one that has most.

Ordered knobs can be taught more gently than "this class and no other": with `neighbour_classes` the target of a
softmax is a Gaussian of that many classes' width around the knob's exact position, so that a near miss costs
less than a far one.
"""

import abc
import dataclasses
import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError, near_miss
from retimbre.synth.knobs import Choice, Parameter
from retimbre.synth.parameters import ParameterSpace

HeadName = Literal["softmax", "sigmoid", "regression"]

# The narrowest and widest error of a regressed knob, as shares of its travel: a hundredth of a class of 16 never needs
# telling apart, and a knob that cannot be heard is uniform over its travel, whose standard deviation is 0.29.
SIGMA_RANGE = (1e-3, 0.5)


@dataclasses.dataclass(frozen=True)
class Targets:
    """The truth about a batch.

    Attributes:
        classes: The class of each searched knob.
        unit: The patch as points of the unit cube.
    """

    classes: Int[Tensor, "batch searched"]
    unit: Float[Tensor, "batch width"]


class ClassLayout(nn.Module):
    """Where the classes of each searched knob are: in concatenated blocks, in a padded table, and along its travel.

    Attributes:
        counts: Classes of each knob.
        ordered: Whether the classes of each knob have an order.
        valid: Which cells of the padded table are classes.
        level_units: The place of each class in the unit interval, zeros for choices.
        columns: The column of the unit cube of each ordered knob, the first column of each choice.
    """

    ordered: Tensor
    valid: Tensor
    level_units: Tensor
    columns: Tensor
    _cells: Tensor

    def __init__(self, space: ParameterSpace) -> None:
        super().__init__()
        self.counts = space.class_counts
        most = max(self.counts)
        widths = [parameter.width for parameter in space.searched]
        valid = torch.tensor([[index < count for index in range(most)] for count in self.counts])
        # Cells that are no class read one place past the outputs, where `padded` puts the filling.
        cells = torch.full(valid.shape, sum(self.counts))
        cells[valid] = torch.arange(sum(self.counts))
        tables = {
            "ordered": torch.tensor([not isinstance(parameter, Choice) for parameter in space.searched]),
            "valid": valid,
            "_cells": cells,
            "level_units": torch.tensor(
                [[*level_units(each), *[0.0] * (most - n)] for each, n in self._zip(space)]
            ),
            "columns": torch.tensor([sum(widths[:index]) for index in range(len(widths))]),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def _zip(self, space: ParameterSpace) -> list[tuple[Parameter, int]]:
        return list(zip(space.searched, self.counts, strict=True))

    def padded(
        self, blocks: Float[Tensor, "batch total"], filling: float
    ) -> Float[Tensor, "batch searched most"]:
        """Concatenated blocks as a table, with a filling where a knob has fewer classes."""
        return functional.pad(blocks, (0, 1), value=filling)[:, self._cells]

    def exact_distance(self, unit: Float[Tensor, "batch width"]) -> Float[Tensor, "batch searched most"]:
        """How many classes away each class of an ordered knob is from a patch; meaningless for choices."""
        count = self.valid.sum(1, keepdim=True)
        last = self.level_units.gather(1, count - 1)
        spacing = (last - self.level_units[:, :1]) / (count - 1).clamp_min(1)
        return (unit[:, self.columns, None] - self.level_units).abs() / spacing.clamp_min(1e-6)


def level_units(parameter: Parameter) -> list[float]:
    """The place of each class of a knob in the unit interval; zeros for a choice, whose classes have no order."""
    values = parameter.class_values()
    if isinstance(parameter, Choice):
        return [0.0] * len(values)
    return parameter.to_unit(torch.tensor(values, dtype=torch.float64)).tolist()


class Head(nn.Module, abc.ABC):
    """A reading of outputs, for one layout of classes.

    Attributes:
        num_outputs: How many numbers per clip a network has to give.
    """

    num_outputs: int

    def __init__(self, space: ParameterSpace) -> None:
        super().__init__()
        self.layout = ClassLayout(space)

    @abc.abstractmethod
    def loss(self, outputs: Float[Tensor, "batch outputs"], targets: Targets) -> Float[Tensor, ""]:
        """How wrong the outputs are: a mean over the batch and over the knobs (or outputs)."""

    @abc.abstractmethod
    def log_scores(self, outputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch searched most"]:
        """Logarithms of how likely each class is, up to a constant per knob; minus infinity where there is none."""

    def log_probabilities(
        self, outputs: Float[Tensor, "batch outputs"]
    ) -> Float[Tensor, "batch searched most"]:
        """Logarithms of probabilities; minus infinity where a knob has no such class."""
        return self.log_scores(outputs).log_softmax(2)

    def probabilities(self, outputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch searched most"]:
        """Probabilities; zero where a knob has no such class."""
        return self.log_probabilities(outputs).exp()


class SigmoidHead(Head):
    """Every class of every knob as a yes-or-no question."""

    def __init__(self, space: ParameterSpace) -> None:
        super().__init__(space)
        self.num_outputs = space.total_classes

    def loss(self, outputs: Float[Tensor, "batch outputs"], targets: Targets) -> Float[Tensor, ""]:
        """Binary cross-entropy, mean over all outputs."""
        scores = self.layout.padded(outputs, 0.0)
        truth = functional.one_hot(targets.classes, scores.shape[2]).to(scores.dtype)
        each = functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        return (each * self.layout.valid).sum() / (outputs.shape[0] * self.num_outputs)

    def log_scores(self, outputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch searched most"]:
        """The logarithm of each "yes"."""
        return self.layout.padded(functional.logsigmoid(outputs), -math.inf)


class SoftmaxHead(Head):
    """The classes of each knob competing.

    Attributes:
        neighbour_classes: Width, in classes, of the Gaussian that ordered knobs are taught; 0 teaches one class.
    """

    def __init__(self, space: ParameterSpace, neighbour_classes: float) -> None:
        super().__init__(space)
        self.num_outputs = space.total_classes
        self.neighbour_classes = neighbour_classes

    def loss(self, outputs: Float[Tensor, "batch outputs"], targets: Targets) -> Float[Tensor, ""]:
        """Cross-entropy, mean over batch and knobs."""
        log_probabilities = self.log_probabilities(outputs)
        if self.neighbour_classes > 0:
            # Zero times minus infinity is NaN, so what is no class must be finite here.
            finite = log_probabilities.masked_fill(~self.layout.valid, 0.0)
            return -(self.soft_targets(targets) * finite).sum(2).mean()
        return -log_probabilities.gather(2, targets.classes[:, :, None]).mean()

    def soft_targets(self, targets: Targets) -> Float[Tensor, "batch searched most"]:
        """Gaussians around the exact position of ordered knobs, the class alone for choices."""
        distance = self.layout.exact_distance(targets.unit) / self.neighbour_classes
        gaussian = (-0.5 * distance.square()).masked_fill(~self.layout.valid, -math.inf).softmax(2)
        hard = functional.one_hot(targets.classes, gaussian.shape[2]).to(gaussian.dtype)
        return torch.where(self.layout.ordered[:, None], gaussian, hard)

    def log_scores(self, outputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch searched most"]:
        """The outputs."""
        return self.layout.padded(outputs, -math.inf)


class RegressionHead(Head):
    """The place of each ordered knob as a number, with a width learned from the errors; choices as classes."""

    _output_of_cell: Tensor

    def __init__(self, space: ParameterSpace) -> None:
        super().__init__(space)
        layout = self.layout
        counts = [
            1 if ordered else count
            for ordered, count in zip(layout.ordered.tolist(), layout.counts, strict=True)
        ]
        self.num_outputs = sum(counts)
        self.log_sigma = nn.Parameter(torch.full((len(counts),), math.log(0.1)))
        starts = torch.tensor([sum(counts[:index]) for index in range(len(counts))])
        within = torch.arange(layout.valid.shape[1]).expand(layout.valid.shape)
        cells = (starts[:, None] + within * ~layout.ordered[:, None]).clamp(max=self.num_outputs - 1)
        self.register_buffer("_output_of_cell", cells, persistent=False)

    def loss(self, outputs: Float[Tensor, "batch outputs"], targets: Targets) -> Float[Tensor, ""]:
        """Squared error for ordered knobs, cross-entropy for choices, mean over batch and knobs.

        The width takes part by the likelihood of the errors, through which it is learned without touching the
        network.
        """
        place = self._table(outputs)[:, :, 0]
        error = (place - targets.unit[:, self.layout.columns]).square()
        sigma = self._sigma()
        likelihood = 0.5 * error.detach() / sigma.square() + sigma.log()
        surprise = -self.log_probabilities(outputs).gather(2, targets.classes[:, :, None])[:, :, 0]
        # The likelihood's value is taken off again, so that the number reported is the error itself.
        ordered = error + likelihood - likelihood.detach()
        return torch.where(self.layout.ordered, ordered, surprise).mean()

    def log_scores(self, outputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch searched most"]:
        """Gaussian log densities of ordered knobs at their classes; the outputs of choices."""
        table = self._table(outputs)
        distance = (table.clamp(0.0, 1.0) - self.layout.level_units) / self._sigma()[:, None]
        scores = torch.where(self.layout.ordered[:, None], -0.5 * distance.square(), table)
        return scores.masked_fill(~self.layout.valid, -math.inf)

    def _table(self, outputs: Tensor) -> Tensor:
        """Outputs as a padded table; an ordered knob's number, 0.5 above its output, stands in each of its cells."""
        table = outputs[:, self._output_of_cell]
        return torch.where(self.layout.ordered[:, None], table + 0.5, table)

    def _sigma(self) -> Tensor:
        return self.log_sigma.exp().clamp(*SIGMA_RANGE)


HEADS: tuple[HeadName, ...] = ("softmax", "sigmoid", "regression")


def make_head(name: str, space: ParameterSpace, neighbour_classes: float = 0.0) -> Head:
    """The head of that name for a space.

    Raises:
        ConfigError: There is none of that name, nothing is searched, or `neighbour_classes` makes no sense.
    """
    if name not in HEADS:
        raise ConfigError(f"there is no head {name!r}; {near_miss(name, HEADS)}")
    if not space.searched:
        raise ConfigError("every knob is fixed, so there is nothing to search")
    if neighbour_classes < 0.0 or (neighbour_classes > 0.0 and name != "softmax"):
        raise ConfigError(
            f"neighbour_classes is {neighbour_classes:g}, but takes 0 or more, and softmax alone has it"
        )
    if name == "softmax":
        return SoftmaxHead(space, neighbour_classes)
    return SigmoidHead(space) if name == "sigmoid" else RegressionHead(space)
