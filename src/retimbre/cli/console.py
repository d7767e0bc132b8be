"""What the commands say, and where: results to standard output, everything else to standard error.

So `retimbre ... --json > file` gets one JSON value and nothing else, and a person still sees the progress. Messages are
one line each. The progress bar shows what is done and when the rest will be, and is silent when nobody is looking.
"""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import typer

# Work that is done sooner shows no progress.
QUICK_S = 2.0


class Advance(Protocol):
    """Moves a progress bar on by an amount; its title stays if no other is given."""

    def __call__(self, amount: float, title: str = "", /) -> None:
        """Moves it on."""


def show(text: str) -> None:
    """A result for a reader, to standard output."""
    typer.echo(text)


def show_json(value: Any) -> None:
    """The one JSON value of a command run with --json; infinities and NaN, which JSON lacks, are a bug: ValueError."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def say(text: str) -> None:
    """A message that is not a result, to standard error."""
    typer.echo(text, err=True)


def warn(text: str) -> None:
    """What the reader should know although the command goes on."""
    say(f"warning: {one_line(text)}")


def fail(text: str, *, status: int) -> int:
    """The one line of an error; returns the exit status for the caller to end with."""
    say(f"error: {one_line(text)}")
    return status


def counted(number: int, thing: str) -> str:
    """A number of things, in words that agree with it."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as aligned columns under the keys of the first; a dash stands for what a row lacks."""
    for line in _table(rows):
        show(line)


def say_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """The same as a message that is not a result, to standard error."""
    for line in _table(rows):
        say(line)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    names = list(rows[0])
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


@contextlib.contextmanager
def progress(title: str, total: float) -> Iterator[Advance]:
    """Yields a function to call with the amount done since the last call; `total` is the amount there is.

    The bar is for terminals and for work that takes its time: it appears after two seconds, and goes when all is done.
    """
    if not sys.stderr.isatty():
        yield lambda amount, title="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=total)
    shown_from = time.monotonic() + QUICK_S

    def advance(amount: float, title: str = "", /) -> None:
        bar.update(task, advance=amount, description=title or None)
        if time.monotonic() >= shown_from:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


@contextlib.contextmanager
def steps(title: str, total: int, clips_after: Callable[[int], int]) -> Iterator[Callable[[int], None]]:
    """A progress bar of a training, to be told every step that is reached; it shows how many clips a second takes.

    Args:
        title: What is trained.
        total: The last step.
        clips_after: How many clips all steps up to one take together.
    """
    with progress(title, total=total) as advance:
        done, first_clips, first_s = 0, 0, 0.0

        def tell(reached: int) -> None:
            nonlocal done, first_clips, first_s
            clips, now_s = clips_after(reached), time.monotonic()
            if not done:  # whatever earlier sessions did took none of this one's time
                first_clips, first_s = clips, now_s
            rate = (clips - first_clips) / max(now_s - first_s, 1e-9)
            advance(reached - done, f"{title} at {rate:,.4g} images/s" if rate else title)
            done = reached

        yield tell


@contextlib.contextmanager
def counter(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as the workflows want it: told how much is done, of how much."""
    shown = 0.0
    with progress(title, total=1.0) as advance:

        def count(done: int, total: int) -> None:
            nonlocal shown
            advance(done / total - shown)
            shown = done / total

        yield count


def plain(result: Any) -> dict[str, Any]:
    """A result that is a dataclass, as JSON has it."""
    table = dataclasses.asdict(result)
    return {name: str(value) if isinstance(value, Path) else value for name, value in table.items()}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else one_line(str(value))


def one_line(text: str) -> str:
    """A text without its line ends, such as a file's name may have."""
    return " ".join(text.split())
