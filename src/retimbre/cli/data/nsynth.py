"""`retimbre data nsynth`: notes in NSynth's layout."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.filters import numbers_in, range_in, words_in
from retimbre.cli.data.imported import show_imported
from retimbre.cli.data.options import EarlierLayout, FadeOut, LayoutName, Normalise
from retimbre.cli.options import Force, Json, OutFolder, Seed

_LIST = "Separate several with commas; 'all' for every one"


def nsynth(
    raw: Annotated[
        Path,
        typer.Argument(
            metavar="RAW",
            help="A folder with examples.json and audio/, or with nsynth-train, nsynth-valid and nsynth-test.",
        ),
    ],
    out: OutFolder,
    preset: Annotated[
        str, typer.Option(help="Where the options start: full, gansynth or sony2020. Each may be overridden.")
    ] = "full",
    family: Annotated[str, typer.Option(help=f"Instrument families. {_LIST} [default: the preset's].")] = "",
    source: Annotated[
        str, typer.Option(help=f"acoustic, electronic, synthetic. {_LIST} [default: the preset's].")
    ] = "",
    pitch: Annotated[
        str, typer.Option(metavar="LOW-HIGH", help="MIDI pitches, both included [default: the preset's].")
    ] = "",
    velocity: Annotated[str, typer.Option(help=f"MIDI velocities. {_LIST} [default: the preset's].")] = "",
    instrument: Annotated[str, typer.Option(help=f"Instruments. {_LIST} [default: the preset's].")] = "",
    quality: Annotated[
        str, typer.Option(help=f"Qualities that a note has, all of them. {_LIST} [default: the preset's].")
    ] = "",
    name_contains: Annotated[
        str, typer.Option(help=f"What a note's name contains, all of it. {_LIST} [default: the preset's].")
    ] = "",
    size: Annotated[int, typer.Option(min=0, help="How many notes, exactly; 0: all.")] = 0,
    balance: Annotated[
        str, typer.Option(help="The attribute whose classes have equal shares of --size, or none.")
    ] = "family",
    attribute: Annotated[
        str,
        typer.Option(
            help="What is kept of each note: pitch, velocity, instrument, family, source, a quality, or qualities "
            "for all ten. Separate several with commas [default: the preset's]."
        ),
    ] = "",
    parting: Annotated[
        Literal["preset", "given", "instruments", "mixed"],
        typer.Option(
            help="Keep the corpus's parts, part anew with each instrument in one part, or part anew by note."
        ),
    ] = "preset",
    validation: Annotated[
        float, typer.Option(min=-1, max=1, help="Fraction held out for validation; -1: the preset's.")
    ] = -1.0,
    test: Annotated[
        float, typer.Option(min=-1, max=1, help="Fraction held out for testing; -1: the preset's.")
    ] = -1.0,
    seconds: Annotated[float, typer.Option(min=0, help="Length of a clip; 0: the preset's.")] = 0.0,
    frames: Annotated[
        int,
        typer.Option(
            min=0, help="Length as spectrogram frames: frames * hop - 1 samples; 0: --seconds counts."
        ),
    ] = 0,
    hop: Annotated[int, typer.Option(min=1, help="Samples between the frames of --frames.")] = 256,
    sample_rate: Annotated[int, typer.Option(min=0, help="Samples per second; 0: the preset's, 16000.")] = 0,
    short: Annotated[
        Literal["pad", "drop"], typer.Option(help="What becomes of notes shorter than a clip.")
    ] = "pad",
    fade_out: FadeOut = False,
    normalise: Normalise = False,
    seed: Seed = 0,
    layout: EarlierLayout = "manifest",
    name: LayoutName = "",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes a data set of notes in NSynth's layout: filtered, counted out, cut, with labels.

    NSynth itself is CC BY 4.0 and is not downloaded. Run it again to go on where it was stopped. docs/data.md lists the
    presets.

    Example:
        retimbre data nsynth nsynth --preset gansynth --size 6000 --balance pitch --out sets/notes
    """
    from retimbre.corpora.nsynth.presets import find_preset
    from retimbre.corpora.nsynth.scan import scan_nsynth
    from retimbre.data.manifest import Fractions
    from retimbre.workflows.dataset.recordings import HowToImport, import_sources

    start = find_preset(preset)
    filters = _overridden(
        start.filters,
        {
            "families": words_in(family),
            "sources": words_in(source),
            "pitches": range_in(pitch, "--pitch"),
            "velocities": numbers_in(velocity, "--velocity"),
            "instruments": words_in(instrument),
            "qualities": words_in(quality),
            "name_contains": words_in(name_contains),
            "attributes": words_in(attribute),
            "parting": None if parting == "preset" else parting,
            "size": size,
            "balance": balance,
            "seed": seed,
        },
    )
    rate = sample_rate or start.cutting.sample_rate
    cutting = _overridden(
        start.cutting,
        {
            "sample_rate": rate,
            "seconds": (frames * hop - 1) / rate if frames else seconds or None,
            "short": short,
            "fade": fade_out,
            "normalise": normalise,
        },
    )
    split = Fractions(
        start.split.validation if validation < 0 else validation, start.split.test if test < 0 else test
    )
    how = HowToImport(layout=layout, name=name, split=split, force=force)
    with console.counter("reading") as progress:
        made = import_sources(
            scan_nsynth(raw, filters), out, cutting, how, corpus="nsynth", progress=progress
        )
    show_imported(made, layout, json=json)


def _overridden(settings: Any, given: dict[str, Any]) -> Any:
    """The settings with what was given; None stands for what was not."""
    return dataclasses.replace(
        settings, **{name: value for name, value in given.items() if value is not None}
    )
