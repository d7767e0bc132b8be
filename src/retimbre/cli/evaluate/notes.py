"""`retimbre evaluate notes`: what a set of notes is like, in a musician's terms."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.evaluate.distances import (
    Cache,
    EmbedderFile,
    Fake,
    Model,
    Most,
    Out,
    Resamples,
    SampleRate,
    Seconds,
)
from retimbre.cli.options import Device, Force, Json, Seed


def notes(
    model: Model = "",
    fake: Fake = "",
    real: Annotated[
        str,
        typer.Option(
            "--real", metavar="DIR", help="Real notes to compare with [default: none].", show_default=False
        ),
    ] = "",
    train: Annotated[
        str,
        typer.Option(
            "--train",
            metavar="DIR",
            help="The notes trained on, to look for copies of [default: none].",
            show_default=False,
        ),
    ] = "",
    seconds: Seconds = 1.0,
    sample_rate: SampleRate = 16_000,
    most: Most = 0,
    embedder: Annotated[
        str,
        typer.Option("--embedder", metavar="NAME", help="In which the nearest note trained on is sought."),
    ] = "statistics",
    embedder_file: EmbedderFile = "",
    resamples: Resamples = 2_000,
    cache: Cache = "",
    out: Out = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Measures notes: pitch, overtones, attack, decay, phases, timbre over the keys, and copies.

    Labels come from an examples.json or from the names of the files. What a note lacks is counted and not invented.
    With --real the real notes' figures stand beside. docs/metrics.md explains every measure.

    Example:
        retimbre evaluate notes --fake out/scale --real notes --out out/scores
    """
    from retimbre.core.errors import ConfigError, PartialFailure
    from retimbre.workflows.evaluation.note_scores import NoteSets, evaluate_notes
    from retimbre.workflows.evaluation.notes import NoteOptions
    from retimbre.workflows.evaluation.sets.clips import ClipOptions

    if bool(model) == bool(fake):
        got = "both" if model else "neither"
        raise ConfigError(f"the notes to be judged are named as MODEL or as --fake DIR; got {got}")
    options = NoteOptions(
        embedder=embedder, embedder_file=embedder_file, resamples=resamples, seed=seed, cache=cache
    )
    clip_options = ClipOptions(sample_rate=sample_rate, seconds=seconds, most=most, seed=seed)
    sets = NoteSets(model or fake, real, train, clip_options, device)
    with console.counter("measuring") as progress:
        result = evaluate_notes(sets, out, options, force=force, progress=progress)
    for remark in result["remarks"]:
        console.warn(remark)
    for line in result["passed_over"]:
        console.warn(f"passed over: {line}")
    if json:
        console.show_json(result)
    else:
        console.show_table([_row(name, figure) for name, figure in result["measures"].items()])
        if out:
            console.show(f"scores: {Path(out) / 'scores.json'}")
    if result["passed_over"]:
        raise PartialFailure(
            f"{console.counted(len(result['passed_over']), 'sound file')} could not be used; the rest is measured"
        )


def _row(name: str, figure: dict[str, Any]) -> dict[str, Any]:
    """A measure as a line of the table."""
    row = {
        "measure": name,
        "unit": figure["unit"],
        "value": _short(figure["value"]),
        "low": _short(figure["low"]),
        "high": _short(figure["high"]),
        "n": figure["n"],
        "unmeasured": figure["unmeasured"],
    }
    return row | {"real": _short(figure.get("reference", {}).get("value"))}


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
