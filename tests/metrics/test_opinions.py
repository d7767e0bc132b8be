"""Laws of the statistics of listening tests: cases worked by hand, other libraries, and coverage by simulation."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.metrics.opinions import (
    Opinions,
    difference,
    holm,
    listener_differences,
    mean_opinion,
    signed_rank_p,
    unreliable_listeners,
)
from retimbre.metrics.student import student_reach, student_share


def crossed(*systems: Tensor) -> Opinions:
    """Opinions from one matrix `[listeners, items]` per system; NaN where nobody scored."""
    scores, listeners, items, numbers = [], [], [], []
    for number, matrix in enumerate(systems):
        for listener, item in itertools.product(*map(range, matrix.shape)):
            if not bool(matrix[listener, item].isnan()):
                scores.append(float(matrix[listener, item]))
                listeners.append(listener)
                items.append(item)
                numbers.append(number)
    whole = [torch.tensor(each) for each in (listeners, items, numbers)]
    return Opinions(torch.tensor(scores, dtype=torch.float64), *whole)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 57])
def test_student_s_distribution_is_that_of_scipy(degrees: int) -> None:
    for reach in (0.0, 0.3, 2.0, 9.0):
        expected = 1 - 2 * stats.t.sf(reach, degrees)
        assert student_share(reach, degrees) == pytest.approx(expected, abs=1e-12)
    assert student_reach(0.95, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-6)


def test_two_listeners_and_two_items_are_as_worked_by_hand() -> None:
    # Listener means 1.5 and 4, item means 2 and 3.5, residuals of 1/4. Variances of the mean: listeners 25/16, items
    # 9/16, residual 1/16; sum less residual 33/16; degrees (33/16)^2 / ((25^2 + 9^2 + 1) / 16^2) = 1.54, so 1.
    found = mean_opinion(crossed(torch.tensor([[1.0, 2.0], [3.0, 5.0]])), 0)
    assert found.value == 2.75
    assert (found.n, found.listeners, found.items, found.degrees) == (4, 2, 2, 1)
    reach = math.tan(math.pi * 0.95 / 2) * math.sqrt(33 / 16)  # Student with one degree is Cauchy.
    assert found.high == pytest.approx(2.75 + reach, rel=1e-9)
    assert found.low == pytest.approx(2.75 - reach, rel=1e-9)


def test_with_one_listener_or_one_item_it_is_the_plain_interval_of_scipy() -> None:
    scores = drawn(9) + 3.0
    expected = stats.ttest_1samp(scores.numpy(), 0.0).confidence_interval(0.95)
    for matrix in (scores[None], scores[:, None]):
        found = mean_opinion(crossed(matrix), 0)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
        assert found.degrees == 8


def test_the_difference_of_two_systems_on_one_item_is_the_paired_test_of_scipy() -> None:
    one, other = drawn(7, 1), drawn(7, 1, seed=1)
    found = difference(crossed(one, other), 0, 1)
    assert found.p == pytest.approx(stats.ttest_rel(one.flatten(), other.flatten()).pvalue, rel=1e-9)


def test_one_score_has_a_mean_and_no_interval() -> None:
    found = mean_opinion(crossed(torch.tensor([[4.0]])), 0)
    assert (found.value, found.low, found.high, found.p, found.degrees) == (4.0, None, None, None, 0)


def test_strict_listeners_and_difficult_items_cancel_in_a_difference() -> None:
    strict, difficult = 10 * drawn(6, 1, seed=2), 10 * drawn(1, 8, seed=3)
    noise, other = drawn(6, 8, seed=4), drawn(6, 8, seed=5)
    plain = difference(crossed(noise, other), 0, 1)
    shifted = difference(crossed(noise + strict + difficult, other + strict + difficult), 0, 1)
    assert shifted.value == pytest.approx(plain.value, abs=1e-12)
    assert (shifted.low, shifted.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_a_difference_is_antisymmetric() -> None:
    both = crossed(drawn(5, 6), drawn(5, 6, seed=1))
    forth, back = difference(both, 0, 1), difference(both, 1, 0)
    assert forth.value == pytest.approx(-back.value)
    assert (forth.low, forth.p) == pytest.approx((-back.high, back.p))


def test_only_pairs_count_where_there_are_any() -> None:
    one, other = drawn(4, 5), drawn(4, 5, seed=1)
    one[3], other[0, 2] = math.nan, math.nan
    one[0, 2] = 100.0  # Its partner is missing, so it must not be heard.
    found = difference(crossed(one, other), 0, 1)
    both = ~(one.isnan() | other.isnan())
    assert found.n == int(both.sum()) == 14
    assert found.value == pytest.approx(float((one - other)[both].mean()))


@pytest.mark.parametrize("shared", [True, False], ids=["shared items", "items of their own"])
def test_intervals_cover_the_truth_as_often_as_they_say(shared: bool) -> None:
    # 200 tests of 6 listeners and 10 items whose true difference is 0: 95 % within three standard errors, 4.6 points.
    listener = torch.arange(6).repeat_interleave(10)
    item = torch.arange(10).repeat(6)
    items = torch.cat([item, item if shared else item + 10])
    systems = torch.cat([torch.zeros(60), torch.ones(60)]).long()
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    covered = {"mean": 0, "difference": 0}
    for _ in range(200):
        strict = noise(6)
        one, other = (
            (strict + 0.5 * noise(6))[listener] + 0.7 * noise(10)[item] + noise(60) for _ in range(2)
        )
        opinions = Opinions(torch.cat([one, other]), torch.cat([listener, listener]), items, systems)
        for name, found in (("mean", mean_opinion(opinions, 0)), ("difference", difference(opinions, 0, 1))):
            covered[name] += found.low <= 0.0 <= found.high
    assert all(0.904 <= count / 200 <= 0.996 for count in covered.values()), covered


def test_an_interval_that_took_scores_for_independent_would_be_far_too_narrow() -> None:
    scores = 2 * drawn(5, 1) + drawn(5, 20, seed=1)
    found = mean_opinion(crossed(scores), 0)
    naive = stats.sem(scores.flatten().numpy()) * 2
    assert found.high - found.value > 3 * naive


def test_listener_differences_are_each_listener_s_mean_of_pairs() -> None:
    one, other = drawn(4, 5), drawn(4, 5, seed=1)
    assert torch.allclose(listener_differences(crossed(one, other), 0, 1), (one - other).mean(1))
    apart = crossed(one, other)
    apart = Opinions(apart.scores, apart.listeners, apart.items + 9 * apart.systems, apart.systems)
    assert torch.allclose(listener_differences(apart, 0, 1), one.mean(1) - other.mean(1))


@pytest.mark.parametrize("count", [1, 5, 12, 50])
def test_the_signed_rank_test_is_scipy_s_exact_one(count: int) -> None:
    differences = drawn(count, seed=count) + 0.3
    expected = stats.wilcoxon(differences.numpy(), method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


def test_many_signed_ranks_are_scipy_s_approximation() -> None:
    differences = (drawn(80) * 3).round() + 0.5
    expected = stats.wilcoxon(differences.numpy(), method="approx", correction=False).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


def test_tied_ranks_are_counted_out_over_all_signs() -> None:
    values = torch.tensor([1.0, 1.0, -1.0, 2.0, 2.0, -3.0, 0.0])
    sizes = values[values != 0].abs()
    ranks = torch.from_numpy(stats.rankdata(sizes.numpy()))
    sums = [
        float((ranks * torch.tensor(signs)).sum()) for signs in itertools.product([0, 1], repeat=len(ranks))
    ]
    seen = float(ranks[values[values != 0] > 0].sum())
    extreme = abs(seen - float(ranks.sum()) / 2)
    share = sum(abs(each - float(ranks.sum()) / 2) >= extreme for each in sums) / len(sums)
    assert signed_rank_p(values) == pytest.approx(share)


def test_no_difference_is_no_evidence() -> None:
    assert signed_rank_p(torch.zeros(4)) == 1.0
    assert signed_rank_p(torch.zeros(0)) == 1.0


def test_holm_s_correction_is_as_worked_by_hand() -> None:
    # Sorted .005 x 4, .01 x 3, .03 x 2, .04 x 1, and never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_who_misses_the_hidden_reference_too_often_is_unreliable() -> None:
    # 20 trials: three misses are 15 %, which is not more than 15 %; four are.
    reference = torch.full((3, 20), 100.0)
    reference[1, :3] = 89.0
    reference[2, :4] = 89.0
    reference[0, :9] = 90.0
    assert unreliable_listeners(crossed(reference), 0) == {2: pytest.approx(0.2)}


def test_a_system_without_scores_and_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 0 scores"):
        mean_opinion(crossed(torch.ones(2, 2)), 1)
    opinions = crossed(torch.ones(2, 2))
    opinions.scores[0] = math.inf
    with pytest.raises(ConfigError, match="finite"):
        mean_opinion(opinions, 0)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2), (3, 4)])
@pytest.mark.parametrize("other", [4.0, 3.0])
def test_figures_that_do_not_vary_tell_nothing_of_others(shape: tuple[int, int], other: float) -> None:
    both = crossed(torch.full(shape, 4.0), torch.full(shape, other))
    for found in (difference(both, 0, 1), mean_opinion(both, 0)):
        assert (found.low, found.high, found.p, found.degrees) == (None, None, None, 0)
    assert difference(both, 0, 1).value == 4.0 - other


def test_equal_differences_of_uneven_scores_are_no_certainty_either() -> None:
    # 0.1 and 0.3 are no binary fractions: the differences are equal to rounding only.
    scores = drawn(3, 4).abs() + 0.1
    found = difference(crossed(scores + 0.3, scores), 0, 1)
    assert (found.low, found.p) == (None, None)


def test_scores_that_vary_without_pattern_have_no_variance_to_be_sure_by() -> None:
    # Means of listeners and of items are all 1.5: only the residual varies.
    found = mean_opinion(crossed(torch.tensor([[1.0, 2.0], [2.0, 1.0]])), 0)
    assert (found.value, found.low, found.p) == (1.5, None, None)
