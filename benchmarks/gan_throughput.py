"""How many clips per second do the ports train on, beside the loops of the programs that they are ports of?

    python benchmarks/gan_throughput.py [--size small|full] [--device cpu|cuda] [--steps 15] [--profile]

Two systems are re-stated below as plainly as they were written, networks and loop: the progressive GAN of system C
(WGAN-GP by sums, one critic step for each of the generator, AC-GAN on pitch) and the SpecGAN of system D (WGAN-GP, five
critic steps). Beside each, the task that `retimbre train` runs, with networks of the same shapes:

    equal      the same arithmetic: float32, a penalty at every critic step
    faster     bfloat16 and a penalty at every eighth step, which weighs eight times as much

A third race has no peer: the modern residual networks without a penalty, and what R1 and R2 cost beside that, exactly
at every step (`exact`), at every eighth (`lazy`), and by finite differences at every step (`finite`).

`small` is 64 bins by 32 frames at 4 kHz, `full` the published sizes. The plain loops are handed finished features; the
task makes them from audio at every step, which counts against it. Steps of all contestants are taken in turns, and a
step of the task counts with its share of the penalised steps. On a CPU the time is that of the processor, on one
thread, so that what else the machine does matters little; on a GPU it is wall time. Medians are printed.
"""

import argparse
import dataclasses
import itertools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retimbre.gan.config import CriticEntry, GanConfig, LossConfig
from retimbre.gan.hearing import ears_of
from retimbre.gan.networks.progressive import ProgressiveCriticConfig, ProgressiveGeneratorConfig
from retimbre.gan.networks.residual import ResidualCriticConfig, ResidualGeneratorConfig
from retimbre.gan.networks.specgan import SpecGanCriticConfig, SpecGanGeneratorConfig
from retimbre.gan.sounds import SoundGenerator
from retimbre.gan.task import ClipBatch, GanTask
from retimbre.training import devices
from retimbre.training.devices import Precision
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig

PITCHES = 27
LATENT = 64
LAZY = 8
CRITIC_STEPS = 5  # of system D


@dataclasses.dataclass(frozen=True)
class Size:
    """Clips and networks."""

    sample_rate: int
    num_samples: int
    n_fft: int
    hop_length: int
    depths: tuple[int, ...]
    specgan_channels: int
    specgan_samples: int
    batch: int

    @property
    def factors(self) -> tuple[tuple[int, int], ...]:
        """Halved from scale to scale."""
        return tuple((2**scale, 2**scale) for scale in reversed(range(len(self.depths))))


SIZES = {
    "small": Size(4000, 1023, 128, 32, (64, 64, 32, 32), 16, 1024, 16),
    "full": Size(16_000, 16_383, 1024, 256, (128, 64, 64, 64, 32), 64, 16_384, 16),
}


# System C


class Equalized(nn.Module):
    """A layer with weights of deviation 1 whose output, bias included, is scaled."""

    def __init__(self, layer: Any, fan_in: int) -> None:
        super().__init__()
        self.layer, self.gain = layer, math.sqrt(2.0 / fan_in)
        nn.init.normal_(layer.weight)
        nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The scaled output."""
        return self.layer(x) * self.gain


def conv(
    num_in: int, num_out: int, kernel: int | tuple[int, int], padding: int | tuple[int, int]
) -> Equalized:
    layer = nn.Conv2d(num_in, num_out, kernel, padding=padding)
    return Equalized(layer, num_in * math.prod(layer.kernel_size))


def dense(num_in: int, num_out: int) -> Equalized:
    return Equalized(nn.Linear(num_in, num_out), num_in)


def normalized(x: Tensor) -> Tensor:
    return x / torch.sqrt((x**2).mean(dim=1, keepdim=True) + 1e-8)


def leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)


class PlainProgressiveG(nn.Module):
    """Generator at its full size, with GANSynth's first layer."""

    def __init__(self, size: tuple[int, int], depths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.sizes = [(size[0] >> k, size[1] >> k) for k in reversed(range(len(depths)))]
        bins, frames = self.sizes[0]
        first = depths[0]
        self.format = conv(LATENT + PITCHES, first, (bins, frames), (bins - 1, frames - 1))
        self.refine, self.first = conv(first, first, 3, 1), conv(first, first, 3, 1)
        self.convs = nn.ModuleList()
        for before, depth in itertools.pairwise(depths):
            self.convs += [conv(before, depth, 3, 1), conv(depth, depth, 3, 1)]
        self.out = conv(depths[-1], channels, 1, 0)

    def forward(self, z: Tensor) -> Tensor:
        """Latents with labels to features."""
        x = normalized(z)[:, :, None, None]
        x = normalized(leaky(self.format(x)))
        x = normalized(leaky(self.first(normalized(leaky(self.refine(x))))))
        for k, size in enumerate(self.sizes[1:]):
            x = functional.interpolate(x, size=size, mode="nearest")
            x = normalized(leaky(self.convs[2 * k](x)))
            x = normalized(leaky(self.convs[2 * k + 1](x)))
        return self.out(x)


class PlainProgressiveD(nn.Module):
    """Critic at its full size; the last of its outputs is the score."""

    def __init__(self, size: tuple[int, int], depths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.sizes = [(size[0] >> k, size[1] >> k) for k in range(len(depths))]
        self.read = conv(channels, depths[-1], 1, 0)
        self.convs = nn.ModuleList()
        for depth, after in itertools.pairwise(reversed(depths)):
            self.convs += [conv(depth, depth, 3, 1), conv(depth, after, 3, 1)]
        first = depths[0]
        self.last = conv(first + 1, first, 3, 1)
        self.dense = dense(first * math.prod(self.sizes[-1]), first)
        self.says = dense(first, PITCHES + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features to logits and score."""
        x = leaky(self.read(x))
        for k, size in enumerate(self.sizes[1:]):
            x = leaky(self.convs[2 * k + 1](leaky(self.convs[2 * k](x))))
            x = functional.interpolate(x, size=size, mode="nearest")
        groups = x.view(-1, 4, *x.shape[1:])
        deviation = torch.sqrt(((groups - groups.mean(1, keepdim=True)) ** 2).mean(1) + 1e-8).mean((1, 2, 3))
        channel = deviation.repeat_interleave(4).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        x = leaky(self.last(torch.cat([x, channel], 1)))
        return self.says(leaky(self.dense(x.flatten(1))))


def slope(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """|gradient| between real and generated clips, per clip."""
    chance = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (chance * real + (1 - chance) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


class PlainProgressive:
    """The loop of system C."""

    def __init__(self, shape: tuple[int, ...], depths: tuple[int, ...], device: torch.device) -> None:
        bins_frames = (shape[1], shape[2])
        self.g = PlainProgressiveG(bins_frames, depths, shape[0]).to(device)
        self.d = PlainProgressiveD(bins_frames, depths, shape[0]).to(device)
        self.average = [each.detach().clone() for each in self.g.parameters()]
        self.opt_g = torch.optim.Adam(self.g.parameters(), lr=1e-3, betas=(0.0, 0.99))
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=1e-3, betas=(0.0, 0.99))

    def step(self, real: Tensor, pitch: Tensor) -> None:
        """One critic step, one of the generator."""
        self.opt_d.zero_grad()
        of_real = self.d(real)
        with torch.no_grad():
            fake = self.g(self._told(pitch))
        of_fake = self.d(fake)
        loss = -of_real[:, -1].sum() + of_fake[:, -1].sum()
        loss = loss + 10.0 * (slope(lambda x: self.d(x)[:, -1], real, fake) - 1.0).square().sum()
        loss = loss + 0.001 * of_real[:, -1].square().sum()
        loss = loss + functional.cross_entropy(of_real[:, :-1], pitch, reduction="sum")
        loss.backward()
        self._finish(self.d, self.opt_d)
        self.opt_g.zero_grad()
        of_fake = self.d(self.g(self._told(pitch)))
        loss = -of_fake[:, -1].sum() + functional.cross_entropy(of_fake[:, :-1], pitch, reduction="sum")
        loss.backward()
        self._finish(self.g, self.opt_g)
        with torch.no_grad():
            for average, weight in zip(self.average, self.g.parameters(), strict=True):
                average.mul_(0.999).add_(weight, alpha=0.001)

    def _told(self, pitch: Tensor) -> Tensor:
        z = torch.randn(len(pitch), LATENT, device=pitch.device)
        return torch.cat([z, functional.one_hot(pitch, PITCHES).float()], 1)

    @staticmethod
    def _finish(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for weight in network.parameters():
            if weight.grad is not None:
                weight.grad[~weight.grad.isfinite()] = 0.0
        optimizer.step()


# System D


class PlainSpecGan:
    """Networks and loop of system D."""

    def __init__(self, shape: tuple[int, ...], channels: int, device: torch.device) -> None:
        depth = round(math.log2(min(shape[1:]) / 4))
        widths = [channels * 2**k for k in range(depth)]
        start = (widths[-1], shape[1] >> depth, shape[2] >> depth)
        up: list[nn.Module] = [nn.Linear(LATENT, math.prod(start)), nn.Unflatten(1, start), nn.ReLU()]
        for num_in, num_out in itertools.pairwise([*reversed(widths), shape[0]]):
            up += [nn.ConvTranspose2d(num_in, num_out, 6, 2, 2), nn.ReLU()]
        self.g = nn.Sequential(*up[:-1], nn.Tanh()).to(device)
        down: list[nn.Module] = []
        for num_in, num_out in itertools.pairwise([shape[0], *widths]):
            down += [nn.Conv2d(num_in, num_out, 6, 2, 2), nn.LeakyReLU(0.2)]
        self.d = nn.Sequential(*down, nn.Flatten(), nn.Linear(math.prod(start), 1), nn.Flatten(0)).to(device)
        self.opt_g = torch.optim.Adam(self.g.parameters(), lr=1e-4, betas=(0.5, 0.9))
        self.opt_d = torch.optim.Adam(self.d.parameters(), lr=1e-4, betas=(0.5, 0.9))

    def step(self, real: Tensor) -> None:
        """Five critic steps with clips `[5, batch, ...]`, one of the generator."""
        for clips in real:
            with torch.no_grad():
                fake = self.g(self._latent(clips))
            loss = self.d(fake).mean() - self.d(clips).mean()
            loss = loss + 10.0 * (slope(self.d, clips, fake) - 1.0).square().mean()
            self.opt_d.zero_grad()
            loss.backward()
            self.opt_d.step()
        loss = -self.d(self.g(self._latent(real[0]))).mean()
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()

    @staticmethod
    def _latent(clips: Tensor) -> Tensor:
        return 2.0 * torch.rand(len(clips), LATENT, device=clips.device) - 1.0


# Ours


def progressive_task(size: Size, device: torch.device, *, fast: bool) -> GanTask:
    scales: Any = {"depths": size.depths, "factors": size.factors}
    config = GanConfig(
        generator=ProgressiveGeneratorConfig(start="gansynth", **scales),
        critics=(CriticEntry(ProgressiveCriticConfig(**scales)),),
        representation="mag-if",
        settings={"n_fft": size.n_fft, "hop_length": size.hop_length, "edges": "no-dc"},
        sample_rate=size.sample_rate,
        num_samples=size.num_samples,
        attributes=("pitch",),
        loss=LossConfig(
            "wgan",
            gradient_penalty=10.0,
            drift=0.001,
            reduction="sum",
            class_weight_critic=1.0,
            class_weight_generator=1.0,
            penalty_every=LAZY if fast else 1,
        ),
    )
    return task_of(
        config, {"pitch": tuple(map(str, range(40, 40 + PITCHES)))}, (0.0, 0.99), device, fast=fast
    )


def specgan_task(size: Size, device: torch.device, *, fast: bool) -> GanTask:
    config = GanConfig(
        generator=SpecGanGeneratorConfig(channels=size.specgan_channels),
        critics=(CriticEntry(SpecGanCriticConfig(channels=size.specgan_channels)),),
        representation="interns2020-mag",
        settings={"n_fft": size.n_fft // 2, "hop_length": size.hop_length // 2}
        if size.n_fft > 128
        else {"n_fft": size.n_fft, "hop_length": size.hop_length},
        sample_rate=size.sample_rate,
        num_samples=size.specgan_samples,
        latent="uniform",
        loss=LossConfig(
            "wgan", gradient_penalty=10.0, critic_steps=CRITIC_STEPS, penalty_every=LAZY if fast else 1
        ),
    )
    return task_of(config, {}, (0.5, 0.9), device, fast=fast)


def residual_task(size: Size, device: torch.device, loss: LossConfig) -> GanTask:
    channels = size.depths[1:]
    config = GanConfig(
        generator=ResidualGeneratorConfig(channels=channels),
        critics=(CriticEntry(ResidualCriticConfig(channels=channels[::-1])),),
        representation="mag-if",
        settings={"n_fft": size.n_fft, "hop_length": size.hop_length, "edges": "no-dc"},
        sample_rate=size.sample_rate,
        num_samples=size.num_samples,
        loss=loss,
    )
    return task_of(config, {}, (0.0, 0.99), device, fast=False)


def task_of(
    config: GanConfig,
    classes: dict[str, tuple[str, ...]],
    betas: tuple[float, float],
    device: torch.device,
    *,
    fast: bool,
) -> GanTask:
    sounds = SoundGenerator(config, classes).to(device)
    update = UpdateConfig(
        ScheduleConfig(1e-3 if classes else 1e-4, "constant"),
        1_000_000,
        optimizer="adam",
        clip_norm=0.0,
        precision=Precision.BF16 if fast else Precision.FP32,
        betas=betas,
    )
    return GanTask(sounds, ears_of(sounds, [None]), update, None, device)


# Measuring


@dataclasses.dataclass
class Contestant:
    """Something that makes steps, and the seconds of those that it made."""

    name: str
    step: Callable[[int], object]
    clips: int
    seconds: list[float] = dataclasses.field(default_factory=list)
    every: int = 1
    """Steps that are one measurement: as many as it takes for all sorts of steps to occur."""

    @property
    def clips_per_second(self) -> float:
        """Real clips that the critics are shown."""
        return self.clips * self.every / statistics.median(self.seconds)


def race(contestants: list[Contestant], num_steps: int, device: torch.device) -> None:
    """Steps of all in turns, after two to warm up."""
    counts = dict.fromkeys(range(len(contestants)), 0)
    for turn in range(-2, num_steps):
        for place, each in enumerate(contestants):
            begun_s = now_s(device)
            for _ in range(each.every):
                counts[place] += 1
                each.step(counts[place])
            if turn >= 0:
                each.seconds.append(now_s(device) - begun_s)


def now_s(device: torch.device) -> float:
    """Of the processor on a CPU, of the clock on a GPU once it has nothing left to do."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def progressive_race(size: Size, device: torch.device) -> list[Contestant]:
    equal, fast = (progressive_task(size, device, fast=each) for each in (False, True))
    audio = 0.3 * torch.randn(1, size.batch, size.num_samples, device=device)
    pitch = torch.arange(size.batch, device=device) % PITCHES
    batch = ClipBatch(audio, {"pitch": pitch[None]})
    features = equal.ears[0].real(audio[0])
    plain = PlainProgressive(tuple(features.shape[1:]), size.depths, device)
    plain.step(features, pitch)
    equal.update(batch, step=1)
    assert_equal(plain.g, equal.generator)
    assert_equal(plain.d, equal.critics)
    return [
        Contestant("plain", lambda step: plain.step(features, pitch), size.batch),
        Contestant("equal", lambda step: equal.update(batch, step=step), size.batch),
        Contestant("faster", lambda step: fast.update(batch, step=step), size.batch, every=LAZY),
    ]


def specgan_race(size: Size, device: torch.device) -> list[Contestant]:
    equal, fast = (specgan_task(size, device, fast=each) for each in (False, True))
    audio = 0.3 * torch.randn(CRITIC_STEPS, size.batch, size.specgan_samples, device=device)
    features = torch.stack([equal.ears[0].real(each) for each in audio])
    plain = PlainSpecGan(tuple(features.shape[2:]), size.specgan_channels, device)
    batch = ClipBatch(audio, {})
    plain.step(features)
    equal.update(batch, step=1)
    assert_equal(plain.g, equal.generator)
    assert_equal(plain.d, equal.critics)
    clips = size.batch * CRITIC_STEPS
    return [
        Contestant("plain", lambda step: plain.step(features), clips),
        Contestant("equal", lambda step: equal.update(batch, step=step), clips),
        Contestant("faster", lambda step: fast.update(batch, step=step), clips, every=LAZY),
    ]


def penalty_race(size: Size, device: torch.device) -> list[Contestant]:
    batch = ClipBatch(0.3 * torch.randn(1, size.batch, size.num_samples, device=device), {})
    penalties: dict[str, dict[str, Any]] = {
        "none": {},
        "exact": {"r1": 5.0, "r2": 5.0},
        "lazy": {"r1": 5.0, "r2": 5.0, "penalty_every": LAZY},
        "finite": {"r1": 5.0, "r2": 5.0, "penalty_method": "finite-difference"},
    }

    def contestant(name: str, options: dict[str, Any]) -> Contestant:
        task = residual_task(size, device, LossConfig("relativistic", **options))
        every = LAZY if name == "lazy" else 1
        return Contestant(name, lambda step: task.update(batch, step=step), size.batch, every=every)

    return [contestant(name, options) for name, options in penalties.items()]


def assert_equal(plain: nn.Module, ours: nn.Module) -> None:
    """As many weights that learn, or the race is not fair; a network that grows has more, of other scales."""
    counts = [
        sum(each.numel() for each in network.parameters() if each.grad is not None)
        for network in (plain, ours)
    ]
    assert counts[0] == counts[1] > 0, counts


def show(name: str, contestants: list[Contestant]) -> None:
    base = contestants[0].clips_per_second
    for each in contestants:
        spread = statistics.quantiles(each.seconds, n=4)
        print(
            f"{name:12} {each.name:8} {each.clips_per_second:9.1f} clips/s   {each.clips_per_second / base:5.2f} x   "
            f"a step {1e3 * statistics.median(each.seconds) / each.every:8.1f} ms "
            f"({1e3 * spread[0] / each.every:.1f} to {1e3 * spread[2] / each.every:.1f})"
        )


def profile(contestants: list[Contestant]) -> None:
    """Where the time of a step goes."""
    for each in contestants:
        with torch.profiler.profile() as found:
            each.step(LAZY + 1)
        print(each.name)
        print(
            found.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=40)
        )


RACES = {"progressive": progressive_race, "specgan": specgan_race, "penalties": penalty_race}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=15, help="measurements of each contestant")
    parser.add_argument("--only", default="", choices=("", *RACES))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = devices.pick_device(options.device)
    print(f"{options.size}, {devices.describe()}, torch {torch.__version__}")
    for name, prepare in RACES.items():
        if options.only in ("", name):
            contestants = prepare(SIZES[options.size], device)
            race(contestants, options.steps, device)
            show(name, contestants)
            if options.profile:
                profile(contestants)


if __name__ == "__main__":
    main()
