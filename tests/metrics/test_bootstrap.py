import pytest
import torch
from scipy import stats

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.bootstrap import (
    STATISTICS,
    Bootstrap,
    Interval,
    bootstrap,
    paired_difference,
    paired_reduction,
    share_interval,
)

QUICK = Bootstrap(resamples=2000)


def normal(num_values: int, stream: int = 0) -> torch.Tensor:
    return torch.randn(
        num_values, generator=generator(0, "bootstrap test", num_values, stream), dtype=torch.float64
    )


def test_the_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    values = normal(400)
    interval = bootstrap(values)
    half = 1.96 * values.std(correction=0).item() / 20
    # Ends of 10000 resamples are uncertain by about 2 % of the width.
    assert interval.value == pytest.approx(values.mean().item())
    assert interval.low == pytest.approx(interval.value - half, abs=0.1 * half)
    assert interval.high == pytest.approx(interval.value + half, abs=0.1 * half)
    assert interval.n == 400


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    intervals = [bootstrap(normal(50, stream), Bootstrap(resamples=500)) for stream in range(200)]
    covered = sum(interval.low <= 0.0 <= interval.high for interval in intervals) / 200
    # 200 trials of 95 % have a standard deviation of 1.5 %; small samples lose about another 2 %.
    assert 0.88 <= covered <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = normal(30)
    assert bootstrap(values, QUICK) == bootstrap(values, QUICK)
    assert bootstrap(values, QUICK) != bootstrap(values, Bootstrap(resamples=2000, seed=1))


def test_equal_values_have_no_uncertainty() -> None:
    assert bootstrap(torch.full((10,), 3.0), QUICK) == Interval(3.0, 3.0, 3.0, 10)


def test_pairing_removes_what_both_methods_share() -> None:
    easy_and_hard = 10.0 + 5.0 * normal(60).abs()
    difference = paired_difference(easy_and_hard, easy_and_hard - 1.0, QUICK)
    assert (difference.low, difference.high) == pytest.approx((-1.0, -1.0))
    reduction = paired_reduction(easy_and_hard, 0.7 * easy_and_hard, QUICK)
    assert (reduction.value, reduction.low, reduction.high) == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_lies_in_its_interval_and_more_confidence_is_wider(statistic: str) -> None:
    values = normal(80)
    narrow = bootstrap(values, Bootstrap(statistic=statistic, resamples=2000, confidence=0.5))
    wide = bootstrap(values, Bootstrap(statistic=statistic, resamples=2000, confidence=0.99))
    assert wide.low < narrow.low <= narrow.value <= narrow.high < wide.high


def test_the_median_does_not_mind_an_outlier() -> None:
    values = torch.cat([normal(99), torch.tensor([1e6], dtype=torch.float64)])
    assert bootstrap(values, Bootstrap(statistic="median", resamples=500)).high < 1.0


def test_memory_is_bounded_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(normal(40), QUICK)
    monkeypatch.setattr("retimbre.metrics.bootstrap._VALUES_AT_ONCE", 40 * 300)
    assert bootstrap(normal(40), QUICK) == whole


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 60), (9, 10), (60, 60), (137, 276)])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_a_share_s_interval_is_wilson_s_of_scipy(hits: int, n: int, confidence: float) -> None:
    found = share_interval(hits, n, confidence)
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    assert (found.value, found.n) == (hits / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.value <= found.high
    assert found.high > found.low


def test_a_share_is_of_some_sounds_and_at_most_all() -> None:
    for hits, n in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(ConfigError, match=f"got {hits} of {n}"):
            share_interval(hits, n)


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        bootstrap(torch.zeros(0))
    with pytest.raises(ConfigError, match="finite"):
        bootstrap(torch.tensor([1.0, float("nan")]))
    with pytest.raises(ConfigError, match="positive"):
        paired_reduction(torch.zeros(2), torch.ones(2))
    with pytest.raises(ConfigError, match="did you mean 'median'"):
        Bootstrap(statistic="medain")
    with pytest.raises(ConfigError, match="0 resamples"):
        Bootstrap(resamples=0)
