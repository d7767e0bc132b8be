"""Which contestants are nearer to real notes than others, said only where it can be said.

A contestant that was trained with several seeds has several figures. What its sounds owe to luck in training is not
told by the interval of one of them, so its interval reaches from the lowest to the highest end of all, around their
mean: wider than it need be, which errs on the side of a tie.

The order is that of the report on sets (`evaluation.report.ranking`): KAD through both embedders, one contestant before
another if their intervals lie apart through one of them and through none the other way round. An embedder has a vote if
it tells every untrained generator from real notes, as anyone's ears would.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

from retimbre.metrics.distances.base import Better
from retimbre.workflows.evaluation.report.anchors import REAL
from retimbre.workflows.evaluation.report.expectations import compare
from retimbre.workflows.evaluation.report.ranking import Ranking, rank
from retimbre.workflows.study.representations.judge import COLUMNS, Figure
from retimbre.workflows.study.representations.table import FLOOR, TRAINED, UNTRAINED, Row

_RANKING = ("kad_listener", "kad_statistics")
_NONE: Figure = {"value": None, "low": None, "high": None}


@final
@dataclasses.dataclass(frozen=True)
class Standings:
    """Contestants with what all their seeds got.

    Attributes:
        figures: By contestant and column; the interval reaches over all seeds.
        ranking: Their places.
    """

    figures: dict[str, dict[str, Figure]]
    ranking: Ranking


def standings(rows: Sequence[Row]) -> Standings:
    """The order of all contestants that have a training."""
    of: dict[str, list[Row]] = {}
    for row in rows:
        if row["what"] == TRAINED:
            of.setdefault(contestant_of(row), []).append(row)
    figures = {
        name: {column: joined([row["figures"][column] for row in some]) for column in COLUMNS}
        for name, some in of.items()
    }
    return Standings(figures, rank([_measure(name, rows, figures) for name in _RANKING], list(figures)))


def contestant_of(row: Row) -> str:
    """The name of a row's contestant."""
    return f"{row['model']}/{row['representation']}"


def joined(figures: Sequence[Figure]) -> Figure:
    """The mean over seeds, with an interval that holds the intervals of all; no value where one has none."""
    if not figures or any(figure["value"] is None for figure in figures):
        return dict(_NONE)
    return {
        "value": sum(figure["value"] for figure in figures) / len(figures),
        "low": min(figure["low"] for figure in figures),
        "high": max(figure["high"] for figure in figures),
    }


def _measure(column: str, rows: Sequence[Row], figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    """A column as the report on sets has its measures."""
    better: Better = "lower"
    floor = next((row["figures"][column] for row in rows if row["what"] == FLOOR), _NONE)
    untrained = [row for row in rows if row["what"] == UNTRAINED]
    missed = [
        contestant_of(row) for row in untrained if compare(row["figures"][column], floor, better) != "worse"
    ]
    if floor["value"] is None or not untrained:
        verdict = {
            "kind": "not informative",
            "says": "no real notes or no untrained generators are judged yet",
        }
    elif missed:
        what = f"it does not tell the untrained {', '.join(missed)} from real notes"
        verdict = {"kind": "not informative", "says": what}
    else:
        verdict = {"kind": "informative", "says": "it tells every untrained generator from real notes"}
    return {
        "id": column,
        "metric": "kad",
        "embedder": COLUMNS[column].embedder,
        "better": better,
        "verdict": verdict,
        "figures": {REAL: floor, **{name: found[column] for name, found in figures.items()}},
    }
