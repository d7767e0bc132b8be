"""Laws of every measure of sets."""

import json
import math

import pytest
import torch
from sets_of_vectors import FEW, gaussian, in_windows, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.catalog import METRICS
from retimbre.metrics.distances.base import Distance, Measured, Vectors
from retimbre.metrics.distances.catalog import DISTANCES, SCORES

# Symmetric up to rounding; NDB and KAD take their bins and their bandwidth from the reference, coverage its balls.
SYMMETRIC = ("fad", "kid", "pkid", "ikid", "imq", "mind")
# Squared distances cannot be negative, shares neither; unbiased estimates must be able to.
NEVER_NEGATIVE = ("fad", "mind", "ndb", "prdc")


def value(distance: Distance, real: Vectors, judged: Vectors) -> float:
    return distance.measure(real, judged, FEW).values["value"].value


def finite(found: Measured) -> bool:
    return all(
        math.isfinite(i.value) and i.low <= i.value <= i.high and math.isfinite(i.high - i.low)
        for i in found.values.values()
    )


def test_the_catalog_of_all_measures_has_those_of_sets() -> None:
    assert {name for name, metric in METRICS.items() if metric.compares == "sets"} == {*DISTANCES, *SCORES}
    for name, measure in {**DISTANCES, **SCORES}.items():
        assert METRICS[name].compute == measure.measure
        assert METRICS[name].better == measure.better
    assert {METRICS[name].identical == each.identical for name, each in DISTANCES.items()} == {True}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_set_is_as_near_to_itself_as_can_be(name: str) -> None:
    real = normal(400, 6)
    distance = DISTANCES[name]
    found = value(distance, real, real)
    if name in NEVER_NEGATIVE:
        assert found == pytest.approx(distance.identical, abs=1e-9)
    else:
        # An unbiased estimate takes the two for independent samples, so of a set and itself it is below 0 by what the
        # n pairs of a vector with itself have too much among the n^2 pairs between the sets, twice.
        kernel, _ = distance._kernel(real)
        similar = distance.factor * kernel(real.values, real.values)
        spare = similar.diagonal().mean() - (similar.sum() - similar.diagonal().sum()) / (400 * 399)
        assert found == pytest.approx(-2.0 * float(spare) / 400.0, rel=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_it_grows_with_noise_that_is_added(name: str) -> None:
    real, fresh, noise = normal(400, 6), normal(400, 6, 1), gaussian(400, 6, 2)
    levels = (0.0, 0.7, 1.4, 2.8)
    found = [value(DISTANCES[name], real, Vectors.of(fresh.values + level * noise)) for level in levels]
    assert found == sorted(found, reverse=DISTANCES[name].better == "higher")
    assert len(set(found)) == len(levels)


@pytest.mark.parametrize("name", DISTANCES)
def test_it_grows_with_a_shift_of_all_sounds(name: str) -> None:
    real, fresh = normal(400, 6), normal(400, 6, 1)
    found = [value(DISTANCES[name], real, Vectors.of(fresh.values + shift)) for shift in (0.0, 0.4, 0.8, 1.6)]
    assert found == sorted(found, reverse=DISTANCES[name].better == "higher")


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_symmetric_distance_is_the_same_from_either_side(name: str) -> None:
    real, judged = normal(150, 6), Vectors.of(0.5 + 1.3 * gaussian(200, 6, 1))
    assert value(DISTANCES[name], judged, real) == pytest.approx(
        value(DISTANCES[name], real, judged), rel=1e-9
    )


@pytest.mark.parametrize("name", DISTANCES)
def test_the_order_of_the_clips_does_not_count(name: str) -> None:
    real, judged = normal(200, 5), Vectors.of(0.3 + gaussian(160, 5, 1))
    order = torch.randperm(160, generator=torch.Generator().manual_seed(0))
    assert value(DISTANCES[name], real, judged.select(order)) == pytest.approx(
        value(DISTANCES[name], real, judged), rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("name", DISTANCES)
def test_the_same_measurement_gives_the_same_figures_and_settings(name: str) -> None:
    real, judged = normal(120, 5), normal(110, 5, 1)
    first, again = (DISTANCES[name].measure(real, judged, Bootstrap(resamples=30)) for _ in range(2))
    assert first == again
    assert json.loads(json.dumps(first.settings)) == first.settings


@pytest.mark.parametrize("name", DISTANCES)
def test_windows_and_clips_are_both_measured(name: str) -> None:
    found = DISTANCES[name].measure(in_windows(90, 3, 4), in_windows(70, 2, 4, 5), Bootstrap(resamples=60))
    assert finite(found)
    assert found.values["value"].n == 70
    assert (found.settings["reference_vectors"], found.settings["vectors"]) == (270, 140)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("constant", ["reference", "judged", "both"])
def test_sets_without_variety_are_refused_or_marked_and_never_measured_as_if_nothing_were_wrong(
    name: str, constant: str
) -> None:
    same = Vectors.of(torch.full((80, 4), 3.0, dtype=torch.float64))
    real = same if constant in ("reference", "both") else normal(80, 4)
    judged = same if constant in ("judged", "both") else normal(80, 4)
    if name == "kad" and constant != "judged":
        with pytest.raises(ConfigError, match="median distance is 0"):
            DISTANCES[name].measure(real, judged, FEW)
        return
    found = DISTANCES[name].measure(real, judged, Bootstrap(resamples=40))
    assert finite(found)
    assert any("are equal: it has no variety" in remark for remark in found.remarks)


@pytest.mark.parametrize("name", DISTANCES)
def test_two_clips_are_measured_finitely_or_refused(name: str) -> None:
    few = normal(2, 1), normal(2, 1, 1)
    if name in ("prdc", "ndb"):
        with pytest.raises(ConfigError, match=r"has 2 clips; .* takes at least"):
            DISTANCES[name].measure(*few, FEW)
    else:
        assert finite(DISTANCES[name].measure(*few, Bootstrap(resamples=40)))


@pytest.mark.parametrize("name", DISTANCES)
def test_the_largest_numbers_that_a_set_takes_do_not_overflow(name: str) -> None:
    # 1e30, far beyond any embedding; NDB and PRDC have shares to give, the others huge or saturated figures.
    huge = gaussian(80, 4, 1)
    huge *= 1e30 / huge.abs().max()
    assert finite(DISTANCES[name].measure(normal(80, 4), Vectors.of(huge), FEW))


@pytest.mark.parametrize("name", SCORES)
def test_a_score_falls_with_doubt_and_with_missing_classes(name: str) -> None:
    sure = torch.eye(10, dtype=torch.float64).repeat(40, 1)
    scores = [
        SCORES[name].measure(Vectors.of(logits), FEW).values["value"].value
        for logits in (20.0 * sure, 3.0 * sure, 1.0 * sure, torch.zeros_like(sure))
    ]
    assert scores == sorted(scores, reverse=True)
    five = SCORES[name].measure(Vectors.of(20.0 * sure[sure[:, :5].any(dim=1)]), FEW).values["value"].value
    assert five < 5.01 < scores[0]
