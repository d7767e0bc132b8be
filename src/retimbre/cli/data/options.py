"""Options and lines that several commands of `retimbre data` have."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from retimbre.cli import console

Validation = Annotated[float, typer.Option(min=0, max=1, help="Fraction held out for validation.")]
Test = Annotated[float, typer.Option(min=0, max=1, help="Fraction held out for testing.")]
LayoutName = Annotated[
    str,
    typer.Option(
        "--name", help="What the files of an earlier layout are called [default: the folder's name]."
    ),
]
EarlierLayout = Annotated[
    Literal["manifest", "npy", "hdf5", "csv"],
    typer.Option("--as", help="Write an earlier system's layout, too."),
]
FadeOut = Annotated[bool, typer.Option("--fade-out", help="Fade the last 30 % of every clip.")]
Normalise = Annotated[bool, typer.Option("--normalise", help="Scale every clip to a peak of 1.")]


def show_layout(files: Sequence[str], layout: str) -> None:
    """Says what was written in an earlier system's layout, if anything was."""
    if len(files) > 0:
        more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
        console.show(f"  {layout} layout: wrote {files[0]}{more}")
