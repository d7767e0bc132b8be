"""Which of several generators is nearer to the real sounds, said only where it can be said.

The order is KAD's, an unbiased distance that is steady at small numbers of clips, over all embedders whose KAD has
proved itself on the anchors. One generator stands before another if their intervals lie apart under at least one
embedder, and under none in the other's favour. Everything else is a tie and is called one: two figures that differ
while their intervals overlap say nothing about which set is better.

A generator that holds clips of the reference is compared with itself in part, and nothing here can tell how near the
rest is: whatever is said of it says that, too.

A place counts how many generators stand before. Such an order may have a loop of ties in it (A before C, both tied
with B); the pairs are given too, and they are what counts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from retimbre.workflows.evaluation.report.anchors import REAL
from retimbre.workflows.evaluation.report.expectations import Seen, compare

METRIC = "kad"
"""The distance that ranks."""

Measure = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Ranking:
    """The order of the models.

    Attributes:
        by: The measures that it rests on, by id; empty if there is none, and then there is no order.
        places: Models by place from 1 on; several at one place are not told apart there.
        pairs: For every two models, which stands before the other, or a tie, in words.
        says: The headline, a sentence or more.
    """

    by: tuple[str, ...]
    places: dict[str, int]
    pairs: tuple[str, ...]
    says: tuple[str, ...]


Held = Mapping[str, tuple[int, int]]
"""For each row how many clips of the reference it holds, of how many clips that it has."""


def rank(measures: Sequence[Measure], models: Sequence[str], held: Held | None = None) -> Ranking:
    """The order of some rows by the informative KADs.

    Args:
        measures: As they stand in a report: `id`, `metric`, `better`, `verdict` and `figures` by row.
        models: The rows to be ranked.
        held: Which of them hold clips of the reference.
    """
    held = held or {}
    ranking = [measure for measure in measures if measure["metric"] == METRIC]
    usable = [measure for measure in ranking if measure["verdict"]["kind"] == "informative"]
    by = tuple(measure["id"] for measure in usable)
    if not usable:
        return Ranking((), {}, (), (_no_order(measures),))
    pairs: list[str] = []
    behind: dict[str, int] = dict.fromkeys(models, 0)
    for one, other in itertools.combinations(models, 2):
        won, lost = _won(usable, one, other), _won(usable, other, one)
        if won and not lost:
            behind[other] += 1
            pairs.append(_nearer(one, other, _counted(won, usable), held))
        elif lost and not won:
            behind[one] += 1
            pairs.append(_nearer(other, one, _counted(lost, usable), held))
        else:
            why = "the embedders contradict each other" if won else "the intervals overlap"
            pairs.append(f"{one} and {other} are tied: {why}")
    places = {name: count + 1 for name, count in sorted(behind.items(), key=lambda item: item[1])}
    says = [_first_place(places, held), *(_beside_real(usable, ranking, name, held) for name in places)]
    return Ranking(by, places, tuple(pairs), tuple(sentence for sentence in says if sentence))


def _nearer(one: str, other: str, counted: str, held: Held) -> str:
    but = _but([one], held)
    return f"{one} is nearer to the real sounds than {other} ({counted}){'.' if but else ''}{but}"


def _but(names: Sequence[str], held: Held) -> str:
    """What a sentence that speaks well of some rows has to add."""
    told = [
        f"{held[name][0]} of the {held[name][1]} clips of {name} are the reference's own"
        for name in names
        if held.get(name, (0, 0))[0]
    ]
    return f" But {', and '.join(told)}: it is compared with itself." if told else ""


def _won(usable: Sequence[Measure], one: str, other: str) -> int:
    """Under how many embedders the first lies apart from the second on the better side."""
    return sum(
        compare(measure["figures"].get(one, {}), measure["figures"].get(other, {}), measure["better"])
        == "better"
        for measure in usable
    )


def _counted(count: int, usable: Sequence[Measure]) -> str:
    return f"KAD intervals lie apart under {count} of {len(usable)} informative embedders, under none the other way"


def _no_order(measures: Sequence[Measure]) -> str:
    verdicts = [
        f"{measure['embedder']}: {measure['verdict']['says']}"
        for measure in measures
        if measure["metric"] == METRIC
    ]
    told = f" ({'; '.join(verdicts)})" if verdicts else ""
    return f"No ranking: KAD is not informative on these sounds with any embedder{told}."


def _first_place(places: Mapping[str, int], held: Held) -> str:
    first = [name for name, place in places.items() if place == 1]
    if len(places) < 2:
        return ""
    but = _but(first, held)
    if len(first) == 1:
        return f"{first[0]} comes first: no other set is as near to the real sounds by KAD, with 95 % confidence.{but}"
    if not first:
        return "No set comes first: each is behind another one under some embedder."
    return f"{_listed(first)} share the first place: KAD does not tell them apart with 95 % confidence.{but}"


def _beside_real(usable: Sequence[Measure], ranking: Sequence[Measure], model: str, held: Held) -> str:
    """How a model stands to real sounds that are not the reference.

    An embedder that missed an anchor has no vote on the order, but a difference that it does hear is one.
    """
    apart = {measure["id"]: _beside(measure, model) for measure in ranking}
    seen = [apart[measure["id"]] for measure in usable]
    if all(each == "not measured" for each in seen):
        return f"{model} could not be measured."
    others = [
        measure["embedder"]
        for measure in ranking
        if measure not in usable and apart[measure["id"]] == "worse"
    ]
    but = _but([model], held)
    worse = seen.count("worse")
    if worse:
        return f"{model} is told from real sounds by KAD under {worse} of {len(usable)} informative embedders.{but}"
    if others:
        return (
            f"{model} is not told from real sounds by KAD under any of {len(usable)} informative embedders, "
            f"but is under {', '.join(others)}.{but}"
        )
    return f"{model} cannot be told from real sounds by KAD at this number of clips.{but}"


def _beside(measure: Measure, model: str) -> Seen:
    return compare(measure["figures"].get(model, {}), measure["figures"].get(REAL, {}), measure["better"])


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
