"""What a GAN makes as it learns: held-out clips, and what the generator makes of their labels.

The latents are drawn once for all, so the folders of one run show the same sounds getting better (`samples`). The
weights are those that will be heard in the end, the average over updates.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from retimbre.gan.task import GanTask
from retimbre.workflows.training.gan_pool import ClipPool, clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.samples import Samples, write_samples

NUM_SAMPLES = 6  # a row of pictures that fits a screen


def illustrator(config: GanRun, trained: GanTask) -> Callable[[Path], None]:
    """A function that writes samples of the task as it is into a folder. Held-out clips are made at its first call."""

    @functools.cache
    def held_out() -> ClipPool:
        each = NUM_SAMPLES if config.data.set else -(-NUM_SAMPLES // len(config.data.corpora))
        return clip_pool(config.data, config.task, "valid", most=each, seed=config.seed)

    def illustrate(folder: Path) -> None:
        write_samples(folder, _samples(held_out(), trained))

    return illustrate


@torch.no_grad()
def _samples(pool: ClipPool, trained: GanTask) -> Samples:
    """The clips of a pool, and generated ones with their labels."""
    sounds, rows = trained.sounds, torch.arange(min(len(pool), NUM_SAMPLES))
    latent = sounds.draw_latents(len(rows), seed=0, purpose="samples").to(trained.device)
    labels = pool.told(rows, trained.device)
    sounds.eval()
    with trained.average.applied():
        generated = sounds(latent, labels)
    names = tuple(_name(pool, int(row)) for row in rows)
    return Samples(pool.audio(rows), generated, names, sounds.sample_rate)


def _name(pool: ClipPool, row: int) -> str:
    """The labels of a clip, or its number where it has none."""
    classes: dict[str, Any] = {name: names[pool.labels[name][row]] for name, names in pool.classes.items()}
    return ", ".join(f"{name} {value}" for name, value in classes.items()) or str(row + 1)
