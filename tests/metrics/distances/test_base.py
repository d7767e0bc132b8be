"""Sets of vectors say what they are, and an interval always holds its value."""

import dataclasses
from typing import ClassVar

import pytest
import torch
from sets_of_vectors import gaussian, in_windows, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Measured, Vectors, drawn_counts, interval


@dataclasses.dataclass(frozen=True)
class MeanGap(Distance):
    """Of the first number of the vectors, for tests."""

    name: ClassVar[str] = "mean gap"
    weight: float = 2.0

    def _measured(self, reference: Vectors, estimate: Vectors, how: Bootstrap) -> Measured:
        def mean(vectors: Vectors, counts: torch.Tensor) -> torch.Tensor:
            weights = counts[:, vectors.clips]
            return weights @ vectors.values[:, 0] / weights.sum(dim=1)

        pairs = zip(
            drawn_counts(reference, how, "reference"), drawn_counts(estimate, how, "judged"), strict=True
        )
        draws = torch.cat([mean(estimate, judged) - mean(reference, real) for real, judged in pairs])
        value = float(estimate.values[:, 0].mean() - reference.values[:, 0].mean())
        return Measured({"value": interval(value, draws, estimate.num_clips, how)}, ("own",), {"seen": 1})


def test_vectors_of_windows_know_their_clips() -> None:
    vectors = in_windows(5, 3, 4)
    assert (vectors.num_clips, vectors.dim, len(vectors.values)) == (5, 4, 15)
    assert vectors.rows_per_clip.tolist() == [3.0] * 5


def test_selected_clips_come_in_the_order_asked_for_and_may_repeat() -> None:
    vectors = Vectors(torch.arange(5.0).double()[:, None], torch.tensor([0, 0, 1, 2, 2]))
    chosen = vectors.select(torch.tensor([2, 0, 2]))
    assert chosen.values[:, 0].tolist() == [3.0, 4.0, 0.0, 1.0, 3.0, 4.0]
    assert chosen.clips.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf, 1e31])
def test_a_vector_that_is_not_finite_is_refused_with_the_clip_it_is_of(broken: float) -> None:
    values = gaussian(6, 3)
    values[4, 1] = broken
    with pytest.raises(
        ConfigError, match=r"1 of 6 vectors are not finite or beyond 1e\+30, the first of clip 2"
    ):
        Vectors(values, torch.tensor([0, 0, 1, 1, 2, 2]))


@pytest.mark.parametrize("clips", [[1, 2, 3], [0, 0, 2], [0, 1, 0]])
def test_clip_numbers_that_do_not_count_up_from_zero_are_refused(clips: list[int]) -> None:
    with pytest.raises(ConfigError, match="clip numbers ascend from 0"):
        Vectors(gaussian(3, 2), torch.tensor(clips))


def test_a_set_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Vectors.of(torch.zeros(0, 4))


def test_a_measured_figure_names_all_that_it_depends_on() -> None:
    how = Bootstrap(resamples=50, seed=3)
    found = MeanGap().measure(in_windows(18, 2, 3), normal(19, 3), how)
    assert found.settings == {
        "measure": "mean gap", "weight": 2.0, "dim": 3, "reference_clips": 18, "reference_vectors": 36, "clips": 19,
        "vectors": 19, "resamples": 50, "confidence": 0.95, "bootstrap_seed": 3, "seen": 1,
    }  # fmt: skip
    assert found.remarks == ("own",)
    assert found.values["value"].n == 19


def test_sets_of_other_sizes_of_vectors_are_told_apart() -> None:
    with pytest.raises(ConfigError, match="the reference has 3 numbers per vector, the set judged 4"):
        MeanGap().measure(normal(9, 3), normal(9, 4), Bootstrap(resamples=5))


@pytest.mark.parametrize(("real", "judged", "which"), [(1, 9, "the reference"), (9, 1, "the set judged")])
def test_a_set_of_one_clip_is_refused_by_name(real: int, judged: int, which: str) -> None:
    with pytest.raises(ConfigError, match=f"at least 2 clips in each set; {which} has 1"):
        MeanGap().measure(in_windows(real, 4, 3), in_windows(judged, 4, 3), Bootstrap(resamples=5))


def test_few_clips_and_clips_that_repeat_are_remarked() -> None:
    same = Vectors.of(gaussian(1, 3).expand(6, 3))
    half = Vectors.of(gaussian(3, 3).repeat(2, 1))
    found = MeanGap().measure(same, half, Bootstrap(resamples=5))
    assert found.remarks[:4] == (
        "the reference has 6 clips: too few for the interval to mean much",
        "all 6 vectors of the reference are equal: it has no variety to measure",
        "the set judged has 6 clips: too few for the interval to mean much",
        "the set judged has 3 different vectors among 6: sounds repeat",
    )


def test_an_interval_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    # Of 300 experiments at 90 %, between 81 % and 96 % hold 0: five standard errors, and few clips cost a little.
    held = 0
    for trial in range(300):
        found = (
            MeanGap()
            .measure(
                normal(40, 1, trial),
                normal(40, 1, 1000 + trial),
                Bootstrap(resamples=100, confidence=0.9, seed=trial),
            )
            .values["value"]
        )
        held += found.low <= 0.0 <= found.high
    assert 0.81 < held / 300 < 0.96


def test_an_interval_holds_its_value_however_far_off_the_draws_are() -> None:
    away = torch.linspace(-2.0, 2.0, 101, dtype=torch.float64)
    draws = torch.stack([7.0 + away, 7.0 - away], dim=1).flatten()
    how = Bootstrap(confidence=0.9)
    moved = interval(1.0, draws, 7, how)
    assert (moved.low, moved.high) == pytest.approx((1.0 - 1.8, 1.0 + 1.8))
    clipped = interval(1.0, draws, 7, how, least=0.0, most=2.0)
    assert (clipped.low, clipped.value, clipped.high) == (0.0, 1.0, 2.0)


def test_draws_are_the_same_again_and_independent_between_sets() -> None:
    vectors, how = normal(30, 2), Bootstrap(resamples=300)
    first, again = (torch.cat(list(drawn_counts(vectors, how, "one"))) for _ in range(2))
    other = torch.cat(list(drawn_counts(vectors, how, "other")))
    assert torch.equal(first, again)
    assert bool((first.sum(dim=1) == 30).all())
    assert torch.equal(first[0::2] + first[1::2], torch.full((150, 30), 2.0, dtype=torch.float64))
    # 9000 pairs of counts of variance 1: the correlation is within 5 / sqrt(9000) of 0.
    assert abs(float(((first - 1.0) * (other - 1.0)).mean())) < 0.053
