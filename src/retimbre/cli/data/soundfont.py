"""`retimbre data soundfont`: notes of a General MIDI SoundFont."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.data.filters import numbers_in, range_in, words_in
from retimbre.cli.data.notes import Families, Pitch, Rate, Seconds, Size, Split, Velocity, show_written
from retimbre.cli.options import Force, Json, OutFolder, Seed


def soundfont(
    out: OutFolder,
    size: Size = 0,
    soundfont: Annotated[
        str, typer.Option("--soundfont", metavar="FILE.sf2", help="Empty: the one that the system has.")
    ] = "",
    families: Families = "",
    pitch: Pitch = "24-84",
    velocity: Velocity = "25,50,75,100,127",
    seconds: Seconds = 4.0,
    sample_rate: Rate = 16000,
    split: Split = "instruments",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes notes of recorded instruments, played by FluidSynth from a SoundFont, in NSynth's layout.

    Needs the extra 'soundfont', the library FluidSynth and a General MIDI SoundFont, such as FluidR3 GM (MIT licence).
    Run it again to go on where it was stopped. 'retimbre data nsynth' reads the result.

    Example:
        retimbre data soundfont --size 5000 --families flute,reed,brass --out sets/winds
    """
    from retimbre.corpora.nsynth.entries import FAMILIES
    from retimbre.corpora.soundfont.corpus import SoundFontSettings
    from retimbre.workflows.dataset.notes import make_soundfont_notes

    low, high = range_in(pitch, "--pitch") or (24, 84)
    settings = SoundFontSettings(
        path=soundfont,
        seed=seed,
        families=words_in(families) or FAMILIES,
        lowest_pitch=low,
        highest_pitch=high,
        velocities=numbers_in(velocity, "--velocity") or (),
        sample_rate=sample_rate,
        seconds=seconds,
        split=split,
    )
    with console.counter("playing") as progress:
        made = make_soundfont_notes(out, settings, size, force=force, progress=progress)
    show_written(made, json=json)
