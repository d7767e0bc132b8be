"""`retimbre generate random`: sounds drawn by chance."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Normalize, Pictures, Pitch, Shared, Velocity
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded


@unfolded
def random(
    model: Model,
    out: OutFolder,
    shared: Shared,
    count: Annotated[
        int,
        typer.Option("--count", min=0, help="How many sounds; 0 for 16, or for all of --latents."),
    ] = 0,
    pitch: Pitch = None,
    velocity: Velocity = None,
    normalize: Normalize = "none",
    pictures: Pictures = False,
) -> None:
    """Makes sounds by chance.

    Attributes that are not asked for are drawn as well. Sound 7 of a seed is the same however many are made. Beside the
    sounds lie their latents, and generate.json, which tells the labels of each.

    Example:
        retimbre generate random out/run --count 32 --pitch 60 --out out/sounds
    """
    from retimbre.workflows.generate.sets import generate_random

    options = shared.options(pitch=pitch, velocity=velocity, normalize=normalize, pictures=pictures)
    with console.counter("generating") as progress:
        manifest = generate_random(model, out, options, count=count, progress=progress)
    shared.tell(out, manifest)
