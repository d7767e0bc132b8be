"""The commands of `retimbre data`, in the order of the help. A command is a module of this package."""

from collections.abc import Callable
from typing import Any

import typer

from retimbre.cli.data import (
    check,
    envelopes,
    folder,
    maestro,
    notes,
    nsynth,
    performances,
    soundfont,
    speech_commands,
    synth,
)
from retimbre.cli.lists import SeveralValues

COMMANDS: dict[str, Callable[..., Any]] = {
    "synth": synth.synth,
    "folder": folder.folder,
    "nsynth": nsynth.nsynth,
    "maestro": maestro.maestro,
    "speech-commands": speech_commands.speech_commands,
    "notes": notes.notes,
    "envelopes": envelopes.envelopes,
    "soundfont": soundfont.soundfont,
    "performances": performances.performances,
    "check": check.check,
}

# Those whose lists are written one value after another.
_LISTS = {"envelopes"}

app = typer.Typer(help="Make data sets and check them.", no_args_is_help=True)
for name, function in COMMANDS.items():
    app.command(name, cls=SeveralValues if name in _LISTS else None)(function)
