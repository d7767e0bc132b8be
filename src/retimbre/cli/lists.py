"""Options that take several values: `--attacks 0 0.2 0.4`, `--attacks 0,0.2,0.4`, or the option for each value.

Click knows the last form only. The others are rewritten to it before the command line is parsed: every word after such
an option belongs to it until the next option, and a comma ends a value. Where a command has positional arguments
nobody could tell where the list ends, so this is for commands without.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, final

from typer.core import TyperCommand

# A word that begins with a minus sign and is no option.
_NUMBER = re.compile(r"-\.?\d")


@final
class SeveralValues(TyperCommand):
    """A command whose options of type `list` take several values in a row."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line in the form that Click knows."""
        lists = {word for option in self.params if getattr(option, "multiple", False) for word in option.opts}
        return super().parse_args(ctx, list(_repeated(args, lists)))


def _repeated(words: Sequence[str], lists: set[str]) -> Iterator[str]:
    """The words, with the option's name again before each further value of a list."""
    option, is_named = "", False
    for word in words:
        if word.startswith("-") and not _NUMBER.match(word):
            name, _, value = word.partition("=")
            option = name if name in lists else ""
            is_named = bool(option) and not value
            yield from ([name, *_values(name, value)] if option and value else [word])
        elif option:
            named = _values(option, word)
            yield from named if is_named else [option, *named]
            is_named = False
        else:
            yield word


def _values(option: str, words: str) -> list[str]:
    """The values between commas, with the option before each but the first."""
    first, *others = words.split(",")
    return [first, *(word for value in others for word in (option, value))]
