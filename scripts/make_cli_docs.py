"""Writes docs/cli.md, the reference of the command line, from the help of the commands themselves.

python scripts/make_cli_docs.py            write the page
python scripts/make_cli_docs.py --check    exit 1 if the page is not what would be written
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from retimbre.cli.app import HELP_WIDTH, tree
from retimbre.core.files import write_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

OPENING = """\
# The command line

This page is generated from the help of the commands; `make docs` writes it anew.

Every command prints results to standard output and everything else to standard error, overwrites nothing without
`--force`, and ends with status 0 when all is done, 2 for a mistake of the user's or an input that cannot be used, 1 for
anything else (some of several inputs failed: they are listed, the rest is done), 130 when interrupted.
"""


def page() -> str:
    """The whole page."""
    sections = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in helps(tree(), None, "retimbre")]
    return "\n".join([OPENING, *sections])


def helps(command: Any, parent: typer.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """The full name and the help of a command and of those under it."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH)
    yield context.command_path, command.get_help(context).rstrip()
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, context, inner_name)


def main() -> int:
    """Writes or checks the page; returns the exit status."""
    if sys.argv[1:] == ["--check"]:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print("docs/cli.md is fresh" if fresh else "docs/cli.md is stale: make docs")
        return 0 if fresh else 1
    write_text(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
