"""Envelope generators in files, for the tests of what is done with them."""

from pathlib import Path

import torch
from torch import nn

from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.told.envelope import (
    EnvelopeCriticConfig,
    EnvelopeGenerator,
    EnvelopeGeneratorConfig,
)
from retimbre.gan.sounds import SoundGenerator, save_generator

RATE = 8_000
CLASSES = {"attack": ("0", "0.2", "0.4"), "sustain": ("1", "0.7", "0.4"), "release": ("0", "0.2", "0.4")}


def envelope_file(path: Path, *, classes=None, exact: bool = False) -> Path:
    """A checkpoint with weights drawn by chance, told a curve or classes; `exact` multiplies sound and curve."""
    told = {"sound": 256} if classes else {"sound": 256, "envelope": 256}
    config = GanConfig(
        generator=EnvelopeGeneratorConfig(channels=4, blocks=1, taps=3),
        critics=(CriticEntry(EnvelopeCriticConfig(channels=4)),),
        sample_rate=RATE,
        num_samples=256,
        latent_dim=2,
        attributes=tuple(classes or ()),
        conditions=told,
    )
    torch.manual_seed(0)
    sounds = SoundGenerator(config, classes or {}).eval()
    network = sounds.network
    assert isinstance(network, EnvelopeGenerator)
    if exact:
        nn.init.dirac_(network.gain.filter.weight)
    else:
        nn.init.normal_(network.speak.weight, std=0.1)
    save_generator(path, sounds, facts={"seed": 0})
    return path
