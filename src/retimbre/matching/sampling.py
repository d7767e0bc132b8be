"""From probabilities to patches: drawing vectors of classes, and placing knobs within their classes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.synth.knobs import Continuous
from retimbre.synth.parameters import ParameterSpace


def draw_class_vectors(
    log_scores: Float[Tensor, "searched most"], count: int, generator: torch.Generator
) -> Int[Tensor, "count searched"]:
    """Vectors of classes: the likeliest, then distinct draws, then repeated ones if need be."""
    best = log_scores.argmax(1)[None]
    # Four times as many as wanted: enough that distinct ones are found unless the network is all but certain.
    draws = torch.multinomial(
        log_scores.softmax(1), max(4 * count, 16), replacement=True, generator=generator
    ).T
    seen = {tuple(best[0].tolist())}
    fresh, repeated = [], []
    for index, vector in enumerate(map(tuple, draws.tolist())):
        (repeated if vector in seen else fresh).append(index)
        seen.add(vector)
    return torch.cat([best, draws[(fresh + repeated)[: count - 1]]])


def class_centres(
    space: ParameterSpace, classes: Int[Tensor, "count searched"]
) -> Float[Tensor, "count width"]:
    """Class vectors as points of the unit cube: every knob at its class's own value."""
    return space.to_unit(space.from_classes(classes))


def within_classes(
    space: ParameterSpace, classes: Int[Tensor, "count searched"], generator: torch.Generator
) -> Float[Tensor, "count width"]:
    """Class vectors as points of the cube, continuous knobs anywhere nearer to their class's value than to others."""
    unit = class_centres(space, classes)
    column = 0
    for parameter, chosen in zip(space.searched, classes.unbind(1), strict=True):
        if isinstance(parameter, Continuous):
            edges = _class_edges(parameter)
            low, high = edges[chosen], edges[chosen + 1]
            unit[:, column] = low + (high - low) * torch.rand(len(chosen), generator=generator)
        column += parameter.width
    return unit


def _class_edges(parameter: Continuous) -> Float[Tensor, " edges"]:
    """Where the share of each class begins and ends, halfway between the levels; the ends are those of the travel."""
    levels = parameter.to_unit(torch.tensor(parameter.class_values()))
    return torch.cat([torch.zeros(1), 0.5 * (levels[1:] + levels[:-1]), torch.ones(1)])
