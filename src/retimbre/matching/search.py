"""Refining patches: evolution that moves all knobs at once, and never loses what it had.

A synthesizer with its loss is a function of some tens of numbers whose gradient is of little use: a loss over spectra is
flat where a pitch is off and bumpy where an envelope moves a transient. CMA-ES needs no gradient. It draws a population
around a mean, moves the mean towards the better half, and learns from the moves that succeeded which knobs belong
together.

Named choices have no middle, so they are not moved but bred. The search begins with crossovers (`breeding`): children
take each group of knobs from one of two good parents, and change a few of them. It goes on with one evolution strategy
for each of several survivors, whose choices stay. These *lineages* compete: all get a share of the budget, then the
better ones, then the best alone. The last and longest part serves the winner, and the others are refined enough to be
alternatives.

Each lineage keeps the best point it has seen, beginning with the one it was given, so the result is never worse than the
start. Running out of budget, or Ctrl-C, ends the search with the best so far.

References:
    N. Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, https://arxiv.org/abs/1604.00772
"""

import dataclasses
from typing import final

import cma
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.matching.audition import Audition, Budget, Meter
from retimbre.matching.breeding import Herd, breed
from retimbre.matching.chart import Chart
from retimbre.matching.propose import NoteHint, Proposals, joined
from retimbre.matching.rank import distinct


@final
@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How a search spends its budget.

    Attributes:
        count: How many lineages to keep, so how many results.
        breeding_share: How much of the budget goes to crossovers.
        stages: For each stage of the competition, how many lineages take part and up to which share of the budget.
        population: Points drawn in each generation of a lineage.
        step: The first spread of a lineage, as a share of a knob's travel.
    """

    count: int = 8
    breeding_share: float = 0.35
    stages: tuple[tuple[int, float], ...] = ((8, 0.55), (3, 0.75), (1, 1.0))
    population: int = 16
    step: float = 0.1


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The results of a search, best first, with what it cost.

    Attributes:
        losses: By which they are ranked, at the search rate.
        interrupted: Whether the user ended it early.
    """

    proposals: Proposals
    losses: Float[Tensor, " batch"]
    seconds: float
    evaluations: int
    interrupted: bool


@final
class Lineage:
    """One evolution strategy around one starting point, whose named choices it keeps, and the best point it has seen."""

    def __init__(self, chart: Chart, start: Proposals, loss: float, config: SearchConfig, seed: int) -> None:
        self.best = start
        self.loss = loss
        self._chart = chart
        self._config = config
        self._random = np.random.default_rng(seed)
        self._strategy = self._begin(config.population)

    def generation(self) -> Proposals:
        """Proposals to be judged."""
        self._points = self._strategy.ask()
        points = torch.from_numpy(np.stack(self._points)).float()
        return self._chart.proposals(points, self.best)

    def learn(self, proposals: Proposals, losses: Float[Tensor, " batch"]) -> None:
        """Takes the losses of the last generation."""
        worst = float(losses[losses.isfinite()].max()) if bool(losses.isfinite().any()) else 0.0
        self._strategy.tell(self._points, losses.nan_to_num(posinf=worst + 1.0).tolist())
        index = int(losses.argmin())
        if float(losses[index]) < self.loss:
            self.best, self.loss = proposals[index : index + 1], float(losses[index])
        if self._strategy.stop():
            self._strategy = self._begin(2 * self._strategy.popsize)

    def _begin(self, population: int) -> cma.CMAEvolutionStrategy:
        start = self._chart.points(self.best)[0].double().numpy()
        options = {
            "bounds": [0.0, 1.0],
            "popsize": population,
            "randn": lambda *shape: self._random.standard_normal(shape),
            "seed": float("nan"),  # leave NumPy's global generator alone
            "verbose": -9,
            "tolfun": 1e-3,  # a thousandth of a decibel of loss
        }
        return cma.CMAEvolutionStrategy(start, self._config.step, options)


def refine(
    audition: Audition,
    starts: Proposals,
    losses: Float[Tensor, " batch"],
    hint: NoteHint,
    budget: Budget,
    config: SearchConfig,
    seed: int,
) -> Found:
    meter = Meter(budget)
    herd = Herd.of(starts, losses)
    generator = torch.Generator().manual_seed(seed)
    interrupted = False
    chart = Chart.of(audition.space, hint)
    lineages: list[Lineage] = []
    try:
        while meter.share < config.breeding_share and meter.affords(2 * config.population):
            children = breed(audition.space, herd, 2 * config.population, generator)
            herd = herd.joined_by(children, meter.spend(audition, children))
        lineages = found_lineages(audition, herd, chart, config, seed)
        compete(lineages, audition, meter, config)
    except KeyboardInterrupt:
        interrupted = True
    if not lineages:
        lineages = found_lineages(audition, herd, chart, config, seed)
    lineages.sort(key=lambda lineage: lineage.loss)
    return Found(
        joined(*(lineage.best for lineage in lineages)),
        torch.tensor([l.loss for l in lineages]),
        meter.seconds,
        meter.evaluations,
        interrupted,
    )


def found_lineages(audition, herd, chart, config, seed):
    top = herd.top(3 * config.count)
    audio = audition.render(top.proposals)
    picked = distinct(top.proposals.unit, audio, audition.synth.sample_rate, config.count)
    return [
        Lineage(chart, top.proposals[i : i + 1], float(top.losses[i]), config, seed + n)
        for n, i in enumerate(picked.tolist())
    ]


def compete(lineages, audition, meter, config):
    for entrants, until in config.stages:
        best = sorted(lineages, key=lambda lineage: lineage.loss)[:entrants]
        turn = 0
        while meter.share < until and meter.affords(config.population):
            lineage = best[turn % len(best)]
            proposals = lineage.generation()
            lineage.learn(proposals, meter.spend(audition, proposals))
            turn += 1
