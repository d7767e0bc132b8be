"""`retimbre generate scale`: one timbre at every key."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Normalize, Pictures, Shared, Velocity
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded


@unfolded
def scale(
    model: Model,
    out: OutFolder,
    shared: Shared,
    count: Annotated[
        int, typer.Option("--count", min=1, help="How many timbres, each with a scale of its own.")
    ] = 1,
    velocity: Velocity = None,
    normalize: Normalize = "none",
    pictures: Pictures = False,
) -> None:
    """Plays every key that a generator knows with one latent.

    One file per pitch, its MIDI number last in the name (scale_060.wav). Attributes that are not asked for have their
    middle class. The generator has to be one that is told the pitch.

    Example:
        retimbre generate scale out/run --velocity 100 --out out/scale
    """
    from retimbre.workflows.generate.sets import generate_scale

    options = shared.options(velocity=velocity, normalize=normalize, pictures=pictures)
    with console.counter("generating") as progress:
        manifest = generate_scale(model, out, options, count=count, progress=progress)
    shared.tell(out, manifest)
