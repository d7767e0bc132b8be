"""The figures of a report as one flat table: a line per measure, embedder and set, for a spreadsheet or a plot."""

from collections.abc import Mapping
from typing import Any

from retimbre.core.files import csv_text

COLUMNS: tuple[str, ...] = (
    "metric", "embedder", "set", "kind", "value", "low", "high", "n", "unit", "better", "verdict", "expected", "seen",
    "refused",
)  # fmt: skip


def scores_csv(result: Mapping[str, Any]) -> str:
    """The table as text; what is missing is empty.

    Args:
        result: As `scores.json` has it.
    """
    kinds = {row["name"]: row["kind"] for row in result["rows"]}
    lines = (
        _line(measure, name, figure) | {"kind": kinds[name]}
        for measure in result["measures"]
        for name, figure in measure["figures"].items()
    )
    return csv_text([COLUMNS, *([line[column] for column in COLUMNS] for line in lines)])


def _line(measure: Mapping[str, Any], name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    mark = measure["verdict"]["marks"].get(name, {})
    return {
        "metric": measure["metric"],
        "embedder": measure["embedder"],
        "set": name,
        "value": figure.get("value"),
        "low": figure.get("low"),
        "high": figure.get("high"),
        "n": figure.get("n"),
        "unit": measure["unit"],
        "better": measure["better"],
        "verdict": measure["verdict"]["kind"],
        "expected": mark.get("expected"),
        "seen": mark.get("seen"),
        "refused": figure.get("refused"),
    }
