"""The comparison of inverters as a page of Markdown."""

from collections.abc import Sequence
from typing import Any

from retimbre.workflows.evaluation.inversion.page import table
from retimbre.workflows.study.matching.measure import OBSERVABLE_SHARE

Row = dict[str, Any]


def report_page(result: Row, knobs: Sequence[Row]) -> str:
    """The page: a row per model, best first, then the percentile rank of every knob."""
    models = sorted(result["models"], key=lambda row: -row["percentile_rank"])
    parts = ["# Inverters side by side", _about(result)]
    if models:
        parts += [_models(models), _order(models), _knobs(models, knobs, result["audible"])]
    if result["unfinished"]:
        parts.append(f"Not finished: {', '.join(result['unfinished'])}. Run the study again to go on.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(result: Row) -> str:
    return (
        f"Budget `{result['budget']}`. MPR is the mean percentile rank of the true class over knobs, 100 always first "
        "and 50 chance, with its 95 % interval over held-out clips. The control is the same network trained on the "
        "same sounds with the labels of other sounds. A knob is observable if it can be heard in at least "
        f"{OBSERVABLE_SHARE:.0%} of the clips; it counts as above chance, or above the control, where the interval of "
        "its MPR, or of the paired difference, lies above."
    )


def _models(models: Sequence[Row]) -> str:
    heading = [
        *("model", "MPR", "95 %", "control", "paper", "above chance", "above control", "exact", "STFT corr."),
        *("FT corr.", "MSS dB", "training s", "parameters", "MB"),
    ]
    rows = [
        [
            f"`{row['name']}`",
            f"{row['percentile_rank']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['control']:.2f}",
            "-" if row["paper"] is None else f"{row['paper']:.2f}",
            f"{row['above_chance']} of {row['observable']}",
            f"{row['above_control']} of {row['observable']}",
            f"{row['exact']:.3f}",
            *(f"{row[name]:.{digits}f}" for name, digits in _SOUNDS if name in row),
            f"{row['seconds']:,.0f}",
            f"{row['parameters']:,}",
            f"{row['megabytes']:.1f}",
        ]
        for row in models
    ]
    return table(heading, rows)


_SOUNDS = (("stft_correlation", 3), ("ft_correlation", 3), ("mss", 2))


def _order(models: Sequence[Row]) -> str:
    """How far the order is the paper's: Spearman's rank correlation over the models that the paper has."""
    both = [row for row in models if row["paper"] is not None]
    if len(both) < 3:
        return ""
    ours = _places([row["percentile_rank"] for row in both])
    theirs = _places([row["paper"] for row in both])
    count = len(both)
    squares = sum((one - other) ** 2 for one, other in zip(ours, theirs, strict=True))
    agreement = 1.0 - 6.0 * squares / (count * (count * count - 1))
    return f"Rank correlation of this order with the paper's, over {count} models: {agreement:.2f}."


def _places(values: Sequence[float]) -> list[int]:
    order = sorted(range(len(values)), key=lambda index: -values[index])
    return [order.index(index) for index in range(len(values))]


def _knobs(models: Sequence[Row], knobs: Sequence[Row], audible: dict[str, float]) -> str:
    ranks = {(row["model"], row["knob"]): row for row in knobs}
    names = [row["name"] for row in models]
    rows = []
    for knob, share in audible.items():
        cells = [ranks[name, knob] for name in names]
        rows.append([knob, f"{share:.2f}", *(_rank(cell) for cell in cells)])
    note = "A star marks what is not above chance and control."
    return f"## Mean percentile rank per knob\n\n{table(['knob', 'audible in', *names], rows)}\n\n{note}"


def _rank(cell: Row) -> str:
    return f"{cell['percentile_rank']:.1f}{'' if cell['above_chance'] and cell['above_control'] else ' *'}"
