"""`retimbre data notes`: procedural notes, without a download."""

from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.filters import numbers_in, range_in, words_in
from retimbre.cli.data.imported import counted
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed

Size = Annotated[int, typer.Option(min=0, help="How many notes; 0: all that there are.")]
Families = Annotated[
    str, typer.Option(help="Instrument families, with commas between them [default: all eleven].")
]
Pitch = Annotated[str, typer.Option(metavar="LOW-HIGH", help="MIDI pitches, both included.")]
Velocity = Annotated[str, typer.Option(help="MIDI velocities, with commas between them.")]
Seconds = Annotated[
    float, typer.Option(min=0, help="Length of a note; the key is down for three quarters of it.")
]
Rate = Annotated[int, typer.Option(min=1, help="Samples per second.")]
Split = Annotated[
    Literal["instruments", "mixed"],
    typer.Option(help="Whether training, validation and test share no instrument, or all of them."),
]


def notes(
    out: OutFolder,
    size: Size = 0,
    families: Families = "",
    instruments: Annotated[int, typer.Option(min=1, help="Instruments of each family.")] = 100,
    pitch: Pitch = "24-84",
    velocity: Velocity = "25,50,75,100,127",
    seconds: Seconds = 4.0,
    sample_rate: Rate = 16000,
    split: Split = "instruments",
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes notes of drawn instruments, in NSynth's layout: the same seed, the same bytes on every machine.

    The first notes of a corpus stay the same when it grows. Run it again to go on where it was stopped. docs/data.md
    describes the families. 'retimbre data nsynth' reads the result.

    Example:
        retimbre data notes --size 20000 --seed 1 --out sets/notes
    """
    from retimbre.corpora.notes.families import FAMILIES
    from retimbre.corpora.notes.plan import NotesSettings
    from retimbre.workflows.dataset.notes import make_notes

    low, high = range_in(pitch, "--pitch") or (24, 84)
    settings = NotesSettings(
        seed=seed,
        families=words_in(families) or tuple(FAMILIES),
        instruments=instruments,
        lowest_pitch=low,
        highest_pitch=high,
        velocities=numbers_in(velocity, "--velocity") or (),
        sample_rate=sample_rate,
        seconds=seconds,
        split=split,
    )
    with console.counter("rendering") as progress:
        made = make_notes(out, settings, size, device=device, force=force, progress=progress)
    show_written(made, json=json)


def show_written(made: Any, *, json: bool) -> None:
    """Prints what was written.

    Args:
        made: A `corpora.nsynth.writer.Written`.
    """
    if json:
        return console.show_json(console.plain(made))
    census = made.census
    each_s = made.num_samples / made.sample_rate
    console.show(
        f"{made.folder}: {made.notes:,} notes of {each_s:g} s at {made.sample_rate} Hz; "
        f"wrote {made.written:,} now, {made.notes - made.written:,} were there"
    )
    console.show(f"  {counted(census['parts'])}; {counted(census['families'])}")
    console.show(
        f"  {census['instruments']:,} instruments, {census['pitches']} pitches; licence: {made.licence}"
    )
    if made.damaged:
        console.show(f"  damaged, and so written again: {made.damaged:,}")
    if made.silent:
        console.show(f"  {made.silent:,} more make no sound and were left out")
    return console.show(f"  hash {made.hash}")
