"""`retimbre evaluate listener`: how well a classifier of notes hears."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, Seed


def listener(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="A run folder, a checkpoint file or a shipped name.")
    ] = "listener",
    real: Annotated[
        str,
        typer.Option(
            "--real", metavar="DIR", help="Labelled notes: NSynth's layout, or names like NSynth's."
        ),
    ] = "",
    corpus: Annotated[
        str,
        typer.Option(
            "--corpus", metavar="NAME", help="In place of --real: the test part of notes or soundfont."
        ),
    ] = "",
    clips: Annotated[
        int,
        typer.Option(
            "--clips",
            min=0,
            help="How many notes, of --real drawn by --seed, of --corpus the first; 0: all, or 1,000 of a corpus.",
        ),
    ] = 0,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.0,
            help="Length that notes are cut or padded to; 0: the longest, or 1 of a corpus.",
        ),
    ] = 0.0,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="A folder for tables [default: write nothing].")
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Measures how well a listener tells pitch, family and velocity of notes.

    The listener is the judge in pis, iis, pkid and ikid, and the default embedder. docs/listening.md says how well the
    shipped one hears.

    Example:
        retimbre evaluate listener --real notes --out out/listener
    """
    from retimbre.core.errors import PartialFailure
    from retimbre.workflows.evaluation.listener import ListenerOptions, evaluate_listener

    options = ListenerOptions(real, corpus, clips, seconds, seed, device)
    with console.counter("listening") as progress:
        result = evaluate_listener(model, options, out, force=force, progress=progress)
    for remark in result["remarks"]:
        console.warn(remark)
    if json:
        console.show_json(result)
    else:
        _show(result)
        if out:
            console.show(f"tables: {Path(out) / 'scores.json'}, confusion.csv, clips.csv")
    if result["passed_over"]:
        raise PartialFailure(
            f"{len(result['passed_over'])} files could not be used: {result['passed_over'][0]}"
        )


def _show(result: dict[str, Any]) -> None:
    shares = dict(result["attributes"])
    shares |= {
        f"pitch, {name.replace('_', ' ')}": share
        for name, share in result["pitch"].items()
        if "value" in share
    }
    console.show_table([{"right": name, **_row(share)} for name, share in shares.items()])
    if result["confusion"]:
        console.show("families: true down, heard across")
        console.show_table([{"family": true, **heard} for true, heard in result["confusion"].items()])


def _row(share: dict[str, Any]) -> dict[str, Any]:
    return {name: _percent(share.get(name)) for name in ("value", "low", "high", "commonest")} | {
        "n": share["n"]
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
