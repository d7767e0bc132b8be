"""The figure of the study: PESQ over SNR, one panel for each setting and one for the catalog's entries.

A family has one colour in all panels; its second channel is dashed. The waveform stands in every panel as the
yardstick: a curve above it tolerates more noise in its channel than the samples do. Bands around curves are 95 %
intervals.
"""

import io
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.metrics.speech import BEST, Band
from retimbre.workflows.study.snr_pesq.curves import Curve
from retimbre.workflows.study.snr_pesq.fronts import FAMILIES, SETTINGS, WAVEFORM, overlap_of

# Colours that readers with colour-blindness tell apart (Okabe and Ito 2008), and two for further entries.
_COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#8c6d31", "#555555")
_STYLES = ("-", "--", ":", "-.")
_CATALOG = "the catalog's entries"

Place = Literal["outside lower center", "outside right lower"]


def curves_png(curves: Sequence[Curve], band: Band) -> bytes:
    """The curves of one version of PESQ as the bytes of a PNG file."""
    panels = _panels([curve for curve in curves if curve.band == band])
    num_columns = min(3, len(panels))
    num_rows = -(-len(panels) // num_columns)
    figure = Figure(
        figsize=(4.9 * num_columns, 3.5 * num_rows + 0.9), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(num_rows, num_columns, squeeze=False, sharex=True, sharey=True)
    for panel in axes.flatten()[len(panels) :]:
        panel.set_axis_off()
    for panel, (title, members) in zip(axes.flatten(), panels.items(), strict=False):
        _draw(panel, title, members)
        panel.set_ylim(1.0, BEST[band] + 0.05)
    for panel in axes[:, 0]:
        panel.set_ylabel(f"PESQ, {band} band")
    for panel in axes[-1]:
        panel.set_xlabel("SNR in the channel, dB")
    drawn = list(zip(axes.flatten(), panels, strict=False))
    _legend(figure, [panel for panel, title in drawn if title != _CATALOG], "outside lower center")
    _legend(figure, [panel for panel, title in drawn if title == _CATALOG], "outside right lower")
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=100)
    return memory.getvalue()


def _panels(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """The curves of each panel by its title; the waveform is in all."""
    yardstick = [curve for curve in curves if curve.front.family == WAVEFORM and not curve.front.setting]
    panels = {}
    for setting in SETTINGS:
        families = [curve for curve in curves if curve.front.setting == setting]
        averaged = (WAVEFORM, str(overlap_of(setting)))
        means = [curve for curve in curves if (curve.front.family, curve.front.setting) == averaged]
        if families:
            panels[setting.replace("-", " points, hop ")] = [*families, *means, *yardstick]
    entries = [curve for curve in curves if curve.front.in_catalog]
    return panels | ({_CATALOG: [*entries, *yardstick]} if entries or not panels else {})


def _draw(panel: Axes, title: str, curves: Sequence[Curve]) -> None:
    entries = title == _CATALOG
    names = list(dict.fromkeys(curve.front.family for curve in curves)) if entries else list(FAMILIES)
    for curve in curves:
        front = curve.front
        style = _STYLES[curve.channel[0] % len(_STYLES)]
        if front.family == WAVEFORM:
            averaged = bool(front.setting)
            label = "waveform, mean over the overlap" if averaged else "waveform"
            _line(panel, curve, ("#000000", ":" if averaged else "-", label))
        else:
            colour = _COLOURS[names.index(front.family) % len(_COLOURS)]
            _line(panel, curve, (colour, style, f"{front.family}, {curve.channel[1]}"))
    panel.set_title(title, fontsize=10, loc="left")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _line(panel: Axes, curve: Curve, look: tuple[str, str, str]) -> None:
    """Draws a curve and its interval; `look` is its colour, its style and its name."""
    colour, style, label = look
    snrs = [point.snr_db for point in curve.points]
    lows, highs = [point.low for point in curve.points], [point.high for point in curve.points]
    panel.fill_between(snrs, lows, highs, color=colour, alpha=0.1, linewidth=0)
    marker = "o" if len(snrs) == 1 else ""
    means = [point.pesq for point in curve.points]
    panel.plot(snrs, means, style, color=colour, label=label, linewidth=1.3, marker=marker)


def _legend(figure: Figure, panels: Sequence[Axes], place: Place) -> None:
    """One legend for several panels: that of the settings below them, that of the catalog's entries beside theirs."""
    named = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    if named:
        columns = 1 if place == "outside right lower" else 2 + 2 * (len(figure.axes) > 2)
        figure.legend(
            list(named.values()),
            list(named),
            loc=place,
            ncols=columns,
            fontsize=8,
            frameon=False,
            handlelength=2.6,
        )
