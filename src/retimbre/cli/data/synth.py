"""`retimbre data synth`: sounds of a built-in synthesizer."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.options import LayoutName, Normalise, Test, Validation, show_layout
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed, SynthName
from retimbre.core.errors import ConfigError


def synth(
    synth: SynthName,
    out: OutFolder,
    size: Annotated[int, typer.Option(min=0, help="How many clips; not needed with --grid.")] = 0,
    grid: Annotated[
        bool, typer.Option("--grid", help="Every combination of levels, in place of a draw.")
    ] = False,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Draw any value between a knob's ends, not only its levels.")
    ] = False,
    levels: Annotated[
        int,
        typer.Option(
            min=0, help="Evenly spaced levels per continuous knob; 0: the synthesizer's own, mostly 16."
        ),
    ] = 0,
    params: Annotated[
        Path | None, typer.Option("--params", metavar="FILE", help="A JSON file of searched and fixed knobs.")
    ] = None,
    length: Annotated[float, typer.Option(min=0, help="Seconds of a clip; 0: the synthesizer's own.")] = 0.0,
    sample_rate: Annotated[
        int, typer.Option(min=0, help="Samples per second; 0: the synthesizer's own.")
    ] = 0,
    pitch_low: Annotated[float, typer.Option(help="Lowest key in hertz.")] = 440.0,
    pitch_high: Annotated[float, typer.Option(help="Highest key in hertz.")] = 440.0,
    gate_low: Annotated[
        float, typer.Option(help="Shortest time in seconds that a key is held; -1: the synthesizer's own.")
    ] = -1.0,
    gate_high: Annotated[float, typer.Option(help="Longest such time; -1: as the shortest.")] = -1.0,
    normalise: Normalise = False,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    layout: Annotated[
        Literal["native", "npy", "hdf5", "csv"],
        typer.Option("--as", help="Write an earlier system's layout, too."),
    ] = "native",
    name: LayoutName = "",
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Render here, or on a Ray cluster: the same bytes.")
    ] = "local",
    device: Device = "cpu",
    regenerate: Annotated[
        Literal["none", "samples", "audio"],
        typer.Option(help="Do again what is there: the drawn knobs and their audio, or the audio alone."),
    ] = "none",
    force: Force = False,
    json: Json = False,
) -> None:
    """Renders sounds of a synthesizer at drawn knobs, with the knobs as labels.

    Run it again to go on where it was stopped; a finished set is not rendered again. docs/data.md describes the files.

    Example:
        retimbre data synth --synth inversynth --size 20000 --seed 1 --out sets/inversynth
    """
    from retimbre.data.manifest import Fractions
    from retimbre.synth.levels import ParameterFile, read_parameter_file
    from retimbre.workflows.dataset.plan import SetOptions
    from retimbre.workflows.dataset.prepare import HowToMake, make_dataset

    if grid and continuous:
        raise ConfigError("a grid has levels; give --grid or --continuous, not both")
    options = SetOptions(
        synth=synth,
        size=size,
        seed=seed,
        draw="grid" if grid else "continuous" if continuous else "classes",
        num_levels=levels,
        parameters=ParameterFile() if params is None else read_parameter_file(params),
        pitch_hz=(pitch_low, pitch_high),
        gate_s=None if gate_low < 0 else (gate_low, gate_low if gate_high < 0 else gate_high),
        seconds=length,
        sample_rate=sample_rate,
        normalise=normalise,
        split=Fractions(validation, test),
    )
    again = "" if regenerate == "none" else regenerate
    how = HowToMake(layout=layout, name=name, engine=engine, device=device, regenerate=again, force=force)
    with console.counter("rendering") as progress:
        made = make_dataset(out, options, how, progress=progress)
    if json:
        return console.show_json(console.plain(made))
    there = made.size - made.rendered
    console.show(
        f"{made.folder}: {made.size:,} clips of {made.seconds_each:g} s at {made.sample_rate} Hz, "
        f"{made.classes} classes; rendered {made.rendered:,} now, {there:,} were there"
    )
    return show_layout(made.layout_files, layout)
