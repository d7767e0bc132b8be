"""`retimbre generate interpolate`: one sound becoming another."""

from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def interpolate(
    model: shared.Model,
    out: OutFolder,
    path: Annotated[
        Literal["linear", "spherical", "sphere"],
        typer.Option("--path", help="Straight, turning, or around the circle through both and back."),
    ] = "spherical",
    steps: Annotated[int, typer.Option("--steps", min=2, help="How many sounds, both ends included.")] = 10,
    pitch: shared.Pitch = None,
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
    """Makes the sounds between two latents.

    The first and the last sound are exactly those of the two latents. With --path sphere the path is closed: both are
    the first one's, and the second lies on the way. Attributes that are not asked for have their middle class.

    Example:
        retimbre generate interpolate out/run --latents out/sounds/latents.safetensors --take 3,7 --out out/morph
    """
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.sets import generate_interpolation

    options = GenerateOptions(
        labels=shared.labels_of(label, pitch=pitch, velocity=velocity, family=family),
        latents=shared.choice_of(latents, take, seed),
        weights=weights,
        device=device,
        normalize=normalize,
        integers=integers,
        pictures=pictures,
        force=force,
    )
    with console.counter("generating") as progress:
        manifest = generate_interpolation(model, out, options, kind=path, steps=steps, progress=progress)
    shared.tell(out, manifest, json=json)
