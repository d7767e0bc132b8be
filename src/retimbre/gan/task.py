"""Training a generator against its critics: clips with labels in, a better generator out.

One update of the task is one of the generator. Before it, the critics are updated `critic_steps` times, each time with
other clips. A critic's loss says how badly it tells real from generated, to which penalties are added that keep its
slope in bounds: a critic as steep as it likes would win at once and teach nothing. The generator's loss says how badly
it is taken for real.

Everything a step draws (latents, where between clips a slope is taken) is drawn for the whole global batch, of which
each process uses its rows and each part of a batch that goes through the networks in parts (`rows_at_once`) its own;
losses are sums of one value per row. So two processes, or several parts, do what one would with the whole.

The weights that are heard in the end are an average of the generator's over its updates. It is the average that is
validated: sounds with the labels of held-out clips are compared with these as sets (KAD of band statistics).

References:
    Goodfellow et al. (2014), Generative adversarial nets, https://arxiv.org/abs/1406.2661
    Gulrajani et al. (2017), Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
    Odena, Olah and Shlens (2016), Conditional image synthesis with auxiliary classifier GANs (AC-GAN),
    https://arxiv.org/abs/1610.09585
    Huang et al. (2024), The GAN is dead; long live the GAN! (R3GAN), https://arxiv.org/abs/2501.05441
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.gan.game import Game, Part, Rows, gather
from retimbre.gan.growth import Growth
from retimbre.gan.hearing import Ear
from retimbre.gan.sounds import SoundGenerator, statistics_state
from retimbre.listening.statistics import BandStatistics
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.mmd import GaussianMmd
from retimbre.training import devices
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.parallel import ALONE, World
from retimbre.training.schedule import learning_rate_at, set_learning_rate
from retimbre.training.share import Share, share_of_batch, whole
from retimbre.training.task import Task
from retimbre.training.update import UpdateConfig, optimizer_of


@dataclasses.dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips with the classes of each attribute and their conditions: one batch for each update of the critics.

    Attributes:
        labels: Of the clips: classes `[updates, batch]`, conditions `[updates, batch, ...]`.
        share: Which rows of a global batch these are, where several processes share it; None for all. Of held-out
            clips: which of all held-out clips.
        wanted: What the generated clips are to have; None for the labels of the clips.
    """

    audio: Float[Tensor, "updates batch samples"]
    labels: dict[str, Tensor]
    share: Share | None = None
    wanted: dict[str, Tensor] | None = None


class GanTask(Task[ClipBatch]):
    """A generator, its critics, their optimizers, and the average of the generator's weights.

    Args:
        sounds: The generator.
        ears: Its critics.
        growth: How the networks grow; None for networks of one size.
        world: The processes that train together.
    """

    def __init__(
        self,
        sounds: SoundGenerator,
        ears: Sequence[Ear],
        config: UpdateConfig,
        growth: Growth | None,
        device: torch.device,
        world: World = ALONE,
    ) -> None:
        self.sounds, self.ears, self.config, self.growth = sounds.to(device), ears, config, growth
        self.device, self.world = device, world
        self.generator = sounds.network
        self.critics = nn.ModuleList([ear.critic for ear in ears]).to(device)
        world.check(self.generator)
        world.check(self.critics)
        self.game = Game(sounds, ears, config.precision, device)
        self.rules = sounds.config.loss
        rate = sounds.config.critic_learning_rate or config.schedule.learning_rate
        self.critic_schedule = dataclasses.replace(config.schedule, learning_rate=rate)
        self.generator_optimizer = optimizer_of(self.generator, config)
        self.critic_optimizer = optimizer_of(self.critics, config)
        self.average = ExponentialMovingAverage(self.generator, decay=config.ema_decay)

    def update(self, batch: ClipBatch, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """Critics, then generator, by the gradients over the global batch."""
        rate = learning_rate_at(self.config.schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.generator_optimizer, rate)
        critic_rate = learning_rate_at(self.critic_schedule, step, num_steps=self.config.num_steps)
        set_learning_rate(self.critic_optimizer, critic_rate)
        self.grow(step)
        self.generator.train()
        self.critics.train()
        figures: dict[str, Float[Tensor, ""]] = {}
        num_updates = len(batch.audio)
        for index in range(num_updates):
            nth = (step - 1) * num_updates + index + 1
            figures |= self._update_critics(list(self._parts(batch, index)), nth)
        figures |= self._update_generator(list(self._parts(batch, num_updates - 1)))
        self.average.update()
        steady = {"learning_rate": rate} | ({"gamma": self.game.gamma.value} if self.game.gamma else {})
        return {"loss": figures["critic_loss"] + figures["generator_loss"]} | figures | steady

    def grow(self, step: int) -> None:
        """Brings all networks to the stage of growth of a step."""
        if self.growth is not None:
            stage = self.growth.at(step)
            self.sounds.grow(stage)
            for ear in self.ears:
                ear.critic.grow(stage)

    @torch.no_grad()
    def validate(self, batches: Iterable[ClipBatch]) -> Mapping[str, float]:
        """The distance of generated sounds from held-out ones, as sets: `kad`, 0 for none."""
        self.generator.eval()
        embedder = BandStatistics(self.sounds.sample_rate).to(self.device)
        real: list[tuple[Share, Tensor]] = []
        generated: list[tuple[Share, Tensor]] = []
        with self.average.applied():
            for batch in batches:
                share = batch.share or whole(batch.audio.shape[1])
                latent = self.sounds.draw_latents(share.first + share.count, seed=0, purpose="held out")
                labels = {name: classes[0] for name, classes in batch.labels.items()}
                told = self.sounds.told(labels)
                with self.config.precision.autocast(self.device):
                    features = self.generator(latent[share.first :].to(self.device), told)
                audio = self.sounds.heard(self.generator.enlarge(features))
                real.append((share, embedder(batch.audio[0])))
                generated.append((share, embedder(audio)))
        reference, estimate = (Vectors.of(self._together(held, embedder.dim)) for held in (real, generated))
        measured = GaussianMmd().measure(reference, estimate, Bootstrap(resamples=1))
        return {"kad": measured.values["value"].value}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizers, average and the weight of the penalties; and what it takes to hear the generator."""
        statistics = self.sounds.statistics
        return {
            "generator": self.generator.state_dict(),
            "critics": self.critics.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "average": self.average.state_dict(),
            "gamma": None if self.game.gamma is None else self.game.gamma.state_dict(),
            "classes": {name: list(names) for name, names in self.sounds.classes.items()},
            "statistics": None if statistics is None else statistics_state(statistics),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state, on the task's device. Raises ValueError if it is of clips with other labels."""
        if {name: tuple(names) for name, names in state["classes"].items()} != self.sounds.classes:
            raise ValueError("the classes of the clips are others than those that the run was begun with")
        self.generator.load_state_dict(state["generator"])
        self.critics.load_state_dict(state["critics"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.average.load_state_dict(state["average"])
        if self.game.gamma is not None:
            self.game.gamma.load_state_dict(state["gamma"])

    def _parts(self, batch: ClipBatch, index: int) -> Iterator[Part]:
        """One of the batches, in parts of as many rows as fit."""
        audio = batch.audio[index]
        share = batch.share or whole(len(audio))
        latent = self._drawn(share)
        address = int(torch.randint(2**62, ()))
        at_once = self.sounds.config.rows_at_once or share.count
        for first in range(0, share.count, at_once):
            rows = slice(first, min(first + at_once, share.count))
            labels = {name: values[index, rows] for name, values in batch.labels.items()}
            wanted = batch.wanted and {name: values[index, rows] for name, values in batch.wanted.items()}
            yield Part(
                address,
                Share(share.first + first, rows.stop - first, share.total),
                audio[rows],
                labels,
                wanted or labels,
                latent[rows],
            )

    def _drawn(self, share: Share) -> Float[Tensor, "batch latent"]:
        """The share's rows of the latents of a global batch."""
        shape = (share.total, self.sounds.latent_dim)
        if self.sounds.config.latent == "uniform":
            return (2.0 * torch.rand(shape, device=self.device) - 1.0)[share.rows]
        return torch.randn(shape, device=self.device)[share.rows]

    def _update_critics(self, parts: Sequence[Part], nth: int) -> dict[str, Float[Tensor, ""]]:
        """One step of all critics; `nth` counts their steps from 1."""
        self.critic_optimizer.zero_grad(set_to_none=True)
        sums: Rows = {}
        for part in parts:
            with self._at_work(part):
                rows = self.game.critic_rows(part, is_penalized=nth % self.rules.penalty_every == 0)
            (rows["critic_loss"].sum() * self._scale(part.share)).backward()
            _add(sums, rows, part.share)
        figures = self._stepped(self.critics, self.critic_optimizer, sums)
        if self.game.gamma is not None:
            self.game.gamma.update(float(figures["real_score"] - figures["generated_score"]))
        return figures

    def _update_generator(self, parts: Sequence[Part]) -> dict[str, Float[Tensor, ""]]:
        """One step of the generator, with latents of its own."""
        self.generator_optimizer.zero_grad(set_to_none=True)
        self.critics.requires_grad_(False)
        sums: Rows = {}
        for part in parts:
            with self._at_work(part):
                rows = self.game.generator_rows(part)
            (rows["generator_loss"].sum() * self._scale(part.share)).backward()
            _add(sums, rows, part.share)
        self.critics.requires_grad_(True)
        return self._stepped(self.generator, self.generator_optimizer, sums)

    @contextlib.contextmanager
    def _at_work(self, part: Part) -> Iterator[None]:
        """Lets networks know which rows they are given, and all parts of a batch draw the same."""
        devices.restart_random(part.address, "part", 0)
        with share_of_batch(part.share, self.world):
            yield

    def _scale(self, share: Share) -> float:
        """What a sum over rows is multiplied by, so that all parts together are the mean or the sum of the batch."""
        return 1.0 if self.rules.reduction == "sum" else 1.0 / share.total

    def _stepped(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, sums: Mapping[str, Float[Tensor, ""]]
    ) -> dict[str, Float[Tensor, ""]]:
        """Moves weights by the gradient over the global batch; returns the means over it."""
        values = self.world.sum_gradients(network.parameters(), torch.stack(list(sums.values())))
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_norm)
        optimizer.step()
        return dict(zip(sums, values, strict=True))

    def _together(
        self, held: Sequence[tuple[Share, Float[Tensor, "_ dim"]]], dim: int
    ) -> Float[Tensor, "all dim"]:
        """The vectors of all processes, in float64 on the CPU. The first process always has a batch."""
        total = self.world.first_number(held[0][0].total if held else 0)
        vectors = torch.zeros(total, dim, dtype=torch.float64)
        for share, rows in held:
            vectors[share.rows] = rows.double().cpu()
        return self.world.total(vectors.flatten()).view(total, dim)


def _add(sums: Rows, rows: Rows, share: Share) -> None:
    """Adds a part's values to the means over the global batch."""
    for name, values in rows.items():
        gather(sums, name, values.detach().sum() / share.total)
