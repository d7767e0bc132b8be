"""A sheet of pictures: the rainbowgrams of what was generated, on the same axes, so that they can be compared.

Colours are those of `report/rainbowgram.py`: lightness for level, hue for tuning. On a sheet of a scale the same
spectrum climbs from picture to picture; on one of a path the eye finds the step at which one timbre becomes another.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import whole_file
from retimbre.workflows.report.rainbowgram import RainbowSound, rainbowgram_grid_png

# A sheet of more than this many pictures is larger than a screen and takes a minute to paint.
_MOST_PICTURES = 64
_ACROSS = 8


@final
@dataclasses.dataclass(frozen=True)
class Sheet:
    """How sounds are laid out, row by row.

    Attributes:
        row_names: Written at the left of each row.
        column_names: Written above each column.
        most: How many sounds are shown at most.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    most: int


def sheet_of(names: Sequence[str]) -> Sheet:
    """A sheet of rows of eight, each named after its first sound, and of eight rows at most."""
    shown = names[:_MOST_PICTURES]
    across = min(_ACROSS, len(shown))
    return Sheet(tuple(shown[::across]), ("",) * across, _MOST_PICTURES)


def write_sheet(
    path: Path, sounds: Sequence[Float[Tensor, " samples"]], sample_rate: int, sheet: Sheet
) -> None:
    """Paints a sheet and writes it as a whole PNG file; places without a sound stay empty."""
    across = len(sheet.column_names)
    places: list[RainbowSound | None] = [RainbowSound(samples, sample_rate) for samples in sounds]
    places += [None] * (len(sheet.row_names) * across - len(places))
    rows = [places[start : start + across] for start in range(0, len(places), across)]
    picture = rainbowgram_grid_png(rows, sheet.row_names, sheet.column_names)
    with whole_file(path) as aside:
        aside.write_bytes(picture)
