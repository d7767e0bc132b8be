"""A piano roll: keys over time, those that were told and those that were heard.

Time runs to the right, keys upwards. A stroke that was told is a dash, one that was heard in the sound a ring. Where
ring and dash meet, what was told was played.
"""

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_TOLD_COLOUR, _HEARD_COLOUR = "#8a8578", "#0b6e75"
_OCTAVE = 12


def piano_roll_png(
    told: Sequence[tuple[float, int]], heard: Sequence[tuple[float, int]], title: str
) -> bytes:
    """The roll as the bytes of a PNG file.

    Args:
        told: Seconds and MIDI numbers of the strokes in a score.
        heard: The same of strokes that a listener found.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(*_columns(told), "|", markersize=9, color=_TOLD_COLOUR, label=f"told: {len(told)}")
    axes.plot(
        *_columns(heard),
        "o",
        markersize=5,
        fillstyle="none",
        color=_HEARD_COLOUR,
        label=f"heard: {len(heard)}",
    )
    keys = [key for _, key in (*told, *heard)] or [60]
    ticks = range(min(keys) // _OCTAVE * _OCTAVE, max(keys) + _OCTAVE, _OCTAVE)
    axes.set_yticks(list(ticks), [f"C{key // _OCTAVE - 1}" for key in ticks])
    axes.grid(axis="y", color="#e2dfd8")
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize="medium")
    axes.legend(loc="upper right", fontsize="small")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _columns(strokes: Sequence[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [at_s for at_s, _ in strokes], [key for _, key in strokes]
