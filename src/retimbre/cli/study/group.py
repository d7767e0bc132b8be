"""The commands of `retimbre study`, in the order of the help. A command is a module of this package."""

from collections.abc import Callable
from typing import Any

import typer

from retimbre.cli.study import basis, listening, matching, phase, representations, snr_pesq, timing

COMMANDS: dict[str, Callable[..., Any]] = {
    "basis": basis.basis,
    "listening": listening.listening,
    "matching": matching.matching,
    "phase": phase.phase,
    "representations": representations.representations,
    "snr-pesq": snr_pesq.snr_pesq,
    "timing": timing.timing,
}

app = typer.Typer(help="Run an experiment with many parts.", no_args_is_help=True)
for name, function in COMMANDS.items():
    app.command(name)(function)


@app.callback()
def _group() -> None:
    """Run an experiment with many parts."""
