"""What a set of clips got, kept in a file of its own.

    {"facts": {...},     what the figures depend on
     "figures": {...},   of `judge.py`, by name
     "about": {...}}     what else is in the row: sizes, times

A file whose facts are others is made again, since judging is cheap beside training. One that is damaged is, too.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from retimbre.core.files import write_json

Marks = dict[str, Any]

_PARTS = ("facts", "figures", "about")


def read_marks(path: Path) -> Marks | None:
    """The marks of a file; None where there are none that can be understood."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    whole = isinstance(content, dict) and all(isinstance(content.get(part), dict) for part in _PARTS)
    return content if whole else None


def kept_marks(path: Path, facts: Mapping[str, Any], make: Callable[[], Marks]) -> Marks:
    """The marks of a file if they depend on these facts, or else those that are made now and written there.

    Args:
        facts: As JSON has them.
        make: Gives `figures` and `about`.
    """
    known = read_marks(path)
    if known is not None and known["facts"] == facts:
        return known
    marks = {"facts": dict(facts), **make()}
    write_json(path, marks)
    return marks
