"""Training from a run file: what `retimbre train` does.

A run is begun or continued by the same call. Everything it makes is in its folder (`workflows.run`), and the
model there is renewed whenever a session ends; a generator can also be heard from any checkpoint of a run
that was interrupted. Several processes may train one run (`training.parallel`): all of them read, the first one writes.
"""

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

import retimbre
from retimbre.core.config import dump
from retimbre.core.errors import ConfigError
from retimbre.core.files import sha256_of, whole_file, write_json
from retimbre.matching.networks.catalog import num_trainable
from retimbre.training import devices
from retimbre.training.journal import Row, read_journal
from retimbre.training.launch import joined
from retimbre.training.loop import FitResult, Progress, Records, Watch, fit
from retimbre.workflows.legacy.sony2020 import results_folder
from retimbre.workflows.report.figures import history_png
from retimbre.workflows.training.autoencoder import LABEL_AUTOENCODER
from retimbre.workflows.training.basis import BASIS
from retimbre.workflows.training.gan import GAN
from retimbre.workflows.training.inversion import INVERSION
from retimbre.workflows.training.kind import Kind, Prepared, Session, Trial
from retimbre.workflows.training.listener import LISTENER
from retimbre.workflows.training.rehearsal import cost_of
from retimbre.workflows.training.run import RunFolder, read_run
from retimbre.workflows.training.samples import folder_of
from retimbre.workflows.training.settings import RunConfig

RUNS_FOLDER = Path("out")

KINDS: dict[str, Kind[Any]] = {
    "inversion": INVERSION,
    "label-autoencoder": LABEL_AUTOENCODER,
    "listener": LISTENER,
    "gan": GAN,
    "basis": BASIS,
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
    return results_folder(run_file) or RUNS_FOLDER / run_file.stem


def run_session(config: RunConfig, session: Session) -> dict[str, Any]:
    """Begins or continues a run, and leaves its model and its manifest, which the first process returns."""
    folder, world = RunFolder(session.out), session.world
    prepared = KINDS[config.kind].prepare(config, session)
    if config.train.samples_every and not prepared.illustrate:
        raise ConfigError(
            f"[train] samples_every is for what makes sounds; a run of kind {config.kind!r} takes 0"
        )
    if world.is_first:
        folder.open_for(config)
        _tell(prepared, folder, session)
    world.wait()  # the others must not read what may be another run's
    result = fit(
        prepared.task,
        prepared.batch_at,
        config.fit_config(),
        validation=prepared.validation(),
        records=_records(config, folder, prepared),
        watch=Watch(time.monotonic, session.progress, world),
    )
    return conclude(config, folder, result, num_processes=world.size) if world.is_first else {}


def _tell(prepared: Prepared[Any], folder: RunFolder, session: Session) -> None:
    """Says what is trained on, and leaves it in the folder."""
    if prepared.census is not None:
        write_json(folder.census, prepared.census.facts())
        session.announce(prepared.census)


def _records(config: RunConfig, folder: RunFolder, prepared: Prepared[Any]) -> Records:
    """The journal, the checkpoints and, where they are asked for, the samples of a run."""
    census = None if prepared.census is None else prepared.census.facts()
    records, illustrate = folder.records(config, census), prepared.illustrate
    if illustrate is None:
        return records
    return dataclasses.replace(records, illustrate=lambda step: illustrate(folder_of(folder.path, step)))


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
        "clips_seen": config.clips_after(best_step),
        "quality": quality,
        **config.facts_at(best_step),
        **kind.facts(config),
    }
    if folder.census.exists():
        facts["census"] = json.loads(folder.census.read_text(encoding="utf-8"))
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
        "clips_seen": config.clips_after(result.step),
        "seconds": round(result.seconds, 1),
        "images_per_second": round(config.clips_after(result.step) / max(result.seconds, 1e-9), 1),
        "best_step": best_step,
        "validation": quality,
        **config.facts_at(best_step),
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


def rehearse(
    config: RunConfig, session: Session, *, tell: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """A few steps of a run without writing anything: what it resolves to, its sizes, and what it will cost.

    Args:
        config: The run.
        session: Where and on what; nothing is written there.
        tell: Told the sizes, and which steps are being made.
    """
    prepared = KINDS[config.kind].prepare(config, dataclasses.replace(session, rehearsal=True))
    device = devices.pick_device(session.device)
    alike = [Trial("update", 2, config.train.steps, config.train.batch_size)]
    tell(", ".join(f"{name}: {value}" for name, value in prepared.sizes.items()))
    return {
        "config": dump(config),
        "device": str(device),
        **prepared.sizes,
        **cost_of(prepared, prepared.trials or alike, device, tell),
    }
