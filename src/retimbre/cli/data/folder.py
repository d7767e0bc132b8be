"""`retimbre data folder`: any recordings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.imported import show_imported
from retimbre.cli.data.options import EarlierLayout, FadeOut, LayoutName, Normalise, Test, Validation
from retimbre.cli.options import Force, Json, OutFolder


def folder(
    sounds: Annotated[
        list[Path], typer.Argument(metavar="WAVS...", help="Sound files, and folders of them.")
    ],
    out: OutFolder,
    short: Annotated[
        Literal["pad", "drop"], typer.Option(help="What becomes of recordings shorter than a clip.")
    ] = "pad",
    long: Annotated[
        Literal["trim", "window"],
        typer.Option(help="Take the start of a longer recording, or cut all of it."),
    ] = "trim",
    seconds: Annotated[float, typer.Option(min=0, help="Length of a clip.")] = 1.0,
    window: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Short for --long window --seconds SECONDS; 0: not used."
        ),
    ] = 0.0,
    hop: Annotated[float, typer.Option(min=0, help="Seconds between windows; 0: a clip's length.")] = 0.0,
    sample_rate: Annotated[int, typer.Option(min=1, help="Samples per second.")] = 16384,
    normalise: Normalise = False,
    fade_out: FadeOut = False,
    validation: Validation = 0.1,
    test: Test = 0.1,
    layout: EarlierLayout = "manifest",
    name: LayoutName = "",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes a data set of recordings: every readable file, mixed to one channel, at one rate and length.

    Files that cannot be read are listed and the rest goes on; the exit status is then 1.

    Example:
        retimbre data folder recordings --out sets/recordings --long window --hop 0.5
    """
    from retimbre.data.folder import Cutting
    from retimbre.data.manifest import Fractions
    from retimbre.workflows.dataset.recordings import HowToImport, import_folder

    length = window or seconds
    cutting = Cutting(
        sample_rate=sample_rate,
        seconds=length,
        short=short,
        long="window" if window else long,
        hop_s=hop or length,
        normalise=normalise,
        fade=fade_out,
    )
    how = HowToImport(layout=layout, name=name, split=Fractions(validation, test), force=force)
    with console.counter("reading") as progress:
        made = import_folder(sounds, out, cutting, how, progress=progress)
    show_imported(made, layout, json=json)
