"""Options that mean the same in every command, each as one annotated type.

A command that has such an option uses the alias, so that its name, its help and its values are the same everywhere:

    def render(..., seed: Seed = 0, device: Device = "auto", json: Json = False, force: Force = False) -> None:
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retimbre.core.errors import ConfigError


def _folder(name: str) -> Path:
    """A folder that was named. As a path, an empty name would be the current folder, which nobody asked for."""
    if not name:
        raise ConfigError("--out is empty; takes the folder to write to")
    return Path(name)


Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON value with the results to standard output.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is already there.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="The same seed and the same input give the same result.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where torch runs; auto takes a CUDA device if there is one."),
]
OutFolder = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", help="The folder to write to; it is made if it is missing.", parser=_folder
    ),
]
SynthName = Annotated[
    str, typer.Option("--synth", metavar="NAME", help="A synthesizer; 'retimbre list synths' names them.")
]
