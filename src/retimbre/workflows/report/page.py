"""The report of one matched sound: a single HTML file to listen with.

A match is judged by ear, so the page is built around a player that switches between the target and the candidates
without a gap, at the same place and the same level. Around it stand what the eye can add: spectrograms on common axes,
scores, and every knob of every candidate. The file carries its sounds, pictures, styles and script inside; nothing is
fetched from anywhere, which the page's own content security policy enforces, so it opens the same on a machine without
a network and in ten years.

Every word that comes from outside (file names, knob values, patches) is escaped by the template engine, and the policy
admits the page's one script by its hash, so a sound called `<script>` stays a name.
"""

import base64
import functools
import hashlib
import math
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import jinja2
from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import write_text
from retimbre.workflows.report.audio import MOST_SECONDS, data_uri, level_matched, sound_uri
from retimbre.workflows.report.figures import (
    SpectrogramAxes,
    colour_scale_png,
    envelope,
    shared_axes,
    spectrogram_png,
)

# The level curve under a spectrogram, in the units of its drawing.
_CURVE_POINTS = 240
_CURVE_HEIGHT = 40


@final
@dataclass(frozen=True, eq=False)
class ReportSound:
    """A sound with the name to show for it; `sample_rate` in hertz."""

    name: str
    samples: Float[Tensor, " samples"]
    sample_rate: int


@final
@dataclass(frozen=True)
class ParameterRow:
    """One knob of a candidate, as shown.

    Attributes:
        value_text: the value in the knob's own unit, rounded for reading.
        class_index: the knob's class, for searched knobs of class-based synthesizers; None where there is none.
        position: how far the knob is turned, 0 to 1; None for a choice, which has no order.
        audible: whether turning this knob changes this clip.
    """

    group: str
    name: str
    value_text: str
    unit: str
    class_index: int | None
    position: float | None
    audible: bool


@final
@dataclass(frozen=True, eq=False)
class CandidateView:
    """One proposed patch and what it sounds like.

    Attributes:
        rank: its place in the ranking of its model, 1 the best.
        model: what proposed it.
        scores: by the key of a `MetricColumn`; a missing or non-finite score shows as a dash.
        note: one sentence on where it comes from; may be empty.
        patch_json: the text of its patch file.
        files: its files, as paths relative to the report.
    """

    rank: int
    model: str
    sound: ReportSound
    scores: Mapping[str, float]
    parameters: Sequence[ParameterRow]
    note: str
    patch_json: str
    files: Sequence[str]


@final
@dataclass(frozen=True)
class MetricColumn:
    """A score of the table; the first column of a page is the one that ranks."""

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher"]


@final
@dataclass(frozen=True)
class Confidence:
    """How much to trust the match before listening.

    Attributes:
        value: 0 (none) to 1.
        words: the same in words, such as "high".
        basis: how the number was calibrated, a sentence.
    """

    value: float
    words: str
    basis: str


@final
@dataclass(frozen=True, eq=False)
class ReportSection:
    """Something more that was made of a match, with sounds of its own, at their own levels.

    Attributes:
        text: a few sentences on what it is.
        files: its files, as paths relative to the report.
        picture: a PNG file; empty for none.
    """

    heading: str
    text: str
    sounds: Sequence[ReportSound]
    files: Sequence[str]
    picture: bytes = b""


@final
@dataclass(frozen=True, eq=False)
class ReportPage:
    """Everything that the report of one sound shows.

    Attributes:
        title: the sound's name.
        synth: the synthesizer that was matched.
        facts: short labels and values for the head of the page: which key to play, budget, seconds.
        warnings: sentences on what the listener should know about the source or the match.
        versions: names and versions of what made the page.
        sections: what follows the patches.
    """

    title: str
    synth: str
    target: ReportSound
    candidates: Sequence[CandidateView]
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    confidence: Confidence | None
    metrics: Sequence[MetricColumn]
    versions: Sequence[tuple[str, str]]
    sections: Sequence[ReportSection] = ()


@final
@dataclass(frozen=True)
class _Shown:
    """A sound as the template draws it: addresses with the data inside, and the points of its level curve."""

    name: str
    audio: str
    picture: str
    curve: str
    shortfall_db: float


def render_report(page: ReportPage) -> str:
    """The whole page as HTML.

    Sounds longer than `audio.MOST_SECONDS` are cut to it, with a warning on the page.

    Raises:
        ValueError: a sound holds samples that are not numbers.
    """
    sounds = [page.target, *(candidate.sound for candidate in page.candidates)]
    excerpts = [sound.samples[: int(MOST_SECONDS * sound.sample_rate)] for sound in sounds]
    axes, shown = _shown_sounds(sounds, excerpts)
    warnings = list(page.warnings)
    if any(len(excerpt) < len(sound.samples) for excerpt, sound in zip(excerpts, sounds, strict=True)):
        warnings.append(f"This page holds the first {MOST_SECONDS:g} s of each sound; the files hold all.")
    return fill(
        "report.html.jinja",
        page=page,
        warnings=warnings,
        target=shown[0],
        candidates=list(zip(page.candidates, shown[1:], strict=True)),
        axes=axes,
        colour_scale=data_uri("image/png", colour_scale_png()),
        several_models=len({candidate.model for candidate in page.candidates}) > 1,
        best=_best(page),
        turns=_turns(page.candidates),
        sections=[
            (section, [_section_sound(sound) for sound in section.sounds]) for section in page.sections
        ],
    )


def write_report(path: Path, page: ReportPage) -> None:
    """Writes the page; the file appears whole or not at all."""
    write_text(path, render_report(page))


def fill(template: str, **values: object) -> str:
    """A template of this package with its values escaped; characters that UTF-8 cannot hold become `?`."""
    text = _environment().get_template(template).render(**values)
    return text.encode("utf-8", "replace").decode("utf-8")


def _shown_sounds(
    sounds: Sequence[ReportSound], excerpts: Sequence[Tensor]
) -> tuple[SpectrogramAxes, list[_Shown]]:
    played = level_matched(excerpts[0], excerpts[1:])
    rates = [sound.sample_rate for sound in sounds]
    axes = shared_axes(played[0].samples, [play.samples for play in played], rates)
    levels = [
        envelope(play.samples, rate, seconds=axes.seconds, num_points=_CURVE_POINTS)
        for play, rate in zip(played, rates, strict=True)
    ]
    highest = max(float(level.max()) for level in levels) or 1.0
    return axes, [
        _Shown(
            name=sound.name,
            audio=sound_uri(play.samples, sound.sample_rate),
            picture=data_uri("image/png", spectrogram_png(play.samples, sound.sample_rate, axes)),
            curve=_curve(level / highest),
            shortfall_db=play.shortfall_db,
        )
        for sound, play, level in zip(sounds, played, levels, strict=True)
    ]


def _section_sound(sound: ReportSound) -> tuple[str, str]:
    """A sound's name and its address."""
    excerpt = sound.samples[: int(MOST_SECONDS * sound.sample_rate)]
    return sound.name, sound_uri(excerpt, sound.sample_rate)


def _curve(level: Float[Tensor, " points"]) -> str:
    """The outline of a level curve (0 to 1) as SVG path data, closed along its base line."""
    heights = (_CURVE_HEIGHT * (1 - level)).tolist()
    points = "".join(f"L{x} {y:.4g}" for x, y in enumerate(heights))
    return f"M0 {_CURVE_HEIGHT}{points}L{len(heights) - 1} {_CURVE_HEIGHT}Z"


def _best(page: ReportPage) -> dict[str, list[int]]:
    """The indices of the candidates with the best score, by the key of each metric; several if they tie."""
    best = {}
    for metric in page.metrics:
        scores = [candidate.scores.get(metric.key, math.nan) for candidate in page.candidates]
        finite = [score for score in scores if math.isfinite(score)]
        extreme = (min if metric.better == "lower" else max)(finite, default=math.nan)
        best[metric.key] = [index for index, score in enumerate(scores) if score == extreme]
    return best


def _turns(candidates: Sequence[CandidateView]) -> dict[tuple[str, str], tuple[str, str]]:
    """For each knob an identifier, and SVG path data with one tick where each candidate has turned it.

    Drawn behind every position bar, the ticks show which knobs the candidates agree on.
    """
    ticks: dict[tuple[str, str], list[str]] = {}
    for candidate in candidates:
        for row in candidate.parameters:
            if row.position is not None:
                ticks.setdefault((row.group, row.name), []).append(f"M{100 * row.position:.4g} 0v8")
    return {knob: (f"knob-{index}", "".join(path)) for index, (knob, path) in enumerate(ticks.items())}


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or __name__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _source(environment, "player.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment.globals.update(
        style=_source(environment, "report.css"),
        script=script,
        policy=(
            "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        ),
    )
    png = functools.partial(data_uri, "image/png")
    environment.filters.update(score=_score, decibels=_decibels, link=_link, png=png)
    return environment


def _source(environment: jinja2.Environment, name: str) -> str:
    """A file of this package that goes into pages as it is."""
    loader = environment.loader
    if loader is None:
        raise ValueError("the template environment has no loader")
    return loader.get_source(environment, name)[0]


def _score(value: float | None) -> str:
    """Three significant digits; a dash for a score that is missing or not a number."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _decibels(level_db: float) -> str:
    """A whole number of decibels, with a true minus sign."""
    return f"{level_db:.0f} dB".replace("-", "−")


def _link(path: str) -> str:
    """A relative path as an address that cannot be taken for anything but a relative path."""
    return "./" + urllib.parse.quote(os.fsencode(path))
