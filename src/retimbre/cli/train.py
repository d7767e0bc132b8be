"""The door to training: `retimbre train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Json

SECONDS_PER_MINUTE = 60


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN", help="The run file: TOML or JSON.")],
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="RUNDIR", help="The run folder; out/<name of the run file> if not given."
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an option over the file's; may be repeated."),
    ] = None,
    warm_start: Annotated[
        str,
        typer.Option(
            "--from", metavar="CHECKPOINT", help="Begin with the weights of a model: file, run or name."
        ),
    ] = "",
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes", min=0.0, help="Stop after this many minutes, to be continued; 0 for never."
        ),
    ] = 0.0,
    seed: Annotated[
        int, typer.Option("--seed", help="Another seed than the file's; -1 for the file's.")
    ] = -1,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Make two steps, print the settings, sizes and times, write nothing."),
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Trains the network that a run file describes.

    Run it again to continue: a run that was stopped, by Ctrl-C, by --minutes or by a crash, goes on at its last saved
    state as if it had never stopped. What it makes is in the run folder, the model as model.safetensors.

    Example:
        retimbre train runs/inversynth-conv6xl-cpu.toml --set train.steps=2000
    """
    from retimbre.workflows.training.fit import default_folder, rehearse, run_session
    from retimbre.workflows.training.kind import Session
    from retimbre.workflows.training.run import read_run

    overrides = [*(settings or [])]
    overrides += [f"train.minutes={minutes}"] if minutes else []
    overrides += [f"seed={seed}"] if seed >= 0 else []
    config = read_run(run_file, overrides)
    folder = Path(out) if out else default_folder(run_file)
    if dry_run:
        _show(rehearse(config, Session(folder, device, warm_start)), json)
        return
    with console.progress(run_file.stem, total=config.train.steps) as advance:
        reached = 0

        def tell(progress: Any) -> None:
            nonlocal reached
            advance(progress.step - reached)
            reached = progress.step

        try:
            manifest = run_session(config, Session(folder, device, warm_start, tell))
        except KeyboardInterrupt:
            console.say("run the same command again to continue at the last saved state")
            raise
    if not manifest["finished"]:
        console.say(f"stopped at step {manifest['step']} of {manifest['steps']}; run it again to continue")
    _show(manifest, json)


def _show(result: dict[str, Any], json: bool) -> None:
    if json:
        console.show_json(result)
        return
    for name, value in result.items():
        if not isinstance(value, dict):
            console.show(f"{name}: {value}")
    for name, value in result.get("validation", {}).items():
        console.show(f"validation {name}: {value:.4g}")
