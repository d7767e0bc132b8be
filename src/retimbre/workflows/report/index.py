"""The index of a batch: one line per sound, with its scores and the way to its report; failures apart, with reasons.

Matching a folder of sounds makes a folder of reports. This page lists them, so that the sounds that matched badly can
be found without opening every one. It follows the same rules as a report: one file, nothing fetched, all escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from retimbre.core.files import write_text
from retimbre.workflows.report.page import MetricColumn, fill


@final
@dataclass(frozen=True)
class IndexRow:
    """One sound of a batch.

    Attributes:
        name: the sound's name.
        report: its report, as a path relative to the index; empty if the sound failed.
        scores: of its best candidate, by the key of a `MetricColumn`.
        note: which key to play, warnings and the like; may be empty.
        failure: why there is no report; empty if there is one.
    """

    name: str
    report: str
    scores: Mapping[str, float]
    note: str
    failure: str


def render_index(title: str, rows: Sequence[IndexRow], metrics: Sequence[MetricColumn]) -> str:
    """The whole index as HTML, in the order of the rows."""
    return fill(
        "index.html.jinja",
        title=title,
        matched=[row for row in rows if not row.failure],
        failed=[row for row in rows if row.failure],
        metrics=metrics,
    )


def write_index(path: Path, title: str, rows: Sequence[IndexRow], metrics: Sequence[MetricColumn]) -> None:
    """Writes the index; the file appears whole or not at all."""
    write_text(path, render_index(title, rows, metrics))
