"""Rows of a study as a table that spreadsheets read."""

import csv
import io
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def rows_csv(rows: Sequence[Row]) -> str:
    """Rows of equal columns as CSV; lists are joined by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    return f"{value:.7g}" if isinstance(value, float) else value
