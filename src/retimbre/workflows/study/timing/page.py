"""The study of what representations cost as a page of Markdown and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.core.files import whole_file
from retimbre.workflows.evaluation.inversion.page import table

Row = dict[str, Any]
# Measured columns of the table with their digits after the point.
_COLUMNS = (
    ("encode_ms", 3),
    ("encode_x", 0),
    ("encode_mb", 2),
    ("decode_ms", 3),
    ("decode_x", 0),
    ("decode_mb", 2),
    ("snr_db", 0),
    ("convergence_db", 1),
)


def report_page(result: dict[str, Any]) -> str:
    """The page: what was measured on what, and a row per entry."""
    heading = [
        "representation",
        "exact",
        "features of a clip",
        "values per sample",
        "encode ms",
        "x real time",
    ]
    heading += ["MB", "decode ms", "x real time", "MB", "SNR dB", "convergence dB"]
    rows = [
        [
            f"`{row['name']}`",
            "yes" if row["exact"] else "no",
            row["shape"],
            f"{row['values_per_sample']:.2f}",
            *(_number(row[name], digits) for name, digits in _COLUMNS),
        ]
        for row in result["rows"]
    ]
    about = (
        f"{result['batch']} clips of {result['seconds']:g} s at {result['sample_rate']:,} Hz at once, float32, on "
        f"{result['device']}, {result['hardware']['threads']} threads, torch {result['hardware']['torch']}. Times are "
        "milliseconds per clip, the fastest of several calls after a warm-up; MB is the memory that the first call "
        "takes at its highest, per clip. SNR compares samples; convergence is the spectral convergence of "
        "magnitudes, which does not mind an estimated phase (lower is better)."
    )
    picture = "![Time and memory of each representation](costs.png)"
    return f"# What the representations cost\n\n{about}\n\n{picture}\n\n{table(heading, rows)}\n"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def costs_png(rows: Sequence[Row], path: Path) -> None:
    """Time and memory per clip, to encode and to decode: a pair of bars per entry, none where there is no figure."""
    # Lines of 10 points need a fifth of an inch each; the rest is for the axis below and the names above.
    figure = Figure(figsize=(9.0, 1.2 + 0.2 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2, sharey=True)
    _bars(times, rows, "ms")
    _bars(memory, rows, "mb")
    times.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=8)
    times.invert_yaxis()
    times.set_xlabel("milliseconds per clip")
    memory.set_xlabel("megabytes per clip")
    figure.legend(*times.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    with whole_file(path) as aside:
        figure.savefig(aside, dpi=110)


def _bars(axes: Axes, rows: Sequence[Row], unit: str) -> None:
    """Entries differ by factors of a thousand, so the axis is logarithmic."""
    for verb, offset in (("encode", -0.2), ("decode", 0.2)):
        found = [(place + offset, row[f"{verb}_{unit}"]) for place, row in enumerate(rows)]
        # A logarithmic axis has no place for nothing, which is what a view of the samples costs.
        shown = [(place, value) for place, value in found if value is not None and value > 0.0]
        axes.barh([place for place, _ in shown], [value for _, value in shown], height=0.4, label=verb)
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
