"""Precision, recall, density and coverage against prdc, torch-fidelity and cases by hand."""

import pytest
import torch
from sets_of_vectors import FEW, GOLDENS, PAIRS, gaussian, in_windows, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.manifold import Prdc

FOUR = ("precision", "recall", "density", "coverage")


def four(real: Vectors, judged: Vectors, settings: Prdc) -> dict[str, float]:
    found = settings.measure(real, judged, FEW).values
    return {name: found[name].value for name in FOUR}


def on_a_line(numbers: list[float]) -> Vectors:
    return Vectors.of(torch.tensor(numbers, dtype=torch.float64)[:, None])


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("inside", ["<", "<="])
def test_they_are_those_of_prdc_and_of_torch_fidelity(name: str, inside: str) -> None:
    # No vector lies on the very edge of a ball here, so both readings of the edge agree with both libraries.
    expected = GOLDENS["distances"][name]
    found = four(*PAIRS[name], Prdc(inside=inside))
    assert found == pytest.approx({which: expected[which] for which in FOUR}, rel=1e-6)
    # torch-fidelity takes means in float32.
    assert (found["precision"], found["recall"]) == pytest.approx(
        (expected["tf_precision"], expected["tf_recall"]), rel=1e-6
    )


def test_a_line_by_hand() -> None:
    # k = 1. Balls of the reference: [-1, 1] around 0, [0, 2] around 1, [1, 9] around 5 (its neighbour 1 is 4 away).
    # Balls of the set judged: 0.5 and 0.9: 0.4 each; 20: 19.1, so [0.9, 39.1].
    real, judged = on_a_line([0.0, 1.0, 5.0]), on_a_line([0.5, 0.9, 20.0])
    assert four(real, judged, Prdc(k=1)) == pytest.approx(
        {
            "precision": 2.0 / 3.0,
            # 0 is in no ball; 1 is within 0.4 of 0.9; 5 is within 19.1 of 20.
            "recall": 2.0 / 3.0,
            # 0.5 and 0.9 lie in the balls of 0 and 1.
            "density": 4.0 / 3.0,
            "coverage": 2.0 / 3.0,
        }
    )


def test_the_headline_is_coverage() -> None:
    found = Prdc().measure(*PAIRS["shifted"], FEW).values
    assert found["value"] == found["coverage"]
    assert set(found) == {"value", *FOUR}


def test_equal_constant_sets_score_one_or_nothing_by_the_edge_and_a_remark_says_so() -> None:
    same = Vectors.of(7.0 + torch.zeros(8, 3, dtype=torch.float64))
    assert set(four(same, same, Prdc(k=3)).values()) >= {1.0}
    assert set(four(same, same, Prdc(k=3, inside="<")).values()) == {0.0}
    remarks = Prdc(k=3).measure(same, same, FEW).remarks
    assert any(
        "8 of 8 balls of the reference have radius 0" in remark and "does count" in remark
        for remark in remarks
    )


def test_copies_among_other_sounds_are_equal_to_their_originals_in_spite_of_rounding() -> None:
    # Six copies of each sound: the fifth neighbour is a copy, so every ball is a point.
    sounds = 1e4 + gaussian(20, 30)
    repeated = Vectors.of(sounds.repeat(6, 1))
    assert four(repeated, repeated, Prdc())["precision"] == 1.0
    assert four(repeated, repeated, Prdc(inside="<"))["precision"] == 0.0


def test_two_sets_of_one_distribution_have_the_coverage_of_theory() -> None:
    # 1 - C(n, k) / C(2n, k), about 1 - 1 / 2^k, for k = 3: 0.875; 2000 balls are within 5 sqrt(.875 x .125 / 2000).
    found = four(normal(2000, 3), normal(2000, 3, 1), Prdc(k=3))
    assert found["coverage"] == pytest.approx(0.875, abs=0.037)


def test_precision_sees_strange_sounds_and_recall_missing_ones() -> None:
    real = normal(400, 2)
    half = Vectors.of(real.values[real.values[:, 0] > 0.0])
    strange = Vectors.of(torch.cat([real.values, 50.0 + real.values]))
    missing, added = four(real, half, Prdc()), four(real, strange, Prdc())
    assert missing["precision"] == 1.0
    assert missing["recall"] < 0.7
    assert missing["coverage"] < 0.8
    assert added["precision"] == pytest.approx(0.5)
    assert added["recall"] == added["coverage"] == 1.0


def test_neighbours_within_a_clip_make_no_radius() -> None:
    # With them, balls would shrink to a clip's own spread, and nothing of another set would be inside.
    windows, others = in_windows(60, 6, 4), in_windows(60, 6, 4, 9)
    assert four(windows, others, Prdc(k=5))["precision"] > 0.5


def test_as_many_clips_as_neighbours_are_refused() -> None:
    with pytest.raises(ConfigError, match="the set judged has 5 clips; PRDC with k = 5 takes at least 6"):
        Prdc().measure(normal(9, 3), normal(5, 3, 1), FEW)


@pytest.mark.parametrize("inside", ["all", "none"])
def test_none_or_all_of_the_clips_are_no_certainty(inside: str) -> None:
    real = normal(40, 3)
    judged = Vectors.of(real.values[:30] + (0.0 if inside == "all" else 100.0))
    found = Prdc().measure(real, judged, FEW).values
    # Wilson's bound of a share of 0 or 1 is z^2 / (n + z^2) from it; recall and coverage are of the 40 real clips.
    for name, n in (("precision", 30), ("recall", 40), ("coverage", 40)):
        if found[name].value in (0.0, 1.0):
            width = found[name].high - found[name].low
            assert width == pytest.approx(1.96**2 / (n + 1.96**2), rel=1e-3)
    assert found["precision"].value == (1.0 if inside == "all" else 0.0)
    assert found["value"] == found["coverage"]


def test_shares_have_intervals_of_shares() -> None:
    found = Prdc().measure(*PAIRS["narrower"], Bootstrap(resamples=100)).values
    for name in ("precision", "recall", "coverage"):
        assert 0.0 <= found[name].low <= found[name].value <= found[name].high <= 1.0
    assert found["density"].value > 1.0
