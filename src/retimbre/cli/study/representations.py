"""`retimbre study representations`: what a generator of notes should generate."""

from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Json, OutFolder

_SHOWN = ("kad_listener", "kad_statistics", "in_tune", "coverage")


def representations(
    out: OutFolder,
    budget: Annotated[
        Literal["smoke", "cpu", "gpu"],
        typer.Option(
            "--budget",
            help="Half an hour on two cores, two hours and a quarter on two cores, or 33 hours of a GPU.",
        ),
    ] = "smoke",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            metavar="NAME",
            help="progressive, residual or frames; repeat it or join names by commas [default: the budget's].",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--representations",
            metavar="NAME",
            help="What is generated; repeat it or join names by commas [default: the budget's].",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="Trainings of each, from seed 0 on; 0: the budget's number.")
    ] = 0,
    minutes: Annotated[
        float,
        typer.Option("--minutes", min=0.0, help="Stop after this wall time, to be continued; 0: never."),
    ] = 0.0,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Contestants side by side, a core each.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be trained and for how long, and stop.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compares GANs that differ in what they generate, at equal budgets.

    Each model generates each representation: tuned by as many trials, trained for the same time, judged by distances,
    scores and pitch beside real notes, real notes that went through the representation and back, and the untrained
    network. Run it again to go on where it stopped.

    Example:
        retimbre study representations --budget smoke --workers 2 --out out/representations
    """
    from retimbre.workflows.study.representations.study import (
        RepresentationsOptions,
        partial_failure,
        plan_of,
        study_representations,
    )

    options = RepresentationsOptions(budget, _split(models), _split(names), seeds, workers, minutes, device)
    if dry_run:
        _show_plan(plan_of(out, options), workers, json)
        return
    result = study_representations(out, options, tell=console.say)
    if json:
        console.show_json(result)
    else:
        _show(result)
        console.show(f"report: {out / 'report.html'}")
    error = partial_failure(result)
    if error:
        raise error


def _split(texts: list[str] | None) -> tuple[str, ...]:
    return tuple(name for text in texts or () for name in text.split(",") if name)


def _show_plan(plan: Any, workers: int, json: bool) -> None:
    """What a study would do, and how long it would take."""
    hours = plan.predicted_s(workers) / 3600
    if json:
        console.show_json(
            {
                "contestants": [cell.name for cell in plan.cells],
                "refused": plan.refused,
                "train_s": plan.budget.train_s,
                "seeds": plan.budget.num_seeds,
                "trials": plan.budget.num_trials,
                "trial_s": plan.budget.trial_s,
                "hours": hours,
            }
        )
        return
    each = (
        f"{plan.budget.num_trials} trials of {plan.budget.trial_s:g} s, {plan.budget.num_seeds} trainings of "
    )
    each += f"{plan.budget.train_s:g} s"
    console.show_table([{"contestant": cell.name, "takes": each} for cell in plan.cells])
    for name, why in plan.refused.items():
        console.show(f"not in the comparison: {name}: {why}")
    console.show(f"about {hours:.1f} hours with {console.counted(workers, 'worker')} on idle cores")


def _show(result: dict[str, Any]) -> None:
    """Places with the main figures."""
    from retimbre.workflows.study.representations.table import shown

    order = sorted(result["standings"], key=lambda name: result["places"].get(name, 0))
    console.show_table(
        [
            {
                "contestant": name,
                "place": str(result["places"].get(name, "-")),
                **{column.replace("_", " "): shown(result["standings"][name][column]) for column in _SHOWN},
            }
            for name in order
        ]
    )
    for sentence in result["says"]:
        console.show(sentence)
    for name in result["unfinished"]:
        console.say(f"not finished: {name}")
