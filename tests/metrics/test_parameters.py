import itertools
import json

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.metrics.parameters import (
    TOP_KS,
    ParameterReport,
    ParameterTable,
    Predictions,
    class_error,
    exact,
    percentile_rank,
    percentile_rank_ceiling,
    top_k,
    value_error,
    within_one,
)

ABSENT = -torch.inf
# Two clips; the first parameter has four classes, the second three.
HAND = Predictions(
    scores=torch.tensor(
        [
            [[0.1, 0.6, 0.2, 0.1], [0.2, 0.5, 0.3, ABSENT]],
            [[0.4, 0.3, 0.2, 0.1], [0.9, 0.1, 0.0, ABSENT]],
        ]
    ),
    truth=torch.tensor([[1, 2], [3, 0]]),
)
TABLE = ParameterTable(
    names=("cutoff", "shape"),
    groups=("filter", "oscillator"),
    values=torch.tensor([[100.0, 200.0, 400.0, 800.0], [0.0, 1.0, 2.0, torch.nan]]),
)


def random_predictions(num_clips: int = 400) -> Predictions:
    random = generator(0, "parameter test", num_clips)
    scores = torch.rand(num_clips, 3, 16, generator=random)
    return Predictions(scores, torch.randint(16, (num_clips, 3), generator=random))


def test_hand_made_predictions_give_hand_computed_values() -> None:
    assert exact(HAND).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert within_one(HAND).tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert top_k(HAND, 2).tolist() == [[1.0, 1.0], [0.0, 1.0]]
    # Ranks 0 and 3 of 3; 1 and 0 of 2.
    assert percentile_rank(HAND).tolist() == [[100.0, 50.0], [0.0, 100.0]]
    assert class_error(HAND).tolist() == [[0.0, 1.0], [3.0, 0.0]]
    assert value_error(HAND, TABLE.values).tolist() == [[0.0, 1.0], [700.0, 0.0]]


def test_constant_scores_get_exactly_what_chance_gets() -> None:
    truth = torch.arange(16)[:, None]
    constant = Predictions(torch.zeros(16, 1, 16), truth)
    assert percentile_rank(constant).tolist() == [[50.0]] * 16
    for k in TOP_KS:
        assert top_k(constant, k).tolist() == [[k / 16]] * 16
    # A uniform guess errs by 5.3125 classes on average over a uniform truth: (n - 1/n) / 3.
    assert class_error(constant).mean().item() == pytest.approx((16 - 1 / 16) / 3)
    assert within_one(constant).mean().item() == pytest.approx((14 * 3 + 2 * 2) / 256)


def test_perfect_predictions_rank_first_and_random_ones_halfway() -> None:
    truth = random_predictions().truth
    perfect = Predictions(torch.nn.functional.one_hot(truth, 16).float(), truth)
    assert percentile_rank(perfect).unique().tolist() == [100.0]
    # 1200 ranks with a standard deviation of 30.7: 0.9 of the mean.
    assert percentile_rank(random_predictions()).mean().item() == pytest.approx(50.0, abs=3.0)


def test_trap_top_k_is_monotone_and_complete_per_parameter() -> None:
    predictions = random_predictions()
    shares = [top_k(predictions, k) for k in range(1, 17)]
    for fewer, more in itertools.pairwise(shares):
        assert bool((more >= fewer).all())
    assert bool((shares[-1] == 1.0).all())
    assert shares[4].mean().item() == pytest.approx(5 / 16, abs=0.05)


def test_figures_do_not_depend_on_how_classes_are_padded_or_scores_scaled() -> None:
    predictions = random_predictions(50)
    padding = torch.full((50, 3, 5), ABSENT)
    padded = Predictions(torch.cat([predictions.scores, padding], dim=-1), predictions.truth)
    scaled = Predictions(predictions.scores.log(), predictions.truth)
    for figure in (exact, within_one, percentile_rank, class_error):
        assert torch.equal(figure(padded), figure(predictions))
        assert torch.equal(figure(scaled), figure(predictions))


def test_ties_are_fair_whatever_the_order_of_the_classes() -> None:
    # The true class ties with one other for the first place.
    for truth in (0, 3):
        tied = Predictions(torch.tensor([[[1.0, 0.0, 0.0, 1.0]]]), torch.tensor([[truth]]))
        assert exact(tied).item() == 0.5
        assert top_k(tied, 2).item() == 1.0
        assert class_error(tied).item() == 1.5
        assert percentile_rank(tied).item() == pytest.approx(100 * (1 - 0.5 / 3))


def test_a_parameter_with_one_class_is_always_right() -> None:
    single = Predictions(torch.tensor([[[0.3, ABSENT]]]), torch.tensor([[0]]))
    assert percentile_rank(single).item() == 100.0
    assert top_k(single, 5).item() == 1.0


def test_the_ceiling_is_fifty_for_what_is_never_heard_and_a_hundred_for_what_always_is() -> None:
    audible = torch.tensor([[True, False, True], [True, False, False]])
    assert percentile_rank_ceiling(audible).tolist() == [100.0, 50.0, 75.0]


def test_a_report_holds_parameters_groups_and_means() -> None:
    report = ParameterReport.of(HAND, TABLE)
    assert report.num_clips == 2
    assert report.perfect == 0.0
    assert report.everywhere.parameters["cutoff"]["percentile_rank"] == 50.0
    assert report.everywhere.parameters["cutoff"]["value_error"] == 350.0
    assert report.everywhere.groups["oscillator"]["class_error"] == 0.5
    assert report.everywhere.mean["percentile_rank"] == 62.5
    assert "value_error" not in report.everywhere.mean
    assert report.audible == report.everywhere
    assert report.ceiling == {"cutoff": 100.0, "shape": 100.0, "mean": 100.0}


def test_groups_are_means_of_their_parameters() -> None:
    predictions = random_predictions()
    table = ParameterTable(
        ("a", "b", "c"), ("x", "y", "x"), torch.rand(3, 16, generator=generator(0, "values"))
    )
    report = ParameterReport.of(predictions, table).everywhere
    for figure, value in report.groups["x"].items():
        pair = [report.parameters[name][figure] for name in ("a", "c")]
        assert value == pytest.approx(sum(number for number in pair if number is not None) / 2)


def test_trap_what_cannot_be_heard_is_reported_apart() -> None:
    audible = torch.tensor([[True, False], [False, False]])
    report = ParameterReport.of(HAND, TABLE, audible)
    assert report.audible.parameters["cutoff"]["percentile_rank"] == 100.0
    assert report.audible.parameters["shape"]["percentile_rank"] is None
    assert report.audible.groups["oscillator"]["exact"] is None
    assert report.audible.mean["percentile_rank"] == 100.0
    assert report.everywhere.parameters["cutoff"]["percentile_rank"] == 50.0
    assert report.ceiling == {"cutoff": 75.0, "shape": 50.0, "mean": 62.5}


def test_a_report_is_json() -> None:
    audible = torch.zeros(2, 2, dtype=torch.bool)
    value = ParameterReport.of(HAND, TABLE, audible).to_dict()
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_perfect_clips_have_every_parameter_right() -> None:
    scores = torch.nn.functional.one_hot(torch.tensor([[0, 1], [1, 1]]), 3).float()
    table = ParameterTable(("a", "b"), ("g", "g"), torch.zeros(2, 3))
    assert ParameterReport.of(Predictions(scores, torch.tensor([[0, 1], [1, 2]])), table).perfect == 0.5


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (torch.zeros(0, 3, 4), torch.zeros(0, 3, dtype=torch.int64), "no prediction to count"),
        (torch.full((1, 1, 4), torch.nan), torch.zeros(1, 1, dtype=torch.int64), "not a number"),
        (torch.zeros(1, 1, 4), torch.full((1, 1), 4), "not among the classes"),
        (torch.tensor([[[0.0, ABSENT]]]), torch.full((1, 1), 1), "not among the classes"),
    ],
)
def test_predictions_that_cannot_be_counted_are_refused(
    scores: torch.Tensor, truth: torch.Tensor, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Predictions(scores, truth)


def test_tables_and_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="distinct names"):
        ParameterTable(("a", "a"), ("g", "g"), torch.zeros(2, 3))
    table = ParameterTable(("a", "b"), ("g", "g"), torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="differ in parameters and classes"):
        ParameterReport.of(HAND, table)
    with pytest.raises(ConfigError, match="audible mask"):
        ParameterReport.of(HAND, TABLE, torch.ones(3, 2, dtype=torch.bool))
