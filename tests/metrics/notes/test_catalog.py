from pathlib import Path

import pytest

from retimbre.metrics.bootstrap import STATISTICS
from retimbre.metrics.notes.catalog import NOTE_MEASURES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


@pytest.mark.parametrize("name", NOTE_MEASURES)
def test_every_measure_of_notes_is_documented_with_its_unit(name: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in line]
    assert len(rows) == 1
    unit = NOTE_MEASURES[name].unit
    assert unit == "1" or f"| {unit} |" in rows[0]


def test_figures_are_statistics_that_have_intervals() -> None:
    assert {measure.statistic for measure in NOTE_MEASURES.values()} <= set(STATISTICS)
