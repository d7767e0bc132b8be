"""The kind of run that learns a basis: from a run file to its task, its clips and its model."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.gan.basis.task import BasisBatch, BasisTask
from retimbre.representation.learned_basis import KIND, Basis, find_basis, load_basis
from retimbre.training import checkpoint, devices
from retimbre.workflows.training.basis_clips import STATE_SHAPE, clips_of, to_device, validation_batches
from retimbre.workflows.training.basis_run import BasisRun
from retimbre.workflows.training.census import TrainingCensus
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.run import RunFolder


def prepare(config: BasisRun, session: Session) -> Prepared[BasisBatch]:
    """The basis with its judges, and its clips."""
    if session.world.size > 1:
        raise ConfigError(f"a basis is learned by one process; there are {session.world.size}")
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    basis = Basis(config.task.basis)
    if session.warm_start:
        _warm_up(basis, session.warm_start)
    task = BasisTask(basis, config.task, config.update_config(), device, STATE_SHAPE)
    clips = clips_of(config.data, config.task, "train", config.seed)
    size = config.clips_after(1)

    def batch_at(step: int) -> BasisBatch:
        return to_device(clips.batch(clips.drawn(config, step, size), config, step), device)

    def validation() -> Sequence[BasisBatch]:
        held_out = clips_of(config.data, config.task, "validation", config.seed)
        return validation_batches(held_out, config, device)

    return Prepared(
        task=task,
        batch_at=batch_at,
        validation=validation,
        sizes={
            "parameters": sum(weights.numel() for weights in basis.parameters()),
            "codes": basis.num_codes(config.task.num_samples),
            "clips": clips.count,
            "steps_per_epoch": math.ceil(clips.count / size),
        },
        census=TrainingCensus(clips.count, config.task.num_samples / config.task.basis.sample_rate),
    )


def facts(config: BasisRun) -> dict[str, Any]:
    """What the basis was learned from, and how."""
    return {"data": dump(config.data), "task": dump(config.task)}


def export(config: BasisRun, folder: RunFolder, facts: dict[str, Any]) -> Basis:
    """Writes the basis: the average of the weights at the best validation, else at the last saved state."""
    state = folder.checkpoints.load_best()
    task = BasisTask(
        Basis(config.task.basis), config.task, config.update_config(), torch.device("cpu"), STATE_SHAPE
    )
    task.load_state_dict(state["task"])
    metadata = {"task": KIND, "config": dump(config.task.basis), "facts": facts}
    with task.average.applied():
        checkpoint.save(folder.model, task.basis.state_dict(), kind=KIND, metadata=metadata)
    return task.basis


def _warm_up(basis: Basis, weights: str) -> None:
    trained, _ = load_basis(weights)
    try:
        basis.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{find_basis(weights)}: its functions are {dump(trained.config.functions)}; the run's have other shapes"
        ) from error


BASIS = Kind(prepare, facts, export)
"""Learning a basis: clips in, functions out."""
