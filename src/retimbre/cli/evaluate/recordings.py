"""`retimbre evaluate recordings`: how near inverters come to real sounds."""

from pathlib import Path
from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, Seed


def recordings(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Inverters: run folders, checkpoint files or shipped names."),
    ],
    real: Annotated[
        Path, typer.Option("--real", metavar="DIR", help="A folder of recordings; they need no labels.")
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="PATTERN", help="Take files that match, as 'brass_*'; may be repeated."
        ),
    ] = None,
    candidates: Annotated[
        int,
        typer.Option(
            "--candidates", min=0, help="Also measure the best of this many candidates of match --budget 0."
        ),
    ] = 0,
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="DIR", help="A folder for tables and a report [default: write nothing]."
        ),
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Measures how near inverters come to real sounds.

    The likeliest patch is rendered and compared with each recording, without any search. Models stand beside the first
    by paired differences. Recordings that one of them heard in training are left out.

    Example:
        retimbre evaluate recordings subtractive-resmel out/finetune --real notes --out out/real
    """
    from retimbre.workflows.evaluation.inversion.recordings import RecordingsOptions, evaluate_recordings
    from retimbre.workflows.evaluation.inversion.recordings_page import NO_INTERVAL, table_rows

    options = RecordingsOptions(only=tuple(only or []), candidates=candidates, seed=seed, device=device)
    with console.progress("measuring", total=len(models)) as advance:
        result = evaluate_recordings(models, real, out, options, force=force, progress=advance)
    for line in result["settings"]["passed_over"]:
        console.warn(f"passed over: {line}")
    if json:
        console.show_json(result)
        return
    console.show_table(table_rows(result["models"], "readings"))
    if len(models) > 1:
        console.show(f"difference to {models[0]}, paired")
        console.show_table(table_rows(result["models"][1:], "difference"))
    if result["n"] == 1:
        console.show(NO_INTERVAL)
    if out:
        console.show(f"report: {Path(out) / 'report.md'}")
