"""A picture of an envelope put on a sound: the sound, what came of it, and the gain asked for beside the one it got."""

import io

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from retimbre.workflows.generate.envelope.meter import Levels

_BEFORE, _AFTER, _ASKED = "#8a939b", "#0b6e75", "#c05621"


def envelope_png(levels: Levels, title: str) -> bytes:
    """The picture as the bytes of a PNG file.

    Args:
        levels: What was measured.
        title: The sound's name.
    """
    figure = Figure(figsize=(7.2, 5.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    before, after, gain = figure.subplots(3, 1, sharex=True)
    largest = max(float(levels.before.abs().max()), float(levels.after.abs().max()), 1e-6)
    _draw_extremes(before, levels.before, levels.seconds, _BEFORE, f"{title}: as it was")
    _draw_extremes(after, levels.after, levels.seconds, _AFTER, "under the envelope")
    for axes in (before, after):
        axes.set_ylim(-1.05 * largest, 1.05 * largest)
    blocks = len(levels.asked)
    time_s = (np.arange(blocks) + 0.5) * levels.seconds / blocks
    gain.plot(time_s, levels.asked.numpy(), color=_ASKED, linewidth=2.4, alpha=0.6, label="asked for")
    gain.plot(time_s, levels.measured.numpy(), color=_AFTER, linewidth=1.1, label="measured")
    gain.set_ylim(-0.05, 1.3)
    gain.set_title("gain", fontsize=10, loc="left")
    gain.set_xlabel("seconds", fontsize=8)
    gain.legend(fontsize=8, frameon=False, loc="upper right", ncols=2)
    for axes in (before, after, gain):
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=110)
    return memory.getvalue()


def _draw_extremes(
    axes: Axes, extremes: Float[Tensor, "2 columns"], seconds: float, colour: str, title: str
) -> None:
    """The area between the least and the largest sample of each column."""
    least, largest = extremes.numpy()
    edges_s = np.linspace(0.0, seconds, len(least) + 1)
    axes.stairs(largest, edges_s, baseline=least, fill=True, color=colour)
    axes.set_title(title, fontsize=10, loc="left")
