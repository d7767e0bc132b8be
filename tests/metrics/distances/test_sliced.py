"""MIND against closed forms, optimal assignments of scipy and a case by hand."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance
from sets_of_vectors import FEW, PAIRS, gaussian, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.sliced import SlicedWasserstein, transport_cost


def value(real: Vectors, judged: Vectors, settings: SlicedWasserstein | None = None) -> float:
    return (settings or SlicedWasserstein()).measure(real, judged, FEW).values["value"].value


@pytest.mark.parametrize("name", PAIRS)
def test_along_each_direction_it_is_the_cheapest_assignment_that_scipy_finds(name: str) -> None:
    real, judged = (Vectors.of(vectors.values[:60]) for vectors in PAIRS[name])
    settings = SlicedWasserstein(projections=12)
    costs = []
    for direction in settings.directions(real.dim).numpy():
        gaps = np.subtract.outer(real.values.numpy() @ direction, judged.values.numpy() @ direction) ** 2
        costs.append(gaps[linear_sum_assignment(gaps)].mean())
    assert value(real, judged, settings) == pytest.approx(3.0 * real.dim * np.mean(costs), rel=1e-6)


@pytest.mark.parametrize(("num_real", "num_judged"), [(6, 4), (5, 7), (12, 3), (1, 9)])
def test_sets_of_other_sizes_are_compared_as_if_each_were_repeated_until_they_are_equal(
    num_real: int, num_judged: int
) -> None:
    real, judged = (gaussian(3, n, n).sort(dim=1).values for n in (num_real, num_judged))
    repeated = transport_cost(real.repeat_interleave(num_judged, 1), judged.repeat_interleave(num_real, 1))
    torch.testing.assert_close(transport_cost(real, judged), repeated, rtol=1e-12, atol=0)


def test_of_a_shift_the_root_is_scipys_wasserstein_distance() -> None:
    # Of a constant shift the mean distance and the root of the mean squared distance are the same.
    real = gaussian(1, 70).sort(dim=1).values
    expected = wasserstein_distance(real[0].numpy(), real[0].numpy() + 0.7)
    assert float(transport_cost(real, real + 0.7).sqrt()) == pytest.approx(expected, rel=1e-9)


def test_three_against_two_numbers_by_hand() -> None:
    # Levels 0, 1/3, 1/2, 2/3, 1: gaps 0 - 1, 2 - 1, 2 - 5, 4 - 5: (1/3) 1 + (1/6) 1 + (1/6) 9 + (1/3) 1 = 7/3.
    real, judged = ([[0.0, 2.0, 4.0]], [[1.0, 5.0]])
    found = transport_cost(torch.tensor(real, dtype=torch.float64), torch.tensor(judged, dtype=torch.float64))
    assert float(found) == pytest.approx(7.0 / 3.0, rel=1e-12)
    column = [Vectors.of(torch.tensor(numbers, dtype=torch.float64).T) for numbers in (real, judged)]
    assert value(*column) == pytest.approx(7.0, rel=1e-12)


def test_a_shift_of_all_sounds_gives_three_times_its_square() -> None:
    real = normal(200, 24)
    shift = gaussian(1, 24, 1)
    # The mean of (u.v)^2 over 1000 directions is |v|^2 / dim, give or take sqrt(2 / 1000) = 4.5 %: four of these.
    assert value(real, Vectors.of(real.values + shift)) == pytest.approx(
        3.0 * float(shift.square().sum()), rel=0.18
    )


def test_of_normal_sets_it_tends_to_the_squared_gaps_of_means_and_deviations() -> None:
    real, judged = normal(3000, 8), normal(3000, 8, 1)
    judged = Vectors.of(2.0 * judged.values)
    # (2 - 1)^2 along every direction; 3000 clips leave about 3 %.
    assert value(real, judged) == pytest.approx(3.0 * 8.0, rel=0.1)


def test_more_directions_refine_the_same_figure() -> None:
    few, many = (value(*PAIRS["correlated"], SlicedWasserstein(projections=p)) for p in (300, 4000))
    # Directions differ by about their mean here, so 300 of them leave 6 %: four of these.
    assert few == pytest.approx(many, rel=0.24)


def test_no_directions_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 projection, got 0"):
        SlicedWasserstein(projections=0)


def test_intervals_are_those_of_a_bootstrap_over_clips() -> None:
    real, judged = PAIRS["shifted"]
    found = SlicedWasserstein().measure(real, judged, Bootstrap(resamples=200)).values["value"]
    assert 0.0 < found.low < found.value < found.high
    # The spread over fresh sets of the same kind is what the interval estimates: within a factor of 2 either way.
    fresh = [
        value(normal(300, 16, 2 * seed), Vectors.of(normal(300, 16, 2 * seed + 1).values + 0.5))
        for seed in range(12)
    ]
    assert 0.5 < (found.high - found.low) / (2.0 * 1.96 * np.std(fresh, ddof=1)) < 2.0
