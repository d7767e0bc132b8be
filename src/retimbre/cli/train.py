"""The door to training: `retimbre train`."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json
from retimbre.core.errors import ConfigError


def train(
    run_file: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The run file: TOML or JSON; or a .env file.")
    ] = None,
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
        typer.Option("--dry-run", help="Make a few steps, print sizes, times and memory, write nothing."),
    ] = False,
    environment: Annotated[
        bool,
        typer.Option("--environment", help="Take the settings from TRAINING_SET, ARCHITECTURE, EPOCHS, ..."),
    ] = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Trains the network that a run file describes.

    Run it again to continue: a run that was stopped, by Ctrl-C, by --minutes or by a crash, goes on at its last saved
    state as if it had never stopped. What it makes is in the run folder, the model as model.safetensors.

    Several processes train one run together, to the same losses, when torchrun starts them:
    torchrun --nproc-per-node 2 -m retimbre train RUN. The batch size is that of all of them together.

    With --environment, or a file of NAME=value lines as RUN, the environment variables of an earlier program take the
    place of a run file; docs/earlier-programs.md explains them.

    Example:
        retimbre train runs/inversynth-conv6xl-cpu.toml --set train.steps=2000
    """
    from retimbre.training.launch import joined
    from retimbre.workflows.training.fit import default_folder, rehearse
    from retimbre.workflows.training.kind import Session
    from retimbre.workflows.training.run import read_run

    overrides = [*(settings or [])]
    overrides += [f"train.minutes={minutes}"] if minutes else []
    overrides += [f"seed={seed}"] if seed >= 0 else []
    if environment or (run_file is not None and _is_environment_file(run_file)):
        if dry_run:
            raise ConfigError("--dry-run takes a run file; variables import their training set first")
        session = Session(Path(out or "out/environment"), device, warm_start)
        _show(_train_from_environment(run_file, overrides, session, force=force), json)
        return
    if run_file is None:
        raise ConfigError("name a run file, or give --environment to take the settings from variables")
    with _advice_when_interrupted(), joined(device) as world:
        config = read_run(run_file, overrides)
        session = Session(Path(out) if out else default_folder(run_file), device, warm_start, world=world)
        tell = console.say if world.is_first else _say_nothing
        result = rehearse(config, session, tell=tell) if dry_run else _train(run_file.stem, config, session)
    if world.is_first:
        _show(result, json)


def _say_nothing(line: str) -> None:
    """What processes but the first have to say."""


def _is_environment_file(path: Path) -> bool:
    return path.suffix == ".env" or path.name == ".env"


def _train_from_environment(
    file: Path | None, overrides: list[str], session: Any, *, force: bool
) -> dict[str, Any]:
    """Trains as the variables of the process, or of a file, say; prints what they predict."""
    import os

    from retimbre.workflows.legacy.environment import read_environment, read_environment_file
    from retimbre.workflows.legacy.session import train_from_environment

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("variables train in one process; for several, name a run file")
    if file is not None and not _is_environment_file(file):
        raise ConfigError(f"{file}: with --environment, RUN is a .env file or left out")
    settings = read_environment(os.environ) if file is None else read_environment_file(file)
    if settings.image_data_format:
        console.warn("IMAGE_DATA_FORMAT has no effect: how maps lie in memory changes no result here")
    with _advice_when_interrupted():
        result = train_from_environment(settings, session, overrides=overrides, force=force)
    if not result["finished"]:
        later = "; the prediction is made at the end" if settings.experimentation else ""
        console.say(f"stopped at step {result['step']} of {result['steps']}; run it again to continue{later}")
    return result


@contextlib.contextmanager
def _advice_when_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.say("run the same command again to continue at the last saved state")
        raise


def _train(title: str, config: Any, session: Any) -> dict[str, Any]:
    from retimbre.workflows.training.fit import run_session

    if not session.world.is_first:
        return run_session(config, session)
    with console.steps(title, config.train.steps, config.clips_after) as tell:
        watched = dataclasses.replace(
            session,
            progress=lambda progress: tell(progress.step),
            announce=lambda census: console.say_table(census.rows()),
        )
        manifest = run_session(config, watched)
    if not manifest["finished"]:
        console.say(f"stopped at step {manifest['step']} of {manifest['steps']}; run it again to continue")
    return manifest


def _show(result: dict[str, Any], json: bool) -> None:
    if json:
        console.show_json(result)
        return
    console.show_table(result.get("trials", []))
    for name, value in result.items():
        if not isinstance(value, dict | list):
            console.show(f"{name}: {value}")
    for path in result.get("saved", []):
        console.show(f"saved: {path}")
    for name, value in result.get("validation", {}).items():
        console.show(f"validation {name}: {value:.4g}")
    if "prediction" in result:
        columns = ("name", "class", "value", "unit")
        rows = result["prediction"]["parameters"]
        console.show_table([{column: row[column] for column in columns} for row in rows])
        console.show(f"played: {result['prediction']['played']}")
