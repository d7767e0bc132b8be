"""How convolutions read the states of a keyboard so that what they find lies where it sounds.

States come as a row of 512 for the clip, or of 1,024 with the chunk before in front. A network wants them at as many
places as it has for the clip itself. Spreading 1,024 states over them all, as the published program does, puts what
happens at the end of the chunk before in the middle of the clip, and a convolution of 36 taps never reaches what
belongs there. `Recall` is a convolution with as many weights whose taps lie further apart: its last tap is at the
place itself and its first one a chunk back. So every place sees the keys that are down now and, every some
milliseconds, those that were down in the last second.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.corpora.maestro.midi_states import NUM_SLOTS, STATES_PER_CHUNK

KERNEL = 36
SLOPE = 0.2
"""Of rectifiers below zero, in critics."""


@final
class Recall(nn.Module):
    """A convolution over the places of a chunk and of the chunk before, if there is one, that gives the chunk's places.

    The taps reach back over a chunk, evenly.
    """

    def __init__(self, fan_in: int, fan_out: int, places: int) -> None:
        """Builds the convolution.

        Args:
            places: How many a chunk has.
        """
        super().__init__()
        self.places = places
        self.apart = max(1, places // KERNEL)
        self.convolution = nn.Conv1d(fan_in, fan_out, KERNEL, dilation=self.apart)

    def forward(self, row: Float[Tensor, "batch channels row"]) -> Float[Tensor, "batch out places"]:
        """What is found at the places of the chunk, the last ones of the row."""
        reach = self.apart * (KERNEL - 1)
        wanted = row[..., -(self.places + reach) :]
        missing = self.places + reach - wanted.shape[-1]
        return self.convolution(nn.functional.pad(wanted, (missing, 0)))


@final
class StatesReader(nn.Module):
    """From MIDI states to vectors at so many places of the clip: a strided convolution and a `Recall`, rectified."""

    def __init__(self, width: int, fan_out: int, places: int) -> None:
        """Builds both.

        Args:
            width: Channels between the two.
            places: How many the clip has; they divide 512.
        """
        super().__init__()
        self.stride = STATES_PER_CHUNK // places
        self.first = nn.Conv1d(NUM_SLOTS, width, KERNEL, self.stride)
        self.second = Recall(width, fan_out, places)

    def forward(self, states: Float[Tensor, "batch states 89"]) -> Float[Tensor, "batch out places"]:
        """What the keys do at each place of the clip."""
        missing = max(0, KERNEL - self.stride)
        padded = nn.functional.pad(states.mT, (missing // 2, missing - missing // 2))
        found = nn.functional.leaky_relu(self.first(padded), SLOPE)
        return nn.functional.leaky_relu(self.second(found), SLOPE)


def enlarged(row: Float[Tensor, "batch channels row"], factor: int) -> Float[Tensor, "batch channels longer"]:
    """Each place so many times."""
    return torch.repeat_interleave(row, factor, dim=-1)
