"""`retimbre data speech-commands`: spoken words."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.filters import words_in
from retimbre.cli.data.imported import show_imported
from retimbre.cli.data.options import EarlierLayout, LayoutName, Normalise, Test, Validation
from retimbre.cli.options import Force, Json, OutFolder, Seed


def speech_commands(
    raw: Annotated[
        Path,
        typer.Argument(
            metavar="RAW", help="A folder with a folder per word, validation_list.txt and testing_list.txt."
        ),
    ],
    out: OutFolder,
    words: Annotated[
        str,
        typer.Option(help="Words with commas between them; digits: zero to nine; all: every one there is."),
    ] = "digits",
    cap: Annotated[
        int, typer.Option(min=0, help="At most so many utterances of each word, drawn; 0: all.")
    ] = 1850,
    seconds: Annotated[
        float, typer.Option(min=0, help="Length of a clip; 0: 16384 samples at 16000 Hz, 1.024 s.")
    ] = 0.0,
    sample_rate: Annotated[int, typer.Option(min=1, help="Samples per second.")] = 16000,
    short: Annotated[
        Literal["pad", "drop"], typer.Option(help="What becomes of utterances shorter than a clip.")
    ] = "pad",
    normalise: Normalise = False,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    layout: EarlierLayout = "manifest",
    name: LayoutName = "",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes a data set of spoken words: the ten digits unless told, in the corpus's own parts.

    Speech Commands is CC BY 4.0 and is not downloaded. --validation and --test count only where both lists are missing:
    then the speakers are parted. Run it again to go on where it was stopped.

    Example:
        retimbre data speech-commands speech_commands --words yes,no --out sets/yes-no
    """
    from retimbre.corpora.speech_commands import DIGITS, SPEECH_CUTTING, SpeechFilters, scan_speech_commands
    from retimbre.data.manifest import Fractions
    from retimbre.workflows.dataset.recordings import HowToImport, import_sources

    wanted = DIGITS if words == "digits" else words_in(words) or ()
    length = seconds or SPEECH_CUTTING.seconds
    cutting = dataclasses.replace(
        SPEECH_CUTTING, sample_rate=sample_rate, seconds=length, short=short, normalise=normalise
    )
    how = HowToImport(layout=layout, name=name, split=Fractions(validation, test), force=force)
    scan = scan_speech_commands(raw, SpeechFilters(wanted, cap, seed))
    with console.counter("reading") as progress:
        made = import_sources(scan, out, cutting, how, corpus="speech-commands", progress=progress)
    show_imported(made, layout, json=json)
