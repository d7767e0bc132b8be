"""The page of the study of a basis: figures, pictures, and the sounds to be heard, in one file."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from retimbre.workflows.report.article import Article, Section, player, write_article
from retimbre.workflows.study.basis.contest import MDCT, WORDS

Row = dict[str, Any]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """An excerpt and what a basis made of it.

    Attributes:
        made: By the number of values per second.
    """

    name: str
    sample_rate: int
    original: Float[Tensor, " samples"]
    made: Mapping[float, Float[Tensor, " samples"]]


def write_page(
    path: Path, result: Mapping[str, Any], pictures: Mapping[str, bytes], heard: Sequence[Reconstruction]
) -> None:
    """Writes the page; the file appears whole or not at all."""
    rows, settings = result["rows"], result["settings"]
    count = len(result["excerpts"])
    ratios = Section(
        heading="Signal-to-noise ratio by number of values",
        paragraphs=(
            f"Means over {count} excerpts of {settings['seconds']:g} s with 95 % bootstrap intervals over excerpts; "
            "gains are in pairs, above the MDCT with the window that serves these excerpts best.",
            "Counting values flatters a basis with more codes than samples: which of them were chosen takes more bits "
            "to say.",
        ),
        picture=pictures["snr.png"],
        picture_says="Signal-to-noise ratio over the number of values per second, a curve per contender",
        columns=("values per second", "contender", "codes per sample", "SNR", "gain over the MDCT"),
        rows=[_cells(row) for row in rows],
    )
    functions = Section(
        heading="Functions",
        paragraphs=(
            f"Functions of kind {settings['basis']['functions']['kind']}; the table is functions.csv.",
        ),
        picture=pictures["functions.png"],
        picture_says="Functions of the basis in time and in frequency",
    )
    codes = Section(
        heading="Codes",
        paragraphs=(f"Of {result['excerpts'][0]}, in decibels below the largest.",),
        picture=pictures["codes.png"],
        picture_says="Codes of one excerpt, a panel per channel",
    )
    sounds = Section(
        heading="Sounds",
        paragraphs=("All players are brought to one peak.",),
        columns=("excerpt", "original", *(f"{per_s:g} values/s" for per_s in heard[0].made)),
        rows=[_players(each) for each in heard],
    )
    article = Article(
        title="A learned basis",
        kind="Study of a basis",
        lead=f"What {settings['model']} makes of {count} excerpts with few values.",
        warnings=[f"left out: {line}" for line in (*result["refused"], *result["left_out"])],
        sections=[ratios, functions, codes, sounds],
    )
    write_article(path, article)


def _cells(row: Row) -> list[str]:
    if row["family"] == MDCT:
        gain = ""
    else:
        gain = f"{row['gain_db']:+.2f} ({row['gain_low_db']:+.2f} to {row['gain_high_db']:+.2f}) dB"
    name = WORDS[row["family"]] + (f" ({row['contender']})" if row["family"] == MDCT else "")
    interval = f"{row['snr_db']:.2f} ({row['low_db']:.2f} to {row['high_db']:.2f}) dB"
    return [f"{row['nonzeros_per_s']:g}", name, f"{row['codes_per_sample']:g}", interval, gain]


def _players(each: Reconstruction) -> list[Any]:
    made = [
        player(f"{each.name} of {per_s:g} values a second", sound, each.sample_rate)
        for per_s, sound in each.made.items()
    ]
    return [each.name, player(f"{each.name}, original", each.original, each.sample_rate), *made]
