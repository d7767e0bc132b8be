"""The entry of the command line: the tree of commands, and how a run of one ends.

A command is a door: it turns words into arguments, calls one workflow and prints, and holds no logic of its own. Its
module in this package has one of two forms:

    render.py    def render(...): one command; its docstring is its help
    data/        a group of commands, `retimbre data check` and so on: one module each, listed in data/group.py

`COMMANDS` and `GROUPS` below list them, in the order of the help. Command modules import typer and this package only;
everything heavy is imported inside the command functions, so that `retimbre --help` is instant. The help of a command
is its docstring: a first line that says what it does in some sixty letters, what the reader must know, and last a
paragraph that opens with `Example:` and is shown as written. Options that several commands have are in `options.py`,
printing is in `console.py`.

A command returns nothing. To fail, it lets an error of `retimbre.core.errors` through, which becomes one line and the
exit status: 2 for the user's mistake, 1 for anything else.
"""

import re
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any

import typer

import retimbre
from retimbre.cli import console, doctor, encode, listing, match, render, train
from retimbre.cli.data import group as data
from retimbre.cli.evaluate import group as evaluate
from retimbre.cli.export import group as export
from retimbre.cli.generate import group as generate
from retimbre.cli.study import group as study
from retimbre.core.errors import RetimbreError, UserError

COMMANDS = {
    "match": match.match,
    "render": render.render,
    "encode": encode.encode,
    "decode": encode.decode,
    "train": train.train,
    "list": listing.list_names,
    "doctor": doctor.doctor,
}
GROUPS: dict[str, ModuleType] = {
    "data": data,
    "generate": generate,
    "evaluate": evaluate,
    "export": export,
    "study": study,
}

# What a shell reports for a program that Ctrl-C ended: 128 and the number of the signal.
INTERRUPTED = 130

# What torch says when it gets no more: of the processor's memory, and of a GPU's.
_NO_MEMORY = re.compile("allocate memory|out of memory")

# Columns that the help takes on a terminal that has them.
HELP_WIDTH = 100


def tree() -> Any:
    """The whole command line as one callable command of typer, with its sub-commands in `.commands`."""
    settings = {"max_content_width": HELP_WIDTH}
    app = typer.Typer(name="retimbre", rich_markup_mode=None, add_completion=False, context_settings=settings)
    app.callback()(_root)
    for name, module in GROUPS.items():
        app.add_typer(module.app, name=name)
    for name, function in COMMANDS.items():
        app.command(name)(function)
    root = typer.main.get_command(app)
    _settle(root)
    return root


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns the exit status; what went wrong is one line on standard error."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = tree()(list(arguments) or ["--help"], prog_name="retimbre", standalone_mode=False)
    except UserError as error:
        return console.fail(str(error), status=2)
    except typer.TyperException as error:
        return console.fail(_usage(error), status=2)
    except (RetimbreError, OSError) as error:
        return console.fail(str(error), status=1)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _NO_MEMORY.search(str(error)):
            raise
        whose = "the GPU has" if "CUDA" in str(error) else "there is"
        return console.fail(f"this takes more memory than {whose}", status=1)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        return console.fail("interrupted", status=INTERRUPTED)
    return status if isinstance(status, int) else 0


def main() -> None:
    """The `retimbre` program."""
    sys.exit(run(sys.argv[1:]))


def _show_version(wanted: bool) -> bool:
    if wanted:
        console.show(f"retimbre {retimbre.__version__}")
        raise typer.Exit
    return wanted


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
]


def _root(version: Version = False) -> None:
    """Finds the synthesizer patch behind a sound, and measures honestly how close it is.

    Example:
        retimbre match recording.wav --synth subtractive --out matched
    """


def _show_warning(message: Warning | str, *_: object) -> None:
    console.warn(str(message))


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" ('{context.command_path} --help' says more)" if context else ""
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    return f"{message}{hint}"


def _settle(command: Any) -> None:
    """Gives every command and group the manners that are not typer's own."""
    # Typer would fill the example like prose; the mark keeps the paragraph as it is written.
    command.help = (command.help or "").replace("\n\nExample:\n", "\n\n\b\nExample:\n")
    # A group without a command is a mistake, told in one line as any other.
    command.no_args_is_help = False
    for inner in getattr(command, "commands", {}).values():
        _settle(inner)
