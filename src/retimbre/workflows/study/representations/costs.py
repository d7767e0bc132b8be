"""What it takes to make a sound: milliseconds of a clip through the network, and through the way back to audio.

A representation whose way back is an estimate of phases may cost more than the network does. Both are timed on batches
like those that are heard, by the clock of the study (`spent.py`); the fastest of several calls counts, since all else
on a machine only adds to the time.
"""

import dataclasses
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from retimbre.gan.sounds import SoundGenerator
from retimbre.workflows.study.representations.spent import spent_s

_CLIPS = 32
_ENOUGH_S, _MOST_CALLS = 1.0, 10


@final
@dataclasses.dataclass(frozen=True)
class Costs:
    """Milliseconds of a clip.

    Attributes:
        generation_ms: From the latent to features.
        inversion_ms: From features to audio.
    """

    generation_ms: float
    inversion_ms: float


@torch.no_grad()
def costs_of(sounds: SoundGenerator, device: torch.device) -> Costs:
    """Times a generator in evaluation mode, on the device that it is on."""
    latent = sounds.draw_latents(_CLIPS, seed=0, purpose="costs").to(device)
    labels = {name: classes.to(device) for name, classes in sounds.labels(_CLIPS, {}).items()}
    features = sounds.network.enlarge(sounds.network(latent, labels))
    return Costs(
        _fastest_ms(lambda: sounds.network.enlarge(sounds.network(latent, labels)), device),
        _fastest_ms(lambda: sounds.heard(features), device),
    )


def _fastest_ms(call: Callable[[], Tensor], device: torch.device) -> float:
    """Milliseconds of a clip in the fastest of some calls, after one that builds what is built once."""
    call()
    times: list[float] = []
    while not times or (sum(times) < _ENOUGH_S and len(times) < _MOST_CALLS):
        begun_s = spent_s(device)
        call()
        times.append(spent_s(device) - begun_s)
    return 1e3 * min(times) / _CLIPS
