"""The kind of run that trains an inverter: from a run file to its task, its pairs and its model."""

from collections.abc import Sequence
from typing import Any

import torch

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError, ConfigError, DatasetError
from retimbre.data.dataset import RenderedSet
from retimbre.matching.inverter import Inverter, InverterConfig, load_inverter, save_inverter
from retimbre.matching.networks.catalog import num_trainable
from retimbre.matching.pairs import FileSource
from retimbre.matching.source import PairBatch, Source
from retimbre.matching.task import InversionTask
from retimbre.training import devices
from retimbre.training.parallel import World
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.dataset.fits import first_misfit
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.training.hearing import embedded
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.matching_run import MatchingRun
from retimbre.workflows.training.run import RunFolder
from retimbre.workflows.training.sounds import (
    Recordings,
    check_unchanged,
    keep_inheritance,
    keep_record,
    listening_of,
    recordings_of,
    with_inheritance,
)

# Validation clips are rendered and measured in pieces of this many, which bounds the memory of both.
VALIDATION_BATCH = 256


def prepare(config: MatchingRun, session: Session) -> Prepared[PairBatch]:
    """The inverter with its optimizer, and its pairs."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    inverter = Inverter(inverter_config(config))
    if session.warm_start:
        warm_up(inverter, session.warm_start)
    pairs = pairs_of(config, inverter)
    source = embedded(config, session, inverter, pairs)
    num_held_out = held_out_clips(pairs, config.data.validation_clips)
    listening = listening_of(config.sounds, inverter, config.seed)
    recordings = heard(config)
    if recordings and not session.rehearsal:
        check_unchanged(session.out, recordings)
    task = InversionTask(inverter, config.update_config(), device, session.world, listening)
    share = session.world.share(pairs_in_batch(config, session.world))

    def validation() -> Sequence[PairBatch]:
        # This is asked for when the folder is known to be this run's, and before anything is learned.
        if recordings and session.world.is_first:
            keep_record(session.out, recordings)
        if session.warm_start and session.world.is_first:
            keep_inheritance(session.out, session.warm_start)
        return validation_batches(source, num_held_out, device, session.world)

    return Prepared(
        task=task,
        batch_at=lambda step: source.part(step, share, "train", device),
        validation=validation,
        sizes=sizes(inverter) | (recordings.summary() if recordings else {}),
    )


def pairs_in_batch(config: MatchingRun, world: World) -> int:
    """How many pairs an update takes; where they count nothing, as few as there can be."""
    listens_only = bool(config.sounds.folder) and config.sounds.loss.parameter_weight == 0.0
    return world.size if listens_only else config.train.batch_size


def inverter_config(config: MatchingRun) -> InverterConfig:
    """The [task] of a run of this kind."""
    if not isinstance(config.task, InverterConfig):
        raise ConfigError(f"a run of kind {config.kind!r} trains no inverter")
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
        raise CheckpointError(
            f"{find_checkpoint(name_or_path)}: is {_network_of(trained)}, but the run's is {_network_of(inverter)}"
        ) from error


def _network_of(inverter: Inverter) -> str:
    """A network by what decides the shapes of its weights."""
    config = inverter.config
    return (
        f"{config.model} over {config.representation} of {inverter.num_samples} samples, "
        f"{inverter.head.num_outputs} outputs for {config.synth}"
    )


def pairs_of(config: MatchingRun, inverter: Inverter) -> Source:
    """Where the pairs of a run come from.

    Raises:
        ConfigError: A data set on disk is of another synthesizer, rate or length, or has other knobs, levels or fixed
            values.
    """
    if config.data.labels_from:
        raise ConfigError(
            "[data] labels_from is for a label autoencoder; an inverter takes the labels of its sounds"
        )
    if not config.data.folder:
        return config.pair_source(inverter)
    data = RenderedSet.open(config.data.folder)
    if misfit := first_misfit(plan_from_header(data.header), inverter):
        raise ConfigError(
            f"{config.data.folder}: {misfit.against('run')}; say what the set has in {misfit.option} of the run file"
        )
    return FileSource(
        data,
        config.seed,
        config.data.balance,
        folds=config.data.held_out(),
        shuffled_labels=config.data.shuffled_labels,
    )


def held_out_clips(pairs: Source, wanted: int) -> int:
    """How many clips a validation goes through: those wanted, but each clip of a data set once.

    Raises:
        DatasetError: The data set holds none out.
    """
    if not isinstance(pairs, FileSource):
        return wanted
    num_stored = len(pairs.rows["validation"])
    if not num_stored:
        raise DatasetError(f"{pairs.data.folder}: its validation split is empty; make a larger set")
    return min(wanted, num_stored)


def validation_batches(
    source: Source, num_clips: int, device: torch.device, world: World
) -> Sequence[PairBatch]:
    """This process's portion of the held-out clips, rendered once; whole pieces, which are measured as by one alone."""
    starts = world.portion(range(0, num_clips, VALIDATION_BATCH))
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


def facts(config: MatchingRun) -> dict[str, Any]:
    """What held-out clips have to be like, for who has the model alone; a data set on disk says it itself."""
    told = {"folds", "fold"} if config.data.folds else set[str]()
    told |= set[str]() if config.data.folder else {"draw", "pitch_hz", "gate_s"}
    pairs = {name: value for name, value in dump(config.data).items() if name in told}
    recordings = heard(config)
    return {"pairs": pairs} | ({"sounds": recordings.facts()} if recordings else {})


def heard(config: MatchingRun) -> Recordings | None:
    """The recordings of a run; None for a run without."""
    if not config.sounds.folder:
        return None
    task = inverter_config(config)
    return recordings_of(config.sounds, task.sample_rate, round(task.seconds * task.sample_rate))


def export(config: MatchingRun, folder: RunFolder, facts: dict[str, Any]) -> Inverter:
    """Writes the inverter: the average of the weights at the best validation, else at the last saved state."""
    state = folder.checkpoints.load_best()
    task = InversionTask(Inverter(inverter_config(config)), config.update_config(), torch.device("cpu"))
    task.load_state_dict(state["task"])
    with task.average.applied():
        save_inverter(folder.model, task.inverter, facts=with_inheritance(folder.path, facts))
    return task.inverter


INVERSION = Kind(prepare, facts, export)
