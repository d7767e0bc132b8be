"""How well synthesizer parameters are recovered, when every parameter is one of a few classes.

A network gives each class of each parameter a score, and the truth is one class per parameter. Several figures
describe one answer: is the best class right (exact) or next to right (within one); is the true class among the best k;
how high does it rank (mean percentile rank: 100 is always first, 50 is chance); how far off is the best class, counted
in classes and in the parameter's unit.

Ties are counted fairly, as the expectation over all ways of breaking them. So a network that says nothing (constant
scores) gets exactly 50 as percentile rank, whatever the order of the classes.

Some parameters cannot be heard in some clips: a release after the end, the ratio of a modulator whose index is zero. No
network can know those, and the best achievable percentile rank for them is 50. A mask of what is audible gives a second
set of figures, and `percentile_rank_ceiling` the figure a perfect network would reach.

References:
    Barkan, Tsiris, Koenigstein & Katz (2019), "InverSynth: deep estimation of synthesizer parameter configurations
    from audio signals", https://arxiv.org/abs/1812.06349
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError

TOP_KS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Predictions:
    """Scores of every class beside the truth.

    Attributes:
        scores: Probabilities or logits, only their order counts. A parameter with fewer classes than the widest is
            padded with -inf behind its own; a class that is -inf in every clip does not exist.
        truth: The true class of every parameter.

    Raises:
        ConfigError: No clips, a score that is NaN, or a true class that does not exist.
    """

    scores: Float[Tensor, "clips parameters classes"]
    truth: Int[Tensor, "clips parameters"]

    def __post_init__(self) -> None:
        """Refuses what cannot be counted."""
        if self.truth.numel() == 0:
            raise ConfigError(f"scores of shape {tuple(self.scores.shape)} hold no prediction to count")
        if bool(self.scores.isnan().any()):
            raise ConfigError("a class score is not a number")
        in_range = (self.truth >= 0) & (self.truth < self.scores.shape[2])
        if not bool(in_range.all()) or not bool(_at(self.exists.expand_as(self.scores), self.truth).all()):
            raise ConfigError("a true class is not among the classes of its parameter")

    @property
    def exists(self) -> Bool[Tensor, "1 parameters classes"]:
        """Which classes each parameter has."""
        return (self.scores > -torch.inf).any(dim=0, keepdim=True)

    @property
    def num_classes(self) -> Int[Tensor, " parameters"]:
        """How many classes each parameter has."""
        return self.exists[0].sum(dim=-1)


def _at(values: Tensor, classes: Int[Tensor, "clips parameters"]) -> Tensor:
    return values.gather(-1, classes[..., None])[..., 0]


def _rivals(predictions: Predictions) -> tuple[Tensor, Tensor]:
    """How many classes score above the true one, and how many like it, itself included: each [clips, parameters]."""
    own = _at(predictions.scores, predictions.truth)[..., None]
    above = (predictions.scores > own).sum(dim=-1)
    alike = ((predictions.scores == own) & predictions.exists).sum(dim=-1)
    return above.double(), alike.double()


def _expected_over_best(predictions: Predictions, cost: Tensor) -> Float[Tensor, "clips parameters"]:
    """The mean of a cost [clips, parameters, classes] over the classes that share the best score."""
    best = (predictions.scores == predictions.scores.amax(dim=-1, keepdim=True)) & predictions.exists
    return torch.where(best, cost, 0.0).sum(dim=-1) / best.sum(dim=-1)


def _class_error(predictions: Predictions) -> Tensor:
    classes = torch.arange(
        predictions.scores.shape[-1], device=predictions.scores.device, dtype=torch.float64
    )
    return (classes - predictions.truth[..., None]).abs()


def top_k(predictions: Predictions, k: int) -> Float[Tensor, "clips parameters"]:
    """1 where the true class is among the best k, 0 where not, the probability of it where ties decide."""
    above, alike = _rivals(predictions)
    return ((k - above) / alike).clamp(0.0, 1.0)


def exact(predictions: Predictions) -> Float[Tensor, "clips parameters"]:
    """1 where the best class is the true one: `top_k` with k = 1."""
    return top_k(predictions, 1)


def within_one(predictions: Predictions) -> Float[Tensor, "clips parameters"]:
    """1 where the best class is the true one or next to it."""
    return _expected_over_best(predictions, (_class_error(predictions) <= 1.0).double())


def percentile_rank(predictions: Predictions) -> Float[Tensor, "clips parameters"]:
    """100 (1 - rank / (classes - 1)), rank 0 being the best: 100 first, 0 last, on average 50 by chance.

    Tied classes share the mean of their ranks. A parameter with one class is always first.
    """
    above, alike = _rivals(predictions)
    rank = above + (alike - 1.0) / 2.0
    return 100.0 * (1.0 - rank / (predictions.num_classes - 1).clamp_min(1))


def class_error(predictions: Predictions) -> Float[Tensor, "clips parameters"]:
    """Distance from the best class to the true one, in classes."""
    return _expected_over_best(predictions, _class_error(predictions))


def value_error(
    predictions: Predictions, values: Float[Tensor, "parameters classes"]
) -> Float[Tensor, "clips parameters"]:
    """Distance from the best class to the true one, in the parameter's unit.

    Args:
        predictions: Scores and truth.
        values: What each class stands for; what lies behind a parameter's last class is not read.
    """
    table = torch.where(predictions.exists, values.to(predictions.scores.device, torch.float64), 0.0)
    own = _at(table.expand(len(predictions.truth), -1, -1), predictions.truth)
    return _expected_over_best(predictions, (table - own[..., None]).abs())


def percentile_rank_ceiling(audible: Bool[Tensor, "clips parameters"]) -> Float[Tensor, " parameters"]:
    """The mean percentile rank of a network that knows all that can be heard, and guesses the rest: 50 there."""
    return 50.0 + 50.0 * audible.double().mean(dim=0)


# What a report holds for every parameter.
FIGURES: dict[str, Callable[[Predictions], Tensor]] = {
    "exact": exact,
    "within_one": within_one,
    "top_1": lambda predictions: top_k(predictions, 1),
    "top_2": lambda predictions: top_k(predictions, 2),
    "top_3": lambda predictions: top_k(predictions, 3),
    "top_4": lambda predictions: top_k(predictions, 4),
    "top_5": lambda predictions: top_k(predictions, 5),
    "percentile_rank": percentile_rank,
    "class_error": class_error,
}


@dataclass(frozen=True)
class ParameterTable:
    """What the parameters are called and what their classes stand for.

    Attributes:
        names: Of the parameters.
        groups: The group of each parameter, such as "frequency"; parameters of a group share a unit.
        values: Of each class, in the parameter's unit; a parameter with fewer classes is padded with anything.

    Raises:
        ConfigError: Not one group and one row of values per parameter, or a name that occurs twice.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: Float[Tensor, "parameters classes"]

    def __post_init__(self) -> None:
        """Refuses a table whose columns do not fit."""
        counts = (len(self.names), len(self.groups), len(self.values))
        if len(set(counts)) > 1 or len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"a parameter table takes distinct names, one group and row of values each; got {counts}"
            )


@dataclass(frozen=True)
class ParameterFigures:
    """Mean figures over clips. None stands where no clip counts.

    Attributes:
        parameters: Per parameter, figure by name: those of `FIGURES`, and "value_error" in the parameter's unit.
        groups: The same per group: the mean over its parameters.
        mean: The mean over all parameters; without "value_error", since units differ.
    """

    parameters: dict[str, dict[str, float | None]]
    groups: dict[str, dict[str, float | None]]
    mean: dict[str, float | None]


@dataclass(frozen=True)
class ParameterReport:
    """How well parameters were recovered in a set of clips.

    Attributes:
        num_clips: How many clips.
        perfect: Share of clips with every parameter exactly right.
        everywhere: Figures over all clips.
        audible: Figures over the clips in which the parameter can be heard.
        ceiling: Per parameter, the mean percentile rank that what can be heard allows; "mean" is their mean.
    """

    num_clips: int
    perfect: float
    everywhere: ParameterFigures
    audible: ParameterFigures
    ceiling: dict[str, float]

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        table: ParameterTable,
        audible: Bool[Tensor, "clips parameters"] | None = None,
    ) -> "ParameterReport":
        """The report of some predictions; without a mask, every parameter counts as audible in every clip.

        Raises:
            ConfigError: The table or the mask does not fit the predictions.
        """
        if predictions.scores.shape[1:] != table.values.shape:
            got = f"{tuple(predictions.scores.shape[1:])} and {tuple(table.values.shape)}"
            raise ConfigError(f"predictions and table differ in parameters and classes: {got}")
        everywhere = torch.ones_like(predictions.truth, dtype=torch.bool)
        audible = everywhere if audible is None else audible.to(everywhere.device)
        if audible.shape != predictions.truth.shape:
            raise ConfigError(
                f"the audible mask has shape {tuple(audible.shape)}, not {tuple(everywhere.shape)}"
            )
        figures = {name: figure(predictions) for name, figure in FIGURES.items()}
        figures["value_error"] = value_error(predictions, table.values)
        ceiling = dict(zip(table.names, percentile_rank_ceiling(audible).tolist(), strict=True))
        return cls(
            num_clips=len(predictions.truth),
            perfect=figures["exact"].prod(dim=1).mean().item(),
            everywhere=_summarise(figures, everywhere, table),
            audible=_summarise(figures, audible, table),
            ceiling=ceiling | {"mean": sum(ceiling.values()) / len(ceiling)},
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return dataclasses.asdict(self)


def _summarise(
    figures: dict[str, Tensor], counted: Bool[Tensor, "clips parameters"], table: ParameterTable
) -> ParameterFigures:
    means = {
        name: torch.where(counted, cells, 0.0).sum(dim=0) / counted.sum(dim=0)
        for name, cells in figures.items()
    }
    members = {group: [group == other for other in table.groups] for group in dict.fromkeys(table.groups)}
    return ParameterFigures(
        parameters={
            name: {figure: _number(row[index]) for figure, row in means.items()}
            for index, name in enumerate(table.names)
        },
        groups={
            group: {figure: _number(row[torch.tensor(mask)].nanmean()) for figure, row in means.items()}
            for group, mask in members.items()
        },
        mean={figure: _number(row.nanmean()) for figure, row in means.items() if figure != "value_error"},
    )


def _number(value: Tensor) -> float | None:
    return None if bool(value.isnan()) else value.item()
