"""Training from a run file: what `retimbre train` does.

A run is begun or continued by the same call. Everything it makes is in its folder (`workflows.run`), and the
model there is renewed whenever a session ends, so that a run that was stopped half-way can be used and
continued.
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
from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.core.files import sha256_of, whole_file, write_json
from retimbre.data.dataset import RenderedSet
from retimbre.matching.inverter import Inverter, find_checkpoint, load_inverter, save_inverter
from retimbre.matching.networks.catalog import num_trainable
from retimbre.matching.pairs import FileSource, PairBatch, Source
from retimbre.matching.task import InversionTask
from retimbre.training import checkpoint, devices
from retimbre.training.checkpoint import TRAINING_KIND
from retimbre.training.journal import Row, read_journal
from retimbre.training.loop import FitResult, Progress, Watch, fit
from retimbre.workflows.report.figures import history_png
from retimbre.workflows.training.run import DataConfig, RunConfig, RunFolder, read_run

RUNS_FOLDER = Path("out")

# Validation clips are rendered and measured in pieces of this many, which bounds the memory of both.
VALIDATION_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Session:
    """How a session of a run is started, apart from its run file.

    Attributes:
        out: The run folder.
        device: `auto`, `cpu` or `cuda`.
        warm_start: A model (file, run folder or shipped name) whose weights a new run begins with; empty for
            fresh ones.
        progress: Told of every step.
    """

    out: Path
    device: str = "auto"
    warm_start: str = ""
    progress: Callable[[Progress], object] = lambda progress: None


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
        The run's manifest: where it is, how it ended, how good it is.

    Raises:
        ConfigError: The run file or an override is wrong.
        ExistsError: The folder holds another run.
        RetimbreError: Training diverged.
    """
    config = read_run(Path(run_file), overrides)
    folder = Path(out) if str(out) else default_folder(Path(run_file))
    return run_session(config, Session(folder, device, warm_start, progress))


def default_folder(run_file: Path) -> Path:
    """The folder of a run that names none."""
    return RUNS_FOLDER / run_file.stem


def run_session(config: RunConfig, session: Session) -> dict[str, Any]:
    """Begins or continues a run, and leaves its model and its manifest."""
    folder = RunFolder(session.out)
    task, source = prepare(config, session)
    folder.open_for(config)
    size = config.train.batch_size
    result = fit(
        task,
        lambda step: source.batch(step, size, "train", task.device),
        config.fit_config(),
        validation=validation_batches(source, config.data.validation_clips, task.device),
        records=folder.records(config),
        watch=Watch(time.monotonic, session.progress),
    )
    return conclude(config, folder, result)


def prepare(config: RunConfig, session: Session) -> tuple[InversionTask, Source]:
    """What is trained and what it is trained on, before anything is written."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    inverter = Inverter(config.task)
    if session.warm_start:
        warm_up(inverter, session.warm_start)
    return InversionTask(inverter, config.update_config(), device), pairs_of(config, inverter)


def warm_up(inverter: Inverter, name_or_path: str) -> None:
    """Takes over the weights of a trained model.

    Raises:
        CheckpointError: There is no such model, or its network has other shapes.
    """
    trained = load_inverter(name_or_path)
    try:
        inverter.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(
            f"{find_checkpoint(name_or_path)}: its weights do not fit this run: {detail}"
        ) from error


def pairs_of(config: RunConfig, inverter: Inverter) -> Source:
    """Where the pairs of a run come from.

    Raises:
        ConfigError: A data set on disk is of another synthesizer, other knobs, or another rate or length.
    """
    if not config.data.folder:
        return config.pair_source(inverter)
    data = RenderedSet.open(config.data.folder)
    header = data.header
    has = (header.num_samples, header.sample_rate, data.columns.knobs)
    needs = (
        inverter.num_samples,
        inverter.config.sample_rate,
        tuple(each.name for each in inverter.space.searched),
    )
    for what, found, wanted in zip(("samples", "sample rate", "searched knobs"), has, needs, strict=True):
        if found != wanted:
            raise ConfigError(f"{config.data.folder}: its {what}: {found}, but the run's: {wanted}")
    return FileSource(
        data,
        config.seed,
        config.data.balance,
        folds=config.data.held_out(),
        shuffled_labels=config.data.shuffled_labels,
    )


def validation_batches(source: Source, num_clips: int, device: torch.device) -> Sequence[PairBatch]:
    """The held-out clips, rendered once."""
    starts = range(0, num_clips, VALIDATION_BATCH)
    return [
        source.pairs(
            torch.arange(start, min(start + VALIDATION_BATCH, num_clips), device=device), "validation"
        )
        for start in starts
    ]


def conclude(config: RunConfig, folder: RunFolder, result: FitResult) -> dict[str, Any]:
    """Writes the curves, the model and the manifest of a session that ended."""
    rows = read_journal(folder.journal)
    with whole_file(folder.history) as aside:
        aside.write_bytes(history_png(rows))
    quality = last_validation(rows, result.best.step if result.best else result.step)
    facts = {
        "seed": config.seed,
        "step": result.best.step if result.best else result.step,
        "clips_seen": (result.best.step if result.best else result.step) * config.train.batch_size,
        "quality": quality,
        # What held-out clips have to be like, for who has the model alone; a data set on disk says it itself.
        "pairs": {} if config.data.folder else drawn_as(config.data),
    }
    inverter = export(config, folder, facts)
    manifest = {
        "run": str(folder.path),
        "model": str(folder.model),
        "model_sha256": sha256_of(folder.model),
        "parameters": num_trainable(inverter),
        "step": result.step,
        "steps": config.train.steps,
        "finished": result.reason != "minutes",
        "stopped_by": result.reason,
        "clips_seen": result.step * config.train.batch_size,
        "seconds": round(result.seconds, 1),
        "best_step": facts["step"],
        "validation": quality,
        "seed": config.seed,
        "versions": {
            "retimbre": retimbre.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "hardware": devices.describe(),
        "config": dump(config),
    }
    write_json(folder.manifest, manifest)
    return manifest


def export(config: RunConfig, folder: RunFolder, facts: dict[str, Any]) -> Inverter:
    """Writes the model of a run: the average of the weights at the best validation, else at the last saved state."""
    checkpoints = folder.checkpoints
    path = checkpoints.best if checkpoints.best.exists() else checkpoints.last
    state, _ = checkpoint.load(path, kind=TRAINING_KIND)
    task = InversionTask(Inverter(config.task), config.update_config(), torch.device("cpu"))
    task.load_state_dict(state["task"])
    with task.average.applied():
        save_inverter(folder.model, task.inverter, facts=facts)
    return task.inverter


def drawn_as(data: DataConfig) -> dict[str, Any]:
    """The manner in which endless pairs are drawn."""
    return {
        name: value
        for name, value in dump(data).items()
        if name in {"draw", "pitch_hz", "gate_s", "folds", "fold"}
    }


def last_validation(rows: Sequence[Row], step: int) -> dict[str, float]:
    """What was validated after a step, by name; empty if nothing was."""
    return {row.name: row.value for row in rows if row.split == "validation" and row.step == step}


def rehearse(config: RunConfig, session: Session) -> dict[str, Any]:
    """Two steps of a run without writing anything: what it resolves to, its sizes, and the seconds its parts take."""
    task, source = prepare(config, session)
    inverter = task.inverter
    size = config.train.batch_size
    # The first update of a process sets up its kernels, so a second one is timed.
    task.update(source.batch(1, size, "train", task.device), step=1)
    begun_s = time.monotonic()
    batch = source.batch(2, size, "train", task.device)
    rendered_s = time.monotonic()
    loss = float(task.update(batch, step=2)["loss"])
    updated_s = time.monotonic()
    with torch.no_grad():
        features = inverter.front_end(batch.audio[:1])
    return {
        "config": dump(config),
        "device": str(task.device),
        "parameters": num_trainable(inverter),
        "outputs": inverter.head.num_outputs,
        "searched": len(inverter.space.searched),
        "num_samples": inverter.num_samples,
        "features": list(features.shape[1:]),
        "loss": loss,
        "render_s": round(rendered_s - begun_s, 4),
        "update_s": round(updated_s - rendered_s, 4),
        "clips_per_second": round(size / (updated_s - begun_s), 1),
        "hours": round(config.train.steps * (updated_s - begun_s) / 3600, 2),
    }
