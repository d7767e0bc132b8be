"""The Frechet distance against closed forms, other libraries and a case by hand; moments against the whole."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from sets_of_vectors import FEW, GOLDENS, PAIRS, gaussian, in_windows, normal
from torchmetrics.image.fid import FrechetInceptionDistance

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.frechet import FrechetDistance
from retimbre.metrics.distances.gaussians import Moments, frechet_distance, quick_distance

VALUE_ONLY = FrechetDistance(infinity="none")


class Identity(torch.nn.Module):
    num_features = 16

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def distance(real: torch.Tensor, judged: torch.Tensor) -> float:
    return frechet_distance(Moments.of(real), Moments.of(judged))


def with_moments(mean: torch.Tensor, covariance: torch.Tensor, count: int = 100) -> Moments:
    return Moments(float(count), mean.double(), covariance.double() * (count - 1))


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_that_of_torch_fidelity(name: str) -> None:
    found = VALUE_ONLY.measure(*PAIRS[name], FEW).values["value"].value
    assert found == pytest.approx(GOLDENS["distances"][name]["fid"], rel=1e-6)


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "wide"])
def test_it_is_that_of_torchmetrics(name: str) -> None:
    real, judged = PAIRS[name]
    theirs = FrechetInceptionDistance(feature=Identity(), input_img_size=(16,)).set_dtype(torch.float64)
    theirs.update(real.values, real=True)
    theirs.update(judged.values, real=False)
    # "far from zero": its sums of squares without centring lose the digits that 50^2 has before the variance of 1.
    assert distance(real.values, judged.values) == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_it_is_that_of_scipys_matrix_root() -> None:
    real, judged = (vectors.values.numpy() for vectors in PAIRS["correlated"])
    first, second = np.cov(real, rowvar=False), np.cov(judged, rowvar=False)
    shift = real.mean(axis=0) - judged.mean(axis=0)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = shift @ shift + np.trace(first + second - 2.0 * root)
    assert distance(*(vectors.values for vectors in PAIRS["correlated"])) == pytest.approx(expected, rel=1e-6)


def test_a_small_case_by_hand() -> None:
    # Means (1, 2) and (4, 2): 9 apart. Variances along the axes: 2 and 2 against 8 and 0, unbiased.
    real = torch.tensor([[0.0, 2.0], [2.0, 2.0], [1.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    judged = torch.tensor([[2.0, 2.0], [6.0, 2.0], [4.0, 2.0], [4.0, 2.0]], dtype=torch.float64)
    # (2/3 + 2/3) + (8/3 + 0) - 2 sqrt(2/3 x 8/3) = 4 - 2 x 4/3 = 4/3.
    assert distance(real, judged) == pytest.approx(9.0 + 4.0 / 3.0, rel=1e-12)


def test_of_gaussians_along_the_axes_it_is_the_sum_of_squared_gaps_of_means_and_deviations() -> None:
    means, deviations = gaussian(2, 30), gaussian(2, 30, 1).abs()
    expected = (means[0] - means[1]).square().sum() + (deviations[0] - deviations[1]).square().sum()
    found = frechet_distance(
        *(with_moments(m, torch.diag(d.square())) for m, d in zip(means, deviations, strict=True))
    )
    assert found == pytest.approx(float(expected), rel=1e-10)


def test_it_does_not_see_a_turn_of_both_sets() -> None:
    real, judged = (vectors.values for vectors in PAIRS["correlated"])
    turn = torch.linalg.qr(gaussian(16, 16, 3)).Q
    assert distance(real @ turn, judged @ turn) == pytest.approx(distance(real, judged), rel=1e-9)


@pytest.mark.parametrize("rows", [2, 5, 40])
def test_of_singular_covariances_it_is_real_and_never_negative(rows: int) -> None:
    # scipy's root of the product is complex here, and eigenvalues of rounding alone would add 1e-8 each.
    real = gaussian(rows, 64)
    scale = float(torch.trace(Moments.of(real).covariance))
    assert 0.0 <= distance(real, real) < 1e-9 * scale
    assert distance(real, gaussian(rows, 64, 1)) > 0.0


def test_of_one_direction_the_root_is_the_product_of_deviations() -> None:
    # Both sets lie on one line: covariances of rank 1 in 50 dimensions, where the distance is (3 - 1)^2 var.
    line, along = gaussian(1, 50), gaussian(40, 1, 1)
    spread = float(along.var() * line.square().sum())
    assert distance(along * line, 3.0 * along * line) == pytest.approx(
        4.0 * spread + 4.0 * float((along.mean() * line).square().sum()), rel=1e-9
    )


def test_moments_by_batches_and_merged_are_those_of_the_whole() -> None:
    values = 1e3 + gaussian(1000, 20)
    whole = Moments.of(values)
    streamed = Moments.none(20)
    for part in values.split(77):
        streamed = streamed.update(part)
    streamed = streamed.update(values[:0])
    merged = (
        Moments.none(20)
        .merge(Moments.of(values[:300]))
        .merge(Moments.of(values[300:]).merge(Moments.none(20)))
    )
    for moments in (streamed, merged):
        assert moments.count == 1000.0
        torch.testing.assert_close(moments.mean, whole.mean, rtol=1e-12, atol=0)
        torch.testing.assert_close(moments.covariance, whole.covariance, rtol=0, atol=1e-10)
    torch.testing.assert_close(whole.covariance, torch.cov(values.T), rtol=0, atol=1e-10)


def test_a_covariance_of_one_vector_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 vectors, got 1"):
        _ = Moments.of(gaussian(1, 3)).covariance


def test_a_set_that_does_not_fill_the_dimensions_is_refused_and_marked_under_a_historic_profile() -> None:
    real, judged = normal(50, 16), normal(16, 16, 1)
    with pytest.raises(
        ConfigError, match="the set judged has 16 vectors of 16 dimensions; a Frechet distance takes more"
    ):
        FrechetDistance().measure(real, judged, FEW)
    found = FrechetDistance(small_sets="mark").measure(real, judged, FEW)
    assert any(
        "the set judged has 16 vectors of 16 dimensions: its covariance is singular" in r
        for r in found.remarks
    )
    assert math.isfinite(found.values["value"].value)


def test_a_set_of_fewer_clips_than_twice_the_dimensions_is_remarked_and_has_no_infinity() -> None:
    found = FrechetDistance().measure(normal(40, 16), normal(31, 16, 1), FEW)
    assert found.remarks == (
        "the set judged has 31 clips, fewer than 2 x 16 dimensions: the distance is too large",
        "no FAD-infinity: it takes 64 clips for 16 dimensions, the set judged has 31",
    )
    assert set(found.values) == {"value"}


def test_few_sounds_make_it_too_large_and_fad_infinity_takes_most_of_that_back() -> None:
    real = normal(8000, 16)
    value, infinity = [], []
    for seed in range(1, 9):
        found = FrechetDistance().measure(real, normal(120, 16, seed), FEW).values
        value.append(found["value"].value)
        infinity.append(found["infinity"].value)
    # The same distribution: about dim (dim + 1) / 4n + dim / n above 0 at first order in 1/n.
    assert np.mean(value) > 0.6
    assert abs(np.mean(infinity)) < 0.15 * np.mean(value)


def test_the_infinite_distance_is_the_end_of_a_line_in_one_over_n() -> None:
    real = normal(4000, 8)
    judged = normal(2000, 8, 1)
    judged = Vectors.of(judged.values + 1.0)
    found = FrechetDistance().measure(real, judged, FEW).values
    assert found["infinity"].value == pytest.approx(8.0, abs=0.6)
    assert found["infinity"].low < found["infinity"].value < found["infinity"].high


def test_fadtks_extrapolation_takes_more_than_500_frames() -> None:
    fadtk = FrechetDistance(small_sets="mark", infinity="fadtk")
    few = fadtk.measure(normal(400, 8), normal(400, 8, 1), FEW)
    assert set(few.values) == {"value"}
    assert any("no FAD-infinity" in remark for remark in few.remarks)


def test_fadtks_extrapolation_keeps_the_bias_that_ours_removes() -> None:
    # Drawing with replacement from a set tends to that very set, whose distance is the value itself.
    real, judged = normal(8000, 16), [normal(600, 16, seed) for seed in range(1, 6)]
    theirs = [FrechetDistance("mark", "fadtk").measure(real, each, FEW).values for each in judged]
    ours = [FrechetDistance().measure(real, each, FEW).values["infinity"].value for each in judged]
    value = np.mean([values["value"].value for values in theirs])
    assert np.mean([values["infinity"].value for values in theirs]) == pytest.approx(value, rel=0.3)
    assert abs(np.mean(ours)) < 0.3 * value


def test_windows_of_a_clip_are_drawn_together() -> None:
    # Nine copies of each vector are no more sounds than one: an interval over rows would be a third as wide.
    real, judged = normal(200, 4), normal(200, 4, 1)
    how = Bootstrap(resamples=200)
    once = VALUE_ONLY.measure(real, judged, how).values["value"]
    copies = [Vectors(v.values.repeat_interleave(9, 0), v.clips.repeat_interleave(9)) for v in (real, judged)]
    often = VALUE_ONLY.measure(*copies, how).values["value"]
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)


@pytest.mark.parametrize("rows", [5, 40, 300])
def test_the_quick_distance_of_draws_is_the_distance(rows: int) -> None:
    pair = Moments.of(gaussian(rows, 24)), Moments.of(0.3 + 1.2 * gaussian(rows, 24, 1))
    # Squaring halves the digits: 1e-8 of the traces, which are about 24 and 35.
    assert quick_distance(*pair) == pytest.approx(frechet_distance(*pair), abs=1e-6)


def test_the_interval_of_windows_is_around_the_value() -> None:
    found = VALUE_ONLY.measure(in_windows(60, 4, 6), in_windows(60, 4, 6, 5), Bootstrap(resamples=50)).values[
        "value"
    ]
    assert 0.0 <= found.low < found.value < found.high < 3.0 * found.value
