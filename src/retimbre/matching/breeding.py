"""Crossing good patches: the part of a search that can change named choices.

A filter's mode or an oscillator's wave has no neighbours to move to, so a gradient or an evolution strategy cannot
find its way among them; it can only be tried. Breeding tries them where it pays: a herd of the best proposals so
far is kept, and children take each *group* of knobs (an oscillator, the filter, an envelope) from one of two
parents, so that what works together stays together. Then a few knobs are turned a little, and now and then one is
set anew.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.matching.chart import SHORTEST_GATE_S, Chart
from retimbre.matching.propose import Proposals, joined
from retimbre.synth.knobs import Choice, Parameter
from retimbre.synth.parameters import ParameterSpace


@final
@dataclasses.dataclass(frozen=True)
class BreedingConfig:
    """How children come about.

    Attributes:
        herd: How many of the best are kept as parents.
        one_parent: The share of children that have one parent only, and differ from it by what is turned.
        turned: The share of ordered knobs that are turned.
        turn: How far, one standard deviation as a share of the travel: drawn for each child between the two ends,
            evenly in ratio, since early on far turns pay and later near ones.
        anew: The share of ordered knobs that are set anew, anywhere.
        chosen_anew: The share of choices that are made anew.
        pitch: How far pitches are moved when they are, one standard deviation as a share of the chart's range.
        gate: How far gates are, one standard deviation as a ratio.
        renoted: The share of children whose pitch or gate is moved.
    """

    herd: int = 32
    one_parent: float = 0.3
    turned: float = 0.3
    turn: tuple[float, float] = (0.02, 0.15)
    anew: float = 0.03
    chosen_anew: float = 0.08
    pitch: float = 0.25
    gate: float = 0.15
    renoted: float = 0.3


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Herd:
    """The best proposals so far, best first."""

    proposals: Proposals
    losses: Float[Tensor, " batch"]

    @classmethod
    def of(cls, proposals: Proposals, losses: Float[Tensor, " batch"], size: int) -> "Herd":
        """The best of some proposals; equals stay in their order."""
        order = losses.argsort(stable=True)[:size]
        return cls(proposals[order], losses[order])

    def grown(self, children: Proposals, losses: Float[Tensor, " batch"], size: int) -> "Herd":
        """The best of this herd and some children."""
        return Herd.of(joined(self.proposals, children), torch.cat([self.losses, losses]), size)


def breed(
    space: ParameterSpace,
    chart: Chart,
    herd: Herd,
    count: int,
    config: BreedingConfig,
    chance: torch.Generator,
) -> Proposals:
    """Children of a herd. The better a parent, the more often it is drawn: each is the better of two drawn evenly."""
    mother, father = (_parents(len(herd.losses), count, chance) for _ in range(2))
    groups = sorted({parameter.group for parameter in space.searched})
    # One column for each group of knobs, then one for the pitch and one for the gate.
    by_mother = _happens(0.5, (count, len(groups) + 2), chance) | _happens(
        config.one_parent, (count, 1), chance
    )
    low, high = config.turn
    spread = low * (high / low) ** torch.rand(count, 1, generator=chance)
    columns = []
    start = 0
    for parameter in space.searched:
        block = herd.proposals.unit[:, start : start + parameter.width]
        inherited = torch.where(
            by_mother[:, groups.index(parameter.group), None], block[mother], block[father]
        )
        columns.append(_mutated(parameter, inherited, spread, config, chance))
        start += parameter.width
    pitch_hz, gate_s = (
        torch.where(by_mother[:, column], values[mother], values[father])
        for column, values in ((-2, herd.proposals.pitch_hz), (-1, herd.proposals.gate_s))
    )
    moved = _happens(config.renoted, (2, count), chance) * torch.randn(2, count, generator=chance)
    pitch_hz = pitch_hz * torch.exp2(moved[0] * config.pitch * chart.octaves)
    gate_s = (gate_s * torch.exp(moved[1] * config.gate)).clamp(SHORTEST_GATE_S, chart.longest_gate_s)
    return Proposals(torch.cat(columns, dim=1), pitch_hz, gate_s)


def _parents(herd: int, count: int, chance: torch.Generator) -> Int[Tensor, " count"]:
    return torch.randint(0, herd, (2, count), generator=chance).amin(dim=0)


def _happens(share: float, shape: tuple[int, ...], chance: torch.Generator) -> Bool[Tensor, "..."]:
    return torch.rand(shape, generator=chance) < share


def _mutated(
    parameter: Parameter, inherited: Tensor, spread: Tensor, config: BreedingConfig, chance: torch.Generator
) -> Tensor:
    count = len(inherited)
    if isinstance(parameter, Choice):
        drawn = torch.randint(0, parameter.width, (count,), generator=chance)
        chosen = torch.where(_happens(config.chosen_anew, (count,), chance), drawn, inherited.argmax(dim=1))
        return torch.nn.functional.one_hot(chosen, parameter.width).float()
    turned = inherited + spread * torch.randn(count, 1, generator=chance)
    # A knob that would pass its stop comes back as far as it would have gone beyond.
    turned = (1.0 - (1.0 - turned.abs()).abs()).clamp(0.0, 1.0)
    values = torch.where(_happens(config.turned, (count, 1), chance), turned, inherited)
    anew = torch.rand(count, 1, generator=chance)
    return torch.where(_happens(config.anew, (count, 1), chance), anew, values)
