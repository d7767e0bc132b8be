"""NDB/k against scipy's test of the same table, by hand, and at its level on equal distributions."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency
from sets_of_vectors import FEW, PAIRS, gaussian, in_windows, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.bins import Ndb


def value(real: Vectors, judged: Vectors, settings: Ndb) -> float:
    return settings.measure(real, judged, FEW).values["value"].value


@pytest.mark.parametrize("name", PAIRS)
def test_the_bins_that_differ_are_those_of_scipys_chi_square_without_correction(name: str) -> None:
    # A two-proportion z-test with pooled variance is the chi-square test of the 2 x 2 table: z^2 is chi^2.
    settings = Ndb(bins=20)
    real, judged = (votes.sum(dim=0).numpy() for votes in settings.votes(*PAIRS[name]))
    different = 0
    for in_real, in_judged in zip(real, judged, strict=True):
        table = [[in_real, real.sum() - in_real], [in_judged, judged.sum() - in_judged]]
        different += chi2_contingency(table, correction=False).pvalue < 0.05
    assert value(*PAIRS[name], settings) == pytest.approx(different / 20.0, rel=1e-6)


def test_two_bins_by_hand() -> None:
    # 50 : 50 against 64 : 36 of 100 clips. Pooled 0.57, deviation sqrt(.57 x .43 x 2 / 100) = 0.07001, z = 2.0:
    # different at 5 %, not at 4 %.
    votes = (
        torch.tensor([[50.0, 50.0]], dtype=torch.float64),
        torch.tensor([[64.0, 36.0]], dtype=torch.float64),
    )
    assert Ndb(bins=2, alpha=0.05).share_of_different(*votes).tolist() == [1.0]
    assert Ndb(bins=2, alpha=0.04).share_of_different(*votes).tolist() == [0.0]


def test_two_clusters_with_other_shares_are_two_bins_that_differ() -> None:
    def clusters(left: int, right: int, seed: int) -> Vectors:
        centres = torch.tensor([[-9.0, 0.0]] * left + [[9.0, 0.0]] * right, dtype=torch.float64)
        return Vectors.of(centres + gaussian(left + right, 2, seed))

    assert value(clusters(100, 100, 0), clusters(160, 40, 1), Ndb(bins=2)) == 1.0
    assert value(clusters(100, 100, 0), clusters(101, 99, 1), Ndb(bins=2)) == 0.0
    assert value(clusters(100, 100, 0), clusters(200, 0, 1), Ndb(bins=2)) == 1.0


def test_two_sets_of_one_distribution_differ_in_about_alpha_of_the_bins() -> None:
    # 20 sets of 25 bins at 10 %: the share is within four standard errors, and bins of fitted cells lean upwards.
    shares = [
        value(normal(1000, 4, 2 * seed), normal(1000, 4, 2 * seed + 1), Ndb(bins=25, alpha=0.1))
        for seed in range(20)
    ]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.054)


def test_equal_sets_differ_nowhere() -> None:
    real = normal(300, 6)
    assert value(real, real, Ndb(bins=30)) == 0.0


def test_windows_are_parts_of_a_vote() -> None:
    # As many clips, each with four windows: a test that counted windows would find four times as much evidence.
    real, judged = in_windows(200, 1, 3), in_windows(200, 1, 3, 5)
    settings = Ndb(bins=10, alpha=0.3)
    copies = [Vectors(v.values.repeat_interleave(4, 0), v.clips.repeat_interleave(4)) for v in (real, judged)]
    assert settings.votes(*copies)[0].sum() == pytest.approx(200.0)
    # k-means of copies starts elsewhere, so bins are others: the level stays, the value need not be equal.
    assert value(*copies, settings) <= 0.6


def test_the_unit_of_a_dimension_decides_only_where_it_is_not_standardised() -> None:
    real, judged = PAIRS["shifted"]
    scales = 10.0 ** torch.linspace(-3.0, 3.0, 16, dtype=torch.float64)
    scaled = [Vectors.of(vectors.values * scales) for vectors in (real, judged)]
    assert value(*scaled, Ndb(bins=20)) == value(real, judged, Ndb(bins=20))
    assert value(*scaled, Ndb(bins=20, standardise=False)) != value(
        real, judged, Ndb(bins=20, standardise=False)
    )


def test_fewer_clips_than_bins_are_refused_and_few_per_bin_remarked() -> None:
    with pytest.raises(ConfigError, match="the reference has 40 clips; NDB with 50 bins"):
        Ndb().measure(normal(40, 3), normal(400, 3, 1), FEW)
    found = Ndb().measure(normal(249, 3), normal(400, 3, 1), FEW)
    assert found.remarks == (
        "the reference has 249 clips for 50 bins: the z-test takes 5 per bin, below that its alpha is not kept",
    )


def test_a_constant_reference_leaves_bins_empty_and_says_so() -> None:
    same = Vectors.of(torch.ones(30, 3, dtype=torch.float64))
    found = Ndb(bins=4).measure(same, normal(30, 3), FEW)
    assert 0.0 <= found.values["value"].value <= 1.0
    assert any("3 of 4 bins hold nothing of the reference" in remark for remark in found.remarks)
