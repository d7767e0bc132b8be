"""Options that take several values: `--attacks 0 0.2 0.4`, as well as `--attacks 0 --attacks 0.2 --attacks 0.4`.

Click knows the second form only. The first is rewritten to it before the command line is parsed: every word after such
an option belongs to it until the next option. Where a command has positional arguments nobody could tell where the
list ends, so this is for commands without.
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
    option, is_first = "", False
    for word in words:
        is_option = word.startswith("-") and not _NUMBER.match(word)
        if is_option:
            name, _, value = word.partition("=")
            option, is_first = (name, not value) if name in lists else ("", False)
        elif option and not is_first:
            yield option
        else:
            is_first = False
        yield word
