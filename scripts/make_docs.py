"""Writes the pages of docs/ that say what the code says: the command line and the synthesizers.

python scripts/make_docs.py            write the pages
python scripts/make_docs.py --check    exit 1 if a page is not what would be written
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from retimbre.cli.app import HELP_WIDTH, tree
from retimbre.core.files import write_text
from retimbre.synth.base import Synth
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.knobs import Choice, Parameter, Stepped

DOCS = Path(__file__).resolve().parents[1] / "docs"

COMMAND_LINE = """\
# The command line

This page is generated from the help of the commands; `make docs` writes it anew.

Every command prints results to standard output and everything else to standard error, overwrites nothing without
`--force`, and ends with status 0 when all is done, 2 for a mistake of the user's or an input that cannot be used, 1 for
anything else (some of several inputs failed: they are listed, the rest is done), 130 when interrupted.
"""

SYNTHESIZERS = """\
# The built-in synthesizers

This page is generated from the catalog; `make docs` writes it anew.

A synthesizer takes knobs and a note (which key, how hard, for how long) and gives audio; it remembers nothing. A knob
is continuous (`linear`, or `log` where equal turns multiply by equal factors), stepped, or a choice. Networks see each
knob as a number of classes: the values of a stepped knob, the choices of a choice, levels of a continuous one. Knobs
with a tilde (~) may also vary within a clip, as a curve. Formulas and sources are in the modules of
`src/retimbre/synth`.
"""


def command_line() -> str:
    """The page of the command line."""
    sections = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in helps(tree(), None, "retimbre")]
    return "\n".join([COMMAND_LINE, *sections])


def helps(command: Any, parent: typer.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """The full name and the help of a command and of those under it."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH)
    yield context.command_path, command.get_help(context).rstrip()
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, context, inner_name)


def synthesizers() -> str:
    """The page of the synthesizers."""
    return "\n".join([SYNTHESIZERS, *(synthesizer(name, synth) for name, synth in SYNTHS.items())])


def synthesizer(name: str, synth: Synth) -> str:
    """One synthesizer: what its class says of it, then its knobs."""
    about = inspect.getdoc(type(synth)) or ""
    clip = f"{synth.default_seconds:g} s at {synth.sample_rate} Hz"
    heard = f"Usually {clip}, with the key held for {synth.default_gate_s:g} s."
    heading = "| knob | group | travel | unit | classes | default | |\n|---|---|---|---|---|---|---|"
    rows = [knob(parameter, parameter.name in synth.curves) for parameter in synth.space.parameters]
    return "\n".join([f"## `{name}`", "", about, "", heard, "", heading, *rows, ""])


def knob(parameter: Parameter, is_curve: bool) -> str:
    """One row of the table of knobs."""
    name = f"`{parameter.name}`{' ~' if is_curve else ''}"
    classes = len(parameter.class_values())
    default = parameter.default if isinstance(parameter, Choice) else number(parameter.default)
    cells = [
        name,
        parameter.group,
        travel(parameter),
        parameter.unit,
        classes,
        default,
        parameter.description,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def travel(parameter: Parameter) -> str:
    """Where a knob can be turned to."""
    if isinstance(parameter, Choice):
        return ", ".join(parameter.choices)
    if isinstance(parameter, Stepped):
        return ", ".join(map(number, parameter.values))
    return f"{number(parameter.low)} to {number(parameter.high)}, {parameter.scale}"


def number(value: float) -> str:
    """A value in the four digits that are enough to recognise it."""
    return f"{float(f'{value:.4g}'):g}"


PAGES = {"cli.md": command_line, "synths.md": synthesizers}


def main() -> int:
    """Writes or checks the pages; returns the exit status."""
    if sys.argv[1:] != ["--check"]:
        for name, page in PAGES.items():
            write_text(DOCS / name, page())
        return 0
    stale = [name for name, page in PAGES.items() if text_of(DOCS / name) != page()]
    for name in stale:
        print(f"docs/{name} is stale: make docs")
    return 1 if stale else 0


def text_of(path: Path) -> str:
    """The content of a file, empty if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
