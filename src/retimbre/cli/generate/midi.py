"""`retimbre generate midi`: a MIDI file played by a generator."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Shared
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded
from retimbre.core.errors import ConfigError


@unfolded
def midi(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE.mid", help="A MIDI file.")],
    out: OutFolder,
    shared: Shared,
    timbre: Annotated[
        Literal["fixed", "walk"],
        typer.Option("--timbre", help="One latent for the whole file, or a walk from one to the next."),
    ] = "fixed",
    path: Annotated[
        Literal["linear", "spherical"] | None,
        typer.Option("--path", help="The way of a walk: straight or turning [default: spherical]."),
    ] = None,
    leg: Annotated[
        int | None,
        typer.Option(
            "--leg", min=1, help="Notes that a walk takes from one latent to the next [default: 50]."
        ),
    ] = None,
    release: Annotated[
        float,
        typer.Option("--release", min=0.0, max=10.0, help="Seconds in which a note fades after key-up."),
    ] = 0.1,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse a file with keys beyond the generator's, which else are moved or left out.",
        ),
    ] = False,
) -> None:
    """Plays a MIDI file with a generator's notes.

    Tempo, velocity and sustain pedal are heeded, and onsets are exact to the sample. Notes that are held longer than
    the generator's clips go on in a loop of their steady part; those that end sooner fade. Drums (channel 10) are left
    out. The sound has a peak of 0.7. A generator that is told the keys plays the piece chunk by chunk, in one timbre,
    at its own level.

    Example:
        retimbre generate midi out/run examples/scale.mid --timbre walk --leg 4 --out out/played
    """
    from retimbre.workflows.generate.midi import generate_midi
    from retimbre.workflows.generate.score import PlayOptions

    options = shared.options()
    for name, value in {"path": path, "leg": leg}.items():
        if value is not None and timbre != "walk":
            raise ConfigError(f"--{name} says how a timbre walks; takes --timbre walk beside it")
    play = PlayOptions(timbre, path or PlayOptions.path, leg or PlayOptions.leg, release, strict)
    with console.counter("playing") as progress:
        manifest = generate_midi(model, file, out, options, play, progress=progress)
    shared.tell(out, manifest)
