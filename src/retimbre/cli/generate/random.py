"""`retimbre generate random`: sounds drawn by chance."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def random(
    model: shared.Model,
    out: OutFolder,
    count: Annotated[
        int,
        typer.Option("--count", min=0, help="How many sounds; 0 for 16, or for all of --latents."),
    ] = 0,
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
    """Makes sounds by chance.

    Attributes that are not asked for are drawn as well. Sound 7 of a seed is the same however many are made. Beside the
    sounds lie their latents, and generate.json, which tells the labels of each.

    Example:
        retimbre generate random out/run --count 32 --pitch 60 --out out/sounds
    """
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.sets import generate_random

    labels = shared.labels_of(label, pitch=pitch, velocity=velocity, family=family)
    options = GenerateOptions(
        labels=labels,
        latents=shared.choice_of(latents, take, seed),
        weights=weights,
        device=device,
        normalize=normalize,
        integers=integers,
        pictures=pictures,
        force=force,
    )
    with console.counter("generating") as progress:
        manifest = generate_random(model, out, options, count=count, progress=progress)
    shared.tell(out, manifest, json=json)
