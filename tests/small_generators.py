"""Generators for the tests of what is done with generators: small ones in files, and one whose notes are known."""

import math
from pathlib import Path

import torch
from torch import Tensor

from retimbre.gan.base import Form, Generator, Labels
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.sounds import SoundGenerator, save_generator
from retimbre.workflows.generate.player import Player

RATE = 8_000
SAMPLES = 2_000
LATENT = 6
KEYS = tuple(str(key) for key in range(55, 68))
NOTES = {"pitch": KEYS, "velocity": ("25", "75", "127"), "family": ("brass", "keyboard", "reed")}
DIGITS = {"word": ("zero", "one", "two")}


def generator(classes=NOTES, seed=0, num_samples=SAMPLES, latent="normal", conditions=None) -> SoundGenerator:
    """A generator of samples with weights drawn by chance: every latent and label has a sound of its own."""
    config = GanConfig(
        generator=DenseGeneratorConfig(width=16, depth=1),
        critics=(CriticEntry(DenseCriticConfig()),),
        sample_rate=RATE,
        num_samples=num_samples,
        latent_dim=LATENT,
        latent=latent,
        attributes=tuple(classes),
        conditions=conditions or {},
    )
    torch.manual_seed(seed)
    return SoundGenerator(config, classes).eval()


def generator_file(path: Path, classes=NOTES, seed=0, gain=1.0) -> Path:
    """A checkpoint with averaged and raw weights, which differ; a gain makes its sounds louder."""
    sounds = generator(classes, seed)
    with torch.no_grad():
        last = sounds.network.layers[-1]
        last.weight.mul_(gain)
        last.bias.mul_(gain)
    raw = {name: 0.5 * tensor for name, tensor in sounds.network.state_dict().items()}
    save_generator(path, sounds, facts={"seed": seed}, raw_state=raw)
    return path


class Tones(Generator):
    """Notes with known answers: sines at the pitch of their key, with the whole attack in the first sample."""

    def __init__(self, form: Form, decay_s: float) -> None:
        super().__init__(form)
        self.decay_s = decay_s

    def forward(self, latent: Tensor, labels: Labels) -> Tensor:
        time_s = torch.arange(self.form.shape[-1]) / RATE
        key = torch.tensor([int(self.form.classes["pitch"][place]) for place in labels["pitch"]])
        pitch_hz = 440.0 * 2.0 ** ((key - 69) / 12)
        wave = torch.cos(2.0 * math.pi * pitch_hz[:, None] * time_s)
        return (wave * torch.exp(-time_s / self.decay_s))[:, None]


def tone_player(classes=NOTES, decay_s: float = 0.05, num_samples: int = SAMPLES) -> Player:
    """A player of `Tones`; its latents change nothing."""
    sounds = generator(classes, num_samples=num_samples)
    sounds.network = Tones(sounds.form, decay_s)
    return Player(sounds, "tones")
