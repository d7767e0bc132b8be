"""`retimbre generate grid`: a sheet of sounds between four."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def grid(
    model: shared.Model,
    out: OutFolder,
    rows: Annotated[int, typer.Option("--rows", min=2, max=16, help="Sounds from top to bottom.")] = 5,
    columns: Annotated[int, typer.Option("--columns", min=2, max=16, help="Sounds from left to right.")] = 5,
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
    pictures: shared.Pictures = True,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes the sounds between four latents, which are the corners.

    Files are named by row and column, from the top left; sheet.png shows them in their places. Attributes that are not
    asked for have their middle class.

    Example:
        retimbre generate grid out/run --rows 4 --columns 6 --pitch 48 --out out/grid
    """
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.sets import generate_grid

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
        manifest = generate_grid(model, out, options, size=(rows, columns), progress=progress)
    shared.tell(out, manifest, json=json)
