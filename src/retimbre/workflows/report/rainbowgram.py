"""Rainbowgrams as pictures: lightness for level, hue for tuning, pitch upwards and time to the right.

`rainbow` says what is painted; this module paints it. For lightness to mean level, all hues must be equally light,
which the colour wheel of a screen is not: its yellow is as light as paper and its blue nearly black, so that a change
of tuning would look like one of level. Colours are therefore taken from OKLCH, where lightness, chroma and hue are what
the eye means by them. Each level has one lightness, and of chroma as much as the screen can show at that lightness in
*every* hue, so that no hue stands out. A key beside the picture shows both scales.

A single picture has axes of its own unless it is given some; in a grid all pictures have the same, so that the same
place and colour mean the same thing in each.

References:
    Ottosson (2020), "A perceptual color space for image processing", https://bottosson.github.io/posts/oklab/
"""

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.workflows.report.rainbow import C1_HZ, ROWS_PER_OCTAVE, RainbowAxes, rainbow, rainbow_axes

# The eye sees no steps between these, and the file stays small.
_NUM_LEVELS, _NUM_HUES = 64, 72
# At this lightness the screen shows the strongest colours in all hues.
_LIGHTEST = 0.75
# From OKLab to the cube roots of cone responses, and from the responses to linear sRGB; Ottosson 2020.
_CONES = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_SCREEN = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
_DPI = 110
_KEY_INCHES = 0.45
# Once around the wheel is from row to row.
_WHEEL_CENTS = 1200.0 / ROWS_PER_OCTAVE
_KEY_CENTS = (-25, 0, 25)
_INK, _GREY, _NOTHING = "#22272b", "#6b747b", "#eceae5"


@final
@dataclass(frozen=True, eq=False)
class RainbowSound:
    """A sound of a grid.

    Attributes:
        samples: Mono.
        sample_rate: Hz; sounds of a grid may have different ones.
    """

    samples: Float[Tensor, " samples"]
    sample_rate: int


def rainbow_pixels(
    samples: Float[Tensor, " samples"], sample_rate: int, axes: RainbowAxes
) -> UInt8[Tensor, "rows columns 3"]:
    """The colours of a rainbowgram in sRGB: the first row is the lowest pitch, the first column the start.

    Raises:
        AudioError: Samples that are not finite.
    """
    painted = rainbow(samples, sample_rate, axes)
    shade = (1 + (painted.level_db - axes.top_db) / axes.range_db).clamp(0, 1)
    level = (shade * (_NUM_LEVELS - 1)).round().long()
    hue = (painted.tuning_cents / _WHEEL_CENTS * _NUM_HUES).round().long() % _NUM_HUES
    return _colours()[level, hue]


def rainbowgram_png(
    samples: Float[Tensor, " samples"],
    sample_rate: int,
    *,
    axes: RainbowAxes | None = None,
    title: str = "",
) -> bytes:
    """A rainbowgram of one sound, with notes, seconds and a key of its colours, as the bytes of a PNG file.

    Args:
        samples: Mono; of a sound longer than the axes, the beginning is shown.
        sample_rate: Hz.
        axes: None for those that fit this sound.
        title: Above the picture; may be empty.

    Raises:
        AudioError: Samples that are not finite.
    """
    axes = axes or rainbow_axes([samples], [sample_rate])
    figure, panels, key = _figure((5.4, 3.2), 1, 1)
    _paint(panels[0, 0], RainbowSound(samples, sample_rate), axes)
    panels[0, 0].set_title(title, fontsize=9, loc="left", color=_INK)
    panels[0, 0].set_xlabel("seconds", fontsize=8, color=_GREY)
    _paint_key(key, axes)
    return _png(figure)


def rainbowgram_grid_png(
    rows: Sequence[Sequence[RainbowSound | None]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    axes: RainbowAxes | None = None,
) -> bytes:
    """Rainbowgrams of many sounds on the same axes, as the bytes of a PNG file.

    Args:
        rows: Sounds from left to right, row by row; None leaves a place empty.
        row_names: One per row, written at its left.
        column_names: One per column, written above it.
        axes: None for those that fit all of the sounds.

    Raises:
        AudioError: There is no sound, the rows differ in length or from their names, or samples are not finite.
    """
    sounds = [sound for row in rows for sound in row if sound]
    widths = {len(row) for row in rows}
    if len(rows) != len(row_names) or widths != {len(column_names)}:
        raise AudioError(
            f"a grid of {len(rows)} rows of {sorted(widths)} sounds has {len(row_names)} names of rows and "
            f"{len(column_names)} of columns; takes one each"
        )
    axes = axes or rainbow_axes([each.samples for each in sounds], [each.sample_rate for each in sounds])
    size = (1.0 + 2.6 * len(column_names), 0.5 + 2.1 * len(rows))
    figure, panels, key = _figure(size, len(rows), len(column_names))
    for places, row, name in zip(panels, rows, row_names, strict=True):
        for panel, sound in zip(places, row, strict=True):
            _paint(panel, sound, axes)
        places[0].set_ylabel(name, fontsize=9, color=_INK)
    for panel, name in zip(panels[0], column_names, strict=True):
        panel.set_title(name, fontsize=9, loc="left", color=_INK)
    for panel in panels[-1]:
        panel.set_xlabel("seconds", fontsize=8, color=_GREY)
    _paint_key(key, axes)
    return _png(figure)


def _figure(
    size_inches: tuple[float, float], num_rows: int, num_columns: int
) -> tuple[Figure, np.ndarray, Axes]:
    """A white figure, its panels [rows columns], and a narrow one for the key of the colours."""
    figure = Figure(figsize=size_inches, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    ratios = [*[size_inches[0] / num_columns] * num_columns, _KEY_INCHES]
    places = figure.add_gridspec(num_rows, num_columns + 1, width_ratios=ratios)
    panels = np.empty((num_rows, num_columns), dtype=object)
    for row, column in np.ndindex(panels.shape):
        panel = figure.add_subplot(places[row, column])
        panel.label_outer()
        panels[row, column] = panel
    return figure, panels, figure.add_subplot(places[0, num_columns])


def _paint(panel: Axes, sound: RainbowSound | None, axes: RainbowAxes) -> None:
    octaves = math.log2(axes.high_hz / axes.low_hz)
    panel.set_facecolor("black" if sound else _NOTHING)
    if sound:
        pixels = rainbow_pixels(sound.samples, sound.sample_rate, axes)
        half_row = 0.5 / ROWS_PER_OCTAVE
        top = (axes.num_rows - 1) / ROWS_PER_OCTAVE + half_row
        extent = (0.0, axes.seconds, -half_row, top)
        panel.imshow(pixels.numpy(), extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    panel.set_xlim(0.0, axes.seconds)
    panel.set_ylim(0.0, octaves)
    places, labels = _note_ticks(axes)
    panel.set_yticks(places, labels)
    _tidy(panel)


def _note_ticks(axes: RainbowAxes) -> tuple[list[float], list[str]]:
    """The Cs on the axis, in octaves above its lowest row, with their names."""
    first = math.ceil(math.log2(axes.low_hz / C1_HZ) - 1e-9)
    last = math.floor(math.log2(axes.high_hz / C1_HZ) + 1e-9)
    octaves = range(first, last + 1)
    return [math.log2(C1_HZ / axes.low_hz) + octave for octave in octaves], [
        f"C{octave + 1}" for octave in octaves
    ]


def _paint_key(panel: Axes, axes: RainbowAxes) -> None:
    """The colours of all levels and tunings."""
    colours = _colours().roll(_NUM_HUES // 2, dims=1).transpose(0, 1).numpy()
    extent = (axes.top_db - axes.range_db, axes.top_db, -0.5 * _WHEEL_CENTS, 0.5 * _WHEEL_CENTS)
    panel.imshow(colours, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    panel.yaxis.tick_right()
    panel.set_yticks(_KEY_CENTS, [f"{cents:+d}" if cents else "0" for cents in _KEY_CENTS])
    panel.set_xticks(
        [axes.top_db - axes.range_db, axes.top_db],
        [f"{axes.top_db - axes.range_db:.0f}", f"{axes.top_db:.0f}"],
    )
    panel.set_title("cents", fontsize=8, color=_GREY, loc="right")
    panel.set_xlabel("dB", fontsize=8, color=_GREY)
    _tidy(panel)


def _tidy(panel: Axes) -> None:
    panel.tick_params(labelsize=7, colors=_GREY, length=2.5)
    panel.spines[:].set_visible(False)


def _png(figure: Figure) -> bytes:
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=_DPI)
    return memory.getvalue()


@functools.cache
def _colours() -> UInt8[Tensor, "levels hues 3"]:
    """The colour of each level, from the darkest, and of each hue, from that of a row's middle upwards."""
    lightness = torch.linspace(0.0, _LIGHTEST, _NUM_LEVELS, dtype=torch.float64)[:, None]
    # Half of a turn away from blue, so that what is in tune is a warm yellow.
    angle = 2.0 * math.pi * (torch.arange(_NUM_HUES).double() / _NUM_HUES + 0.25)
    chroma = _common_chroma(lightness, angle)
    return (_screen(lightness, chroma, angle).clamp(0, 1) * 255).round().to(torch.uint8)


def _common_chroma(
    lightness: Float[Tensor, "levels 1"], angle: Float[Tensor, " hues"]
) -> Float[Tensor, "levels 1"]:
    """The most chroma that the screen can show in every hue at each lightness, found by halving."""
    low, high = torch.zeros_like(lightness), torch.full_like(lightness, 0.4)
    for _ in range(16):
        middle = (low + high) / 2
        shown = _screen(lightness, middle, angle)
        fits = ((shown >= 0.0) & (shown <= 1.0)).all(dim=-1).all(dim=-1, keepdim=True)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return low


def _screen(
    lightness: Float[Tensor, "levels 1"], chroma: Float[Tensor, "levels 1"], angle: Float[Tensor, " hues"]
) -> Float[Tensor, "levels hues 3"]:
    """OKLCH to sRGB; values beyond 0 to 1 cannot be shown."""
    a, b = chroma * angle.cos(), chroma * angle.sin()
    lab = torch.stack([lightness.expand_as(a), a, b], dim=-1)
    linear = (lab @ torch.tensor(_CONES).double().T) ** 3 @ torch.tensor(_SCREEN).double().T
    # The curve of sRGB (IEC 61966-2-1), continued below 0 by its straight part.
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    )
