"""A generator as a file that other programs play: numbers and classes go in, a sound comes out.

The graph holds all of it: the network at the stage to which it has grown, the statistics that scale its features, and
the way from features to samples. That way is a graph where it is a formula: the samples themselves, spectra in any
coordinates with their phases summed up from turns, mel-warped ones by the pseudo-inverse, lapped transforms. It is none
where phases are searched for, step by step (magnitudes, mel bands, cepstra), nor for the transforms whose bands each
have a length of their own (constant-Q). Of those the network alone can be exported, and makes features.

Every attribute is an input of its own, the number of a class for each row, and so is every condition: what was heard
before, a sound to be reshaped with the gain of each of its samples, keys of a piano. Audio among the conditions comes
in as audio, and its features are in the graph. Where these are phases they jump: of a cell that is all but silent, or
whose phase turns by half a revolution, the last bit decides. Then only what follows the features can be held to a
tolerance.

References:
    Engel et al. (2019), GANSynth, https://arxiv.org/abs/1902.08710 (magnitudes and turns of phase, and their inverse)
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.gan import sounds as gan_sounds
from retimbre.gan.conditions import CONDITIONS, told_to
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.representation.base import Representation
from retimbre.representation.coordinates import InstantaneousFrequency, Polar
from retimbre.representation.lapped import Mdct, Pqmf
from retimbre.representation.spectral import Spectral
from retimbre.representation.standardized import Standardized
from retimbre.representation.steps import Waveform
from retimbre.representation.warped import MelWarped
from retimbre.workflows.export.part import Part

KIND = gan_sounds.KIND

TOLERANCE = 1e-3
"""Of a sample at full scale: 60 dB below it."""

# Representations that are decoded by a formula.
_FORMULAS = (Waveform, Spectral, MelWarped, Mdct, Pqmf)

# Trials of conditions: how loud audio is, what share of keys is down, and for how many states.
_LOUDNESS, _SHARE_DOWN, _HELD_STATES = 0.3, 0.05, 32
_NUM_TRIALS = 3


def generator_parts(path: Path, name: str, network_only: bool) -> list[Part]:
    """A generator as one part."""
    return [generator_part(load_generator(path), name, network_only=network_only)]


def generator_part(sounds: SoundGenerator, name: str, *, network_only: bool = False) -> Part:
    """A generator as a part, from latents, classes and conditions to audio, or from features to features.

    Raises:
        ConfigError: Its features are turned to sound by more than a formula, and are not asked for.
    """
    if not network_only and not has_graph(sounds.representation):
        raise ConfigError(
            f"{name}: makes {sounds.config.representation!r}, which no graph turns to sound; --network-only exports "
            "the network that makes these features"
        )
    part = _part(sounds, name, hears_features=network_only, makes_features=network_only)
    if network_only or not _hears_phases(sounds):
        return part
    return dataclasses.replace(part, core=_part(sounds, name, hears_features=True, makes_features=False))


def _part(sounds: SoundGenerator, name: str, *, hears_features: bool, makes_features: bool) -> Part:
    told = (*sounds.classes, *sounds.conditions)
    return Part(
        name=name,
        module=GeneratorGraph(
            sounds, told, hears_features=hears_features, makes_features=makes_features
        ).eval(),
        inputs=_inputs(sounds, hears_features=hears_features),
        outputs={"features": "of one clip per row, as the representation encodes them, at full size"}
        if makes_features
        else {"audio": "one clip per row, mono, at sample_rate"},
        about=_about(sounds),
        trials=_trials(sounds, hears_features=hears_features),
        tolerance=TOLERANCE,
    )


def has_graph(representation: Representation) -> bool:
    """Whether features are turned to sound by a formula."""
    if isinstance(representation, Standardized):
        return has_graph(representation.inner)
    return isinstance(representation, _FORMULAS)


def _hears_phases(sounds: SoundGenerator) -> bool:
    """Whether it is told audio as features that jump: where there is next to nothing, the phase is that of rounding."""
    inner = sounds.representation
    inner = inner.inner if isinstance(inner, Standardized) else inner
    coordinates = inner.coordinates if isinstance(inner, Spectral | MelWarped) else None
    has_phases = isinstance(coordinates, Polar | InstantaneousFrequency)
    return has_phases and any(CONDITIONS[name].is_audio for name in sounds.conditions)


@final
class GeneratorGraph(nn.Module):
    """A generator as a function of tensors alone."""

    def __init__(
        self, sounds: SoundGenerator, told: tuple[str, ...], *, hears_features: bool, makes_features: bool
    ) -> None:
        """Stores what is needed.

        Args:
            sounds: The generator.
            told: Its attributes and conditions, in the order of the inputs.
            hears_features: Whether audio among the conditions comes as features already.
            makes_features: Whether features are what is wanted, and not sound.
        """
        super().__init__()
        self.sounds = sounds
        self.told = told
        self.hears_features = hears_features
        self.makes_features = makes_features

    def forward(
        self, latent: Float[Tensor, "batch latent"], *told: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """Latents, and classes and conditions in their order, to audio or features."""
        labels = dict(zip(self.told, told, strict=True))
        network = self.sounds.network
        made = network(latent, labels if self.hears_features else self.sounds.told(labels))
        features = network.enlarge(made)
        return features if self.makes_features else self.sounds.heard(features)


def _inputs(sounds: SoundGenerator, *, hears_features: bool) -> dict[str, str]:
    """Names and meanings."""
    audio = "as features of the representation" if hears_features else "mono, at sample_rate"
    meanings = {
        "history": f"what was heard before the clip, {audio}",
        "sound": f"the sound that is reshaped, {audio}",
        "envelope": "the gain of each sample, 0 to 1",
        "midi": "for each state the velocities of the 88 keys of a piano, 0 to 1 and 0 for up, and the pedal, 0 to 1",
    }
    drawn = {"normal": "from a normal distribution", "uniform": "evenly from -1 to 1"}[sounds.config.latent]
    return {
        "latent": f"random numbers that the clip is made from, drawn {drawn}",
        **{name: f"the class, as a place in classes[{name!r}]" for name in sounds.classes},
        **{name: meanings[name] for name in sounds.conditions},
    }


def _about(sounds: SoundGenerator) -> dict[str, Any]:
    config = sounds.config
    return {
        "kind": KIND,
        "network": config.generator.kind,
        "representation": config.representation,
        "sample_rate": config.sample_rate,
        "num_samples": config.num_samples,
        "latent_dim": config.latent_dim,
        "latent": config.latent,
        "classes": {name: list(names) for name, names in sounds.classes.items()},
        "conditions": {
            name: list(CONDITIONS[name].shape(length)) for name, length in sounds.conditions.items()
        },
        "stage": None if sounds.stage is None else dataclasses.asdict(sounds.stage),
    }


def _trials(sounds: SoundGenerator, *, hears_features: bool) -> dict[str, tuple[Tensor, ...]]:
    """Three clips at once and each alone: of the first class of every attribute, the middle one and the last."""
    source = generator(0, "export trials")
    told = {
        name: torch.linspace(0, len(names) - 1, _NUM_TRIALS).long() for name, names in sounds.classes.items()
    }
    told |= {name: _condition(name, length, source) for name, length in sounds.conditions.items()}
    if hears_features:
        told = dict(told_to(told, sounds.representation))
    rows = (sounds.draw_latents(_NUM_TRIALS, seed=0, purpose="export trials"), *told.values())
    alone = {f"row {row}": tuple(each[row : row + 1] for each in rows) for row in range(_NUM_TRIALS)}
    return {"batch": rows, **alone}


def _condition(name: str, length: int, source: torch.Generator) -> Float[Tensor, "trials ..."]:
    """Values of a condition for three clips; of audio noise, a tone and silence."""
    condition = CONDITIONS[name]
    if condition.is_audio:
        tone = torch.sin(0.1 * math.pi * torch.arange(length))
        return _LOUDNESS * torch.stack([torch.randn(length, generator=source), tone, torch.zeros(length)])
    if not condition.width:
        return torch.stack([torch.linspace(0.0, 1.0, length), torch.ones(length), torch.zeros(length)])
    shape = (_NUM_TRIALS, -(-length // _HELD_STATES), condition.width)
    down = torch.rand(shape, generator=source) < _SHARE_DOWN
    held = torch.where(down, torch.rand(shape, generator=source), 0.0)
    return held.repeat_interleave(_HELD_STATES, dim=1)[:, :length]
