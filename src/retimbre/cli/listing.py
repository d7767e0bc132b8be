"""`retimbre list`: the names that the other commands take."""

from typing import Annotated, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Json

Kind = Literal["synths", "representations", "models", "metrics", "corpora", "checkpoints"]


def list_names(
    kind: Annotated[Kind, typer.Argument(metavar="CATALOG", help="What to list.")],
    json: Json = False,
) -> None:
    """Lists what there is to choose from.

    Example:
        retimbre list synths --json
    """
    from retimbre.workflows.catalogs import names

    rows = names(kind)
    if json:
        console.show_json(rows)
    elif rows:
        console.show_table(rows)
    else:
        console.say(f"no {kind} yet")
