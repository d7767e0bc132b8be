"""The envelope set: plain waves before and after an envelope, with labels that are exact because they made it.

An envelope says how loud a note is while it lasts: it rises (attack), may fall to a level (decay), stays there
(sustain) and dies away (release). A network that is to put envelopes on sounds learns from pairs: the *basic* signal,
the *target* under an envelope, and the envelope's numbers. Attack, decay and release are fractions of the clip, the
sustain is a level. With clips of L samples, and lengths A = floor(a L) + 1 and likewise D and R, the gain is

    n / (A - 1)                            n < A, a line from 0 to 1; where A is 1, just 0
    1 - (1 - s) (n - A) / (D - 1)          A <= n < A + D, a line from 1 to s; left out in sets without decay
    s                                      until L - R
    s (1 - (n - (L - R)) / (R - 1))        the last R samples, a line from s to 0; where R is 1, just s

The defaults are the toy set of the earlier envelope system: 128 samples, 12 cycles of sine, sawtooth or square, a phase
jitter of 0.2 rad and noise of 0.05 at each sample (both uniform), three attacks, sustains and releases with equal odds,
and no decay: the level jumps. Everything may be changed: length and rate, pitches, carriers, and *continuous* envelopes
that lie anywhere between the least and the largest value of each list.

Nothing is kept: example i is a function of (seed, settings, i), made when it is asked for, in any order, in any
batch, on any device.

References:
    The earlier system: https://github.com/eoin-og/NeuroSynth
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError, near_miss
from retimbre.corpora.envelopes.carriers import CARRIERS, Course

STAGES = ("attack", "decay", "sustain", "release")

# Cycles in a clip of the earlier system: 12 in 128 samples.
_SAMPLES_PER_CYCLE = 10


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeSettings:
    """What the examples of a set are drawn from.

    Attributes:
        num_samples: Length of a clip.
        sample_rate: In hertz; says at which pitch the cycles are heard, and nothing else.
        attacks: Fractions of the clip.
        decays: Fractions of the clip; empty stands for no such stage.
        sustains: Levels, 0 to 1.
        releases: Fractions of the clip.
        continuous: Whether envelopes lie anywhere between the least and the largest of each list.
        carriers: Names in `CARRIERS`, with equal odds.
        cycles: The fewest and the most cycles in a clip; between them all pitch intervals have equal odds.
        jitter_rad: The largest shift of a sample's phase, either way.
        noise: The largest noise at a sample of the basic signal, either way.
    """

    num_samples: int = 128
    sample_rate: int = 16_000
    attacks: tuple[float, ...] = (0.0, 0.2, 0.4)
    decays: tuple[float, ...] = ()
    sustains: tuple[float, ...] = (1.0, 0.7, 0.4)
    releases: tuple[float, ...] = (0.0, 0.2, 0.4)
    continuous: bool = False
    carriers: tuple[str, ...] = ("sine", "sawtooth", "square")
    cycles: tuple[float, float] = (12.0, 12.0)
    jitter_rad: float = 0.2
    noise: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values out of range, and envelopes longer than a clip."""
        if self.num_samples < 2 or self.sample_rate < 1:
            raise ConfigError(
                f"a clip has 2 samples at least, and a rate: {self.num_samples}, {self.sample_rate} Hz"
            )
        _check_levels(self)
        _check_carriers(self)
        longest = sum(self._longest(values) for values in (self.attacks, self.decays, self.releases))
        if longest > self.num_samples:
            raise ConfigError(
                f"the longest attack, decay and release take {longest} samples together, "
                f"but a clip has {self.num_samples}"
            )

    @property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """The values of each stage that the set has, in the order of the labels."""
        lists = dict(zip(STAGES, (self.attacks, self.decays, self.sustains, self.releases), strict=True))
        return {stage: values for stage, values in lists.items() if values}

    def _longest(self, values: tuple[float, ...]) -> int:
        return int(max(values) * self.num_samples) + 1 if values else 0


def default_cycles(num_samples: int) -> tuple[float, float]:
    """The cycles in a clip of some length as the earlier system has them, one in ten samples."""
    cycles = float(max(1, num_samples // _SAMPLES_PER_CYCLE))
    return cycles, cycles


def _check_levels(settings: EnvelopeSettings) -> None:
    for stage in STAGES:
        values = settings.levels.get(stage, ())
        if not values and stage != "decay":
            raise ConfigError(f"{stage}s is empty; it takes one value at least")
        if not all(0 <= value <= 1 for value in values):
            raise ConfigError(f"{stage}s are numbers from 0 to 1, not {', '.join(map(str, values))}")
        if len(set(values)) < len(values):
            raise ConfigError(f"{stage}s has a value twice: {', '.join(map(str, values))}")


def _check_carriers(settings: EnvelopeSettings) -> None:
    if not settings.carriers:
        raise ConfigError("carriers is empty; it takes one name at least")
    for name in settings.carriers:
        if name not in CARRIERS:
            raise ConfigError(f"there is no carrier {name!r}; {near_miss(name, CARRIERS)}")
    fewest, most = settings.cycles
    if not 0 < fewest <= most < settings.num_samples / 2:
        raise ConfigError(
            f"cycles in a clip are more than 0 and fewer than half its {settings.num_samples} samples, "
            f"the fewest first, not {fewest:g} to {most:g}"
        )
    if not (0 <= settings.jitter_rad < math.inf and 0 <= settings.noise < math.inf):
        raise ConfigError(f"jitter and noise are 0 or more, not {settings.jitter_rad} and {settings.noise}")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class EnvelopeLabels:
    """What is known about some examples.

    Attributes:
        values: Attack, decay, sustain and release; the decay is 0 in a set without.
        classes: The place of each value in its list, in the order of `EnvelopeSettings.levels`; in a continuous set
            of the nearest one.
        carrier: The place of the carrier in the settings' list.
        cycles: In the clip.
    """

    values: Float[Tensor, "rows 4"]
    classes: Int[Tensor, "rows stages"]
    carrier: Int[Tensor, " rows"]
    cycles: Float[Tensor, " rows"]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class EnvelopeBatch:
    """Some examples.

    Attributes:
        target: The basic signal under its envelope.
        basic: The carrier with its noise.
    """

    target: Float[Tensor, "rows samples"]
    basic: Float[Tensor, "rows samples"]
    labels: EnvelopeLabels


@final
@dataclasses.dataclass(frozen=True)
class EnvelopeCorpus:
    """All examples of some settings; as many as anyone asks for."""

    settings: EnvelopeSettings = dataclasses.field(default_factory=EnvelopeSettings)

    def batch(self, rows: Int[Tensor, " rows"]) -> EnvelopeBatch:
        """The examples of these numbers, in this order, on their device."""
        labels = self.labels(rows)
        basic = self._basic(rows, labels)
        gain = envelopes(labels.values, self.settings.num_samples, has_decay=bool(self.settings.decays))
        return EnvelopeBatch((basic * gain).float(), basic.float(), labels)

    def labels(self, rows: Int[Tensor, " rows"]) -> EnvelopeLabels:
        """What is known about the examples of these numbers."""
        settings = self.settings
        values, classes = _drawn_values(settings, rows)
        draws = random.uniform(settings.seed, "envelope carrier", rows, 2)
        fewest, most = settings.cycles
        cycles = fewest * torch.exp(draws[:, 1] * math.log(most / fewest))
        return EnvelopeLabels(values, classes, (draws[:, 0] * len(settings.carriers)).long(), cycles)

    def _basic(self, rows: Int[Tensor, " rows"], labels: EnvelopeLabels) -> Float[Tensor, "rows samples"]:
        """The signals before their envelopes, in float64."""
        settings, length, seed = self.settings, self.settings.num_samples, self.settings.seed
        sample = torch.arange(length, device=rows.device, dtype=labels.cycles.dtype)
        jitter = (2 * random.uniform(seed, "envelope jitter", rows, length) - 1) * settings.jitter_rad
        phase = labels.cycles[:, None] * sample / length + jitter / (2 * math.pi)
        basic = (2 * random.uniform(seed, "envelope noise", rows, length) - 1) * settings.noise
        for index, name in enumerate(settings.carriers):
            here = torch.nonzero(labels.carrier == index).flatten()
            if len(here):
                course = Course(phase[here], labels.cycles[here] / length, seed, rows[here])
                basic[here] += CARRIERS[name](course)
        return basic


def envelopes(
    values: Float[Tensor, "rows 4"], num_samples: int, *, has_decay: bool
) -> Float[Tensor, "rows samples"]:
    """The gain of each sample: the formula at the top of this page.

    Args:
        values: Attack, decay, sustain and release.
        has_decay: Whether there is such a stage; a decay of 0 still takes a sample, as an attack of 0 does.
    """
    attack, decay, release = (torch.floor(values[:, stage, None] * num_samples) + 1 for stage in (0, 1, 3))
    decay = decay if has_decay else torch.zeros_like(decay)
    sustain = values[:, 2, None]
    sample = torch.arange(num_samples, device=values.device, dtype=values.dtype)
    release_start = num_samples - release
    # A line over one sample is its beginning, so a length of 0 between two samples counts as 1.
    rising = sample / (attack - 1).clamp_min(1)
    falling = 1 - (1 - sustain) * (sample - attack) / (decay - 1).clamp_min(1)
    fading = sustain * (1 - (sample - release_start) / (release - 1).clamp_min(1))
    gain = torch.where(sample < attack + decay, falling, sustain)
    gain = torch.where(sample < attack, rising, gain)
    return torch.where(sample >= release_start, fading, gain)


def one_hot(classes: Int[Tensor, "rows stages"], settings: EnvelopeSettings) -> Float[Tensor, "rows width"]:
    """The labels as blocks of zeros with a one at the class, a block per stage, in the order of `settings.levels`."""
    counts = [len(values) for values in settings.levels.values()]
    blocks = [torch.nn.functional.one_hot(classes[:, i].long(), count) for i, count in enumerate(counts)]
    return torch.cat(blocks, dim=1).float()


def time_index(num_samples: int) -> Float[Tensor, " samples"]:
    """Where in the clip each sample is, from -1 to 1: a channel that tells a convolution where it is.

    The earlier system counted 0 to 127 here, which drowned the signals beside it.
    """
    return torch.linspace(-1.0, 1.0, num_samples)


def _drawn_values(
    settings: EnvelopeSettings, rows: Int[Tensor, " rows"]
) -> tuple[Float[Tensor, "rows 4"], Int[Tensor, "rows stages"]]:
    draws = random.uniform(settings.seed, "envelope", rows, len(STAGES))
    values = torch.zeros_like(draws)
    classes = []
    for stage, levels in settings.levels.items():
        column = STAGES.index(stage)
        choices = torch.tensor(levels, dtype=draws.dtype, device=draws.device)
        if settings.continuous:
            low, high = choices.min(), choices.max()
            values[:, column] = low + (high - low) * draws[:, column]
            classes.append((values[:, column, None] - choices).abs().argmin(dim=1))
        else:
            classes.append((draws[:, column] * len(levels)).long())
            values[:, column] = choices[classes[-1]]
    return values, torch.stack(classes, dim=1)
