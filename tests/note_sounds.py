"""Sounds with known answers, for the tests of note measures."""

import math

import torch
from torch import Tensor

from retimbre.core.random import generator

RATE = 16_000


def times_s(seconds: float = 1.0, rate: int = RATE) -> Tensor:
    return torch.arange(round(seconds * rate), dtype=torch.float64) / rate


def tone(pitch_hz: float, partials: int = 8, *, seconds: float = 1.0, rate: int = RATE) -> Tensor:
    """A steady harmonic tone, each partial 3 dB below the one before, in float64."""
    return stretched(pitch_hz, 0.0, partials, seconds=seconds, rate=rate)


def stretched(
    fundamental_hz: float, stretch: float, partials: int, *, seconds: float = 1.0, rate: int = RATE
) -> Tensor:
    """Partials at k f0 sqrt(1 + B k^2) below the Nyquist frequency."""
    sound = torch.zeros(round(seconds * rate), dtype=torch.float64)
    for k in range(1, partials + 1):
        partial_hz = k * fundamental_hz * math.sqrt(1 + stretch * k * k)
        if partial_hz < 0.47 * rate:
            sound += 0.7**k * torch.sin(2 * math.pi * partial_hz * times_s(seconds, rate) + k)
    return 0.3 * sound


def noise(clips: int = 1, num_samples: int = RATE, *, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(clips, num_samples, generator=generator(seed, "note noise", clips, num_samples))


def oddities(rate: int = RATE) -> dict[str, Tensor]:
    """Sounds that have hardly any property of a note, one second each."""
    clipped = (20 * tone(220.0, rate=rate)).clamp(-1, 1)
    click = torch.zeros(rate, dtype=torch.float64)
    click[rate // 2] = 1.0
    return {
        "silence": torch.zeros(rate),
        "offset": torch.full((rate,), 0.5),
        "noise": noise(1, rate)[0],
        "click": click.float(),
        "clipped": clipped.float(),
        "full scale": torch.ones(rate).where(torch.arange(rate) % 64 < 32, -1.0),
        "faint": (1e-6 * tone(220.0, rate=rate)).float(),
    }
