"""The kind of run that trains a GAN: from a run file to its task, its clips and its generator."""

import dataclasses
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.data.manifest import read_header
from retimbre.gan.base import Generator
from retimbre.gan.growth import GrowthWarning
from retimbre.gan.hearing import Ear, critic_representation, ears_of
from retimbre.gan.sounds import (
    SoundGenerator,
    load_generator,
    own_representation,
    save_generator,
    trained_sounds,
)
from retimbre.gan.task import ClipBatch, GanTask
from retimbre.representation.base import Representation
from retimbre.representation.standardized import Per, Statistics, fit_statistics
from retimbre.training import devices
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.training.gan_checks import check_conditions, check_labels, check_networks
from retimbre.workflows.training.gan_clips import GanClips
from retimbre.workflows.training.gan_pool import ClipPool, clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.gan_samples import illustrator
from retimbre.workflows.training.gan_trials import trials_of
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.run import RunFolder

# A rehearsal times two steps: a handful of clips is enough.
_REHEARSAL_CLIPS = 64
# Statistics of so many clips are as good as those of all.
_STATISTICS_CLIPS = 4096
# An unbiased distance (KAD) compares the clips of a set among themselves.
_LEAST_HELD_OUT = 2
_AT_ONCE = 64
_SAMPLE_BYTES = 2


def prepare(config: GanRun, session: Session) -> Prepared[ClipBatch]:
    """Generator and critics with their optimizers, and their clips."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    data, task = config.data, config.task
    if session.world.is_first and config.growth is not None:
        for remark in config.growth.remarks():
            warnings.warn(remark, GrowthWarning, stacklevel=2)
    check_labels(config)
    limit = _REHEARSAL_CLIPS if session.rehearsal else sys.maxsize
    pool = clip_pool(data, task, "train", most=min(data.notes, limit), seed=config.seed)
    check_conditions(config, pool)
    parts = build_parts(config, pool)
    check_networks(config, parts.sounds, parts.ears, session.world.size)
    if session.warm_start:
        _warm_up(parts.sounds, session.warm_start)
    clips = GanClips(pool, config, session.world)
    trained = GanTask(parts.sounds, parts.ears, config.update_config(), config.growth, device, session.world)
    trained.grow(config.train.steps)  # networks that cannot grow as far say so now
    held_out = _held_out(config, min(data.validation_clips, limit)) if config.train.validate_every else None
    return Prepared(
        task=trained,
        batch_at=lambda step: clips.part(step, device),
        validation=lambda: () if held_out is None else clips.held_out(held_out, device),
        sizes={
            "parameters": num_weights(trained.generator),
            "critic_parameters": [num_weights(ear.critic) for ear in parts.ears],
            "features": list(parts.sounds.form.shape),
            "classes": {name: len(names) for name, names in pool.classes.items()},
        },
        census=pool.census,
        illustrate=illustrator(config, trained),
        trials=trials_of(config),
        clips_mb=_clips_mb(config),
    )


def _held_out(config: GanRun, most: int) -> ClipPool:
    """The clips to be validated by; a run that wants some and has none is refused before it takes its folder.

    Raises:
        ConfigError: There is but one.
    """
    held_out = clip_pool(config.data, config.task, "valid", most=most, seed=config.seed)
    if len(held_out) < _LEAST_HELD_OUT:
        raise ConfigError(
            f"{len(held_out)} clip is held out for validation, by a distance between sets; takes "
            f"{_LEAST_HELD_OUT} or more ([data] validation_clips is {config.data.validation_clips})"
        )
    return held_out


def _clips_mb(config: GanRun) -> float:
    """The memory of all clips of a run, as integers; of a folder of NSynth at most so much."""
    data = config.data
    clips = data.notes + data.validation_clips
    if data.set:
        clips = min(clips, read_header(Path(data.set)).size)
    elif data.envelopes is not None:
        clips *= 3  # each with its sound and its curve
    elif data.nsynth is None:
        clips *= len(data.corpora)
    return clips * config.task.num_samples * _SAMPLE_BYTES / 1e6


@dataclasses.dataclass(frozen=True)
class Parts:
    """A generator and its critics, with fresh weights."""

    sounds: SoundGenerator
    ears: list[Ear]


def build_parts(config: GanRun, pool: ClipPool) -> Parts:
    """Fresh networks for the classes of a pool, and features scaled by its statistics where that is asked for."""
    task = config.task
    own = own_representation(task, None)
    statistics = _fitted(own, task.standardize, pool)
    heard = [
        _fitted(inner, entry.standardize, pool) if (inner := critic_representation(task, entry)) else None
        for entry in task.critics
    ]
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    sounds = SoundGenerator(task, pool.classes, statistics)
    return Parts(sounds, ears_of(sounds, heard))


def num_weights(network: torch.nn.Module) -> int:
    """Trainable parameters."""
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)


def facts(config: GanRun) -> dict[str, Any]:
    """What the generator learned from."""
    return {"data": dump(config.data)}


def export(config: GanRun, folder: RunFolder, facts: dict[str, Any]) -> Generator:
    """Writes the generator: the average of the weights at the best validation, else at the last saved state.

    Of networks that grow, the best state is one of the last scale; a run that has not come as far has none.
    """
    state = folder.checkpoints.load_best(after=config.fit_config().best_after)
    sounds = trained_sounds(config.task, config.growth, state)
    save_generator(folder.model, sounds, facts=facts, raw_state=state["task"]["generator"])
    return sounds.network


def _fitted(inner: Representation, per: str, pool: ClipPool) -> Statistics | None:
    """Statistics of the first clips of a pool, which are in no order."""
    if not per:
        return None
    kinds: dict[str, Per] = {"bin": "bin", "cell": "cell"}

    def batches() -> Iterator[Tensor]:
        for rows in torch.arange(min(len(pool), _STATISTICS_CLIPS)).split(_AT_ONCE):
            yield pool.audio(rows)

    return fit_statistics(inner, batches(), per=kinds[per])


def _warm_up(sounds: SoundGenerator, name_or_path: str) -> None:
    trained = load_generator(name_or_path)
    if trained.classes != sounds.classes:
        raise ConfigError(
            f"{find_checkpoint(name_or_path)}: its classes of {', '.join(trained.classes) or 'nothing'} differ from "
            f"those of the run"
        )
    try:
        sounds.network.load_state_dict(trained.network.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{find_checkpoint(name_or_path)}: a {trained.config.generator.kind} generator whose layers have other "
            "shapes than the run's"
        ) from error


GAN = Kind(prepare, facts, export)
