"""The batches of a listener: which notes, cut how, at which step.

A clip is a function of (seed, step, row of the batch): the note is drawn with its corpus, evenly over corpora, then
what is done to it (`augment`). All clips of a step have one length, which the step draws, so that a listener learns to
hear short and long ones alike.
"""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.dsp.level import fit_length
from retimbre.listening.listener import ListenerConfig
from retimbre.listening.listener_task import LabelledNotes
from retimbre.training.share import Share
from retimbre.workflows.training.augment import NUM_CHANCES, Augmenter
from retimbre.workflows.training.listener_run import ListenerDataConfig
from retimbre.workflows.training.note_pool import NotePool

VALIDATION_BATCH = 100
_VALIDATION_S = 1.0
_MOST_ROWS = 1 << 20  # of a batch, so that the addresses of two steps never meet


@final
class NoteClips:
    """Training clips of a pool of notes."""

    def __init__(self, pool: NotePool, data: ListenerDataConfig, task: ListenerConfig, seed: int) -> None:
        self.pool, self.data, self.seed = pool, data, seed
        self.sample_rate = task.sample_rate
        self.targets = pool.targets(task)
        if data.shuffled_labels:
            order = torch.randperm(len(pool), generator=random.generator(seed, "shuffled labels"))
            self.targets = {name: classes[order] for name, classes in self.targets.items()}
        self._members = [(pool.corpus == place).nonzero()[:, 0] for place in range(len(data.corpora))]

    def part(self, step: int, share: Share, device: torch.device) -> LabelledNotes:
        """A share of the training batch of a step, 1 for the first."""
        rows = torch.arange(share.first, share.first + share.count) + step * _MOST_ROWS
        chance = random.uniform(self.seed, "listener clip", rows, 2 + NUM_CHANCES)
        notes = self._drawn(chance[:, :2])
        clip_s = random.uniform(self.seed, "listener length", torch.tensor([step]), 1)[0, 0]
        seconds = self.data.clip_s[int(clip_s * len(self.data.clip_s))]
        audio = clips_of(
            self.pool.audio(notes).to(device), self.data, self.sample_rate, seconds, chance[:, 2:].to(device)
        )
        targets = {name: classes[notes].to(device) for name, classes in self.targets.items()}
        return LabelledNotes(audio, targets, share)

    def _drawn(self, chance: Float[Tensor, "rows 2"]) -> Int[Tensor, " rows"]:
        """A corpus, then one of its notes."""
        corpora = (chance[:, 0] * len(self._members)).long().tolist()
        return torch.stack(
            [
                self._members[corpus][int(part * len(self._members[corpus]))]
                for corpus, part in zip(corpora, chance[:, 1].tolist(), strict=True)
            ]
        )


def clips_of(
    notes: Float[Tensor, "batch note"],
    data: ListenerDataConfig,
    sample_rate: int,
    seconds: float,
    chance: Float[Tensor, "batch chances"],
) -> Float[Tensor, "batch samples"]:
    """Clips of so many seconds, recorded or as they are."""
    num_samples = round(seconds * sample_rate)
    if not data.augment:
        return fit_length(notes, num_samples)
    return Augmenter(sample_rate)(notes, chance, num_samples)


def validation_batches(
    pool: NotePool, data: ListenerDataConfig, task: ListenerConfig, device: torch.device
) -> Sequence[LabelledNotes]:
    """Notes of held-out instruments, each as one clip of a second; the same in every session."""
    targets = pool.targets(task)
    batches = []
    for rows in torch.arange(len(pool)).split(VALIDATION_BATCH):
        chance = random.uniform(0, "listener validation", rows, NUM_CHANCES)
        seconds = min(_VALIDATION_S, data.seconds)
        audio = clips_of(pool.audio(rows).to(device), data, task.sample_rate, seconds, chance.to(device))
        batches.append(
            LabelledNotes(audio, {name: classes[rows].to(device) for name, classes in targets.items()})
        )
    return batches
