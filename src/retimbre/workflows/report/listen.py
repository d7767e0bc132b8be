"""A page to compare the sounds of many clips by ear: one row per clip, one player and one picture per sound.

It follows the rules of the report: one file, nothing fetched, all escaped. Within a row all sounds are played at the
level of the first one and drawn on common axes, so that ear and eye compare timbre.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from retimbre.core.files import write_text
from retimbre.workflows.report.audio import MOST_SECONDS, data_uri, level_matched, sound_uri
from retimbre.workflows.report.figures import shared_axes, spectrogram_png
from retimbre.workflows.report.page import ReportSound, fill


@final
@dataclass(frozen=True, eq=False)
class ListenedClip:
    """The sounds of one clip, the one that the others are compared with first.

    Attributes:
        about: A short line on the clip.
    """

    name: str
    about: str
    sounds: Sequence[ReportSound]


@final
@dataclass(frozen=True)
class _Shown:
    """A sound as the template draws it: addresses with the data inside."""

    name: str
    audio: str
    picture: str


def render_listening_page(title: str, clips: Sequence[ListenedClip], notes: Sequence[str]) -> str:
    """The page as HTML. Sounds are cut to `audio.MOST_SECONDS`.

    Args:
        notes: Sentences for the head of the page.
    """
    rows = [(clip, _shown(clip)) for clip in clips]
    return fill("listen.html.jinja", title=title, rows=rows, notes=notes)


def write_listening_page(path: Path, title: str, clips: Sequence[ListenedClip], notes: Sequence[str]) -> None:
    """Writes the page; the file appears whole or not at all."""
    write_text(path, render_listening_page(title, clips, notes))


def _shown(clip: ListenedClip) -> list[_Shown]:
    rates = [sound.sample_rate for sound in clip.sounds]
    excerpts = [sound.samples[: int(MOST_SECONDS * sound.sample_rate)] for sound in clip.sounds]
    played = [play.samples for play in level_matched(excerpts[0], excerpts[1:])]
    axes = shared_axes(played[0], played, rates)
    return [
        _Shown(
            name=sound.name,
            audio=sound_uri(samples, rate),
            picture=data_uri("image/png", spectrogram_png(samples, rate, axes)),
        )
        for sound, samples, rate in zip(clip.sounds, played, rates, strict=True)
    ]
