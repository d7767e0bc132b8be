"""Which sample a key plays: zones of keys, layers of velocities, and keys that switch timbres.

Few instruments have a sample for every key. A sample serves the keys around its own, its zone, played faster or slower;
by how many semitones it may be moved before it sounds like another instrument (voices turn into mice after three, a
sine never does) is a matter of taste, and of how many files one wants. The sample of a zone is the one of its middle
key, so that it is moved as little as can be in either direction.

How hard a key is struck chooses among layers in the same way: a layer serves the velocities from above the next softer
one up to its own.

Key switches are keys at the edge of the keyboard that make no sound and choose the timbre of what is played next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from retimbre.core.errors import ConfigError

LOWEST_KEY, HIGHEST_KEY = 0, 127
LOWEST_VELOCITY, HIGHEST_VELOCITY = 1, 127
MOST_KEYS_PER_SAMPLE = 12


@final
@dataclass(frozen=True)
class Zone:
    """The keys that one sample serves.

    Attributes:
        key: That of the sample.
        lowest: The first key that plays it.
        highest: The last one.
    """

    key: int
    lowest: int
    highest: int

    def beyond(self, semitones: int) -> list[int]:
        """The keys for which the sample is moved by more than so many semitones."""
        return [key for key in range(self.lowest, self.highest + 1) if abs(key - self.key) > semitones]


@final
@dataclass(frozen=True)
class Layer:
    """The velocities that one sample serves.

    Attributes:
        velocity: That of the sample.
        softest: The first velocity that plays it.
        hardest: The last one.
    """

    velocity: int
    softest: int
    hardest: int


def zones(lowest: int, highest: int, step: int, available: Sequence[int]) -> list[Zone]:
    """The zones of a keyboard, ascending and without a gap.

    Args:
        lowest: The first key.
        highest: The last one.
        step: How many keys a sample serves.
        available: Keys that there can be samples of; a zone whose middle is none takes the nearest.
    """
    found: list[Zone] = []
    for first in range(lowest, highest + 1, step):
        last = min(first + step - 1, highest)
        middle = (first + last) // 2
        key = min(available, key=lambda each: (abs(each - middle), each))
        if found and found[-1].key == key:
            found[-1] = Zone(key, found[-1].lowest, last)
        else:
            found.append(Zone(key, first, last))
    return found


def layers(velocities: Sequence[int]) -> list[Layer]:
    """The layers of velocities, softest first; the last one goes up to the hardest stroke there is."""
    ordered = sorted(set(velocities))
    softest = [LOWEST_VELOCITY, *(velocity + 1 for velocity in ordered[:-1])]
    hardest = [*ordered[:-1], HIGHEST_VELOCITY]
    return [Layer(*each) for each in zip(ordered, softest, hardest, strict=True)]


def switches(count: int, lowest: int, highest: int) -> tuple[int, ...]:
    """Keys that choose among so many timbres: none for one, else right below the keyboard, or above it if need be.

    Raises:
        ConfigError: There are not so many keys beside the keyboard.
    """
    if count == 1:
        return ()
    # A whole octave of its own, so that the first switch is a C where there is room.
    below = lowest - count - (lowest - count) % 12
    if below >= LOWEST_KEY:
        return tuple(range(below, below + count))
    if lowest - count >= LOWEST_KEY:
        return tuple(range(lowest - count, lowest))
    if highest + count <= HIGHEST_KEY:
        return tuple(range(highest + 1, highest + 1 + count))
    raise ConfigError(
        f"{count} timbres need {count} keys to switch between them, but beside {lowest} to {highest} there are"
        f" {lowest - LOWEST_KEY} below and {HIGHEST_KEY - highest} above; narrow --lowest and --highest"
    )
