"""The results of a listening test as a page: a figure of means with their intervals, and two tables."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.workflows.report.article import Article, Section, write_article

Row = dict[str, Any]
_WIDTH_INCHES, _ROW_INCHES, _REST_INCHES = 8.0, 0.42, 1.1
_COLOUR, _ANCHOR_COLOUR = "#0b6b72", "#8a939b"
_CATEGORIES = ("Bad", "Poor", "Fair", "Good", "Excellent")


def write_results_page(path: Path, result: Row) -> None:
    """Writes the page; the file appears whole or not at all."""
    settings = result["settings"]
    systems, pairs = result["systems"], result["pairs"]
    sections = [
        Section(
            heading="How good",
            paragraphs=(_about_means(settings),),
            picture=means_png(systems, settings),
            picture_says="; ".join(f"{row['name']} {_figure(row['value'])}" for row in systems),
            columns=("system", "mean", "95 %", "median", "sd", "scores", "listeners", "items"),
            rows=[_system_cells(row) for row in systems],
        ),
        Section(
            heading="Which differ",
            paragraphs=(_about_pairs(),),
            columns=("pair", "difference", "95 %", "p", "p, Holm", "p, signed ranks", ""),
            rows=[_pair_cells(row) for row in pairs],
        ),
    ]
    if result["screened"]:
        sections.append(_screened(result))
    lead = (
        f"{settings['listeners']} listeners, {settings['items']} items, scores from {settings['scale'][0]} to "
        f"{settings['scale'][1]}; pack {settings['pack']}."
    )
    title = "Mean opinion scores" if settings["mode"] == "mos" else "MUSHRA scores"
    write_article(path, Article(title, "listening test", lead, result["remarks"], sections))


def means_png(systems: Sequence[Row], settings: Row) -> bytes:
    """Means with their intervals, best first, as the bytes of a PNG file; anchors are grey."""
    figure = Figure(
        figsize=(_WIDTH_INCHES, _REST_INCHES + _ROW_INCHES * len(systems)),
        layout="constrained",
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, row in enumerate(systems):
        colour = _ANCHOR_COLOUR if row["anchor"] else _COLOUR
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.5)
        axes.plot(row["value"], place, "o", color=colour, markersize=7)
    axes.set_yticks(range(len(systems)), [_short(row["name"]) for row in systems])
    axes.set_ylim(len(systems) - 0.5, -0.5)
    lowest, highest = settings["scale"]
    axes.set_xlim(lowest - 0.02 * (highest - lowest), highest + 0.02 * (highest - lowest))
    edges = [1, 2, 3, 4, 5] if settings["mode"] == "mos" else [10, 30, 50, 70, 90]
    axes.set_xticks(edges, [f"{edge}\n{name}" for edge, name in zip(edges, _CATEGORIES, strict=True)])
    axes.grid(axis="x", alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=110)
    return memory.getvalue()


def _about_means(settings: Row) -> str:
    return (
        "Mean score and its 95 % interval for other listeners and other items: Student's, with the variance between "
        "listeners and between items. Grey: the real sounds and anchors made of them. "
        + ("Listeners were screened by " + settings["screening"] + "." if "screening" in settings else "")
    )


def _about_pairs() -> str:
    return (
        "Difference of the means, in pairs by listener and item where both systems have them. Pairs whose corrected "
        "p-value is 0.05 or more are not distinguishable by this test, which is not to say that they are equal. Where "
        "the difference did not vary there is no test."
    )


def _screened(result: Row) -> Section:
    return Section(
        heading="Listeners left out",
        paragraphs=(result["settings"]["screening"] + ".",),
        columns=("listener", "missed"),
        rows=[(row["listener"], f"{row['missed']:.0%}") for row in result["screened"]],
    )


def _system_cells(row: Row) -> list[str]:
    return [
        row["name"],
        _figure(row["value"]),
        _interval(row),
        _figure(row["median"]),
        _figure(row["sd"]),
        str(row["n"]),
        str(row["listeners"]),
        str(row["items"]),
    ]


def _pair_cells(row: Row) -> list[str]:
    return [
        f"{row['first']} − {row['second']}",
        _figure(row["value"]),
        _interval(row),
        _p(row["p"]),
        _p(row["holm_p"]),
        _p(row["signed_rank_p"]),
        _finding(row),
    ]


def _finding(row: Row) -> str:
    if row["p"] is None:
        return "no test"
    return "differ" if row["distinguishable"] else "not distinguishable"


def _interval(row: Row) -> str:
    return "–" if row["low"] is None else f"{_figure(row['low'])} to {_figure(row['high'])}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
