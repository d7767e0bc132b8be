"""What every measure should say of the anchors, written down before any was measured, and whether it did.

A measure that cannot tell good sounds from spoiled ones ranks generators by chance. So for each measure and each anchor
this table says beforehand what a reader is entitled to expect: that the anchor comes out *worse* than real sounds do,
that it does *not* come out *worse*, or that the measure *cannot see* the fault, with the reason. Then the measure is
asked, on the very sounds and embedder of the report, at its number of clips.

*Worse* is meant with confidence: the anchor's 95 % interval lies wholly on the worse side of that of real/real. This is
stricter than an interval of the difference that excludes 0, since both share their clips, and needs no assumption. A
measure that missed an anchor it should see is *not informative* here. It may be with more clips, or another embedder.
What a measure cannot see is no mark against it, but a warning to whoever reads only that measure. If it does see it, so
much the better. An anchor may have fewer clips than real/real; its interval is then wider than that of a generator with
the same fault would be. A measure that misses such an anchor has not failed, it has not been asked; and where fewer
clips alone change a figure, as with scores and shares, one that sees it has not been asked either.

The three embedders that a report uses unasked, and all others of the catalog, hear magnitudes. A semitone moves each
note onto its neighbour's key, so that a set over many keys, as a set, is hardly another one; only a measure that knows
the key that was asked for can hear it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from retimbre.workflows.evaluation.report.anchors import (
    COPY,
    LOW_PASS,
    NOISE,
    ONE_INSTRUMENT,
    PHASE,
    REAL,
    SEMITONE,
    SILENCE,
)

# An anchor with less than this share of real/real's clips is not held against a measure that misses it, nor counted for
# one of those whose figures depend on the number of clips.
_COMPARABLE = 0.9
_DEPEND_ON_NUMBER = ("fad", "mind", "precision", "recall", "density", "coverage", "ndb", "pis", "iis")

Kind = Literal["worse", "not worse", "cannot see"]
AS_REAL = "as real"
"""The direction of a measure that is better the nearer it is to real sounds: any difference is for the worse."""
Seen = Literal["worse", "better", "no difference", "not measured"]
Weight = Literal["full", "if seen", "none"]


@final
@dataclass(frozen=True)
class Expected:
    """What a measure should say of an anchor, and why."""

    kind: Kind
    why: str


def _worse(why: str) -> Expected:
    return Expected("worse", why)


def _not_worse(why: str) -> Expected:
    return Expected("not worse", why)


def _cannot_see(why: str) -> Expected:
    return Expected("cannot see", why)


_MAGNITUDES_ONLY = _cannot_see("the embedder hears magnitudes, and these are kept")
_NEIGHBOURS_KEY = _cannot_see("each note takes its neighbour's key: the set stays nearly the same")
_COPIES_ARE_REAL = _not_worse("copies of real sounds are real sounds: a distance cannot see memorisation")
_TIMBRES_MISSING = _worse("nearly all timbres are missing")
_NOTHING_THERE = _worse("there is nothing to hear")
_NO_TREBLE, _HISS = _worse("the treble is missing from all sounds"), _worse("all sounds hiss")
_KEY_IS_CLEAR = _cannot_see("a note that is spoiled like this still has a clear key")
_ANY_KEY_COUNTS = _cannot_see("being sure of some key counts, right or wrong")
_ANY_FAMILY_COUNTS = _cannot_see("being sure of some family counts, right or wrong")

_DISTANCE = {
    LOW_PASS: _NO_TREBLE,
    NOISE: _HISS,
    PHASE: _MAGNITUDES_ONLY,
    SEMITONE: _NEIGHBOURS_KEY,
    ONE_INSTRUMENT: _TIMBRES_MISSING,
    COPY: _COPIES_ARE_REAL,
    SILENCE: _NOTHING_THERE,
}
_FIDELITY = _DISTANCE | {
    ONE_INSTRUMENT: _cannot_see("each sound is right: only variety is missing, which this does not count")
}
_OF_KEYS = {
    LOW_PASS: _KEY_IS_CLEAR,
    NOISE: _KEY_IS_CLEAR,
    PHASE: _MAGNITUDES_ONLY,
    SEMITONE: _NEIGHBOURS_KEY,
    ONE_INSTRUMENT: _cannot_see("one instrument plays many keys"),
    COPY: _COPIES_ARE_REAL,
    SILENCE: _NOTHING_THERE,
}

# What a measure of single notes cannot be expected to see, unless it is made for it.
_OF_NOTES = {
    LOW_PASS: _cannot_see("it does not ask for the treble"),
    NOISE: _cannot_see("it looks at what is well above the hiss"),
    PHASE: _cannot_see("it does not ask for phases"),
    SEMITONE: _cannot_see("it does not ask for the key"),
    ONE_INSTRUMENT: _cannot_see("it judges each note by itself, not their variety"),
    COPY: _cannot_see("a copy is as good a note as the real one"),
    SILENCE: _cannot_see("silence lacks the property, and is counted as unmeasured"),
}
_OUT_OF_TUNE = _worse("each note is 100 cents from its key")
_IS_COPY = _worse("each note is in the training sounds")

EXPECTATIONS: dict[str, dict[str, Expected]] = {
    "fad": _DISTANCE,
    "fad-infinity": _DISTANCE,
    "kad": _DISTANCE,
    "kid": _DISTANCE,
    "imq": _DISTANCE,
    "mind": _DISTANCE,
    "ndb": _DISTANCE,
    "precision": _FIDELITY,
    "density": _FIDELITY,
    "recall": _DISTANCE,
    "coverage": _DISTANCE,
    "pis": _OF_KEYS | {SEMITONE: _ANY_KEY_COUNTS},
    "iis": {
        LOW_PASS: _ANY_FAMILY_COUNTS,
        NOISE: _ANY_FAMILY_COUNTS,
        PHASE: _MAGNITUDES_ONLY,
        SEMITONE: _cannot_see("a semitone leaves the family what it is"),
        ONE_INSTRUMENT: _TIMBRES_MISSING,
        COPY: _COPIES_ARE_REAL,
        SILENCE: _NOTHING_THERE,
    },
    "pkid": _OF_KEYS,
    "ikid": _DISTANCE | {SEMITONE: _cannot_see("a semitone leaves the family what it is")},
    "pitch_in_tune": _OF_NOTES | {SEMITONE: _OUT_OF_TUNE, SILENCE: _worse("silence is in no tune")},
    "pitch_error": _OF_NOTES | {SEMITONE: _OUT_OF_TUNE},
    "pitch_unpitched": _OF_NOTES | {SILENCE: _worse("silence has no pitch")},
    "phase_coherence": _OF_NOTES | {PHASE: _worse("the phases of the partials no longer advance evenly")},
    "training_distance": _OF_NOTES | {COPY: _IS_COPY},
    "waveform_distance": _OF_NOTES | {COPY: _IS_COPY},
    "near_copies": _OF_NOTES | {COPY: _IS_COPY},
}
"""By measure and anchor.

Measures that are not here describe a set without calling it good or bad; the envelope error does call it so, but has no
real/real figure that could be its yardstick (`notes`).
"""


@final
@dataclass(frozen=True)
class Mark:
    """What a measure said of an anchor, beside what it should have said.

    Attributes:
        as_expected: None where nothing was demanded, nothing could be measured, or too few clips cannot show it.
    """

    expected: Kind
    why: str
    seen: Seen
    as_expected: bool | None


@final
@dataclass(frozen=True)
class Verdict:
    """Whether a measure can be believed on these sounds.

    Attributes:
        kind: Whether it ordered the anchors as expected; `not judged` without a real/real that is fit to be a
            yardstick, or without a table.
        says: The same in words.
        marks: By anchor.
    """

    kind: Literal["informative", "not informative", "not judged"]
    says: str
    marks: dict[str, Mark]


Figure = Mapping[str, Any]
"""`value`, `low` and `high`, `n` clips and as many `unmeasured` beside them; or `refused` with a reason."""


def compare(figure: Figure, base: Figure, better: str) -> Seen:
    """Where a figure stands to another one, with confidence: whether their intervals lie apart, and which way round."""
    if any(each.get("low") is None or each.get("high") is None for each in (figure, base)):
        return "not measured"
    above, below = figure["low"] > base["high"], figure["high"] < base["low"]
    if not (above or below):
        return "no difference"
    if better == AS_REAL:
        return "worse"
    return "worse" if above == (better == "lower") else "better"


def judge(metric: str, better: str, figures: Mapping[str, Figure], doubt: str = "") -> Verdict:
    """Whether a measure ordered the anchors as the table expects.

    Args:
        metric: A name in `EXPECTATIONS`; another one is not judged.
        better: `lower`, `higher` or `as real`.
        figures: By row; anchors that are missing are not held against the measure.
        doubt: Why real/real is no yardstick for it; empty if it is one.
    """
    base = figures.get(REAL, {})
    if metric not in EXPECTATIONS:
        describes = "it describes a set and calls none good or bad"
        return Verdict("not judged", f"not judged: {base.get('refused', describes)}", {})
    if base.get("low") is None:
        return Verdict("not judged", f"not judged: {base.get('refused', 'there is no real/real')}", {})
    if doubt:
        return Verdict("not judged", f"not judged: {doubt}", {})
    marks = {
        anchor: _mark(
            expected,
            compare(figures.get(anchor, {}), base, better),
            _weight(metric, figures.get(anchor, {}), base),
        )
        for anchor, expected in EXPECTATIONS[metric].items()
    }
    missed = [anchor for anchor, mark in marks.items() if mark.as_expected is False]
    if missed:
        return Verdict("not informative", f"not informative: did not order {', '.join(missed)}", marks)
    asked = [anchor for anchor, mark in marks.items() if mark.as_expected]
    if not any(marks[anchor].expected == "worse" for anchor in asked):
        return Verdict("not judged", "not judged: no anchor that it should see could be measured", marks)
    few = [anchor for anchor, mark in marks.items() if _is_open(mark)]
    beside = f"; too few clips to tell: {', '.join(few)}" if few else ""
    return Verdict("informative", f"informative: ordered {', '.join(asked)}{beside}", marks)


def _mark(expected: Expected, seen: Seen, weight: Weight) -> Mark:
    demands = {"worse": seen == "worse", "not worse": seen != "worse", "cannot see": None}
    as_expected = None if seen == "not measured" else demands[expected.kind]
    if weight == "none" or (weight == "if seen" and not as_expected):
        as_expected = None
    return Mark(expected.kind, expected.why, seen, as_expected)


def _weight(metric: str, figure: Figure, base: Figure) -> Weight:
    """How far an anchor counts, by its number of clips."""
    if _size(figure) >= _COMPARABLE * _size(base):
        return "full"
    return "none" if metric in _DEPEND_ON_NUMBER else "if seen"


def _size(figure: Figure) -> int:
    return figure.get("n", 0) + figure.get("unmeasured", 0)


def _is_open(mark: Mark) -> bool:
    """Whether something was demanded and measured, and could not be decided."""
    return mark.as_expected is None and mark.expected != "cannot see" and mark.seen != "not measured"
