"""The commands of `retimbre generate`, in the order of the help. A command is a module of this package.

Two of them had other names in an earlier program. Those are understood, with a note, and are not in the help.
"""

from collections.abc import Callable
from typing import Any, final

import typer
from typer.core import TyperGroup

from retimbre.cli import console
from retimbre.cli.generate import continue_, envelope, grid, interpolate, midi, random, scale

COMMANDS: dict[str, Callable[..., Any]] = {
    "random": random.random,
    "scale": scale.scale,
    "interpolate": interpolate.interpolate,
    "grid": grid.grid,
    "midi": midi.midi,
    "envelope": envelope.envelope,
    "continue": continue_.continue_,
}
EARLIER_NAMES = {"interpolation": "interpolate", "from_midi": "midi"}


@final
class _Group(TyperGroup):
    """A group that knows the earlier names of its commands."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, earlier ones included."""
        name = EARLIER_NAMES.get(cmd_name, cmd_name)
        if name != cmd_name:
            console.say(f"note: {cmd_name} is called {name} now")
        return super().get_command(ctx, name)


app = typer.Typer(help="Make sounds with a trained generator.", no_args_is_help=True, cls=_Group)
for name, function in COMMANDS.items():
    app.command(name)(function)


@app.callback()
def _group() -> None:
    """Make sounds with a trained generator."""
