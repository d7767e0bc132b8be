"""A page for what a study found: sections of text, each with a picture, a table of words and players, or both.

It follows the rules of the report: one file, nothing fetched, all escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import write_text
from retimbre.dsp.level import normalise_peak
from retimbre.workflows.report.audio import sound_uri
from retimbre.workflows.report.page import fill

# The peak that every player's sound is brought to, 3 dB below full scale.
_PEAK = 0.7


@final
@dataclass(frozen=True)
class Player:
    """A sound in a cell of a table; `address` holds it."""

    name: str
    address: str


@final
@dataclass(frozen=True)
class Section:
    """A part of an article.

    Attributes:
        paragraphs: Its text.
        picture: A PNG file; empty for none.
        picture_says: The picture in words, for who cannot see it.
        columns: The heading of its table.
        rows: The table; the first cell of a row names it.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    picture: bytes = b""
    picture_says: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | Player]] = ()


@final
@dataclass(frozen=True)
class Article:
    """A whole page.

    Attributes:
        kind: What sort of page it is, in two or three words.
        lead: What it is about, a sentence or two.
        warnings: What the reader should know before all else, a sentence each.
    """

    title: str
    kind: str
    lead: str
    warnings: Sequence[str]
    sections: Sequence[Section]


def player(name: str, samples: Float[Tensor, " samples"], sample_rate: int) -> Player:
    """A player for a sound, which is brought to the peak that all have."""
    return Player(name, sound_uri(normalise_peak(samples, to=_PEAK), sample_rate))


def write_article(path: Path, article: Article) -> None:
    """Writes the page; the file appears whole or not at all."""
    write_text(path, fill("article.html.jinja", article=article))
