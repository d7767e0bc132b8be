"""`retimbre evaluate report`: sets of sounds judged by all measures, and the measures by sets of known quality."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, Seed


def report(
    real: Annotated[
        Path,
        typer.Option(
            "--real", metavar="DIR", help="A folder of real sounds, half of which is the reference."
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Run folders, checkpoint files, shipped names, or folders of sounds [default: the anchors alone].",
        ),
    ] = None,
    fake: Annotated[
        list[str] | None,
        typer.Option("--fake", metavar="DIR", help="A folder of sounds to be judged; may be repeated."),
    ] = None,
    train: Annotated[
        str,
        typer.Option(
            "--train",
            metavar="DIR",
            help="What the generators were trained on, where copies are looked for [default: the reference half].",
        ),
    ] = "",
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="DIR", help="A folder for the page and tables [default: write nothing]."
        ),
    ] = "",
    embedders: Annotated[
        list[str] | None,
        typer.Option(
            "--embedder",
            metavar="NAME",
            help="What distances hear through, NAME or NAME=FILE of its weights; may be repeated "
            "[default: statistics, random-features, listener].",
        ),
    ] = None,
    split: Annotated[
        Literal["auto", "instrument", "clip"],
        typer.Option(
            "--split",
            help="Halves of the real sounds: no instrument in both, or clips drawn; auto by their number.",
        ),
    ] = "auto",
    most: Annotated[
        int, typer.Option("--most", min=0, help="Most clips of the real and training sounds, drawn; 0: all.")
    ] = 0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.0, help="Length of every clip; 0: of the longest real sound.")
    ] = 1.0,
    sample_rate: Annotated[int, typer.Option("--sample-rate", metavar="HZ", help="Of every clip.")] = 16_000,
    notes: Annotated[
        bool, typer.Option("--notes/--no-notes", help="Whether keys, attacks and copies are measured, too.")
    ] = True,
    resamples: Annotated[int, typer.Option("--resamples", min=1, help="Of every 95 % interval.")] = 200,
    clips: Annotated[
        int, typer.Option("--clips", min=0, max=16, help="How many clips of each set the page carries.")
    ] = 4,
    cache: Annotated[
        str,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Where embeddings are kept, or none [default: the user's cache folder].",
        ),
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Judges sets of sounds by all measures, and the measures by sets of known quality.

    One half of the real sounds is the reference. The other half, as it is and spoiled in seven ways, shows for each
    measure and embedder whether it can be believed; models are ranked by those that can, and only where intervals do
    not overlap. Writes one self-contained page, scores.json and scores.csv. docs/evaluation.md explains it.

    Example:
        retimbre evaluate report subtractive-resmel --real notes --fake out/generated --out out/report
    """
    from retimbre.core.errors import PartialFailure
    from retimbre.workflows.evaluation.report.remarks import contaminated, missing, of_measures, of_sets
    from retimbre.workflows.evaluation.report.report import (
        DEFAULT_EMBEDDERS,
        PAGE_FILE,
        ReportOptions,
        evaluate_report,
    )
    from retimbre.workflows.evaluation.sets.clips import ClipOptions

    options = ReportOptions(
        fakes=tuple(fake or []),
        train=train,
        clips=ClipOptions(sample_rate=sample_rate, seconds=seconds, most=most, seed=seed),
        embedders=tuple(embedders or DEFAULT_EMBEDDERS),
        split=split,
        notes=notes,
        resamples=resamples,
        cache=cache,
        device=device,
        listened=clips,
    )
    with console.counter("measuring") as count:
        result = evaluate_report(models or [], real, out, options, force=force, progress=count)
    for line in (*missing(result), *contaminated(result), *of_sets(result), *of_measures(result)):
        console.warn(line)
    if json:
        console.show_json(result)
    else:
        _show(result)
        if out:
            console.show(f"report: {Path(out) / PAGE_FILE}")
    if result["failed"]:
        raise PartialFailure(
            f"{console.counted(len(result['failed']), 'input')} could not be used; the rest is done"
        )


def _show(result: dict[str, Any]) -> None:
    """The verdicts, the ranking measure of every set, and what follows from them."""
    judged = [measure for measure in result["measures"] if measure["verdict"]["marks"]]
    console.show_table([{"measure": each["label"], "verdict": each["verdict"]["says"]} for each in judged])
    ranking = [measure for measure in result["measures"] if measure["metric"] == result["metric"]]
    console.show_table(
        [
            {"set": row["name"]} | {each["label"]: _shown(each["figures"][row["name"]]) for each in ranking}
            for row in result["rows"]
        ]
    )
    for sentence in (*result["ranking"]["says"], *result["ranking"]["pairs"]):
        console.show(sentence)


def _shown(figure: dict[str, Any]) -> str:
    if figure.get("value") is None:
        return "refused"
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"
