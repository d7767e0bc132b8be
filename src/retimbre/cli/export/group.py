"""The commands of `retimbre export`, in the order of the help. A command is a module of this package."""

from collections.abc import Callable
from typing import Any

import typer

from retimbre.cli.export import hf, onnx, sfz

COMMANDS: dict[str, Callable[..., Any]] = {
    "onnx": onnx.onnx,
    "sfz": sfz.sfz,
    "hf": hf.hf,
}

app = typer.Typer(help="Write models for other programs.", no_args_is_help=True)
for name, function in COMMANDS.items():
    app.command(name)(function)


@app.callback()
def _group() -> None:
    """Write models for other programs."""
