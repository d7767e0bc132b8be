"""What the levels of a sound did before and after an envelope was put on it, measured while it passes.

The *follower* is the plainest one: the mean power of 10 ms at a time, or of a thirty-second of the sound where that is
shorter. Taken of the result and of the sound multiplied by the curve, it says how far the result's envelope is from the
one that was asked for, in decibels; the root of the quotient of result and sound is the gain that the sound got. For a
picture the extremes of both are kept, of a thousand stretches at most. So a meter is of the same size for a second and
for minutes, and grows by a hundredth of a sound after that.
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.metrics.notes.envelope import envelope_error_db

_FOLLOWER_S = 0.01
_FEWEST_BLOCKS = 32
_MOST_COLUMNS = 1000
# A block this far below the loudest says nothing of the gain.
_FAINT = 1e-10


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Levels:
    """What a meter has found.

    Attributes:
        seconds: Of the sound.
        before: The least and the largest sample of each column of a picture, of the sound.
        after: The same of the result.
        asked: The mean gain that was asked for in each block of the follower.
        measured: The gain that each block got; NaN where the sound is silent.
        error_db: RMS difference of the result's envelope from that of the sound times the gain, where that is above
            -40 dB of its peak; NaN where all of it is silent.
    """

    seconds: float
    before: Float[Tensor, "2 columns"]
    after: Float[Tensor, "2 columns"]
    asked: Float[Tensor, " blocks"]
    measured: Float[Tensor, " blocks"]
    error_db: float


@final
class Meter:
    """Adds up the levels of a sound that comes in stretches.

    Args:
        num_samples: Of the whole sound.
    """

    def __init__(self, num_samples: int, sample_rate: int) -> None:
        self.num_samples, self.sample_rate = num_samples, sample_rate
        longest = max(1, round(_FOLLOWER_S * sample_rate))
        self.block = min(longest, math.ceil(num_samples / _FEWEST_BLOCKS))
        num_blocks = math.ceil(num_samples / self.block)
        # Of the sound, of the result, and of what was asked for.
        self.power = torch.zeros(3, num_blocks, dtype=torch.float64)
        self.asked = torch.zeros(num_blocks, dtype=torch.float64)
        self.column = math.ceil(num_samples / _MOST_COLUMNS)
        num_columns = math.ceil(num_samples / self.column)
        self.least, self.largest = torch.zeros(2, num_columns), torch.zeros(2, num_columns)

    def add(
        self,
        first: int,
        sound: Float[Tensor, " samples"],
        result: Float[Tensor, " samples"],
        gain: Float[Tensor, " samples"],
    ) -> None:
        """Takes in a stretch that begins with the sample of number `first`."""
        number = torch.arange(first, first + len(sound))
        block, column = number // self.block, number // self.column
        for row, signal in enumerate((sound, result, sound * gain)):
            self.power[row].index_add_(0, block, signal.double().square())
        for row, signal in enumerate((sound, result)):
            self.least[row].scatter_reduce_(0, column, signal.float(), "amin")
            self.largest[row].scatter_reduce_(0, column, signal.float(), "amax")
        self.asked.index_add_(0, block, gain.double())

    def levels(self) -> Levels:
        """What was found."""
        before, after, asked = self.power
        samples = torch.full_like(before, float(self.block))
        samples[-1] = self.num_samples - self.block * (len(samples) - 1)
        error = envelope_error_db(after[None], asked[None])
        heard = before > _FAINT * before.max()
        gain = torch.where(heard, (after / before.clamp_min(1e-300)).sqrt(), torch.nan)
        return Levels(
            self.num_samples / self.sample_rate,
            torch.stack([self.least[0], self.largest[0]]),
            torch.stack([self.least[1], self.largest[1]]),
            self.asked / samples,
            gain,
            float(error.values[0]) if bool(error.measured[0]) else math.nan,
        )
