"""The report as one self-contained page: who is best, which measure to believe, every figure, and the sounds.

A reader asks in this order: which set is nearest to the real sounds, can that be believed, by how much, and what does
it sound like. The page answers in the same order. Each table shows a figure three times, as a number, as an interval
and as a dot on a scale that all rows of its column share, because intervals are compared by eye much faster than by
digits.

Everything is taken from the result as it stands in `scores.json`, so the page holds no figure that the file does not.
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from retimbre.core.files import write_text
from retimbre.dsp.level import normalise_peak
from retimbre.workflows.evaluation.report.anchors import ANCHORS, REAL
from retimbre.workflows.evaluation.report.expectations import EXPECTATIONS
from retimbre.workflows.evaluation.report.ranking import METRIC
from retimbre.workflows.evaluation.report.remarks import contaminated, missing, of_sets
from retimbre.workflows.report.audio import data_uri, sound_uri
from retimbre.workflows.report.page import fill
from retimbre.workflows.report.rainbow import rainbow_axes
from retimbre.workflows.report.rainbowgram import rainbow_pixels

Row = dict[str, Any]

# The peak of every player, 3 dB below full scale, and how much of a clip the page carries.
_PEAK, _MOST_S = 0.7, 4.0
_NUM_COLOURS = 96
_SIGNS = {True: ("✓", "yes"), False: ("✗", "no"), None: ("–", "blind")}
# What is left free at both ends of a strip, in percent of its width.
_STRIP_MARGIN = 4.0
_LISTENING = (
    "The same clips for every set that has them, by the names of their files; a set without a sound of that name shows "
    "one of its own, with its name. All are brought to one peak. In a rainbowgram pitch is up, lightness is level, and "
    "hue is how far a partial lies from the nearest quarter tone: steady partials keep their colour, broken phases are "
    "speckled."
)


@final
@dataclass(frozen=True, eq=False)
class ListenedSound:
    """A sound of the page.

    Attributes:
        row: The set it is of.
        name: The clip's own name where it is no answer to the clip it stands beside; else empty.
    """

    row: str
    name: str
    samples: Float[Tensor, " samples"]
    sample_rate: int


@final
@dataclass(frozen=True, eq=False)
class ListenedClip:
    """A clip and what every set makes of it."""

    name: str
    sounds: Sequence[ListenedSound]


def write_page(path: Path, result: Row, clips: Sequence[ListenedClip]) -> None:
    """Writes the page; the file appears whole or not at all."""
    write_text(path, render_page(result, clips))


def render_page(result: Row, clips: Sequence[ListenedClip]) -> str:
    """The page as HTML.

    Args:
        result: As `scores.json` has it.
        clips: What can be heard.
    """
    return fill("evaluation.html.jinja", page=_page(result, clips))


def _page(result: Row, clips: Sequence[ListenedClip]) -> Row:
    settings = result["settings"]
    models = [row["name"] for row in result["rows"] if row["kind"] == "model"]
    anchors = [name for name in ANCHORS if name != REAL]
    return {
        "title": ", ".join(models) or "Anchors",
        "lead": f"Beside the real sounds of {settings['real']}. {settings['halves']['says']}",
        "facts": [
            ("Sets judged", str(len(models))),
            ("Clips", _clips(result)),
            ("Length and rate", f"{settings['seconds']:g} s, {settings['sample_rate']} Hz"),
            ("Embedders", ", ".join(settings["embedders"])),
            ("Intervals", f"95 %, {settings['resamples']} resamples"),
            ("Seed", str(settings["seed"])),
        ],
        "warnings": [*missing(result), *contaminated(result)],
        "remarks": of_sets(result),
        "says": [*result["ranking"]["says"], *result["ranking"]["pairs"], _trust(result["measures"])],
        "anchors": anchors,
        "verdicts": [
            _verdict(measure, anchors) for measure in result["measures"] if measure["metric"] in EXPECTATIONS
        ],
        "anchor_texts": [(row["name"], row["says"]) for row in result["rows"]],
        "expectations": _expectations(result["measures"], anchors),
        "blocks": _blocks(result),
        "clips": [_clip(clip) for clip in clips],
        "listening": _LISTENING,
        "settings": [
            ("all", _text(settings)),
            *((m["label"], _text(m["settings"])) for m in result["measures"]),
        ],
        "versions": [*result["versions"].items(), *_machine(result["machine"])],
    }


def _clips(result: Row) -> str:
    """How many clips the reference and the sets have; once for the sets if all have as many."""
    counts = {row["name"]: row["clips"] for row in result["rows"] if row["kind"] != "anchor"}
    told = [f"{result['settings']['halves']['reference']} reference"]
    if len(set(counts.values())) == 1:
        return ", ".join([*told, f"{counts[REAL]} of each set"])
    models = [f"{count} {name}" for name, count in counts.items() if name != REAL]
    return ", ".join([*told, f"{counts[REAL]} {REAL}", *models])


def _trust(measures: Sequence[Row]) -> str:
    judged = [measure for measure in measures if measure["verdict"]["kind"] != "not judged"]
    good = [measure for measure in judged if measure["verdict"]["kind"] == "informative"]
    return f"{len(good)} of {len(judged)} measures ordered the anchors as a table fixed beforehand expects."


def _verdict(measure: Row, anchors: Sequence[str]) -> Row:
    """A row of the table of anchors: the verdict in a word or two, and a mark for each anchor."""
    verdict = measure["verdict"]
    marks = [_mark(anchor, verdict["marks"][anchor]) for anchor in anchors if anchor in verdict["marks"]]
    return {
        "label": measure["label"],
        "marks": marks or [{"sign": "–", "style": "blind", "says": "not measured"}] * len(anchors),
        "short": verdict["kind"],
        "style": {"informative": "yes", "not informative": "no"}.get(verdict["kind"], "blind"),
        "says": _why(verdict),
    }


def _why(verdict: Row) -> str:
    """Why a measure is not informative, its first clause; the tables have the rest."""
    if verdict["kind"] == "informative":
        return ""
    return verdict["says"].partition(": ")[2].partition(";")[0]


def _mark(anchor: str, mark: Row) -> Row:
    sign, style = _SIGNS[mark["as_expected"]]
    if mark["expected"] == "cannot see" and mark["seen"] != "not measured":
        sign = "·" if mark["seen"] == "no difference" else "(✓)" if mark["seen"] == "worse" else "(better)"
    says = f"{anchor}: expected {mark['expected']}, since {mark['why']}; seen: {mark['seen']}"
    return {"sign": sign, "style": style, "says": says}


def _expectations(measures: Sequence[Row], anchors: Sequence[str]) -> list[str]:
    """A line for each metric and kind of expectation, with the reasons."""
    lines: dict[str, None] = {}
    for measure in measures:
        marks = measure["verdict"]["marks"]
        told = [
            f"{name}: {marks[name]['expected']} ({marks[name]['why']})" for name in anchors if name in marks
        ]
        if told:
            lines[f"{measure['metric']}: {'; '.join(told)}."] = None
    return list(lines)


def _blocks(result: Row) -> list[Row]:
    """The tables: a metric each, a column per embedder; the note measures by themselves, a column each."""
    groups: dict[str, list[Row]] = {}
    for measure in result["measures"]:
        groups.setdefault(measure["block"], []).append(measure)
    ranked = {METRIC}
    return [
        {
            "label": block,
            "about": measures[0]["about"],
            "open": measures[0]["metric"] in ranked,
            "columns": [{"label": m["column"], "note": _column_note(m)} for m in measures],
            "rows": [_figure_row(row, measures) for row in _ordered(result["rows"])],
            "remarks": [*dict.fromkeys(remark for m in measures for remark in m["remarks"])],
        }
        for block, measures in groups.items()
    ]


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """Models first, then real/real, then what is worse."""
    order = {"model": 0, "real": 1, "anchor": 2}
    return sorted(rows, key=lambda row: order[row["kind"]])


def _column_note(measure: Row) -> str:
    better = {"lower": "lower is better", "higher": "higher is better"}.get(
        measure["better"], "as real is best"
    )
    return ", ".join(part for part in (measure["unit"], better) if part)


def _figure_row(row: Row, measures: Sequence[Row]) -> Row:
    styles = {"model": "model", "real": "row-real", "anchor": "anchor"}
    cells = [_cell(measure, row["name"]) for measure in measures]
    return {"name": row["name"], "style": styles[row["kind"]], "cells": cells}


def _cell(measure: Row, name: str) -> Row:
    figure = measure["figures"].get(name, {"refused": "not measured"})
    if figure.get("value") is None:
        return {"refused": figure.get("refused", "could not be measured")}
    ends = ""
    if figure.get("low") is not None:
        ends = f"{_short(figure['low'])} to {_short(figure['high'])}"
    return {
        "refused": "",
        "value": _short(figure["value"]),
        "ends": ends,
        "doubtful": measure["verdict"]["kind"] == "not informative",
        "strip": _strip(measure["figures"], name) if ends else None,
    }


def _strip(figures: Mapping[str, Row], name: str) -> Row | None:
    """A figure on the scale of its column: even near real/real, and logarithmic away from it.

    Its unit is the width of real/real's interval. Otherwise one bad anchor would press all others together.
    """
    shown = [figure for figure in figures.values() if figure.get("low") is not None]
    real = figures.get(REAL, {})
    width = real["high"] - real["low"] if real.get("low") is not None else 0.0

    def scaled(value: float) -> float:
        return math.asinh((value - real["value"]) / width) if width > 0.0 else value

    low = min((scaled(figure["low"]) for figure in shown), default=0.0)
    high = max((scaled(figure["high"]) for figure in shown), default=0.0)
    if not high > low:
        return None

    def place(value: float) -> float:
        share = (scaled(value) - low) / (high - low)
        return round(_STRIP_MARGIN + (100.0 - 2.0 * _STRIP_MARGIN) * share, 2)

    figure, band = figures[name], None
    if width > 0.0:
        band = (place(real["low"]), place(real["high"]) - place(real["low"]))
    ends = {key: place(figure[key]) for key in ("low", "high", "value")}
    return {**ends, "band": band}


def _clip(clip: ListenedClip) -> Row:
    """Players and pictures of one clip; the pictures have the axes of them all."""
    played = [
        normalise_peak(sound.samples[: int(_MOST_S * sound.sample_rate)], to=_PEAK) for sound in clip.sounds
    ]
    rates = [sound.sample_rate for sound in clip.sounds]
    axes = rainbow_axes(played, rates)
    sounds = [
        {
            "row": sound.row,
            "name": sound.name,
            "audio": sound_uri(samples, sound.sample_rate),
            "picture": data_uri("image/png", _picture(rainbow_pixels(samples, sound.sample_rate, axes))),
        }
        for sound, samples in zip(clip.sounds, played, strict=True)
    ]
    return {"name": clip.name, "sounds": sounds}


def _picture(pixels: UInt8[Tensor, "rows columns 3"]) -> bytes:
    """A rainbowgram as the bytes of a PNG file, its lowest pitch at the bottom."""
    image = Image.fromarray(pixels.flip(0).contiguous().numpy(), mode="RGB")
    memory = io.BytesIO()
    # As many colours as the eye tells apart in a picture of this size, for a third of the bytes.
    image.quantize(_NUM_COLOURS).save(memory, format="PNG", compress_level=9)
    return memory.getvalue()


def _short(value: float) -> str:
    """Three significant digits, without an exponent where that can be read."""
    if value == 0:
        return "0"
    text = f"{value:.3g}" if abs(value) < 1e-4 else f"{value:#.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return text.rstrip(".").replace("-", "−")


def _machine(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    gpus = ", ".join(gpu["name"] for gpu in machine["gpus"])
    return [
        ("processor", f"{machine['processor']}, {machine['cores']} cores"),
        *([("GPU", gpus)] if gpus else []),
    ]


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False)
