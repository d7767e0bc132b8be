"""The commands of `retimbre evaluate`, in the order of the help. A command is a module of this package."""

from collections.abc import Callable
from typing import Any

import typer

from retimbre.cli.evaluate import distances, inversion, listener, notes, recordings, report

COMMANDS: dict[str, Callable[..., Any]] = {
    "inversion": inversion.inversion,
    "recordings": recordings.recordings,
    "report": report.report,
    "notes": notes.notes,
    "listener": listener.listener,
    **distances.COMMANDS,
}

app = typer.Typer(help="Measure how good a model or a set of sounds is.", no_args_is_help=True)
for name, function in COMMANDS.items():
    app.command(name)(function)


@app.callback()
def _group() -> None:
    """Measure how good a model or a set of sounds is."""
