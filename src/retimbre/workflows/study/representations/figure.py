"""The figures of the study: distances and pitch of every contestant, and rainbowgrams of what each model plays."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.dsp import audiofile
from retimbre.workflows.report.rainbowgram import RainbowSound, rainbowgram_grid_png
from retimbre.workflows.study.representations.judge import COLUMNS

Figures = Mapping[str, Mapping[str, Any]]

_PANELS: tuple[tuple[str, Literal["symlog", "linear"]], ...] = (
    ("kad_listener", "symlog"),
    ("kad_statistics", "symlog"),
    ("in_tune", "linear"),
)
# Colours that readers with colour-blindness tell apart (Okabe and Ito 2008), one for each model.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
_GREY = "#6b747b"
# Below this, distances are drawn to scale, above it in decades: those of equal sets lie around 0.
_LINEAR_TO = 0.1


def standings_png(contestants: Mapping[str, Figures], floor: Figures) -> bytes:
    """A point with its interval for every contestant and measure, and the floor as a band; the bytes of a PNG file."""
    names = list(contestants)
    figure = Figure(figsize=(11.0, 1.4 + 0.24 * len(names)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(_PANELS), sharey=True, squeeze=False)[0]
    for panel, (column, scale) in zip(panels, _PANELS, strict=True):
        _draw(panel, column, contestants, floor)
        if scale == "symlog":
            panel.set_xscale("symlog", linthresh=_LINEAR_TO)
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].invert_yaxis()
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=100)
    return memory.getvalue()


def _draw(panel: Axes, column: str, contestants: Mapping[str, Figures], floor: Figures) -> None:
    real = floor.get(column, {})
    if real.get("value") is not None:
        panel.axvspan(real["low"], real["high"], color=_GREY, alpha=0.2, linewidth=0)
    models = list(dict.fromkeys(name.partition("/")[0] for name in contestants))
    for place, (name, figures) in enumerate(contestants.items()):
        found = figures[column]
        if found["value"] is None:
            continue
        colour = _COLOURS[models.index(name.partition("/")[0]) % len(_COLOURS)]
        panel.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=2.0)
        panel.plot([found["value"]], [place], "o", color=colour, markersize=4.0)
    panel.set_title(COLUMNS[column].title, fontsize=10, loc="left")
    panel.set_xlabel(f"{COLUMNS[column].better} is better", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(axis="x", alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def sheet_png(played: Mapping[str, Sequence[Path]]) -> bytes:
    """Rainbowgrams of some sounds: a row for each name, a column for each key; the bytes of a PNG file."""
    rows = [[_sound(path) for path in paths] for paths in played.values()]
    keys = [f"key {int(path.stem)}" for path in next(iter(played.values()))]
    return rainbowgram_grid_png(rows, list(played), keys)


def _sound(path: Path) -> RainbowSound:
    sound = audiofile.read(path)
    return RainbowSound(sound.samples, sound.sample_rate)
