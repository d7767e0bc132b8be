"""The envelope GAN learns: what the tiny run file trains beats what it began with, and its critic hears classes."""

import statistics
from pathlib import Path

import pytest
import torch
from checked_steps import every_tenth_step_checked

from retimbre.gan.classification import class_accuracy
from retimbre.gan.networks.told.envelope import EnvelopeGenerator
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.gan.task import GanTask
from retimbre.metrics.notes.envelope import envelope_error_db
from retimbre.training import devices
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.gan import GAN
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

RUNS = Path(__file__).resolve().parents[2] / "runs"


def run_of(name, *options) -> GanRun:
    config = read_run(RUNS / name, options)
    assert isinstance(config, GanRun)
    return config


def error_db(sounds: SoundGenerator, config: GanRun, *, shuffled: bool = False) -> float:
    """The median over held-out clips of the error of the envelope, by the power of 32 samples at a time."""
    pool = clip_pool(config.data, config.task, "valid", most=100, seed=config.seed)
    rows = torch.arange(len(pool))
    told = pool.told(rows.flip(0) if shuffled else rows, torch.device("cpu"))
    told["sound"] = pool.told(rows, torch.device("cpu"))["sound"]
    with torch.no_grad():
        made = sounds(sounds.draw_latents(len(pool), seed=0), told)
    powers = [each.unflatten(1, (-1, 32)).square().mean(dim=2) for each in (made, pool.audio(rows))]
    return float(envelope_error_db(*powers).known.median())


def drawn(config: GanRun, seed: int) -> SoundGenerator:
    """The network before it learned anything."""
    torch.manual_seed(seed)
    return SoundGenerator(config.task, {}).eval()


@pytest.mark.slow
def test_the_tiny_run_learns_envelopes_of_waves_that_it_never_heard(tmp_path):
    config = run_of("tiny/envelope.toml")
    with every_tenth_step_checked() as told:
        manifest = train(RUNS / "tiny/envelope.toml", tmp_path, device="cpu", progress=told)
    assert manifest["finished"]
    sounds = load_generator(tmp_path)
    assert isinstance(sounds.network, EnvelopeGenerator)
    learned = error_db(sounds, config)
    # Measured: 0.1 dB; what another seed's steps change is a tenth of that.
    assert learned < 0.5
    # How far off a network begins is luck, so several are asked.
    untrained = statistics.median(error_db(drawn(config, seed), config) for seed in range(5))
    assert learned < 0.2 * untrained
    assert learned < 0.2 * error_db(sounds, config, shuffled=True)


@pytest.mark.slow
def test_the_critic_hears_all_nine_classes_of_the_toy_s_real_clips():
    config = run_of("neurosynth.toml", "data.notes=2048", "train.steps=350", "data.validation_clips=2")
    devices.restart_random(0, "test", 0)
    prepared = GAN.prepare(config, Session(Path(), device="cpu"))
    task = prepared.task
    assert isinstance(task, GanTask)
    for step in range(1, config.train.steps + 1):
        task.update(prepared.batch_at(step), step=step)
    pool = clip_pool(config.data, config.task, "train", most=300, seed=1)  # another seed, so other clips
    rows = torch.arange(len(pool))
    told = pool.told(rows, torch.device("cpu"))
    (ear,) = task.ears
    with torch.no_grad():
        verdict = ear.critic(ear.real(pool.audio(rows)), ear.told(told))
    heard = class_accuracy(verdict.classes, told)
    assert set(heard) == {"attack", "sustain", "release"}
    # Measured: attack 0.98, sustain 1.00, release 0.94. Chance is 1/3.
    assert min(float(share) for share in heard.values()) > 0.9
