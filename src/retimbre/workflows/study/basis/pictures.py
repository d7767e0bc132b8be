"""Pictures of a basis: its functions in time and in frequency, a sound's codes, and the table of ratios as curves."""

import io
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from retimbre.dsp.windowed_waves import outlines, spectra
from retimbre.representation.learned_basis import Basis
from retimbre.workflows.study.basis.contest import WORDS
from retimbre.workflows.study.basis.shapes import by_distance, centres_hz, kernels_of

Row = dict[str, Any]

# Up to so many functions can be told apart as curves; more are rows of an image.
_MOST_CURVES = 12
_DPI = 110
_FLOOR_DB = -60.0
_NOTHING = 1e-30
_CODES_FLOOR_DB = -60.0


def functions_png(basis: Basis) -> bytes:
    """The functions, each in time and in frequency: as curves where they are few, else as images in both orders."""
    kernels, rate = kernels_of(basis), basis.config.sample_rate
    if sum(map(len, kernels)) <= _MOST_CURVES:
        return _curves(kernels, rate)
    return _images(max(kernels, key=len), rate)


def _curves(kernels: Sequence[Tensor], sample_rate: int) -> bytes:
    """A row per length: to the left how high each swings, and the lowest itself; to the right its spectrum."""
    figure, panels = _figure((9.0, 2.3 * len(kernels)), len(kernels), 2)
    for (time, frequency), group in zip(panels, kernels, strict=True):
        milliseconds = torch.arange(group.shape[1]) / sample_rate * 1e3
        centres = centres_hz(group, sample_rate)
        swings = outlines(group)
        time.plot(milliseconds, group[int(centres.argmin())], linewidth=0.4, color="0.7")
        for index in centres.argsort(stable=True).tolist():
            label = f"{centres[index]:,.0f} Hz"
            time.plot(milliseconds, swings[index], linewidth=0.9, label=label)
            levels = _decibels(spectra(group[index : index + 1])[0])
            hertz = torch.linspace(0.0, sample_rate / 2, len(levels))
            frequency.plot(hertz[1:], levels[1:], linewidth=0.7, label=label)
        time.set_title(f"{group.shape[1]:,} samples", fontsize=9, loc="left")
        frequency.set_xscale("log")
        frequency.set_ylim(_FLOOR_DB, 5.0)
        frequency.set_ylabel("dB", fontsize=8)
        frequency.legend(fontsize=7, frameon=False)
    panels[-1][0].set_xlabel("milliseconds", fontsize=8)
    panels[-1][1].set_xlabel("hertz", fontsize=8)
    return _png(figure)


def _images(kernels: Float[Tensor, "functions length"], sample_rate: int) -> bytes:
    """Both orders above each other: samples to the left, spectra to the right, a row per function."""
    orders = {
        "by centre frequency": centres_hz(kernels, sample_rate).argsort(stable=True),
        "by distance to the one of smallest norm": by_distance(kernels),
    }
    figure, panels = _figure((9.0, 7.0), 2, 2)
    most = float(kernels.abs().max()) or 1.0
    extent_ms = kernels.shape[1] / sample_rate * 1e3
    for (time, frequency), (name, order) in zip(panels, orders.items(), strict=True):
        count = len(order)
        time.imshow(
            kernels[order].numpy(),
            aspect="auto",
            cmap="RdBu_r",
            vmin=-most,
            vmax=most,
            extent=(0.0, extent_ms, count, 0),
        )
        levels = torch.stack([_decibels(power) for power in spectra(kernels[order])])
        frequency.imshow(
            levels.numpy(),
            aspect="auto",
            cmap="magma",
            vmin=_FLOOR_DB,
            vmax=0.0,
            extent=(0.0, sample_rate / 2e3, count, 0),
        )
        time.set_title(name, fontsize=9, loc="left")
        time.set_ylabel("function", fontsize=8)
    panels[-1][0].set_xlabel("milliseconds", fontsize=8)
    panels[-1][1].set_xlabel("kilohertz", fontsize=8)
    return _png(figure)


def codes_png(codes: Float[Tensor, "channels *shape"], seconds: float) -> bytes:
    """The codes of one excerpt as levels below the largest, a panel per image."""
    images = codes[None] if codes.ndim == 2 else codes
    figure, panels = _figure(
        (9.0, 1.2 + 1.6 * math.ceil(len(images) / 2)), math.ceil(len(images) / 2), min(2, len(images))
    )
    largest = float(images.abs().max()) or 1.0
    flat = [axes for row in panels for axes in row]
    for index, (axes, image) in enumerate(zip(flat, images, strict=False)):
        levels = 20.0 * (image.abs() / largest).clamp_min(10.0 ** (_CODES_FLOOR_DB / 20.0)).log10()
        axes.imshow(
            levels.numpy(),
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            cmap="magma",
            vmin=_CODES_FLOOR_DB,
            vmax=0.0,
            extent=(0.0, seconds, 0, image.shape[0]),
        )
        axes.set_title(f"channel {index}", fontsize=8, loc="left")
    for axes in flat[len(images) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("seconds", fontsize=8)
    return _png(figure)


def snr_png(rows: Sequence[Row]) -> bytes:
    """Signal-to-noise ratio by values per second, a curve per family with its intervals."""
    figure, ((axes,),) = _figure((6.4, 4.0), 1, 1)
    for family, word in WORDS.items():
        own = [row for row in rows if row["family"] == family]
        if not own:
            continue
        values = [row["snr_db"] for row in own]
        reach = [
            [row["snr_db"] - row["low_db"] for row in own],
            [row["high_db"] - row["snr_db"] for row in own],
        ]
        rates = [row["nonzeros_per_s"] for row in own]
        axes.errorbar(
            rates, values, yerr=reach, marker="o", markersize=3, capsize=2, linewidth=1.2, label=word
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(rates := sorted({row["nonzeros_per_s"] for row in rows}), [f"{rate:g}" for rate in rates])
    axes.set_xlabel("values per second that are not zero")
    axes.set_ylabel("signal-to-noise ratio, dB")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False)
    return _png(figure)


def _decibels(power: Float[Tensor, " bins"]) -> Float[Tensor, " bins"]:
    """Levels below the highest."""
    return 10.0 * (power / power.max().clamp_min(_NOTHING)).clamp_min(10.0 ** (_FLOOR_DB / 10.0)).log10()


def _figure(inches: tuple[float, float], rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure on a canvas of its own, which needs no window system."""
    figure = Figure(figsize=inches, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.tick_params(labelsize=7)
    return figure, panels.tolist()


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, dpi=_DPI, format="png", metadata={"Software": None})
    return stream.getvalue()
