"""What an import says when it is done, the same for every corpus."""

from collections.abc import Mapping
from typing import Any

from retimbre.cli import console
from retimbre.cli.data.options import show_layout
from retimbre.core.errors import PartialFailure

# More warnings than this drive the result off the screen; rejects.jsonl has them all.
MOST_WARNINGS = 20


def show_imported(made: Any, layout: str, *, json: bool) -> None:
    """Prints what was made, and what is not in it.

    Args:
        made: A `workflows.dataset.recordings.Imported`.

    Raises:
        PartialFailure: Some recordings failed; the rest is done.
    """
    if json:
        console.show_json(console.plain(made))
    else:
        verb = "holds" if made.was_there else "has now"
        console.show(
            f"{made.folder} {verb} {made.clips:,} clips of {made.seconds_each:g} s from {made.files:,} files"
        )
        console.show(f"  {counted(made.splits)}")
        show_remarks(made.remarks)
        show_layout(made.layout_files, layout)
    for reject in made.rejects[:MOST_WARNINGS]:
        console.warn(f"{reject.kind}: {reject.path}: {reject.reason}")
    if len(made.rejects) > MOST_WARNINGS:
        console.warn(f"{counted(made.rejected)} in all; rejects.jsonl lists them")
    failed = made.rejected.get("failed", 0)
    if failed:
        total = made.files + sum(made.rejected.values())
        raise PartialFailure(f"{failed:,} of {total:,} files could not be used; the rest is done")


def show_remarks(remarks: Mapping[str, int]) -> None:
    """Prints how many recordings were used although something is odd about them; nothing where there are none."""
    if remarks:
        said = ", ".join(f"{count:,} {kind}" for kind, count in remarks.items())
        console.show(f"  of the recordings: {said}")


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name on one line; a dash stands for an empty name."""
    return ", ".join(f"{name or '-'} {count:,}" for name, count in counts.items())
