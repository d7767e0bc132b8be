"""`retimbre study matching`: inverters trained on the same sounds for as long as each other."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Json, OutFolder
from retimbre.core.errors import ConfigError


def matching(
    out: OutFolder,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Run files of inverters [default: the paper's fourteen]."),
    ] = None,
    budget: Annotated[
        Literal["smoke", "cpu", "full"],
        typer.Option("--budget", help="Two minutes, two hours on two cores, or what the run files say."),
    ] = "cpu",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option set over all run files; may be repeated."),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option("--minutes", min=0.0, help="Stop after this wall time, to be continued; 0: never."),
    ] = 0.0,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Trainings side by side, a core each.")
    ] = 1,
    folds: Annotated[
        int,
        typer.Option("--folds", min=0, help="Cross-validate each RUN in so many turns instead; 0: do not."),
    ] = 0,
    seed: Annotated[
        int, typer.Option("--seed", help="Another seed than the run files'; -1 for theirs.")
    ] = -1,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compares inverters trained on the same sounds for as long as each other.

    Beside each model trains its control, the same network on the same sounds with the labels of other sounds. All are
    judged on the same held-out clips: knobs, sounds, time, size. Run it again to go on where it stopped.

    Example:
        retimbre study matching --budget smoke --out out/study
    """
    from retimbre.workflows.study.matching.study import StudyOptions, study_matching

    overrides = (*(settings or ()), *([f"seed={seed}"] if seed >= 0 else ()))
    if folds:
        if minutes or workers > 1:
            raise ConfigError(
                "--folds takes neither --minutes nor --workers: a turn that was stopped goes on"
            )
        _show_folds(_cross_validate(runs or [], out, budget, (folds, device), overrides), json)
        return
    options = StudyOptions(tuple(runs or ()), budget, overrides, minutes, workers, device)
    result = study_matching(out, options, tell=console.say)
    if json:
        console.show_json(result)
        return
    _show(result)
    console.show(f"report: {Path(out) / 'report.md'}")


def _cross_validate(
    runs: list[Path], out: Path, budget: str, turns: tuple[int, str], overrides: tuple[str, ...]
) -> dict[str, Any]:
    """Every run file in as many turns as there are folds, each in a folder of its own."""
    from retimbre.workflows.study.matching.contest import BUDGETS
    from retimbre.workflows.study.matching.folds import FoldsOptions, cross_validate

    if not runs:
        raise ConfigError("--folds needs the run files that are cross-validated")
    size = BUDGETS[budget]
    folds, device = turns
    options = FoldsOptions(folds, size.test_clips, size.audio_clips, device)
    found = {}
    for run in runs:
        console.say(f"{run.stem}: {folds} turns")
        found[run.stem] = cross_validate(
            run, out / run.stem, options, overrides=[*size.overrides, *overrides]
        )
    return found


def _show_folds(found: dict[str, Any], json: bool) -> None:
    if json:
        console.show_json(found)
        return
    console.show_table(
        [
            {
                "run": name,
                "MPR": f"{result['value']:.2f}",
                "95 %": f"{result['low']:.2f} to {result['high']:.2f}",
                "sd": f"{result['sd']:.2f}",
                "turns": result["n"],
            }
            for name, result in found.items()
        ]
    )


def _show(result: dict[str, Any]) -> None:
    ranked = sorted(result["models"], key=lambda row: -row["percentile_rank"])
    if ranked:
        console.show_table(
            [
                {
                    "model": row["name"],
                    "MPR": f"{row['percentile_rank']:.2f}",
                    "95 %": f"{row['low']:.2f} to {row['high']:.2f}",
                    "control": f"{row['control']:.2f}",
                    "paper": "" if row["paper"] is None else f"{row['paper']:.2f}",
                    "above chance": f"{row['above_chance']}/{row['observable']}",
                    "seconds": f"{row['seconds']:.0f}",
                    "parameters": f"{row['parameters']:,}",
                }
                for row in ranked
            ]
        )
    for name in result["unfinished"]:
        console.say(f"not finished: {name}")
