"""`retimbre study phase`: how well each method finds phases again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Json, OutFolder, Seed


def phase(
    out: OutFolder,
    sounds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SOUND]...", help="Audio files, or folders of them [default: the folder examples]."
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="NAME", help="Only this method; may be repeated [default: all]."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes side by side; with 1, the times mean most.")
    ] = 1,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Compares ways to find the phases that a spectrogram has lost.

    Griffin-Lim and phase gradient heap integration, at 75 and 87.5 % overlap: spectral convergence with its 95 %
    interval over sounds, per family of sounds, and speed. Files that cannot be read are listed and the rest is done;
    silence is named and left out. Run it again to go on where it stopped.

    Example:
        retimbre study phase examples --out out/phase
    """
    from retimbre.workflows.study.phase.study import PhaseOptions, partial_failure, study_phase

    options = PhaseOptions(tuple(sounds or (Path("examples"),)), tuple(methods or ()), seed, workers)
    result = study_phase(out, options, tell=console.say)
    if json:
        console.show_json(result)
    else:
        _show(result["rows"])
        console.show(f"report: {out / 'report.md'}")
    error = partial_failure(result)
    if error:
        raise error


def _show(rows: list[dict[str, Any]]) -> None:
    console.show_table(
        [
            {
                "overlap": row["overlap"],
                "method": row["method"],
                "mean dB": f"{row['mean_db']:.2f}",
                "95 %": f"{row['low_db']:.2f} to {row['high_db']:.2f}",
                "times real time": f"{row['times_real_time']:.0f}",
            }
            for row in rows
            if row["family"] == "all"
        ]
    )
