"""`retimbre generate scale`: one timbre at every key."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def scale(
    model: shared.Model,
    out: OutFolder,
    count: Annotated[
        int, typer.Option("--count", min=1, help="How many timbres, each with a scale of its own.")
    ] = 1,
    velocity: shared.Velocity = None,
    family: shared.Family = "",
    label: shared.Label = None,
    seed: Seed = 0,
    latents: shared.Latents = None,
    take: shared.Take = "",
    weights: shared.WeightsKind = "average",
    normalize: shared.Normalize = "none",
    integers: shared.Integers = False,
    pictures: shared.Pictures = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Plays every key that a generator knows with one latent.

    One file per pitch, its MIDI number last in the name (scale_060.wav). Attributes that are not asked for have their
    middle class. The generator has to be one that is told the pitch.

    Example:
        retimbre generate scale out/run --velocity 100 --out out/scale
    """
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.sets import generate_scale

    options = GenerateOptions(
        labels=shared.labels_of(label, velocity=velocity, family=family),
        latents=shared.choice_of(latents, take, seed),
        weights=weights,
        device=device,
        normalize=normalize,
        integers=integers,
        pictures=pictures,
        force=force,
    )
    with console.counter("generating") as progress:
        manifest = generate_scale(model, out, options, count=count, progress=progress)
    shared.tell(out, manifest, json=json)
