"""The commands of `retimbre data`, in the order of the help. A command is a module of this package."""

from collections.abc import Callable
from typing import Any

import typer

from retimbre.cli.data import check, folder, synth

COMMANDS: dict[str, Callable[..., Any]] = {
    "synth": synth.synth,
    "folder": folder.folder,
    "check": check.check,
}

app = typer.Typer(help="Make data sets and check them.", no_args_is_help=True)
for name, function in COMMANDS.items():
    app.command(name)(function)
