"""`retimbre generate midi`: a MIDI file played by a generator."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def midi(
    model: shared.Model,
    file: Annotated[Path, typer.Argument(metavar="FILE.mid", help="A MIDI file.")],
    out: OutFolder,
    timbre: Annotated[
        Literal["fixed", "walk"],
        typer.Option("--timbre", help="One latent for the whole file, or a walk from one to the next."),
    ] = "fixed",
    path: Annotated[
        Literal["linear", "spherical"], typer.Option("--path", help="The way of a walk: straight or turning.")
    ] = "spherical",
    leg: Annotated[
        int, typer.Option("--leg", min=1, help="Notes that a walk takes from one latent to the next.")
    ] = 50,
    release: Annotated[
        float,
        typer.Option("--release", min=0.0, max=10.0, help="Seconds in which a note fades after key-up."),
    ] = 0.1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse keys beyond the generator's, not fold them by octaves.")
    ] = False,
    family: shared.Family = "",
    label: shared.Label = None,
    seed: Seed = 0,
    latents: shared.Latents = None,
    take: shared.Take = "",
    weights: shared.WeightsKind = "average",
    integers: shared.Integers = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Plays a MIDI file with a generator's notes.

    Tempo, velocity and sustain pedal are heeded, and onsets are exact to the sample. Notes that are held longer than
    the generator's clips go on in a loop of their steady part; those that end sooner fade. Drums (channel 10) are left
    out. The sound has a peak of 0.7.

    Example:
        retimbre generate midi out/run examples/scale.mid --timbre walk --leg 4 --out out/played
    """
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.midi import generate_midi
    from retimbre.workflows.generate.score import PlayOptions

    options = GenerateOptions(
        labels=shared.labels_of(label, family=family),
        latents=shared.choice_of(latents, take, seed),
        weights=weights,
        device=device,
        integers=integers,
        force=force,
    )
    play = PlayOptions(timbre, path, leg, release, strict)
    with console.counter("playing") as progress:
        manifest = generate_midi(model, file, out, options, play, progress=progress)
    shared.tell(out, manifest, json=json)
