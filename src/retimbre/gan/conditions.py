"""What a network can be told of a clip beside classes: conditions, which are signals.

A class says which of a few things is wanted; a condition says it sample by sample, or state by state:

    history    the last samples of what was heard before the clip, `[samples]`; the clip goes on from there
    sound      a sound of the clip's length, `[samples]`; the clip is that sound, reshaped
    envelope   how loud the clip is to be at each of its samples, 0 to 1, `[samples]`
    midi       which of the 88 keys of a piano are down in each of a row of states, and how hard they were struck, 0
               to 1, and the pedal in a last column, `[states, 89]`

Histories and sounds are audio. A network that works on spectrograms is told them as spectrograms, and one that works
on samples as samples: each gets the features of its own representation, the generator of what it makes and a critic of
what it hears. One array for all of them is what the study of conditional piano GANs handed its critics, which could
only take it for something else.

References:
    The study: https://github.com/googleinterns/audio-synthesis
    Isola et al. (2017), Image-to-image translation with conditional adversarial networks,
        https://arxiv.org/abs/1611.07004
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import final

import torch
from jaxtyping import Shaped
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss
from retimbre.gan.base import Classes, CriticConfig, GeneratorConfig, Labels
from retimbre.representation.base import Representation
from retimbre.representation.standardized import Standardized

HISTORY, SOUND, ENVELOPE, MIDI = "history", "sound", "envelope", "midi"
MIDI_WIDTH = 89
"""Numbers in a state: 88 keys and the pedal."""
# By how much a gain may be beyond 0 or 1 where curves were interpolated: a thousandth of a decibel.
_SLACK = 1e-4


@final
@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition that networks may be told.

    Attributes:
        is_audio: Whether a network gets features of its own representation instead of the values themselves.
        is_aligned: Whether it has a value for each sample of the clip.
        width: Numbers in each state; 0 where a state is one number.
        command: Which command generates from it.
    """

    is_audio: bool
    is_aligned: bool
    width: int
    command: str

    def shape(self, length: int) -> tuple[int, ...]:
        """Of the values of one clip."""
        return (length, self.width) if self.width else (length,)


CONDITIONS: dict[str, Condition] = {
    HISTORY: Condition(is_audio=True, is_aligned=False, width=0, command="generate continue"),
    SOUND: Condition(is_audio=True, is_aligned=True, width=0, command="generate envelope"),
    ENVELOPE: Condition(is_audio=False, is_aligned=True, width=0, command="generate envelope"),
    MIDI: Condition(is_audio=False, is_aligned=False, width=MIDI_WIDTH, command="generate midi"),
}
"""By their names in a run file."""


def check_conditions(lengths: Mapping[str, int], num_samples: int) -> None:
    """Refuses conditions that there are not, or of another length than the clip where they go along with it.

    Args:
        lengths: For each condition its samples or states.
        num_samples: Of a clip.

    Raises:
        ConfigError: Names the condition.
    """
    for name, length in lengths.items():
        if name not in CONDITIONS:
            raise ConfigError(f"there is no condition {name!r}; {near_miss(name, CONDITIONS)}")
        if not isinstance(length, int) or length < 1:
            raise ConfigError(f"the condition {name!r} is {length} long; takes a whole number, 1 or more")
        if CONDITIONS[name].is_aligned and length != num_samples:
            raise ConfigError(
                f"the condition {name!r} is {length} long, but a clip has {num_samples} samples; takes as many"
            )


def check_heard(config: GeneratorConfig | CriticConfig, names: Iterable[str]) -> None:
    """Refuses conditions that a network would pass over.

    Raises:
        ConfigError: Names the network and the condition.
    """
    kind = getattr(config, "kind", type(config).__name__)
    for name in names:
        if name not in config.hears:
            known = f"it hears {', '.join(sorted(config.hears))}" if config.hears else "it hears none"
            raise ConfigError(
                f"[task] conditions has {name!r}, which the network {kind!r} passes over: {known}"
            )


def check_told(labels: Labels, classes: Classes, lengths: Mapping[str, int], count: int) -> None:
    """Refuses labels and conditions that are not those which a generator is told.

    A history of half the length, or states of another rate, would pass through many networks and come out as another
    sound than was meant; a class out of range would end the program on a GPU.

    Args:
        labels: What it is to be told.
        classes: The classes of each attribute that it knows.
        lengths: Of each condition that it knows.
        count: How many sounds are to be made.

    Raises:
        ConfigError: Names the attribute or condition, what it is, and what it takes.
    """
    for name, names in classes.items():
        places = _present(labels, name, (count,))
        if places.is_floating_point() or places.is_complex():
            raise ConfigError(f"{name} is of {places.dtype}; takes whole numbers, the places of its classes")
        _check_within(name, places, 0, len(names) - 1)
    for name, length in lengths.items():
        condition = CONDITIONS[name]
        values = _present(labels, name, (count, *condition.shape(length)))
        if condition.is_audio:
            _check_within(name, values, -math.inf, math.inf)
        else:
            _check_within(name, values, 0, 1, slack=_SLACK)


def _present(labels: Labels, name: str, shape: tuple[int, ...]) -> Shaped[Tensor, "..."]:
    if name not in labels:
        given = f"only {', '.join(labels)}" if labels else "nothing"
        raise ConfigError(f"the generator has to be told {name!r}, but is told {given}")
    if tuple(labels[name].shape) != shape:
        raise ConfigError(f"{name} is of shape {list(labels[name].shape)}; takes {list(shape)}")
    return labels[name]


def _check_within(
    name: str, values: Shaped[Tensor, "..."], lowest: float, highest: float, slack: float = 0.0
) -> None:
    """Refuses values beyond two bounds, and NaN and infinities in any case."""
    if values.numel() == 0:
        return
    for extreme in (values.min().item(), values.max().item()):
        # Of NaN every comparison is false.
        if not (math.isfinite(extreme) and lowest - slack <= extreme <= highest + slack):
            takes = "finite numbers" if math.isinf(lowest) else f"{lowest} to {highest}"
            raise ConfigError(f"{name} has a value of {extreme:g}; takes {takes}")


def told_to(labels: Labels, representation: Representation) -> Labels:
    """Labels as a network gets them that works on features of a representation."""
    audio = {name for name in labels if name in CONDITIONS and CONDITIONS[name].is_audio}
    return {name: representation.encode(each) if name in audio else each for name, each in labels.items()}


def condition_shapes(
    lengths: Mapping[str, int], representation: Representation
) -> dict[str, tuple[int, ...]]:
    """The shapes in which a network that works on features of a representation gets the conditions of one clip.

    Raises:
        ConfigError: Features of another length than the clip's cannot be scaled cell by cell.
    """
    cellwise = isinstance(representation, Standardized) and representation.statistics.mean.shape[-1] > 1
    for name in lengths:
        if cellwise and CONDITIONS[name].is_audio and not CONDITIONS[name].is_aligned:
            raise ConfigError(
                f"standardize is 'cell', but the condition {name!r} has other cells than a clip; takes 'bin' or none"
            )
    told = told_to(blank(lengths, 1), representation)
    return {name: tuple(values.shape[1:]) for name, values in told.items()}


def blank(lengths: Mapping[str, int], count: int) -> dict[str, Tensor]:
    """Conditions of so many clips that say nothing: zeros."""
    return {name: torch.zeros(count, *CONDITIONS[name].shape(length)) for name, length in lengths.items()}
