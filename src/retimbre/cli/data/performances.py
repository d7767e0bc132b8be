"""`retimbre data performances`: piano pieces with their MIDI, without a download."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.data.imported import counted
from retimbre.cli.options import Json, OutFolder, Seed


def performances(
    out: OutFolder,
    pieces: Annotated[
        int, typer.Option(min=1, help="How many; of ten, one is for validation, one for the test.")
    ] = 60,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each.")] = 60.0,
    sample_rate: Annotated[int, typer.Option(min=1, help="Samples per second.")] = 16000,
    soundfont: Annotated[
        str, typer.Option(metavar="FILE.sf2", help="A SoundFont [default: that of the system].")
    ] = "",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draws piano pieces and plays them with a SoundFont: MIDI files and their sound, in MAESTRO's layout.

    The same seed draws the same pieces, and a larger number adds to them. Run it again to go on where it was stopped.
    'retimbre data maestro' reads the folder. Needs FluidSynth and a General MIDI SoundFont.

    Example:
        retimbre data performances --pieces 60 --out raw/performances
    """
    from retimbre.workflows.dataset.drawn_performances import PerformancePlan, make_performances

    plan = PerformancePlan(pieces, seconds, sample_rate, seed, soundfont)
    with console.counter("playing") as progress:
        made = make_performances(out, plan, progress)
    if json:
        console.show_json(console.plain(made))
        return
    console.show(
        f"{made.folder}: {made.pieces:,} pieces of {made.seconds:g} s at {made.sample_rate} Hz; "
        f"wrote {made.written:,} now, {made.pieces - made.written:,} were there"
    )
    console.show(f"  {counted(made.splits)}")
