"""The table of the study: a row for everything that was judged, with what it took.

    real/real          the floor: what two halves of real notes have between each other
    real through it    the ceiling of each representation
    untrained          each contestant before it has learned anything
    trained            each contestant and seed

Every figure has three columns, its value and the ends of its 95 % interval; where there is none all are empty, and the
JSON beside the table says why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from retimbre.workflows.study.representations.baselines import Ceiling, Floor
from retimbre.workflows.study.representations.cell import Cell
from retimbre.workflows.study.representations.judge import COLUMNS, Figure
from retimbre.workflows.study.representations.marks import Marks, read_marks

Row = dict[str, Any]

FLOOR, CEILING, UNTRAINED, TRAINED = "real/real", "real through it", "untrained", "trained"

_ABOUT = (
    *("images", "steps", "best_step", "seconds", "core_seconds"),
    *("generation_ms", "inversion_ms", "there_and_back_ms", "parameters", "critic_parameters"),
)
"""What a row says beside its figures, where it is known."""

_WHOLE_FROM, _DECIMALS = 100.0, 6

AS_IT_IS = "as it is"
"""The setting of a trial that changes nothing."""


def rows_of(floor: Floor, ceilings: Sequence[Ceiling], cells: Sequence[Cell]) -> list[Row]:
    """All rows that are done, in the order of the page."""
    rows = [_row(FLOOR, "", "", None, read_marks(floor.path))]
    rows += [
        _row(CEILING, "", each.contestant.transform.name, None, read_marks(each.path)) for each in ceilings
    ]
    for cell in cells:
        of = cell.contestant.model.name, cell.contestant.transform.name
        rows.append(_row(UNTRAINED, *of, None, read_marks(cell.untrained_file)))
        rows += [_row(TRAINED, *of, seed, read_marks(cell.marks_file(seed))) for seed in cell.seeds]
    return [row for row in rows if row]


def _row(what: str, model: str, representation: str, seed: int | None, marks: Marks | None) -> Row:
    if marks is None:
        return {}
    about = marks["about"]
    return {
        "what": what,
        "model": model,
        "representation": representation,
        "seed": seed,
        **{name: about.get(name) for name in _ABOUT},
        "setting": about.get("setting"),
        "features": about.get("features"),
        "figures": marks["figures"],
    }


def flat(rows: Sequence[Row]) -> list[Row]:
    """The rows as a spreadsheet has them: three columns for each figure."""
    return [_flat(row) for row in rows]


def _flat(row: Row) -> Row:
    found = {name: value for name, value in row.items() if name not in ("figures", "setting", "features")}
    found["setting"] = "" if row["setting"] is None else _setting(row["setting"])
    found["features"] = " x ".join(str(size) for size in row["features"] or ())
    found["n"] = row["figures"]["in_tune"].get("n")
    for name in COLUMNS:
        figure = row["figures"][name]
        found |= {name: figure["value"], f"{name}_low": figure.get("low"), f"{name}_high": figure.get("high")}
    return found


def shown(figure: Figure) -> str:
    """A figure with its interval, as pages and terminals show it; a dash where it has none."""
    if figure["value"] is None:
        return "–"
    value, low, high = (_short(figure[part]) for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _short(value: float) -> str:
    """Three digits, and thousands as they are; what is 0 up to rounding is 0."""
    # Adding 0 takes the sign from a zero.
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{round(value, _DECIMALS) + 0.0:.3g}"


def _setting(changes: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in changes.items()) or AS_IT_IS
