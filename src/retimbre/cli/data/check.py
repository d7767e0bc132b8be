"""`retimbre data check`: is a data set what it says?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.data.imported import MOST_WARNINGS, counted, show_remarks
from retimbre.cli.options import Json
from retimbre.core.errors import PartialFailure

# Labels that fit on a line or two of a terminal.
MOST_COUNTS = 12


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a data set.")],
    json: Json = False,
) -> None:
    """Counts what a data set holds, verifies every checksum and plays a few clips again.

    A folder of notes in NSynth's layout is counted, too, and every sound in it is read.

    Example:
        retimbre data check sets/inversynth
    """
    from retimbre.workflows.dataset.census import check_dataset

    with console.counter("checking") as progress:
        census = check_dataset(folder, progress=progress)
    if json:
        console.show_json(console.plain(census))
    else:
        _show_census(census)
    if census.problems:
        raise PartialFailure(f"{folder}: {_told(census.problems)}")


def _show_census(census: Any) -> None:
    parts = counted(census.splits)
    console.show(f"{census.folder}: {census.kind}, {census.clips:,} clips, {census.seconds:,.1f} s in all")
    _show_origin(census)
    console.show(f"  {_told_shape(census)}; shards: {census.shards}")
    console.show(f"  {parts}; silent {census.silent:,}, beyond full scale {census.beyond_full_scale:,}")
    if census.kind == "rendered":
        console.show(f"  {len(census.labels)} searched knobs, {sum(census.labels.values())} classes")
    else:
        console.show(f"  labels: {_some(census.labels)}")
    for name, counts in census.attributes.items():
        console.show(f"  {name}: {_some(counts)}")
    show_remarks(census.remarks)
    if census.side_arrays:
        console.show(f"  beside the audio: {', '.join(census.side_arrays)}")
    for reject in census.rejects[:MOST_WARNINGS]:
        console.show("  " + console.one_line(f"{reject['kind']}: {reject['path']}: {reject['reason']}"))
    if len(census.rejects) > MOST_WARNINGS:
        console.show(f"  {counted(census.rejected)} in all")
    if not census.problems:
        is_listed = "all checksums hold" if census.fingerprint else "every sound reads to its end"
        console.show(f"  {is_listed}")


def _told_shape(census: Any) -> str:
    """Length and rate of the clips: a range, and every rate with its count, where they differ."""
    shortest, longest = census.lengths
    length = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    if len(census.sample_rates) <= 1:
        return f"{length} samples each at {census.sample_rate} Hz"
    rates = ", ".join(f"{count:,} at {rate} Hz" for rate, count in census.sample_rates.items())
    return f"{length} samples each; {rates}"


def _show_origin(census: Any) -> None:
    if census.corpus:
        console.show(f"  corpus: {census.corpus}; licence: {census.licence}")
    if census.citation:
        console.show(f"  cite: {census.citation}")


def _some(counts: Mapping[str, int]) -> str:
    """Few values with their counts; of many how many they are, and the smallest and largest count."""
    if len(counts) <= MOST_COUNTS:
        return counted(counts)
    return f"{len(counts):,} values, {min(counts.values()):,} to {max(counts.values()):,} clips each"


def _told(problems: Sequence[str]) -> str:
    """The first problems, and how many more there are."""
    more = f"; and {len(problems) - MOST_WARNINGS:,} more" if len(problems) > MOST_WARNINGS else ""
    return "; ".join(problems[:MOST_WARNINGS]) + more
