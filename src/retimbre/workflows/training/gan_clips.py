"""The batches of a GAN: which clips at which step.

A clip of a batch is a function of (seed, step, update of the critics, row), so every process draws its own rows of the
batch that one process would draw, and a run that is resumed sees what it would have seen.
"""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from retimbre.core import random
from retimbre.gan.task import ClipBatch
from retimbre.training.parallel import World
from retimbre.training.share import Share
from retimbre.workflows.training.gan_pool import ClipPool
from retimbre.workflows.training.gan_run import GanRun

VALIDATION_BATCH = 64
_MOST_ROWS = 1 << 24  # of a step, so that the addresses of two steps never meet


@final
class GanClips:
    """Training clips of a pool."""

    def __init__(self, pool: ClipPool, config: GanRun, world: World) -> None:
        self.pool, self.config, self.world = pool, config, world
        self.labelled = torch.arange(len(pool))  # the clip whose labels each has
        if config.data.shuffled_labels:
            self.labelled = torch.randperm(
                len(pool), generator=random.generator(config.seed, "shuffled labels")
            )

    def part(self, step: int, device: torch.device) -> ClipBatch:
        """This process's share of the batches of a step, 1 for the first."""
        share = self.world.share(self.config.batch_size_at(step))
        updates = torch.arange(self.config.task.loss.critic_steps)[:, None]
        rows = torch.arange(share.first, share.first + share.count)
        addresses = step * _MOST_ROWS + updates * share.total + rows
        chosen = self._drawn("gan clip", addresses)
        wanted = None
        if self.config.task.loss.independent_conditions:
            wanted = self._labels(self._drawn("gan condition", addresses), device)
        return ClipBatch(self.pool.audio(chosen).to(device), self._labels(chosen, device), share, wanted)

    def held_out(self, pool: ClipPool, device: torch.device) -> Sequence[ClipBatch]:
        """All clips of another pool, this process's portion of the batches."""
        batches = []
        for rows in torch.arange(len(pool)).split(VALIDATION_BATCH):
            share = Share(int(rows[0]), len(rows), len(pool))
            audio = pool.audio(rows[None]).to(device)
            labels = pool.told(rows[None], device)
            batches.append(ClipBatch(audio, labels, share))
        return self.world.portion(batches)

    def _drawn(self, purpose: str, addresses: Int[Tensor, "updates batch"]) -> Int[Tensor, "updates batch"]:
        """Clips, each by its address alone."""
        chance = random.uniform(self.config.seed, purpose, addresses.flatten(), 1)[:, 0]
        return (chance * len(self.pool)).long().view(addresses.shape)

    def _labels(self, rows: Int[Tensor, "updates batch"], device: torch.device) -> dict[str, Tensor]:
        return self.pool.told(self.labelled[rows], device)
