"""Intervals are as wide as the figures stray from one pair of sets to the next, near equality and far from it."""

import dataclasses

import jaxtyping
import pytest
import torch

from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Vectors
from retimbre.metrics.distances.catalog import DISTANCES, SCORES
from retimbre.metrics.distances.frechet import FrechetDistance

TRIALS = 150
# 3.92 standard deviations hold 95 % of a normal distribution.
WIDTH = 2 * 1.96


@pytest.fixture(autouse=True)
def shapes_are_taken_on_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests check them; to check those of nine thousand draws takes longer than the draws."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def measured(name: str) -> Distance:
    """The distance of that name, without the extrapolation to sets of any size, which is another figure."""
    distance = DISTANCES[name]
    return (
        dataclasses.replace(distance, infinity="none") if isinstance(distance, FrechetDistance) else distance
    )


def sets(trial: int, shift: float, *, clips: int, dim: int = 4) -> tuple[Vectors, Vectors]:
    random = torch.Generator().manual_seed(trial)
    values = torch.randn(2, clips, dim, generator=random, dtype=torch.float64)
    return Vectors.of(values[0]), Vectors.of(values[1] + shift)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("name", ["fad", "kid", "kad", "imq", "prdc", "ndb", "mind"])
def test_the_width_of_an_interval_is_that_of_the_luck_of_the_clips(name: str, shift: float) -> None:
    clips = 300 if name == "ndb" else 80
    found = [
        measured(name).measure(*sets(trial, shift, clips=clips), Bootstrap(resamples=60, seed=trial))
        for trial in range(TRIALS)
    ]
    figures = [each.values["value"] for each in found]
    spread = float(torch.tensor([each.value for each in figures]).std())
    width = sum(each.high - each.low for each in figures) / TRIALS
    # The spread of 150 skewed values is known to a tenth, and `mind` draws in fewer directions than it has. A bootstrap
    # with replacement is 1.5 to 2.7 times too wide at equality.
    assert 0.7 < width / (WIDTH * spread) < 1.6
    centre = sum(each.value for each in figures) / TRIALS
    # At 95 %, 135 or more of 150 hold the centre in all but one of a hundred repetitions of this test.
    assert sum(each.low <= centre <= each.high for each in figures) >= 0.9 * TRIALS


@pytest.mark.slow
def test_the_width_of_a_score_s_interval_is_that_of_the_luck_of_the_clips() -> None:
    figures = []
    for trial in range(TRIALS):
        logits = 2.0 * sets(trial, 0.0, clips=120, dim=5)[0].values
        figures.append(
            SCORES["is"].measure(Vectors.of(logits), Bootstrap(resamples=60, seed=trial)).values["value"]
        )
    spread = float(torch.tensor([each.value for each in figures]).std())
    width = sum(each.high - each.low for each in figures) / TRIALS
    assert 0.7 < width / (WIDTH * spread) < 1.6
