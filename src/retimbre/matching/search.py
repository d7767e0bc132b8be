"""Refining patches: evolution that moves all knobs at once, and never loses what it had.

A synthesizer with its loss is a function of some tens of numbers whose gradient is of little use: a loss over
spectra is flat where a pitch is off and bumpy where an envelope moves a transient. CMA-ES needs no gradient. It
draws a population around a mean, moves the mean towards the better half, and learns from the moves that succeeded
which knobs belong together.

Named choices have no middle, so they are not moved but bred. The search begins with crossovers (`breeding`):
children take each group of knobs from one of two good parents, and change a few of them. It goes on with one
evolution strategy for each of several survivors, whose choices stay. These *lineages* compete: all get a share of
the budget, then the better ones, then the best alone. The last and longest part serves the winner, and the others
are refined enough to be alternatives.

Each lineage keeps the best point it has seen, beginning with the one it was given, so the result is never worse
than the start. Running out of budget, or Ctrl-C, ends the search with the best so far.

References:
    N. Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, https://arxiv.org/abs/1604.00772
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import final

import cma
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core import random
from retimbre.matching.audition import Audition, Meter
from retimbre.matching.breeding import BreedingConfig, Herd, breed
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
        children: How many are bred in a generation.
        stages: For each stage of the competition, how many lineages take part and up to which share of the budget.
        population: Points drawn in each generation of a lineage.
        step: The first spread of a lineage, as a share of a knob's travel.
    """

    count: int = 8
    breeding: BreedingConfig = dataclasses.field(default_factory=BreedingConfig)
    breeding_share: float = 0.5
    children: int = 32
    stages: tuple[tuple[int, float], ...] = ((8, 0.6), (3, 0.75), (1, 1.0))
    population: int = 16
    step: float = 0.03


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The results of a search, best first, with what it cost.

    Attributes:
        losses: By which they are ranked, at the search rate.
        start_loss: Of the best that the search began with.
        interrupted: Whether the user ended it early.
    """

    proposals: Proposals
    losses: Float[Tensor, " batch"]
    start_loss: float
    seconds: float
    evaluations: int
    interrupted: bool


@final
class Lineage:
    """One evolution strategy around one start, whose named choices it keeps, and the best point it has seen."""

    def __init__(self, chart: Chart, start: Proposals, loss: float, config: SearchConfig, seed: int) -> None:
        self.best = start
        self.loss = self.start_loss = loss
        self._chart = chart
        self._step = config.step
        self._random = np.random.default_rng(seed)
        self._begin(config.population)

    def generation(self) -> Proposals:
        """Proposals to be judged."""
        self._points = self._strategy.ask()
        return self._chart.proposals(torch.from_numpy(np.stack(self._points)).float(), self._around)

    def learn(self, proposals: Proposals, losses: Float[Tensor, " batch"]) -> None:
        """Takes the losses of the last generation. A strategy that has converged begins anew from the best point."""
        finite = losses[losses.isfinite()]
        worst = float(finite.max()) if len(finite) else 0.0
        self._strategy.tell(self._points, losses.nan_to_num(posinf=worst + 1.0).tolist())
        index = int(losses.argmin())
        if float(losses[index]) < self.loss:
            self.best, self.loss = proposals[index : index + 1], float(losses[index])
        if self._strategy.stop():
            self._begin(2 * self._strategy.popsize)

    def _begin(self, population: int) -> None:
        self._around = self.best
        options = {
            "bounds": [0.0, 1.0],
            "popsize": population,
            "randn": lambda *shape: self._random.standard_normal(shape),
            "seed": float("nan"),  # leaves NumPy's global generator alone
            "verbose": -9,
            "tolfun": 1e-3,  # a thousandth of a decibel of loss
        }
        start = self._chart.points(self.best)[0].double().numpy()
        self._strategy = cma.CMAEvolutionStrategy(start, self._step, options)


@final
class Search:
    """One search: where candidates are judged, what may be spent, and what was found so far."""

    def __init__(self, audition: Audition, hint: NoteHint, config: SearchConfig, seed: int) -> None:
        self.audition = audition
        self.config = config
        self._seed = seed
        self._chart = Chart.of(audition.space, hint)
        self._lineages: list[Lineage] = []

    def run(
        self,
        starts: Proposals,
        losses: Float[Tensor, " batch"],
        meter: Meter,
        progress: Callable[[float], None],
    ) -> Found:
        """Spends a budget on making proposals better.

        Args:
            starts: The proposals to begin with.
            losses: Theirs, from the same audition.
            meter: Of what may be spent; nothing is a valid budget.
            progress: Called with the share of the budget spent since the last call.
        """
        self._herd = Herd.of(starts, losses, self.config.breeding.herd)
        start_loss = float(self._herd.losses[0])
        self._meter = meter
        self._told = 0.0
        self._progress = progress
        interrupted = False
        try:
            self._breed()
            self._settle()
            self._compete()
        except KeyboardInterrupt:
            interrupted = True
        if not self._lineages:
            self._settle()
        best = self._best()
        return Found(
            best.proposals, best.losses, start_loss, self._meter.seconds, self._meter.evaluations, interrupted
        )

    def _breed(self) -> None:
        """Crossovers, for their share of the budget."""
        config = self.config
        chance = random.generator(self._seed, "breeding")
        while self._meter.share < config.breeding_share and self._meter.affords(config.children):
            children = breed(
                self.audition.space, self._chart, self._herd, config.children, config.breeding, chance
            )
            self._herd = self._herd.grown(children, self._judged(children), config.breeding.herd)

    def _settle(self) -> None:
        """Founds a lineage on each of the best that differ."""
        founders = self._differing(self._herd)
        self._lineages = [
            Lineage(
                self._chart,
                founders.proposals[number : number + 1],
                float(founders.losses[number]),
                self.config,
                random.key(self._seed, "lineage", number),
            )
            for number in range(len(founders.losses))
        ]

    def _best(self) -> Herd:
        """The best of the lineages and of the herd that differ: two lineages may have met."""
        moved = [lineage for lineage in self._lineages if lineage.loss < lineage.start_loss]
        if not moved:
            return self._differing(self._herd)
        met = joined(*(lineage.best for lineage in moved))
        losses = torch.tensor([lineage.loss for lineage in moved], dtype=torch.float64)
        return self._differing(self._herd.grown(met, losses, self.config.breeding.herd))

    def _differing(self, herd: Herd) -> Herd:
        top = Herd.of(herd.proposals, herd.losses, 3 * self.config.count)
        audio = self.audition.render(top.proposals).cpu()
        picked = distinct(top.proposals.unit, audio, self.audition.synth.sample_rate, self.config.count)
        return Herd(top.proposals[picked], top.losses[picked])

    def _compete(self) -> None:
        """Generations of the lineages in turn, of ever fewer of them."""
        for entrants, until in self.config.stages:
            best = sorted(self._lineages, key=lambda lineage: lineage.loss)[:entrants]
            self._take_turns(best, until)

    def _take_turns(self, lineages: Sequence[Lineage], until: float) -> None:
        turn = 0
        while self._meter.share < until:
            lineage = lineages[turn % len(lineages)]
            proposals = lineage.generation()
            if not self._meter.affords(len(proposals)):
                return
            lineage.learn(proposals, self._judged(proposals))
            turn += 1

    def _judged(self, proposals: Proposals) -> Float[Tensor, " batch"]:
        losses = self._meter.spend(self.audition, proposals)
        share = min(1.0, self._meter.share)
        self._progress(share - self._told)
        self._told = share
        return losses
