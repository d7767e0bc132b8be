"""`retimbre generate interpolate`: one sound becoming another."""

from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Normalize, Pictures, Pitch, Shared, Velocity
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded


@unfolded
def interpolate(
    model: Model,
    out: OutFolder,
    shared: Shared,
    path: Annotated[
        Literal["linear", "spherical", "sphere"],
        typer.Option("--path", help="Straight, turning, or around the circle through both and back."),
    ] = "spherical",
    steps: Annotated[int, typer.Option("--steps", min=2, help="How many sounds, both ends included.")] = 10,
    pitch: Pitch = None,
    velocity: Velocity = None,
    normalize: Normalize = "none",
    pictures: Pictures = False,
) -> None:
    """Makes the sounds between two latents.

    The first and the last sound are exactly those of the two latents. With --path sphere the path is closed: both are
    the first one's, and the second lies on the way. Attributes that are not asked for have their middle class.

    Example:
        retimbre generate interpolate out/run --latents out/sounds/latents.safetensors --take 3,7 --out out/morph
    """
    from retimbre.workflows.generate.sets import generate_interpolation

    options = shared.options(pitch=pitch, velocity=velocity, normalize=normalize, pictures=pictures)
    with console.counter("generating") as progress:
        manifest = generate_interpolation(model, out, options, kind=path, steps=steps, progress=progress)
    shared.tell(out, manifest)
