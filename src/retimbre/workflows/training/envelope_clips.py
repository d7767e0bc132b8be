"""Sounds before and after an envelope as a GAN's clips, with the sound and the curve as conditions.

The clips are those of the envelope corpus (`corpora.envelopes`), made when a run begins. What validates and tests is
held out by *waveform*: its waves are others than those that were learned from, and where they are drawn (wavetables,
pulses), they are drawn anew. A network that has learned how an envelope looks on a sine, a sawtooth and a square has
not shown that it can put one on a sound.

Classes are the places of attack, decay, sustain and release in the lists of the run file. Half of the clips, if nothing
else is said, have a drawn curve in their place (`corpora.envelopes.curves`): these have no classes, so runs with
attributes leave them out.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError, near_miss
from retimbre.corpora.envelopes.corpus import EnvelopeCorpus, EnvelopeSettings, envelopes
from retimbre.corpora.envelopes.curves import drawn_curves
from retimbre.data.splits import Split

_AT_ONCE = 256

# Numbers of the first example of each part: a part never reaches the next.
_FIRST: dict[Split, int] = {"train": 0, "validation": 1 << 40, "test": 1 << 41}


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ShapedClips:
    """Some clips.

    Attributes:
        target: The sound under its envelope, in [-1, 1].
        sound: The sound alone.
        curve: The gain of each sample.
        classes: The places of attack, decay, sustain and release in the lists; the nearest where they are continuous.
        carriers: The wave of each clip.
    """

    target: Float[Tensor, "clips samples"]
    sound: Float[Tensor, "clips samples"]
    curve: Float[Tensor, "clips samples"]
    classes: dict[str, Int[Tensor, " clips"]]
    carriers: list[str]


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeClips:
    """[data.envelopes]: which sounds and which envelopes."""

    carriers: tuple[str, ...] = ("sine", "sawtooth", "square", "wavetable", "noise")
    """Waves that are learned from."""
    held_out: tuple[str, ...] = ("triangle", "inverted-sawtooth", "pulse", "fm", "wavetable")
    """Waves of the other parts; a wave that is drawn for each clip may be in both lists."""
    attacks: tuple[float, ...] = (0.0, 0.2, 0.4)
    """Fractions of the clip."""
    decays: tuple[float, ...] = ()
    """Fractions of the clip; empty for no such stage."""
    sustains: tuple[float, ...] = (1.0, 0.7, 0.4)
    """Levels, 0 to 1."""
    releases: tuple[float, ...] = (0.0, 0.2, 0.4)
    """Fractions of the clip."""
    continuous: bool = False
    """Whether these lie anywhere between the least and the largest of each list."""
    drawn: float = 0.5
    """The part of the clips that have a drawn curve in their place."""
    lowest_hz: float = 0.0
    """Of the pitches, between which all intervals have equal odds; 0 for a cycle in ten samples."""
    highest_hz: float = 0.0
    """The highest pitch; 0 for the lowest."""
    jitter_rad: float = 0.2
    """The largest shift of a sample's phase."""
    noise: float = 0.05
    """The largest noise at a sample of the sound."""

    def __post_init__(self) -> None:
        """Refuses a part that is none, and pitches the wrong way round."""
        if not 0.0 <= self.drawn <= 1.0:
            raise ConfigError(f"[data.envelopes] drawn is {self.drawn:g}; takes a part from 0 to 1")
        if self.highest_hz and not 0.0 < self.lowest_hz <= self.highest_hz:
            raise ConfigError(
                f"[data.envelopes] lowest_hz is {self.lowest_hz:g}; takes more than 0 and highest_hz, "
                f"{self.highest_hz:g}, at most"
            )

    def settings(self, part: Split, *, sample_rate: int, num_samples: int, seed: int) -> EnvelopeSettings:
        """The settings of the corpus for a part.

        Raises:
            ConfigError: There is no such wave, stage or level, or a pitch is half the sample rate or higher.
        """
        if not max(self.lowest_hz, self.highest_hz) < sample_rate / 2:
            raise ConfigError(
                f"[data.envelopes] pitches are {self.lowest_hz:g} to {self.highest_hz:g} Hz; takes fewer than "
                f"{sample_rate / 2:g}, half the sample rate"
            )
        seconds = num_samples / sample_rate
        lowest = self.lowest_hz * seconds or max(1.0, num_samples // 10)
        return EnvelopeSettings(
            num_samples=num_samples,
            sample_rate=sample_rate,
            attacks=self.attacks,
            decays=self.decays,
            sustains=self.sustains,
            releases=self.releases,
            continuous=self.continuous,
            carriers=self.carriers if part == "train" else self.held_out,
            cycles=(lowest, self.highest_hz * seconds or lowest),
            jitter_rad=self.jitter_rad,
            noise=self.noise,
            seed=seed,
        )

    def check_attributes(self, attributes: tuple[str, ...], settings: EnvelopeSettings) -> None:
        """Refuses attributes that the clips do not have.

        Raises:
            ConfigError: Names the attribute, or says that drawn curves have none.
        """
        for name in attributes:
            if name not in settings.levels:
                raise ConfigError(f"envelopes have no attribute {name!r}; {near_miss(name, settings.levels)}")
        if attributes and self.drawn:
            raise ConfigError(
                f"[data.envelopes] drawn is {self.drawn:g}, but drawn curves have no {attributes[0]}; takes 0 where "
                "[task] has attributes"
            )

    def clips(self, part: Split, settings: EnvelopeSettings, count: int) -> ShapedClips:
        """The first clips of a part."""
        numbers = torch.arange(count) + _FIRST[part]
        pieces = [self._some(settings, some) for some in numbers.split(_AT_ONCE)]
        return ShapedClips(
            torch.cat([piece.target for piece in pieces]),
            torch.cat([piece.sound for piece in pieces]),
            torch.cat([piece.curve for piece in pieces]),
            {stage: torch.cat([piece.classes[stage] for piece in pieces]) for stage in settings.levels},
            [carrier for piece in pieces for carrier in piece.carriers],
        )

    def _some(self, settings: EnvelopeSettings, rows: Int[Tensor, " rows"]) -> ShapedClips:
        made = EnvelopeCorpus(settings).batch(rows)
        curve = envelopes(made.labels.values, settings.num_samples, has_decay=bool(settings.decays))
        is_drawn = random.uniform(settings.seed, "envelope is drawn", rows, 1) < self.drawn
        curve = torch.where(is_drawn, drawn_curves(settings.seed, rows, settings.num_samples), curve).float()
        # Noise may lift a wave above 1, where files and pools end.
        sound = made.basic / (1.0 + settings.noise)
        classes = dict(zip(settings.levels, made.labels.classes.unbind(1), strict=True))
        carriers = [settings.carriers[int(place)] for place in made.labels.carrier]
        return ShapedClips(sound * curve, sound, curve, classes, carriers)
