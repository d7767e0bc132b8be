"""Laws of verdicts and rankings: nothing is claimed that intervals do not show."""

import pytest

from retimbre.workflows.evaluation.report.anchors import (
    ANCHORS,
    COPY,
    NOISE,
    ONE_INSTRUMENT,
    PHASE,
    REAL,
    SILENCE,
)
from retimbre.workflows.evaluation.report.expectations import EXPECTATIONS, compare, judge
from retimbre.workflows.evaluation.report.judging import BY_EMBEDDER, BY_LISTENER
from retimbre.workflows.evaluation.report.ranking import rank


def figure(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def ordered(metric, better="lower"):
    """Figures of a measure that does all that the table expects."""
    good, bad = figure(1.0, 2.0), figure(3.0, 4.0)
    if better == "higher":
        good, bad = bad, good
    told = {anchor: bad if each.kind == "worse" else good for anchor, each in EXPECTATIONS[metric].items()}
    return told | {REAL: good}


def kad(embedder, figures, kind="informative"):
    return {
        "id": f"kad[{embedder}]",
        "metric": "kad",
        "embedder": embedder,
        "better": "lower",
        "verdict": {"kind": kind, "says": kind},
        "figures": {REAL: figure(0.0, 0.5)} | figures,
    }


@pytest.mark.parametrize("metric", sorted(EXPECTATIONS))
def test_the_table_speaks_of_every_anchor_and_gives_a_reason(metric):
    assert set(EXPECTATIONS[metric]) == set(ANCHORS) - {REAL}
    assert all(each.why for each in EXPECTATIONS[metric].values())


@pytest.mark.parametrize("metric", sorted(EXPECTATIONS))
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_measure_that_does_what_the_table_expects_is_informative(metric, better):
    assert judge(metric, better, ordered(metric, better)).kind == "informative"


@pytest.mark.parametrize("metric", sorted(EXPECTATIONS))
def test_a_measure_that_misses_one_anchor_is_not_informative_and_says_which(metric):
    for anchor, expected in EXPECTATIONS[metric].items():
        if expected.kind == "worse":
            verdict = judge(metric, "lower", ordered(metric) | {anchor: figure(1.5, 9.0)})
            assert (verdict.kind, verdict.says) == (
                "not informative",
                f"not informative: did not order {anchor}",
            )


def test_a_training_copy_may_beat_real_sounds_but_not_come_out_worse():
    assert judge("fad", "lower", ordered("fad") | {COPY: figure(0.0, 0.1)}).kind == "informative"
    assert judge("fad", "lower", ordered("fad") | {COPY: figure(3.0, 4.0)}).kind == "not informative"


def test_seeing_what_cannot_be_seen_is_no_fault():
    verdict = judge("fad", "lower", ordered("fad") | {PHASE: figure(3.0, 4.0)})
    assert verdict.kind == "informative"
    assert verdict.marks[PHASE].seen == "worse"


def test_what_was_refused_is_not_held_against_a_measure():
    verdict = judge("fad", "lower", ordered("fad") | {NOISE: {"refused": "too few clips"}})
    assert verdict.kind == "informative"
    assert verdict.marks[NOISE].as_expected is None


def test_without_real_sounds_or_any_anchor_to_see_there_is_no_verdict():
    refused = {"refused": "too few clips"}
    assert judge("fad", "lower", ordered("fad") | {REAL: refused}).kind == "not judged"
    nothing = {REAL: figure(1.0, 2.0), COPY: figure(1.0, 2.0), PHASE: figure(1.0, 2.0)}
    assert judge("fad", "lower", nothing).kind == "not judged"
    assert judge("attack_time", "as real", ordered("fad")).kind == "not judged"


def test_an_anchor_of_few_clips_that_is_missed_is_left_open_and_named():
    missed = figure(1.5, 9.0)
    told = {anchor: each | {"n": 100} for anchor, each in ordered("kad").items()}
    few = judge("kad", "lower", told | {ONE_INSTRUMENT: missed | {"n": 89}})
    assert few.kind == "informative"
    assert few.says.endswith("silence; too few clips to tell: one instrument")
    assert few.marks[ONE_INSTRUMENT].as_expected is None
    # As many, and what notes lack a property does not make a set smaller.
    for size in ({"n": 90}, {"n": 50, "unmeasured": 50}):
        assert judge("kad", "lower", told | {ONE_INSTRUMENT: missed | size}).kind == "not informative"
    # Whatever the number alone could do proves nothing; an unbiased distance that sees the fault has seen it.
    seen = told | {ONE_INSTRUMENT: figure(3.0, 4.0) | {"n": 50}}
    assert judge("kad", "lower", seen).marks[ONE_INSTRUMENT].as_expected is True
    assert judge("iis", "lower", seen).marks[ONE_INSTRUMENT].as_expected is None
    worse_copy = told | {COPY: figure(3.0, 4.0) | {"n": 5}}
    assert judge("kad", "lower", worse_copy).marks[COPY].as_expected is None


def test_a_doubt_about_real_sounds_leaves_a_measure_without_a_verdict():
    verdict = judge("kad", "lower", ordered("kad"), "all are one")
    assert (verdict.kind, verdict.says, verdict.marks) == ("not judged", "not judged: all are one", {})


def test_intervals_that_touch_are_no_difference():
    assert compare(figure(2.0, 3.0), figure(1.0, 2.0), "lower") == "no difference"
    assert compare(figure(2.1, 3.0), figure(1.0, 2.0), "lower") == "worse"
    assert compare(figure(2.1, 3.0), figure(1.0, 2.0), "higher") == "better"


def test_models_whose_intervals_overlap_are_tied():
    ranking = rank([kad("a", {"one": figure(1, 3), "two": figure(2, 4)})], ["one", "two"])
    assert ranking.places == {"one": 1, "two": 1}
    assert ranking.pairs == ("one and two are tied: the intervals overlap",)


def test_a_model_comes_first_where_its_interval_lies_apart_and_no_embedder_contradicts():
    apart = kad("a", {"one": figure(1, 2), "two": figure(3, 4)})
    together = kad("b", {"one": figure(1, 3), "two": figure(2, 4)})
    contrary = kad("c", {"one": figure(3, 4), "two": figure(1, 2)})
    assert rank([apart, together], ["two", "one"]).places == {"one": 1, "two": 2}
    assert rank([apart, contrary], ["one", "two"]).places == {"one": 1, "two": 1}
    assert "contradict" in rank([apart, contrary], ["one", "two"]).pairs[0]


def test_an_embedder_that_did_not_prove_itself_has_no_vote():
    blind = kad("a", {"one": figure(1, 2), "two": figure(3, 4)}, "not informative")
    assert rank([blind], ["one", "two"]).places == {}
    assert rank([blind], ["one", "two"]).says[0].startswith("No ranking")
    fair = kad("b", {"one": figure(3, 4), "two": figure(1, 2)})
    assert rank([blind, fair], ["one", "two"]).places == {"two": 1, "one": 2}


def test_a_model_that_could_not_be_measured_is_not_called_as_good_as_real():
    ranking = rank([kad("a", {"one": {"refused": "silent"}})], ["one"])
    assert ranking.says == ("one could not be measured.",)


def test_a_model_that_some_embedder_tells_from_real_sounds_is_not_called_real():
    fair = kad("a", {"one": figure(0.1, 0.4)})
    partly_deaf = kad("b", {"one": figure(3, 4)}, "not informative")
    assert "but is under b" in rank([fair, partly_deaf], ["one"]).says[0]
    assert rank([fair], ["one"]).says[0].startswith("one cannot be told from real sounds")


def test_silence_is_expected_to_be_worse_by_every_distance_and_score():
    of_sets = [each.metric for each in (*BY_EMBEDDER, *BY_LISTENER)]
    assert {EXPECTATIONS[metric][SILENCE].kind for metric in of_sets} == {"worse"}


def test_every_measure_can_show_that_it_sees_something():
    blind = [
        metric
        for metric, told in EXPECTATIONS.items()
        if "worse" not in {each.kind for each in told.values()}
    ]
    assert blind == []


def test_a_measure_that_is_best_as_real_is_worse_on_either_side():
    real = figure(1.0, 2.0)
    assert compare(figure(3.0, 4.0), real, "as real") == compare(figure(0.0, 0.5), real, "as real") == "worse"
    assert compare(figure(1.5, 4.0), real, "as real") == "no difference"
