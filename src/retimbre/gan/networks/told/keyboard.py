"""From the states of a keyboard to what its strings do: who was struck, how long ago, and since when it is damped.

A row of MIDI states says which keys are down, not what sounds. A key that comes up is heard on while the pedal is down,
and one that stays down dies away. What a piano does with its keys is known, so no network has to find it out:

- a string is struck where its key's number leaves 0, or changes: as hard as the new number says;
- its damper lies on it while the key is up and the pedal is less than half down. Lifting it again does not bring the
  sound back, so what counts is how long it has lain there since the strike;
- of a key that is down from the first state on, nobody knows when it was struck: half a chunk before is supposed.

Networks get 512 states a chunk, and as many of the chunk before in front of them where it is to be known what still
rings. Which states belong to the clip itself follows from that: the last 512.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import LOWEST_KEY, NUM_KEYS, STATES_PER_CHUNK
from retimbre.gan.base import Form
from retimbre.gan.conditions import MIDI, MIDI_WIDTH

RING, DAMPED = 0.5, 0.06
"""About how fast strings fall silent, left alone and under their dampers: by a factor of e, in chunks."""
_PEDAL_DOWN = 0.5  # half of its way, as synthesizers have it
_STRUCK_BEFORE = STATES_PER_CHUNK // 2


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Strings:
    """What the strings of 88 keys do at some moments.

    Attributes:
        velocity: How hard each was struck last, 0 to 1; 0 for one that was not struck.
        age: How long ago that was, in chunks.
        damped: How long its damper has lain on it since, in chunks.
    """

    velocity: Float[Tensor, "batch moments 88"]
    age: Float[Tensor, "batch moments 88"]
    damped: Float[Tensor, "batch moments 88"]

    def sounding(self) -> Float[Tensor, "batch moments 88"]:
        """About how loud each is, as networks are told: struck at its velocity and falling since."""
        return self.velocity * torch.exp(-self.age / RING - self.damped / DAMPED)


def strings_at(states: Float[Tensor, "batch states 89"], num_moments: int) -> Strings:
    """The strings at evenly spaced moments of the last chunk, the first at its beginning.

    A moment shows the state that it lies in; one at the end of the chunk, its last state.

    Args:
        num_moments: How many; 129 are the ends of 128 frames. One may lie at the very end, so there are as many in a
            chunk as there are, less one if they are odd.
    """
    struck, up = _strikes(states), _damped(states)
    there = moments(states.shape[1], num_moments, states.device)
    place = torch.arange(states.shape[1], device=states.device, dtype=torch.int32)[None, :, None]
    # States side by side in memory, over which what was is added up in a third of the time.
    struck_at = torch.where(struck, place, -1).mT.contiguous()
    last = struck_at.cummax(dim=2).values[..., there].mT.long()
    since = last.clamp_min(0)
    velocity = torch.where(last >= 0, states[..., :NUM_KEYS].gather(1, since), 0.0)
    age = there[:, None] - last + torch.where(last == 0, _STRUCK_BEFORE, 0)
    damped = up.mT.contiguous().cumsum(dim=2, dtype=torch.int32).mT
    under = damped[:, there] - damped.gather(1, since)
    scale = 1.0 / STATES_PER_CHUNK
    return Strings(velocity, age.to(states.dtype) * scale, under.to(states.dtype) * scale)


def moments(num_states: int, num_moments: int, device: torch.device) -> Tensor:
    """The states in which evenly spaced moments of the last chunk lie: `[moments]`."""
    spaces = num_moments - num_moments % 2
    place = torch.arange(num_moments, device=device) * STATES_PER_CHUNK // spaces
    return num_states - STATES_PER_CHUNK + place.clamp_max(STATES_PER_CHUNK - 1)


def strikes_in(
    states: Float[Tensor, "batch states 89"], num_frames: int
) -> Float[Tensor, "batch num_frames 88"]:
    """How hard keys were struck in each of so many equal frames of the last chunk; the hardest counts."""
    hard = torch.where(_strikes(states), states[..., :NUM_KEYS], 0.0)[:, -STATES_PER_CHUNK:]
    return functional.adaptive_max_pool1d(hard.mT, num_frames).mT


def check_midi(form: Form, kind: str) -> None:
    """Refuses forms without MIDI states, or with too few of them.

    Raises:
        ConfigError: Names the kind of network, what it got and what it takes.
    """
    shape = form.conditions.get(MIDI)
    takes = f"[task] conditions = {{ midi = {STATES_PER_CHUNK} }}, or {2 * STATES_PER_CHUNK} with the chunk before"
    if shape is None:
        raise ConfigError(f"{kind} plays from MIDI states and is told none; takes {takes}")
    if shape not in ((STATES_PER_CHUNK, MIDI_WIDTH), (2 * STATES_PER_CHUNK, MIDI_WIDTH)):
        raise ConfigError(f"{kind} got MIDI states of shape {list(shape)}; takes {takes}")


def key_hz(device: torch.device | None = None) -> Float[Tensor, " 88"]:
    """The fundamental frequency of each key in equal temperament, in float64."""
    key = torch.arange(LOWEST_KEY, LOWEST_KEY + NUM_KEYS, dtype=torch.float64, device=device)
    return 440.0 * 2.0 ** ((key - 69.0) / 12.0)


def _strikes(states: Float[Tensor, "batch states 89"]) -> Tensor:
    """Where a key's number leaves 0 or changes; in the first state, where a key is down."""
    keys = states[..., :NUM_KEYS]
    before = functional.pad(keys, (0, 0, 1, 0))[:, :-1]
    return (keys > 0) & (keys != before)


def _damped(states: Float[Tensor, "batch states 89"]) -> Tensor:
    """Where a damper lies on its string."""
    return (states[..., :NUM_KEYS] == 0) & (states[..., NUM_KEYS:] < _PEDAL_DOWN)
