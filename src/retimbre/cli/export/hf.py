"""`retimbre export hf`: sets of sounds as folders that the library `datasets` loads."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed
from retimbre.core.errors import PartialFailure


def hf(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL_OR_SET...",
            help="Data sets, folders of sounds, or generators (run folder, file or shipped name).",
        ),
    ],
    out: OutFolder,
    count: Annotated[
        int, typer.Option("--count", min=0, help="Sounds of each; 0 for all of a set, 256 of a generator.")
    ] = 0,
    title: Annotated[
        str, typer.Option("--title", help="What the card calls the set [default: the names given].")
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            "--licence",
            help="The licence of the sounds, such as cc-by-4.0 or PDDL-1.0 [default: what the sources say].",
        ),
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Writes sounds and their labels as an audiofolder, a data set that the library datasets loads.

    DIR/train, validation and test hold WAV files and a metadata.jsonl with their labels; DIR/README.md is the card.
    A prepared set keeps its parts. docs/instruments.md says more.

    Example:
        retimbre export hf note-generator --count 500 --licence cc-by-4.0 --out out/notes-hf
    """
    from retimbre.workflows.export.audiofolder.export import HfOptions, export_hf

    options = HfOptions(count, title, licence, seed, device, force)
    with console.counter("writing") as progress:
        facts = export_hf(sources, out, options, progress=progress)
    if json:
        console.show_json(facts)
    else:
        _show(out, facts)
    if facts["license"] == "other":
        console.warn(f"{out / 'README.md'}: the card says license: other; --licence takes an identifier")
    for line in facts["failed"]:
        console.say(f"failed: {line}")
    if facts["failed"]:
        raise PartialFailure(f"{console.counted(len(facts['failed']), 'sound')} could not be used")


def _show(out: Path, facts: dict[str, Any]) -> None:
    parts = ", ".join(f"{count:,} {name}" for name, count in facts["splits"].items() if count)
    console.show(f"{out}: {parts}; columns {', '.join(facts['columns']) or 'none'}")
