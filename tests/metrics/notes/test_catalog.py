from pathlib import Path

import pytest
import torch

from retimbre.metrics.bootstrap import STATISTICS, Bootstrap, bootstrap
from retimbre.metrics.notes.catalog import NOTE_MEASURES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


@pytest.mark.parametrize("name", NOTE_MEASURES)
def test_every_measure_of_notes_is_documented_with_its_unit(name: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in line]
    assert len(rows) == 1
    unit = NOTE_MEASURES[name].unit
    assert unit == "1" or f"| {unit} |" in rows[0]


def test_figures_are_statistics_that_have_intervals() -> None:
    assert {measure.statistic for measure in NOTE_MEASURES.values()} <= {*STATISTICS, "share"}


def test_what_is_yes_or_no_is_a_share_and_the_page_says_so() -> None:
    shares = {name for name, measure in NOTE_MEASURES.items() if measure.statistic == "share"}
    assert shares == {"pitch_in_tune", "pitch_octave_errors", "pitch_unpitched", "near_copies"}
    page = PAGE.read_text(encoding="utf-8")
    for name, measure in NOTE_MEASURES.items():
        assert f"| `{name}` |" in page
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.split("|")[4].strip() == measure.statistic


def test_none_of_sixty_notes_is_no_proof_that_there_are_none() -> None:
    found = NOTE_MEASURES["pitch_octave_errors"].figure(torch.zeros(60), Bootstrap())
    # Wilson's bound of no hits is z^2 / (n + z^2), 6 % of 60 notes; the rule of three says 5 %.
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1.96**2 / (60 + 1.96**2), rel=1e-4)
    all_of_them = NOTE_MEASURES["pitch_in_tune"].figure(torch.ones(60), Bootstrap())
    assert (all_of_them.low, all_of_them.high) == (pytest.approx(1.0 - found.high), 1.0)


def test_a_median_keeps_its_bootstrap() -> None:
    readings = torch.arange(40.0)
    how = Bootstrap(resamples=100)
    expected = bootstrap(readings, Bootstrap("median", resamples=100))
    assert NOTE_MEASURES["pitch_error"].figure(readings, how) == expected
