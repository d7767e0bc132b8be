"""`retimbre data`: making data sets, and checking them."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed, SynthName
from retimbre.core.errors import ConfigError, PartialFailure

app = typer.Typer(help="Make data sets and check them.", no_args_is_help=True)

Validation = Annotated[float, typer.Option(min=0, max=1, help="Fraction held out for validation.")]
Test = Annotated[float, typer.Option(min=0, max=1, help="Fraction held out for testing.")]
LayoutName = Annotated[
    str,
    typer.Option(
        "--name", help="What the files of an earlier layout are called [default: the folder's name]."
    ),
]
Normalise = Annotated[bool, typer.Option("--normalise", help="Scale every clip to a peak of 1.")]


@app.command()
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
    with _bar("rendering") as progress:
        made = make_dataset(out, options, how, progress=progress)
    if json:
        return console.show_json(_plain(made))
    there = made.size - made.rendered
    console.show(
        f"{made.folder}: {made.size:,} clips of {made.seconds_each:g} s at {made.sample_rate} Hz, "
        f"{made.classes} classes; rendered {made.rendered:,} now, {there:,} were there"
    )
    return _show_layout(made.layout_files, layout)


@app.command()
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
    fade_out: Annotated[bool, typer.Option("--fade-out", help="Fade the last 30 % of every clip.")] = False,
    validation: Validation = 0.1,
    test: Test = 0.1,
    layout: Annotated[
        Literal["manifest", "npy", "hdf5", "csv"],
        typer.Option("--as", help="Write an earlier system's layout, too."),
    ] = "manifest",
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
    with _bar("reading") as progress:
        made = import_folder(sounds, out, cutting, how, progress=progress)
    if json:
        console.show_json(_plain(made))
    else:
        verb = "holds" if made.was_there else "has now"
        console.show(
            f"{made.folder} {verb} {made.clips:,} clips of {made.seconds_each:g} s from {made.files:,} files"
        )
        _show_layout(made.layout_files, layout)
    for reject in made.rejects:
        console.warn(f"{reject.kind}: {reject.path}: {reject.reason}")
    failed = sum(reject.kind == "failed" for reject in made.rejects)
    if failed:
        raise PartialFailure(
            f"{failed} of {made.files + len(made.rejects)} files could not be used; the rest is done"
        )


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a data set.")],
    json: Json = False,
) -> None:
    """Counts what a data set holds, verifies every checksum and plays a few clips again.

    Example:
        retimbre data check sets/inversynth
    """
    from retimbre.workflows.dataset.census import check_dataset

    with _bar("checking") as progress:
        census = check_dataset(folder, progress=progress)
    if json:
        console.show_json(_plain(census))
    else:
        _show_census(census)
    if census.problems:
        raise PartialFailure(f"{folder}: {'; '.join(census.problems)}")


def _show_census(census: Any) -> None:
    parts = ", ".join(f"{name} {count:,}" for name, count in census.splits.items())
    console.show(f"{census.folder}: {census.kind}, {census.clips:,} clips, {census.seconds:,.1f} s in all")
    console.show(f"  {census.num_samples} samples each at {census.sample_rate} Hz; shards: {census.shards}")
    console.show(f"  {parts}; silent {census.silent:,}, beyond full scale {census.beyond_full_scale:,}")
    if census.kind == "rendered":
        console.show(f"  {len(census.labels)} searched knobs, {sum(census.labels.values())} classes")
    else:
        console.show(
            f"  labels: {', '.join(f'{name or chr(45)} {count:,}' for name, count in census.labels.items())}"
        )
    for reject in census.rejects:
        console.show(f"  {reject['kind']}: {reject['path']}: {reject['reason']}")
    if not census.problems:
        console.show("  all checksums hold")


def _show_layout(files: Sequence[str], layout: str) -> None:
    if len(files) > 0:
        more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
        console.show(f"  {layout} layout: wrote {files[0]}{more}")


def _plain(result: Any) -> dict[str, Any]:
    """A result as JSON has it."""
    table = dataclasses.asdict(result)
    return {name: str(value) if isinstance(value, Path) else value for name, value in table.items()}


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as the workflows want it: told how much is done, of how much."""
    shown = 0.0
    with console.progress(title, total=1.0) as advance:

        def progress(done: int, total: int) -> None:
            nonlocal shown
            advance(done / total - shown)
            shown = done / total

        yield progress
