"""Kernel distances against other libraries, by hand and on average; system C's bias is exactly what it was."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sets_of_vectors import FEW, GOLDENS, PAIRS, gaussian, in_windows, normal
from torchmetrics.image.kid import KernelInceptionDistance

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances import manifold, mmd, pairs
from retimbre.metrics.distances.base import Vectors, drawn_weights
from retimbre.metrics.distances.catalog import DISTANCES
from retimbre.metrics.distances.mmd import GaussianMmd, ImqMmd, Mmd, PolynomialMmd, _within, median_distance

KERNELS = {"kid": PolynomialMmd(), "kad": GaussianMmd(), "imq": ImqMmd()}
ONE = Bootstrap(resamples=1)

# It warns that it keeps all features, which is the point here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")


class Identity(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def value(distance: Mmd, real: Vectors, judged: Vectors) -> float:
    return distance.measure(real, judged, ONE).values["value"].value


def of_numbers(numbers: list[float]) -> Vectors:
    return Vectors.of(torch.tensor(numbers, dtype=torch.float64)[:, None])


@pytest.mark.parametrize("name", PAIRS)
def test_kid_over_the_whole_sets_is_that_of_torch_fidelity(name: str) -> None:
    assert value(PolynomialMmd(), *PAIRS[name]) == pytest.approx(GOLDENS["distances"][name]["kid"], rel=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_kid_over_the_whole_sets_is_that_of_torchmetrics(name: str) -> None:
    real, judged = PAIRS[name]
    theirs = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=real.num_clips)
    theirs.update(real.values, real=True)
    theirs.update(judged.values, real=False)
    assert value(PolynomialMmd(), real, judged) == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_kad_is_100_times_the_gaussian_mmd_of_torch_fidelity_with_the_median_distance_of_the_reference(
    name: str,
) -> None:
    found = GaussianMmd().measure(*PAIRS[name], ONE)
    expected = GOLDENS["distances"][name]
    assert found.settings["bandwidth"] == pytest.approx(expected["bandwidth"], rel=1e-9)
    assert found.values["value"].value == pytest.approx(100.0 * expected["rbf"], rel=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_imq_is_that_of_scipys_distances(name: str) -> None:
    real, judged = (vectors.values.numpy() for vectors in PAIRS[name])
    similar = [
        16.0 / (16.0 + cdist(a, b, "sqeuclidean"))
        for a, b in ((real, real), (judged, judged), (real, judged))
    ]
    n = len(real)
    within = sum(matrix.sum() - np.trace(matrix) for matrix in similar[:2]) / (n * (n - 1))
    expected = within - 2.0 * similar[2].mean()
    assert value(ImqMmd(), *PAIRS[name]) == pytest.approx(expected, rel=1e-6)


def test_kid_of_three_numbers_by_hand() -> None:
    # k(x, y) = (xy + 1)^3. Within (0, 1, 2): k = 1, 1, 27 over the three pairs, mean 29/3.
    # Within (1, 1, 3): 8, 64, 64, mean 136/3. Between: 0: 1, 1, 1; 1: 8, 8, 64; 2: 27, 27, 343; mean 480/9 = 160/3.
    found = value(PolynomialMmd(), of_numbers([0.0, 1.0, 2.0]), of_numbers([1.0, 1.0, 3.0]))
    assert found == pytest.approx(29.0 / 3.0 + 136.0 / 3.0 - 2.0 * 160.0 / 3.0, rel=1e-12)


def test_kad_of_three_numbers_by_hand() -> None:
    # Distances 1, 1, 2 in the reference: bandwidth 1. exp(-d^2 / 2): within, (2 e^-.5 + e^-2) / 3; within (5, 5, 5), 1;
    # between: distances 5, 4, 3.
    e = np.exp
    expected = (2 * e(-0.5) + e(-2.0)) / 3 + 1.0 - 2.0 * (e(-12.5) + e(-8.0) + e(-4.5)) / 3
    found = value(GaussianMmd(), of_numbers([0.0, 1.0, 2.0]), of_numbers([5.0, 5.0, 5.0]))
    assert found == pytest.approx(100.0 * expected, rel=1e-12)


def test_imq_of_three_numbers_by_hand() -> None:
    # 16 / (16 + d^2): (0, 4, 4): 1/2, 1/2, 1, mean 2/3. (0, 0, 4): the same. Between: 1, 1, 1/2, twice 1/2, 1/2, 1.
    found = value(ImqMmd(), of_numbers([0.0, 4.0, 4.0]), of_numbers([0.0, 0.0, 4.0]))
    assert found == pytest.approx(4.0 / 3.0 - 2.0 * 6.5 / 9.0, rel=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_of_one_distribution_it_is_zero_on_average(name: str) -> None:
    found = [
        value(KERNELS[name], normal(60, 8, 2 * seed), normal(45, 8, 2 * seed + 1)) for seed in range(150)
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3.0 * error


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_windows_of_one_distribution_give_zero_on_average_since_pairs_within_a_clip_are_left_out(
    name: str,
) -> None:
    found = [
        value(KERNELS[name], in_windows(40, 3, 6, 4 * seed), in_windows(40, 3, 6, 4 * seed + 2))
        for seed in range(150)
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3.0 * error


@pytest.mark.parametrize("n", [50, 100, 400])
def test_system_cs_distance_is_two_over_n_minus_one_above_the_unbiased_one(n: int) -> None:
    real, judged = normal(n, 27), normal(n, 27, 1)
    bias = value(ImqMmd(estimator="diagonal kept"), real, judged) - value(ImqMmd(), real, judged)
    assert bias == pytest.approx(2.0 / (n - 1), rel=1e-9)


def test_system_cs_distance_of_one_distribution_is_two_over_n_minus_one_on_average() -> None:
    sony = ImqMmd(estimator="diagonal kept")
    found = [value(sony, normal(50, 27, 2 * seed), normal(50, 27, 2 * seed + 1)) for seed in range(100)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(2.0 / 49.0, abs=3.0 * error)


def test_system_cs_distance_of_a_set_to_itself_by_hand() -> None:
    # 2 (S + n) / (n (n - 1)) - 2 (S + n) / n^2 with S the sum of the kernel over pairs: here n = 3, S = 2 x 2.
    same = of_numbers([0.0, 4.0, 4.0])
    found = value(ImqMmd(estimator="diagonal kept"), same, same)
    assert found == pytest.approx(2.0 * 7.0 / 6.0 - 2.0 * 7.0 / 9.0, rel=1e-12)


@pytest.mark.parametrize("name", ["kid", "imq"])
def test_kernels_of_a_fixed_scale_are_symmetric_and_kad_is_not(name: str) -> None:
    real, judged = PAIRS["narrower"]
    assert value(KERNELS[name], real, judged) == pytest.approx(value(KERNELS[name], judged, real), rel=1e-9)
    assert value(GaussianMmd(), real, judged) != pytest.approx(value(GaussianMmd(), judged, real), rel=1e-2)


@pytest.mark.parametrize("name", KERNELS)
def test_blocks_make_no_difference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, judged = in_windows(70, 2, 5), in_windows(50, 2, 5, 7)
    whole = KERNELS[name].measure(real, judged, FEW).values["value"]
    monkeypatch.setattr("retimbre.metrics.distances.pairs.ROWS_AT_ONCE", 23)
    parts = KERNELS[name].measure(real, judged, FEW).values["value"]
    assert (parts.value, parts.low, parts.high) == pytest.approx(
        (whole.value, whole.low, whole.high), rel=1e-9
    )


@pytest.mark.parametrize("name", ["kad", "imq", "prdc"])
def test_no_more_than_some_pairs_are_compared_at_once_however_large_the_sets(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def recorded(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        held.append(len(rows) * len(columns))
        return pairs.squared_distances(rows, columns)

    for module in (mmd, manifold):
        monkeypatch.setattr(module, "squared_distances", recorded)
    # So many pairs at once and no more, for a thousand clips as for four times as many.
    peaks = []
    for num_real, num_judged in ((1500, 1100), (6000, 4100)):
        held.clear()
        DISTANCES[name].measure(normal(num_real, 3), normal(num_judged, 3, 1), ONE)
        peaks.append(max(held))
    assert pairs.PAIRS_AT_ONCE // 2 < peaks[0] <= pairs.PAIRS_AT_ONCE
    assert pairs.PAIRS_AT_ONCE // 2 < peaks[1] <= pairs.PAIRS_AT_ONCE


@pytest.mark.parametrize("name", KERNELS)
def test_a_resample_is_the_distance_of_the_drawn_clips_without_pairs_of_a_clip_with_itself(name: str) -> None:
    vectors = in_windows(12, 2, 4)
    weights = drawn_weights(vectors, ONE, "reference")
    kernel, _ = KERNELS[name]._kernel(vectors)
    similar = kernel(vectors.values, vectors.values)
    allowed = vectors.clips[:, None] != vectors.clips
    pairs = torch.outer(weights[1], weights[1]) * allowed
    expected = float((pairs * similar).sum() / pairs.sum())
    assert float(_within(kernel, vectors, weights)[0][1]) == pytest.approx(expected, rel=1e-12)


def test_an_interval_excludes_zero_for_different_sets() -> None:
    for distance in KERNELS.values():
        found = distance.measure(*PAIRS["shifted"], Bootstrap(resamples=200)).values["value"]
        assert 0.0 < found.low < found.value < found.high


def test_the_median_distance_of_a_large_set_is_taken_among_some_of_it() -> None:
    values = gaussian(3000, 4)
    found = median_distance(values, 0)
    assert found == median_distance(values, 0) != median_distance(values, 1)
    # 2048 of 3000 vectors: a median of distances around 2.6 is steady to about 1 %.
    assert found == pytest.approx(float(torch.pdist(values).median()), rel=0.02)


def test_a_reference_that_repeats_itself_has_no_bandwidth() -> None:
    same = Vectors.of(gaussian(1, 4).expand(9, 4))
    with pytest.raises(ConfigError, match="median distance is 0; KAD takes a reference whose sounds differ"):
        GaussianMmd().measure(same, normal(9, 4), FEW)


@pytest.mark.parametrize(
    ("distance", "bias"),
    [(ImqMmd(), 0.0), (ImqMmd(estimator="diagonal kept"), 2 / 29)],
    ids=["unbiased", "kept"],
)
def test_vectors_beyond_the_reach_of_the_inverse_multiquadric_are_remarked(
    distance: ImqMmd, bias: float
) -> None:
    real, judged = normal(30, 8, seed=0), normal(30, 8, seed=1)
    far, farther = (Vectors.of(1e3 * each.values) for each in (real, judged))
    assert distance.measure(real, judged, ONE).remarks == ()
    (remark,) = distance.measure(far, farther, ONE).remarks
    assert "the vectors lie so far apart that no two sounds are alike to this kernel" in remark
    # Vectors 1,000 apart are alike to 16 millionths.
    assert value(distance, far, farther) == pytest.approx(bias, abs=1e-4)
