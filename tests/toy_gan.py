"""Toys on which a generator plays against its critics within seconds.

Clips of two samples are points in a plane. Eight narrow heaps of them on a circle are the classic test of whether a
generator finds all that there is: one that has found how to deceive the critic with a single heap has lost the others.
"""

import dataclasses
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from retimbre.core import random
from retimbre.gan.base import CriticConfig, GeneratorConfig
from retimbre.gan.config import CriticEntry, GanConfig, LossConfig
from retimbre.gan.growth import Growth
from retimbre.gan.hearing import ears_of
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.sounds import SoundGenerator
from retimbre.gan.task import ClipBatch, GanTask
from retimbre.training import devices
from retimbre.training.devices import Precision
from retimbre.training.parallel import ALONE, World
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.share import Share
from retimbre.training.update import UpdateConfig

NUM_HEAPS = 8
ANGLES = torch.arange(NUM_HEAPS) * (2.0 * math.pi / NUM_HEAPS)
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
HEAP_DEVIATION = 0.02
HEAPS = {"word": tuple(str(heap) for heap in range(NUM_HEAPS))}
"""The heap of a point as its label."""
NUM_SAMPLES = 240
"""Of a tone."""
TONES = {"word": ("a", "b", "c", "d")}
"""The pitch of a tone as its label."""


_GENERATOR = DenseGeneratorConfig(width=64)
_CRITIC = DenseCriticConfig(width=64)


@dataclasses.dataclass(frozen=True)
class Toy:
    """What is trained.

    Attributes:
        loss: The game.
        classes: Of its labels.
        num_samples: Of a clip.
        rows_at_once: Rows that go through the networks together.
        generator: Its layers.
        critic: Those of the critic.
        learning_rate: Of both.
        num_steps: The length of the run.
        precision: Of the networks.
        growth: How they grow.
        representation: Of the clips.
        settings: Of the representation.
        conditions: What the networks are told beside labels.
    """

    loss: LossConfig
    classes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    num_samples: int = 2
    rows_at_once: int = 0
    generator: GeneratorConfig = _GENERATOR
    critic: CriticConfig = _CRITIC
    learning_rate: float = 5e-3
    num_steps: int = 100
    precision: Precision = Precision.FP32
    growth: Growth | None = None
    representation: str = "waveform"
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    conditions: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def task(self, world: World = ALONE) -> GanTask:
        """A task with fresh weights, the same for the same toy."""
        torch.manual_seed(0)
        config = GanConfig(
            generator=self.generator,
            critics=(CriticEntry(self.critic),),
            representation=self.representation,
            settings=dict(self.settings),
            sample_rate=4000,
            num_samples=self.num_samples,
            latent_dim=8,
            attributes=tuple(self.classes),
            conditions=dict(self.conditions),
            loss=self.loss,
            rows_at_once=self.rows_at_once,
        )
        sounds = SoundGenerator(config, self.classes)
        update = UpdateConfig(
            ScheduleConfig(self.learning_rate, "cosine"),
            self.num_steps,
            optimizer="adam",
            clip_norm=0.0,
            ema_decay=0.99,
            precision=self.precision,
            betas=(0.0, 0.9),
        )
        return GanTask(sounds, ears_of(sounds, [None]), update, self.growth, torch.device("cpu"), world)


def heaps_at(step: int, *, rows: int = 64, updates: int = 1, share: Share | None = None) -> ClipBatch:
    """Points of random heaps, labelled with them."""
    draws = random.generator(0, "heaps", step)
    heaps = torch.randint(NUM_HEAPS, (updates, rows), generator=draws)
    points = CENTRES[heaps] + HEAP_DEVIATION * torch.randn(updates, rows, 2, generator=draws)
    mine = slice(None) if share is None else share.rows
    return ClipBatch(points[:, mine], {"word": heaps[:, mine]}, share)


def told_heaps_at(step: int, *, rows: int = 64, updates: int = 1, independent: bool = False) -> ClipBatch:
    """Points of random heaps, told by their centres as what came before; of other heaps where independent."""
    batch, other = heaps_at(step, rows=rows, updates=updates), heaps_at(-step, rows=rows, updates=updates)
    told, wanted = ({"history": CENTRES[each.labels["word"]]} for each in (batch, other))
    return dataclasses.replace(batch, labels=told, wanted=wanted if independent else None)


def tones_at(step: int, *, rows: int = 16, updates: int = 1, share: Share | None = None) -> ClipBatch:
    """Clips of 240 samples at 4 kHz: sines of one of four pitches, of random level."""
    draws = random.generator(0, "tones", step)
    kinds = torch.randint(4, (updates, rows), generator=draws)
    levels = 0.5 + 0.5 * torch.rand(updates, rows, 1, generator=draws)
    frequencies_hz = 250.0 * (1 + kinds[..., None])
    phases = 2.0 * math.pi * frequencies_hz * torch.arange(NUM_SAMPLES) / 4000.0
    mine = slice(None) if share is None else share.rows
    return ClipBatch((levels * phases.sin())[:, mine], {"word": kinds[:, mine]}, share)


def made_points(task: GanTask, labels: Mapping[str, Tensor], *, count: int = 2000) -> Tensor:
    """Points by the averaged generator."""
    with torch.no_grad(), task.average.applied():
        return task.generator(task.sounds.draw_latents(count, seed=1), labels).flatten(1)


def updated(task: GanTask, batch: ClipBatch, step: int) -> dict[str, float]:
    """One step as the training loop makes it; its figures."""
    devices.restart_random(0, "update", step)
    return {name: float(value) for name, value in task.update(batch, step=step).items()}


def train(task: GanTask) -> None:
    """All steps of the run on the heaps."""
    updates = task.sounds.config.loss.critic_steps
    for step in range(1, task.config.num_steps + 1):
        updated(task, heaps_at(step, updates=updates), step)


def gradients(network: torch.nn.Module) -> dict[str, Tensor]:
    """What the last update was made with."""
    return {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
