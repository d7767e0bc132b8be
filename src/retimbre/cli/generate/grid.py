"""`retimbre generate grid`: a sheet of sounds between four."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Normalize, Pictures, Pitch, Shared, Velocity
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded


@unfolded
def grid(
    model: Model,
    out: OutFolder,
    shared: Shared,
    rows: Annotated[int, typer.Option("--rows", min=2, max=16, help="Sounds from top to bottom.")] = 5,
    columns: Annotated[int, typer.Option("--columns", min=2, max=16, help="Sounds from left to right.")] = 5,
    pitch: Pitch = None,
    velocity: Velocity = None,
    normalize: Normalize = "none",
    pictures: Pictures = True,
) -> None:
    """Makes the sounds between four latents, which are the corners.

    Files are named by row and column, from the top left; sheet.png shows them in their places. Attributes that are not
    asked for have their middle class.

    Example:
        retimbre generate grid out/run --rows 4 --columns 6 --pitch 48 --out out/grid
    """
    from retimbre.workflows.generate.sets import generate_grid

    options = shared.options(pitch=pitch, velocity=velocity, normalize=normalize, pictures=pictures)
    with console.counter("generating") as progress:
        manifest = generate_grid(model, out, options, size=(rows, columns), progress=progress)
    shared.tell(out, manifest)
