"""Hearing candidates: proposals are rendered a few at a time, scored against the target, and the cost is kept in sight.

Everything that looks for a patch asks one question many times: how far is this proposal from the target? The answer
costs a rendering and an analysis, some milliseconds for each second of sound. Both run at a *search rate*, which is
the target's own where that is affordable and otherwise as low as the sound allows; the winners are judged again at
full rate. Several threads may each take a part of the proposals: the answer for one does not depend on the others.

A `Budget` says how much may be asked, in seconds, in evaluations, or both; a `Meter` counts, and knows from what
the last evaluations cost whether the next ones still fit.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.matching.propose import Proposals
from retimbre.matching.rank import Judge
from retimbre.synth.base import Synth, chunks
from retimbre.synth.parameters import ParameterSpace

# Rates at which a musical voice may be searched, best first, and how many samples a clip may then have: four
# seconds at the lowest rate.
SEARCH_RATES_HZ = (44_100, 32_000, 22_050, 16_000)
AFFORDABLE_SAMPLES = 66_000

# About how many samples of audio one call of the synthesizer makes: so few that they stay in the processor's cache.
_SAMPLES_AT_ONCE = 1 << 19
_SAMPLES_AT_ONCE_ON_GPU = 1 << 24


def search_rate(synth: Synth, own_rate: int, seconds: float) -> int:
    """The rate to search at, in Hz: the best of `SEARCH_RATES_HZ` that is affordable and not above the target's own.

    A voice whose waves alias sounds different at another rate, so those that are not made for 44.1 kHz keep theirs.
    """
    if synth.sample_rate < SEARCH_RATES_HZ[0]:
        return synth.sample_rate
    affordable = [
        rate for rate in SEARCH_RATES_HZ if rate * seconds <= AFFORDABLE_SAMPLES and rate <= own_rate
    ]
    return affordable[0] if affordable else SEARCH_RATES_HZ[-1]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Audition:
    """A synthesizer playing before a judge.

    Attributes:
        synth: At the rate of the judge's target.
        space: Its knobs, as the proposals' columns count them.
        num_samples: Length of the target.
        device: Where it plays; proposals come from and losses go to the CPU.
        threads: How many parts of a batch are rendered side by side.
    """

    synth: Synth
    space: ParameterSpace
    judge: Judge
    num_samples: int
    device: torch.device
    threads: int = 1

    @classmethod
    def of(
        cls,
        synth: Synth,
        target: Float[Tensor, " samples"],
        *,
        space: ParameterSpace | None = None,
        device: torch.device | str = "cpu",
        threads: int = 1,
    ) -> "Audition":
        """An audition for a target at the synthesizer's rate.

        Args:
            space: The knobs to search, if some are held fixed; None is all of them.
        """
        place = torch.device(device)
        judge = Judge.of(target.to(place), synth.sample_rate)
        return cls(synth, space or synth.space, judge, len(target), place, threads)

    @property
    def _samples_at_once(self) -> int:
        return _SAMPLES_AT_ONCE if self.device.type == "cpu" else _SAMPLES_AT_ONCE_ON_GPU

    @torch.inference_mode()
    def render(self, proposals: Proposals) -> Float[Tensor, "batch samples"]:
        """What the proposals sound like."""
        knobs = self.space.from_unit(proposals.unit.to(self.device))
        note = proposals.note().to(self.device)
        return self.synth.render_in_chunks(
            knobs, note, num_samples=self.num_samples, chunk_samples=self._samples_at_once
        )

    def losses(self, proposals: Proposals) -> Float[Tensor, " batch"]:
        """How far each proposal is from the target."""
        most = self._samples_at_once // max(self.num_samples, 1)
        size = max(1, min(most, math.ceil(len(proposals) / self.threads)))
        parts = [proposals[items] for items in chunks(len(proposals), size)]
        if self.threads == 1 or len(parts) == 1:
            return torch.cat([self._losses(part) for part in parts])
        return torch.cat(list(_threads(self.threads).map(self._losses, parts)))

    @torch.inference_mode()
    def _losses(self, proposals: Proposals) -> Float[Tensor, " batch"]:
        return self.judge.losses(self.render(proposals)).cpu().clone()


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Threads that stay: what the libraries prepare for a thread, such as plans of Fourier transforms, is kept."""
    return ThreadPoolExecutor(count, thread_name_prefix="audition")


@final
@dataclasses.dataclass(frozen=True)
class Budget:
    """How much may be spent on a search: whichever limit is met first.

    Attributes:
        seconds: Of wall time.
        evaluations: Renderings; a search limited by these alone gives the same result on any machine.
    """

    seconds: float = math.inf
    evaluations: float = math.inf

    def __post_init__(self) -> None:
        """Refuses limits that are negative or not numbers, and a search without end."""
        for name in ("seconds", "evaluations"):
            if not getattr(self, name) >= 0:
                raise ConfigError(
                    f"a budget of {getattr(self, name):g} {name} makes no sense; it takes 0 or more"
                )
        if math.isinf(self.seconds) and math.isinf(self.evaluations):
            raise ConfigError("a budget needs a limit: seconds, evaluations, or both")


@final
class Meter:
    """What has been spent of a budget, from the moment it is made.

    Args:
        clock: Tells the time in seconds, from any start.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.budget = budget
        self.evaluations = 0
        self._clock = clock
        self._started_s = clock()
        self._evaluation_s = 0.0

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self._clock() - self._started_s

    @property
    def share(self) -> float:
        """How much of the budget is spent, 0 to 1 and, if it was overdrawn, a little more."""
        shares = (
            spent / limit if limit > 0 else 1.0
            for spent, limit in (
                (self.seconds, self.budget.seconds),
                (self.evaluations, self.budget.evaluations),
            )
        )
        return max(shares)

    def affords(self, evaluations: int) -> bool:
        """Whether as many evaluations still fit, at the price of the last ones."""
        in_time = self.seconds + evaluations * self._evaluation_s <= self.budget.seconds
        return self.share < 1.0 and in_time and self.evaluations + evaluations <= self.budget.evaluations

    def spend(self, audition: Audition, proposals: Proposals) -> Float[Tensor, " batch"]:
        """Losses of some proposals, counted and timed."""
        before_s = self.seconds
        losses = audition.losses(proposals)
        self._evaluation_s = (self.seconds - before_s) / max(len(proposals), 1)
        self.evaluations += len(proposals)
        return losses
