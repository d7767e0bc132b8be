"""The study of phase recovery as a page of Markdown and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.core.files import whole_file
from retimbre.workflows.evaluation.inversion.page import table

Row = dict[str, Any]
# Wide enough for seven groups of bars with their names upright.
_FIGURE_INCHES = (8.0, 3.6)


def report_page(result: dict[str, Any]) -> str:
    """The page: a table of all sounds for every overlap, then one of the families."""
    rows, settings = result["rows"], result["settings"]
    about = (
        f"{result['sounds']} sounds at {settings['sample_rate']} Hz, frames of {settings['n_fft']} samples. Spectral "
        "convergence is the distance between the magnitudes given and those of the sound found, relative to those "
        "given, in dB: lower is better. Means over sounds, with their 95 % bootstrap interval. `griffin-lim-N` is the "
        "fast variant with momentum 0.99 and N iterations, `pghi` integrates phase gradients, and the number after it "
        "counts projections; `hann` names the window, otherwise it is the truncated Gaussian. Times real time: on one "
        "core of the machine that ran this, from magnitudes to sound, a sound at a time. Silence and sounds shorter "
        "than a frame are left out."
    )
    parts = ["# Phase recovery", about, "![Spectral convergence](convergence.png)"]
    for overlap in dict.fromkeys(row["overlap"] for row in rows):
        chosen = [row for row in rows if row["overlap"] == overlap]
        parts += [f"## {overlap} % overlap", _methods(chosen)]
        if any(row["family"] != "all" for row in chosen):
            parts.append(_families(chosen))
    parts += _not_studied("Could not be read", result["refused"])
    parts += _not_studied("Left out", result["left_out"])
    return "\n\n".join(parts) + "\n"


def _not_studied(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {line}" for line in lines)] if lines else []


def _methods(rows: Sequence[Row]) -> str:
    heading = ["method", "mean dB", "95 %", "worst dB", "times real time"]
    lines = [
        [
            f"`{row['method']}`",
            f"{row['mean_db']:.2f}",
            f"{row['low_db']:.2f} to {row['high_db']:.2f}",
            f"{row['worst_db']:.2f}",
            f"{row['times_real_time']:.0f}",
        ]
        for row in rows
        if row["family"] == "all"
    ]
    return table(heading, lines)


def _families(rows: Sequence[Row]) -> str:
    means = {(row["family"], row["method"]): row for row in rows}
    methods = list(dict.fromkeys(row["method"] for row in rows))
    families = [name for name in dict.fromkeys(row["family"] for row in rows) if name != "all"]
    lines = [
        [
            name,
            str(means[name, methods[0]]["sounds"]),
            *(f"{means[name, method]['mean_db']:.1f}" for method in methods),
        ]
        for name in families
    ]
    return table(["family", "sounds", *methods], lines)


def convergence_png(rows: Sequence[Row], path: Path) -> None:
    """Mean convergence of every method with its interval, a bar per overlap."""
    chosen = [row for row in rows if row["family"] == "all"]
    methods = list(dict.fromkeys(row["method"] for row in chosen))
    overlaps = list(dict.fromkeys(row["overlap"] for row in chosen))
    figure = Figure(figsize=_FIGURE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(overlaps)
    for place, overlap in enumerate(overlaps):
        bars = [row for row in chosen if row["overlap"] == overlap]
        means = [row["mean_db"] for row in bars]
        ends = [
            [row["mean_db"] - row["low_db"] for row in bars],
            [row["high_db"] - row["mean_db"] for row in bars],
        ]
        across = [methods.index(row["method"]) + (place - (len(overlaps) - 1) / 2) * width for row in bars]
        axes.bar(across, means, width, yerr=ends, capsize=2, label=f"{overlap} % overlap")
    axes.set_xticks(range(len(methods)), methods, rotation=20)
    axes.set_ylabel("spectral convergence, dB")
    axes.legend()
    with whole_file(path) as aside:
        figure.savefig(aside, dpi=110)
