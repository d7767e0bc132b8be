"""The kind of run that trains an inverter: from a run file to its task, its pairs and its model."""

from collections.abc import Sequence
from typing import Any

import torch

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.data.dataset import RenderedSet
from retimbre.matching.inverter import Inverter, InverterConfig, find_checkpoint, load_inverter, save_inverter
from retimbre.matching.networks.catalog import num_trainable
from retimbre.matching.pairs import FileSource, PairBatch, Source
from retimbre.matching.task import InversionTask
from retimbre.training import checkpoint, devices
from retimbre.training.checkpoint import TRAINING_KIND
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.run import RunConfig, RunFolder

# Validation clips are rendered and measured in pieces of this many, which bounds the memory of both.
VALIDATION_BATCH = 256


def prepare(config: RunConfig, session: Session) -> Prepared[PairBatch]:
    """The inverter with its optimizer, and its pairs."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    inverter = Inverter(inverter_config(config))
    if session.warm_start:
        warm_up(inverter, session.warm_start)
    source = pairs_of(config, inverter)
    task = InversionTask(inverter, config.update_config(), device)
    size = config.train.batch_size
    return Prepared(
        task=task,
        batch_at=lambda step: source.batch(step, size, "train", device),
        validation=lambda: validation_batches(source, config.data.validation_clips, device),
        sizes=sizes(inverter),
    )


def inverter_config(config: RunConfig) -> InverterConfig:
    """The [task] of a run of this kind."""
    if not isinstance(config.task, InverterConfig):
        raise ConfigError(f"a run of kind {config.task.kind!r} trains no inverter")
    return config.task


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


def sizes(inverter: Inverter) -> dict[str, Any]:
    """How large an inverter is, and what it hears."""
    with torch.no_grad():
        features = inverter.front_end(torch.zeros(1, inverter.num_samples))
    return {
        "parameters": num_trainable(inverter),
        "outputs": inverter.head.num_outputs,
        "searched": len(inverter.space.searched),
        "num_samples": inverter.num_samples,
        "features": list(features.shape[1:]),
    }


def facts(config: RunConfig) -> dict[str, Any]:
    """What held-out clips have to be like, for who has the model alone; a data set on disk says it itself."""
    told = {"draw", "pitch_hz", "gate_s", "folds", "fold"}
    table = {} if config.data.folder else dump(config.data)
    return {"pairs": {name: value for name, value in table.items() if name in told}}


def export(config: RunConfig, folder: RunFolder, facts: dict[str, Any]) -> Inverter:
    """Writes the inverter: the average of the weights at the best validation, else at the last saved state."""
    checkpoints = folder.checkpoints
    path = checkpoints.best if checkpoints.best.exists() else checkpoints.last
    state, _ = checkpoint.load(path, kind=TRAINING_KIND)
    task = InversionTask(Inverter(inverter_config(config)), config.update_config(), torch.device("cpu"))
    task.load_state_dict(state["task"])
    with task.average.applied():
        save_inverter(folder.model, task.inverter, facts=facts)
    return task.inverter


INVERSION = Kind(prepare, facts, export)
