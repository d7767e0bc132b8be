"""Pictures for reports: spectrograms drawn in milliseconds, level curves, and the history of a training.

A spectrogram shows time from left to right, frequency from bottom to top and level as brightness. Two of them can be
compared by eye only if the same place and the same colour mean the same thing in both, so the axes are made once, from
all the sounds of a page, and every picture is drawn on them: the longest sound sets the width, the highest rate the
height, and the loudest spot of the target the brightest colour. Frequency is logarithmic, so that an octave has the
same height everywhere, as it has on a keyboard.

A spectrogram is written as its pixels alone, one palette index each, without going through a plotting library; tick
labels are left to the page, where they stay sharp at any size. Only the training history, which is drawn once per run,
is a matplotlib figure. It uses a canvas of its own instead of pyplot, so no window system and no global state is met.
"""

import functools
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from retimbre.dsp.level import peak
from retimbre.dsp.stft import LogMagnitude, StftSettings, power
from retimbre.training.journal import Row

# Pixels. A phone shows about this many; a large screen interpolates between them.
_NUM_COLUMNS = 480
_NUM_ROWS = 176
# One analysis frame, seconds: long enough to part the harmonics of a low note, short enough to show an attack.
_FRAME_S = 0.046
# Frames overlap by 15/16 at most: beyond that, new columns of a short sound hold nothing new.
_MOST_OVERLAP = 16
# The lowest octaves hold no notes that a frame of this length could resolve.
_LOWEST_HZ = 40.0
_HIGHEST_HZ = 20_000.0
# Fewer colours than a byte has: the eye sees no steps at 72 dB / 64, and the file is a third smaller.
_NUM_COLOURS = 64
_COLOURS = "magma"


@final
@dataclass(frozen=True)
class SpectrogramAxes:
    """What place and colour mean in a spectrogram.

    Attributes:
        seconds: time at the right edge; the left edge is 0.
        low_hz: frequency at the bottom edge.
        high_hz: frequency at the top edge; heights between are logarithmic.
        top_db: level of the brightest colour, where a full-scale sine has 0 dB.
        range_db: how far below that the darkest colour is.
    """

    seconds: float
    low_hz: float
    high_hz: float
    top_db: float
    range_db: float = 72.0

    def frequency_ticks(self) -> list[tuple[float, str]]:
        """Heights (0 bottom, 1 top) and labels of the round frequencies on the axis."""
        octaves = math.log(self.high_hz / self.low_hz)
        wanted_hz = [100.0, 1_000.0, 10_000.0] if self.high_hz > 12_000 else [100.0, 500.0, 2_000.0]
        inside = [hz for hz in wanted_hz if self.low_hz < hz < 0.95 * self.high_hz]
        return [(math.log(hz / self.low_hz) / octaves, _hz_label(hz)) for hz in inside]

    def time_ticks(self) -> list[tuple[float, str]]:
        """Positions (0 left, 1 right) and labels of round times on the axis, from three to six of them."""
        step = _round_step(self.seconds / 4)
        count = int(self.seconds / step + 1e-9) + 1
        return [(index * step / self.seconds, f"{index * step:g} s") for index in range(count)]


def shared_axes(target: Tensor, sounds: Sequence[Tensor], sample_rates: Sequence[int]) -> SpectrogramAxes:
    """Axes that show every one of `sounds` whole, with colours that suit the target.

    Args:
        target: the sound whose loudest spot gets the brightest colour; the first of the rates is its own.
        sounds: everything to be shown, the target included, `[samples]` each.
        sample_rates: hertz, one per sound.
    """
    seconds = max(len(sound) / rate for sound, rate in zip(sounds, sample_rates, strict=True))
    high_hz = min(max(sample_rates) / 2, _HIGHEST_HZ)
    axes = SpectrogramAxes(seconds, min(_LOWEST_HZ, high_hz / 2), high_hz, top_db=0.0)
    loudest_db = float(spectrogram_db(target, sample_rates[0], axes).max())
    # A silent target still needs a scale on which its candidates can be seen.
    return SpectrogramAxes(axes.seconds, axes.low_hz, axes.high_hz, top_db=max(loudest_db, -60.0))


def spectrogram_db(
    samples: Float[Tensor, " samples"], sample_rate: int, axes: SpectrogramAxes
) -> Float[Tensor, "rows columns"]:
    """Levels on the axes: the first row is the lowest frequency, the first column the start.

    A steady sine at full scale shows as 0 dB at any frequency. Where the sound has ended, and above half its own rate,
    the level is the floor, -120 dB.
    """
    n_fft = 1 << max(5, round(math.log2(_FRAME_S * sample_rate)))
    num_samples = max(1, round(axes.seconds * sample_rate))
    hop_length = max(1, n_fft // _MOST_OVERLAP, math.ceil(num_samples / _NUM_COLUMNS))
    padded = torch.nn.functional.pad(samples[:num_samples], (0, max(0, num_samples - len(samples))))
    # A Hann window sums to n_fft / 2, and a sine puts half of its amplitude at the positive frequency.
    levels = power(padded[None], StftSettings(n_fft, hop_length))[0] * (4 / n_fft) ** 2
    bands = _log_bands(sample_rate, n_fft, axes.low_hz, axes.high_hz).to(levels)
    return LogMagnitude(floor_db=-120.0).of_power(bands @ levels)


def spectrogram_png(samples: Float[Tensor, " samples"], sample_rate: int, axes: SpectrogramAxes) -> bytes:
    """A spectrogram as the bytes of a PNG file: low frequencies at the bottom, the start at the left."""
    levels_db = spectrogram_db(samples, sample_rate, axes)
    shade = 1 + (levels_db - axes.top_db) / axes.range_db
    indices = (shade.clamp(0, 1) * (_NUM_COLOURS - 1)).round().to(torch.uint8)
    return _palette_png(indices.flip(0))


def colour_scale_png() -> bytes:
    """The colours of a spectrogram from the darkest (left) to the brightest, one pixel each."""
    return _palette_png(torch.arange(_NUM_COLOURS, dtype=torch.uint8)[None])


def envelope(
    samples: Float[Tensor, " samples"], sample_rate: int, *, seconds: float, num_points: int
) -> Float[Tensor, " num_points"]:
    """The largest absolute sample in each of `num_points` equal parts of `seconds`; 0 after the sound's end."""
    part = max(1, math.ceil(seconds * sample_rate / num_points))
    shown = samples[: part * num_points]
    padded = torch.nn.functional.pad(shown, (0, part * num_points - len(shown)))
    return peak(padded.reshape(num_points, part))


def history_png(rows: Iterable[Row]) -> bytes:
    """The curves of a training as the bytes of a PNG file: one panel per quantity, one curve per split.

    The panels stand in the order in which the quantities first appear; a value that is not finite leaves a gap.
    """
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        curves.setdefault(row.name, {}).setdefault(row.split, []).append((row.step, row.value))
    num_columns = min(3, max(1, len(curves)))
    num_rows = max(1, math.ceil(len(curves) / num_columns))
    figure = Figure(figsize=(4.2 * num_columns, 2.9 * num_rows), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    for panel, (quantity, splits) in zip(panels, curves.items(), strict=False):
        _draw_panel(panel, quantity, splits)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=110)
    return memory.getvalue()


@functools.lru_cache(maxsize=16)
def _log_bands(sample_rate: int, n_fft: int, low_hz: float, high_hz: float) -> Float[Tensor, "rows bins"]:
    """Triangular bands evenly spaced in log frequency: as wide as a row, or as a bin where that is wider.

    The peak of each triangle is 1, so that a sine keeps its level in bands of any width.
    """
    position = (torch.arange(_NUM_ROWS, dtype=torch.float64) + 0.5) / _NUM_ROWS
    centre_hz = low_hz * (high_hz / low_hz) ** position[:, None]
    bin_hz = sample_rate / n_fft
    row_hz = centre_hz * math.log(high_hz / low_hz) / _NUM_ROWS
    distance_hz = (torch.arange(n_fft // 2 + 1, dtype=torch.float64) * bin_hz - centre_hz).abs()
    return (1 - distance_hz / row_hz.clamp_min(bin_hz)).clamp_min(0).float()


@functools.cache
def _palette() -> bytes:
    colours = colormaps[_COLOURS](np.linspace(0, 1, _NUM_COLOURS))[:, :3]
    return bytes((colours * 255).round().astype(np.uint8).flatten())


def _palette_png(indices: UInt8[Tensor, "rows columns"]) -> bytes:
    image = Image.fromarray(indices.contiguous().numpy(), mode="L").copy()
    image.putpalette(_palette())
    memory = io.BytesIO()
    image.save(memory, format="PNG", compress_level=7)
    return memory.getvalue()


def _hz_label(hz: float) -> str:
    return f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz:g} Hz"


def _round_step(smallest: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `smallest`."""
    decade = 10.0 ** math.floor(math.log10(smallest))
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= smallest * (1 - 1e-9))


def _draw_panel(panel: Axes, quantity: str, splits: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    colours = {"train": "#8a939b", "validation": "#0b6e75"}
    for split, points in splits.items():
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) == 1 else ""
        panel.plot(steps, values, color=colours.get(split), label=split, linewidth=1.4, marker=marker)
    panel.set_title(quantity, fontsize=10, loc="left")
    panel.set_xlabel("step", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(fontsize=8, frameon=False)
