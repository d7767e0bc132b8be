"""The kind of run that trains a listener: from a run file to its task, its notes and its model."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError
from retimbre.listening.listener import Listener, load_listener, save_listener
from retimbre.listening.listener_task import LabelledNotes, ListenerTask
from retimbre.training import devices
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.listener_run import ListenerRun
from retimbre.workflows.training.note_clips import NoteClips, validation_batches
from retimbre.workflows.training.note_pool import PoolSettings, render_pool
from retimbre.workflows.training.run import RunFolder

# A rehearsal times two steps: a handful of notes is enough.
_REHEARSAL_NOTES = 64


def prepare(config: ListenerRun, session: Session) -> Prepared[LabelledNotes]:
    """The listener with its optimizer, and its notes."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    listener = Listener(config.task)
    if session.warm_start:
        _warm_up(listener, session.warm_start)
    data, task = config.data, config.task
    most = _REHEARSAL_NOTES if session.rehearsal else data.notes
    notes = PoolSettings.of_listener(data, task, config.seed)
    pool = render_pool(notes, "train", most=most)
    clips = NoteClips(pool, data, task, config.seed)
    share = session.world.share(config.train.batch_size)

    def validation() -> Sequence[LabelledNotes]:
        each = math.ceil(data.validation_clips / len(data.corpora))
        held_out = render_pool(notes, "valid", most=each)
        return session.world.portion(validation_batches(held_out, data, task, device))

    return Prepared(
        task=ListenerTask(listener, config.update_config(), device, session.world),
        batch_at=lambda step: clips.part(step, share, device),
        validation=validation,
        sizes={
            "parameters": sum(weights.numel() for weights in listener.parameters()),
            "outputs": {name: len(classes) for name, classes in listener.classes.items()},
            "embedding": listener.dim,
            "notes": len(pool),
            "silent_notes": pool.silent,
        },
        census=pool.census(notes),
    )


def facts(config: ListenerRun) -> dict[str, Any]:
    """What the listener learned from."""
    return {"data": dump(config.data)}


def export(config: ListenerRun, folder: RunFolder, facts: dict[str, Any]) -> Listener:
    """Writes the listener: the average of the weights at the best validation, else at the last saved state."""
    state = folder.checkpoints.load_best()
    task = ListenerTask(Listener(config.task), config.update_config(), torch.device("cpu"))
    task.load_state_dict(state["task"])
    with task.average.applied():
        save_listener(folder.model, task.listener, facts=facts)
    return task.listener


def _warm_up(listener: Listener, name_or_path: str) -> None:
    trained = load_listener(name_or_path)
    try:
        listener.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{find_checkpoint(name_or_path)}: a {trained.config.network} network for "
            f"{', '.join(trained.classes)}; the run's layers have other shapes"
        ) from error


LISTENER = Kind(prepare, facts, export)
