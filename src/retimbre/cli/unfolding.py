"""Options that several commands have, as one parameter of each.

Typer reads the options of a command from its signature, one parameter each, so that commands which share ten options
would all list the ten, and all hand them on. Here the ten are the fields of a frozen dataclass, each with its option as
its type, and a command takes one parameter of that class:

    @dataclass(frozen=True)
    class Shared:
        seed: Seed = 0
        force: Force = False

    @unfolded
    def grid(model: Model, shared: Shared, rows: Rows = 5) -> None: ...

On the command line this is `grid MODEL --rows --seed --force`: what a command has for itself comes first in its help,
what it shares last.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every field of the dataclasses that it takes as an option of its own.

    Args:
        command: Its dataclasses have a default for each field, and no field bears the name of another option.
    """
    parameters = inspect.signature(command, eval_str=True).parameters
    shared: dict[str, Any] = {
        name: each.annotation
        for name, each in parameters.items()
        if dataclasses.is_dataclass(each.annotation)
    }
    options = [each for name, each in parameters.items() if name not in shared]
    for kind in shared.values():
        options += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
            )
            for field in dataclasses.fields(kind)
        ]

    # Which options there are is what the signature says; typer hands over exactly those, by their names.
    @functools.wraps(command)
    def folding(**given: Any) -> None:
        folded = {
            name: kind(**{field.name: given.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in shared.items()
        }
        command(**given, **folded)

    folding.__dict__["__signature__"] = inspect.Signature(options)
    folding.__annotations__ = {each.name: each.annotation for each in options}
    return folding
