"""`retimbre evaluate inversion`: how well inverters recover knobs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, Seed


def inversion(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Inverters: run folders, checkpoint files or shipped names."),
    ],
    real: Annotated[
        str,
        typer.Option(
            "--real",
            metavar="DIR",
            help="A rendered data set, whose whole split is used [default: render clips].",
        ),
    ] = "",
    clips: Annotated[int, typer.Option("--clips", min=2, help="How many clips are rendered.")] = 2048,
    split: Annotated[
        Literal["test", "validation"], typer.Option("--split", help="Which held-out clips.")
    ] = "test",
    draw: Annotated[
        Literal["auto", "classes", "continuous"],
        typer.Option("--draw", help="Knobs at their levels, anywhere, or (auto) as the model was trained."),
    ] = "auto",
    audio_clips: Annotated[
        int, typer.Option("--audio-clips", min=0, help="How many clips are also compared as sounds; 0: none.")
    ] = 2048,
    save_audio: Annotated[
        int,
        typer.Option(
            "--save-audio",
            min=0,
            metavar="N",
            help="Keep the first N clips as sounds: original, re-rendered label, each model's answer.",
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
    """Measures how well inverters recover the knobs behind held-out clips.

    Each knob's true class is looked up in what the model says (mean percentile rank: 100 is always first, 50 is
    chance), and the likeliest patch is rendered and compared with the clip. Clips are never of a class vector that
    training may have seen. Several models stand side by side. docs/evaluation.md explains every figure.

    Example:
        retimbre evaluate inversion out/inversynth-conv6xl --out out/scores
    """
    from retimbre.workflows.evaluation.inversion.knobs import EvaluateOptions, evaluate

    options = EvaluateOptions(
        clips=clips,
        split=split,
        real=real,
        draw=draw,
        audio_clips=audio_clips,
        save_audio=save_audio,
        seed=seed,
        device=device,
    )
    with console.progress("measuring", total=len(models)) as advance:
        result = evaluate(models, out, options, force=force, progress=advance)
    if json:
        console.show_json(result)
        return
    _show(result)
    if save_audio:
        _tell_triples(result["triples"], Path(out))
    if out:
        console.show(f"report: {Path(out) / 'report.md'}")


def _tell_triples(triples: dict[str, Any], out: Path) -> None:
    """Where the sounds are, and whether the labels describe them."""
    console.show(
        f"sounds: {out / triples['page']}; labels rendered again differ by at most "
        f"{triples['rerender_error_db']:.1f} dB of the clip's energy"
    )
    if triples["beyond_tolerance"]:
        console.warn(
            f"warning: in {triples['beyond_tolerance']} of {triples['count']} clips that is more than "
            f"{triples['tolerance_db']:g} dB: their labels do not describe them"
        )


def _show(result: dict[str, Any]) -> None:
    """A row per knob with a column per model, then the sounds."""
    from retimbre.workflows.evaluation.inversion.tables import rank_rows

    console.show_table([{name: _short(value) for name, value in row.items()} for row in rank_rows(result)])
    if "paper" in result:
        console.show(f"the paper's: {result['paper']['label']}")
    for model in result["models"]:
        console.show(
            f"{model['model']}: mean percentile rank {model['value']:.2f} ({model['low']:.2f} to {model['high']:.2f}), "
            f"{model['n']:,} clips, perfect {model['parameters']['perfect']:.4f}"
        )
        if model["sounds"]["n"]:
            console.show_table(_sound_rows(model["sounds"]))


def _sound_rows(sounds: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"measure": measure}
        | {
            f"{anchor} {statistic}": f"{sounds[anchor][measure][statistic]['value']:.4g}"
            for anchor in ("prediction", "truth", "chance")
            for statistic in ("mean", "median")
        }
        for measure in sounds["prediction"]
    ]


def _short(value: Any) -> Any:
    return f"{value:.1f}" if isinstance(value, float) else value
