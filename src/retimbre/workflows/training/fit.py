"""Training from a run file: what `retimbre train` does.

A run is begun or continued by the same call. Everything it makes is in its folder (`workflows.run`), and the
model there is renewed whenever a session ends, so that a run that was stopped half-way can be used and
continued. Several processes may train one run (`training.parallel`): all of them read, the first one writes.
"""

import dataclasses
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

import retimbre
from retimbre.core.config import dump
from retimbre.core.files import sha256_of, whole_file, write_json
from retimbre.matching.networks.catalog import num_trainable
from retimbre.training import devices
from retimbre.training.journal import Row, read_journal
from retimbre.training.launch import joined
from retimbre.training.loop import FitResult, Progress, Watch, fit
from retimbre.workflows.report.figures import history_png
from retimbre.workflows.training.autoencoder import LABEL_AUTOENCODER
from retimbre.workflows.training.inversion import INVERSION
from retimbre.workflows.training.kind import Kind, Session
from retimbre.workflows.training.listener import LISTENER
from retimbre.workflows.training.run import RunFolder, read_run
from retimbre.workflows.training.settings import RunConfig

RUNS_FOLDER = Path("out")

KINDS: dict[str, Kind[Any]] = {
    "inversion": INVERSION,
    "label-autoencoder": LABEL_AUTOENCODER,
    "listener": LISTENER,
}


def train(
    run_file: str | Path,
    out: str | Path = "",
    *,
    overrides: Iterable[str] = (),
    device: str = "auto",
    warm_start: str = "",
    progress: Callable[[Progress], object] = lambda progress: None,
) -> dict[str, Any]:
    """Trains what a run file describes, or continues.

    Args:
        run_file: TOML or JSON.
        out: The run folder; `out/<name of the run file>` if empty.
        overrides: Options set over the file's, as `train.steps=100`.
        device: `auto`, `cpu` or `cuda`.
        warm_start: A model whose weights a new run begins with.
        progress: Told of every step.

    Returns:
        The run's manifest: where it is, how it ended, how good it is. Empty in all but the first of several processes.

    Raises:
        ConfigError: The run file or an override is wrong.
        ExistsError: The folder holds another run.
        RetimbreError: Training diverged, or one of several processes was lost.
    """
    with joined(device) as world:
        config = read_run(Path(run_file), overrides)
        folder = Path(out) if str(out) else default_folder(Path(run_file))
        return run_session(config, Session(folder, device, warm_start, progress, world))


def default_folder(run_file: Path) -> Path:
    """The folder of a run that names none."""
    return RUNS_FOLDER / run_file.stem


def run_session(config: RunConfig, session: Session) -> dict[str, Any]:
    """Begins or continues a run, and leaves its model and its manifest, which the first process returns."""
    folder, world = RunFolder(session.out), session.world
    prepared = KINDS[config.kind].prepare(config, session)
    if world.is_first:
        folder.open_for(config)
    world.wait()  # the others must not read what may be another run's
    result = fit(
        prepared.task,
        prepared.batch_at,
        config.fit_config(),
        validation=prepared.validation(),
        records=folder.records(config),
        watch=Watch(time.monotonic, session.progress, world),
    )
    return conclude(config, folder, result, num_processes=world.size) if world.is_first else {}


def conclude(
    config: RunConfig, folder: RunFolder, result: FitResult, *, num_processes: int
) -> dict[str, Any]:
    """Writes the curves, the model and the manifest of a session that ended."""
    rows = read_journal(folder.journal)
    with whole_file(folder.history) as aside:
        aside.write_bytes(history_png(rows))
    best_step = result.best.step if result.best else result.step
    quality = last_validation(rows, best_step)
    kind = KINDS[config.kind]
    facts = {
        "seed": config.seed,
        "step": best_step,
        "clips_seen": best_step * config.train.batch_size,
        "quality": quality,
        **kind.facts(config),
    }
    network = kind.export(config, folder, facts)
    manifest = {
        "run": str(folder.path),
        "model": str(folder.model),
        "model_sha256": sha256_of(folder.model),
        "parameters": num_trainable(network),
        "step": result.step,
        "steps": config.train.steps,
        "finished": result.reason != "minutes",
        "stopped_by": result.reason,
        "clips_seen": result.step * config.train.batch_size,
        "seconds": round(result.seconds, 1),
        "best_step": best_step,
        "validation": quality,
        "seed": config.seed,
        "versions": {
            "retimbre": retimbre.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "hardware": devices.describe(),
        "processes": num_processes,
        "config": dump(config),
    }
    if "sounds" in facts:
        manifest["passed_over"] = facts["sounds"]["passed_over"]
    write_json(folder.manifest, manifest)
    return manifest


def last_validation(rows: Sequence[Row], step: int) -> dict[str, float]:
    """What was validated after a step, by name; empty if nothing was."""
    return {row.name: row.value for row in rows if row.split == "validation" and row.step == step}


def rehearse(config: RunConfig, session: Session) -> dict[str, Any]:
    """Two steps of a run without writing anything: what it resolves to, its sizes, and the seconds its parts take."""
    prepared = KINDS[config.kind].prepare(config, dataclasses.replace(session, rehearsal=True))
    size = config.train.batch_size
    # The first update of a process sets up its kernels, so a second one is timed.
    prepared.task.update(prepared.batch_at(1), step=1)
    begun_s = time.monotonic()
    batch = prepared.batch_at(2)
    rendered_s = time.monotonic()
    loss = float(prepared.task.update(batch, step=2)["loss"])
    updated_s = time.monotonic()
    return {
        "config": dump(config),
        "device": str(devices.pick_device(session.device)),
        **prepared.sizes,
        "loss": loss,
        "render_s": round(rendered_s - begun_s, 4),
        "update_s": round(updated_s - rendered_s, 4),
        "clips_per_second": round(size / (updated_s - begun_s), 1),
        "hours": round(config.train.steps * (updated_s - begun_s) / 3600, 2),
    }
