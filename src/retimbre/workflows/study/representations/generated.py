"""The sounds of a generator, for the judgement and for listening.

A contestant is asked for the keys of real notes, one sound for each, from latents of its seed. For the page it plays a
few keys from low to high from one latent: an instrument, if it has learned what one is.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp import audiofile
from retimbre.dsp.level import normalise_peak
from retimbre.gan.sounds import SoundGenerator
from retimbre.workflows.evaluation.sets.clips import ClipLabels, HeldClips

_AT_ONCE = 64
_PLAYED = 4  # keys on the page
_PEAK = 0.9


def sounds_for(sounds: SoundGenerator, keys: tuple[int, ...], seed: int, name: str) -> HeldClips:
    """A set with a sound for each key."""
    latent = sounds.draw_latents(len(keys), seed=seed, purpose="study")
    return HeldClips(name, _played(sounds, latent, keys), sounds.sample_rate, ClipLabels(pitch=keys))


def keys_played(pitches: tuple[int, int]) -> tuple[int, ...]:
    """Some keys evenly from the lowest to the highest."""
    lowest, highest = pitches
    return tuple(round(lowest + (highest - lowest) * place / (_PLAYED - 1)) for place in range(_PLAYED))


def write_scale(folder: Path, sounds: SoundGenerator, pitches: tuple[int, int]) -> None:
    """Writes the sounds of some keys from one latent, `060.wav` and so on."""
    keys = keys_played(pitches)
    latent = sounds.draw_latents(1, seed=0, purpose="study page").expand(len(keys), -1)
    for key, samples in zip(keys, _played(sounds, latent, keys), strict=True):
        write_note(folder, key, samples, sounds.sample_rate)


def write_note(folder: Path, key: int, samples: Float[Tensor, " samples"], sample_rate: int) -> None:
    """Writes a sound of the page, at the peak that all have."""
    path = folder / f"{key:03d}.wav"
    audiofile.write(path, normalise_peak(samples, to=_PEAK), sample_rate, integers=True)


@torch.no_grad()
def _played(
    sounds: SoundGenerator, latent: Float[Tensor, "notes latent"], keys: Sequence[int]
) -> Float[Tensor, "notes samples"]:
    """The sounds of some latents at some keys, on the CPU."""
    device = next(sounds.network.parameters()).device
    labels = sounds.labels(len(keys), {"pitch": list(keys)})
    parts = []
    for first in range(0, len(keys), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        asked = {name: classes[rows].to(device) for name, classes in labels.items()}
        parts.append(sounds(latent[rows].to(device), asked).cpu())
    return torch.cat(parts)
