"""`retimbre data check`: is a data set what it says?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Json
from retimbre.core.errors import PartialFailure


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a data set.")],
    json: Json = False,
) -> None:
    """Counts what a data set holds, verifies every checksum and plays a few clips again.

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
        raise PartialFailure(f"{folder}: {'; '.join(census.problems)}")


def _show_census(census: Any) -> None:
    parts = ", ".join(f"{name} {count:,}" for name, count in census.splits.items())
    console.show(f"{census.folder}: {census.kind}, {census.clips:,} clips, {census.seconds:,.1f} s in all")
    console.show(f"  {census.num_samples} samples each at {census.sample_rate} Hz; shards: {census.shards}")
    console.show(f"  {parts}; silent {census.silent:,}, beyond full scale {census.beyond_full_scale:,}")
    if census.kind == "rendered":
        console.show(f"  {len(census.labels)} searched knobs, {sum(census.labels.values())} classes")
    else:
        console.show(
            f"  labels: {', '.join(f'{name or chr(45)} {count:,}' for name, count in census.labels.items())}"
        )
    for reject in census.rejects:
        console.show(f"  {reject['kind']}: {reject['path']}: {reject['reason']}")
    if not census.problems:
        console.show("  all checksums hold")
