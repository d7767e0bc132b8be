"""A picture of knobs that move: one panel per knob, all over the same seconds.

Each panel spans the knob's whole travel, so that a knob which hardly moves is seen to hardly move. Windows without
sound are shaded: what stands there was not heard but bridged.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

_MOST_COLUMNS = 3
_LINE_COLOUR, _SHADE = "#0b6e75", "#e2dfd8"
# What is left free above and below a knob's travel: a share of it, or a factor where the axis counts octaves.
_MARGIN, _LOG_MARGIN = 0.04, 1.04


@final
@dataclass(frozen=True)
class CurvePanel:
    """One knob over time.

    Attributes:
        values: In the knob's own unit, one per moment.
        travel: The ends of the axis.
        is_frequency: Whether the axis counts octaves.
    """

    name: str
    unit: str
    values: Sequence[float]
    travel: tuple[float, float]
    is_frequency: bool


def curves_png(time_s: Sequence[float], sounding: Sequence[bool], panels: Sequence[CurvePanel]) -> bytes:
    """The panels as the bytes of a PNG file.

    Args:
        time_s: The moments at which the values stand, ascending.
        sounding: For each moment, whether there was any sound.
    """
    num_columns = min(_MOST_COLUMNS, len(panels))
    num_rows = math.ceil(len(panels) / num_columns)
    figure = Figure(
        figsize=(1.2 + 3.6 * num_columns, 0.3 + 2.1 * num_rows), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(num_rows, num_columns, squeeze=False, sharex=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, time_s, sounding, panel)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("seconds", fontsize=8)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=110)
    return memory.getvalue()


def _draw(axes: Axes, time_s: Sequence[float], sounding: Sequence[bool], panel: CurvePanel) -> None:
    marker = "." if len(time_s) <= 80 else ""  # more would run into a line
    axes.plot(time_s, panel.values, color=_LINE_COLOUR, linewidth=1.4, marker=marker, markersize=4)
    half_s = 0.5 * (time_s[1] - time_s[0]) if len(time_s) > 1 else 0.5
    for moment_s, heard in zip(time_s, sounding, strict=True):
        if not heard:
            axes.axvspan(moment_s - half_s, moment_s + half_s, color=_SHADE, linewidth=0)
    low, high = panel.travel
    if panel.is_frequency:
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_locator(LogLocator(base=2, subs=(1.0, 1.25, 1.5, 1.75)))
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(low / _LOG_MARGIN, high * _LOG_MARGIN)
    else:
        margin = _MARGIN * (high - low)
        axes.set_ylim(low - margin, high + margin)
    axes.set_title(f"{panel.name}, {panel.unit}" if panel.unit else panel.name, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
