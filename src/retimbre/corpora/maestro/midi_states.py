"""What the hands and the foot do, as a signal: the state of 88 keys and the sustain pedal, every two milliseconds.

A network that makes a chunk of piano sound from MIDI wants the MIDI on the chunk's own clock. So time is cut into
*states* of equal length, 512 to a chunk (of 16,384 samples at 16 kHz: 2 ms each), and a state is a row of 89 numbers:

    0 ... 87    the keys 21 (A0) to 108 (C8): how hard the key went down that is down now, 0 where it is up
    88          how far the sustain pedal is down

all from 0 to 127 as MIDI has them, kept as bytes, and divided by 127 for a network. A movement shows in the first state
whose end lies after it; where its key moved in that state already, in the state after its last movement, so that a key
that is lifted and struck again at once is seen to come up, and a note shorter than a state is seen. Of the pedal the
last movement within a state counts. Times come from the tempo map, exactly, and
movements from all tracks. Keys beyond the piano's 88, channel 10 (drums), and all controllers but the pedal have no
place in a state.

A key's state ends when the key comes up, not when the sound does: with the pedal down a string rings on, and the
pedal's own column says so. What was struck before the chunk still sounds in it, so states are read *with history*: the
chunk before, then the chunk itself, 1,024 states in all, zeros where there is no chunk before.
"""

import dataclasses
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from retimbre.core.errors import MidiError
from retimbre.data.dataset import CLIPS_FILE, read_clips
from retimbre.data.manifest import read_header
from retimbre.data.midi import DRUM_CHANNEL, Movement, read_movements
from retimbre.data.pairs import previous_rows
from retimbre.data.side_arrays import SideArray, SideRows

STATES_PER_CHUNK = 512
LOWEST_KEY, NUM_KEYS = 21, 88  # A0 to C8
PEDAL = NUM_KEYS  # its place in a state
NUM_SLOTS = NUM_KEYS + 1
FULL = 127  # the largest velocity and the deepest pedal

# A recital with its encores. One damaged number in a file moves its end by days, and a day of states takes 4 GB.
LONGEST_S = 4 * 3600

MIDI_STATES = SideArray(
    name="midi_states",
    dtype="uint8",
    shape=(STATES_PER_CHUNK, NUM_SLOTS),
    about="states of keys 21 to 108 (velocity, 0 to 127) and of the sustain pedal (controller 64, 0 to 127)",
)


def read_piano(path: str | Path) -> tuple[Movement, ...]:
    """The movements of a MIDI file that have a place in the states.

    Raises:
        MidiError: The file cannot be read, no key of a piano goes down, or it lasts longer than `LONGEST_S`.
    """
    movements = tuple(
        movement
        for movement in read_movements(path)
        if movement.channel != DRUM_CHANNEL and 0 <= _slot(movement) < NUM_SLOTS
    )
    if not any(movement.value for movement in movements if movement.key is not None):
        raise MidiError(f"{path}: a MIDI file without notes of a piano (keys 21 to 108, not on channel 10)")
    seconds = float(movements[-1].at_s)
    if seconds > LONGEST_S:
        raise MidiError(f"{path}: lasts {seconds:,.0f} s; takes at most {LONGEST_S:,}")
    return movements


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """The movements of a piece, in order of time, each with the state in which it shows and its place in a state."""

    states: Int64[np.ndarray, " movements"]
    slots: Int64[np.ndarray, " movements"]
    values: UInt8[np.ndarray, " movements"]

    @classmethod
    def of(cls, movements: Iterable[Movement], state_s: Fraction) -> "Course":
        """The course of the movements that `read_piano` gives.

        Args:
            state_s: How long a state is.
        """
        moved: dict[int, int] = {}
        left: dict[int, int] = {}
        shown: list[tuple[int, int, int]] = []
        for movement in movements:
            state, slot = int(movement.at_s // state_s), _slot(movement)
            if movement.value == left.get(slot, 0):
                continue
            left[slot] = movement.value
            if slot != PEDAL:
                state = max(state, moved.get(slot, -1) + 1)
                moved[slot] = state
            shown.append((state, slot, movement.value))
        shown.sort(key=lambda each: each[0])  # which keeps the order within a state
        states, slots, values = zip(*shown, strict=True) if shown else ((), (), ())
        return cls(
            np.array(states, dtype=np.int64),
            np.array(slots, dtype=np.int64),
            np.array(values, dtype=np.uint8),
        )

    def window(self, first: int, num_states: int) -> UInt8[np.ndarray, "num_states 89"]:
        """The states from one on; behind the last movement all keys are as it left them."""
        begin, end = np.searchsorted(self.states, (first, first + num_states))
        before = np.zeros(NUM_SLOTS, dtype=np.uint8)
        # Where a place is named several times, the last value stays.
        before[self.slots[:begin]] = self.values[:begin]
        states = np.repeat(before[None], num_states, axis=0)
        for index in range(begin, end):
            states[self.states[index] - first :, self.slots[index]] = self.values[index]
        return states


def _slot(movement: Movement) -> int:
    """The place of a movement in a state; negative for keys below the piano's, and never the pedal's for keys above."""
    if movement.key is None:
        return PEDAL
    return movement.key - LOWEST_KEY if movement.key < LOWEST_KEY + NUM_KEYS else NUM_SLOTS


@final
class PieceReader:
    """Gives the states of chunks, keeping the movements of the piece that was asked for last.

    Chunks are asked for in order, so a piece is read once; of its states there are never more than a chunk's.
    """

    def __init__(self, *, num_samples: int, sample_rate: int) -> None:
        self._state_s = Fraction(num_samples, sample_rate * STATES_PER_CHUNK)
        self._path: Path | None = None
        self._course = Course.of((), self._state_s)

    def states(self, path: Path, chunk: int) -> UInt8[np.ndarray, "512 89"]:
        """The states of a chunk, counted from the beginning of the file; behind its end all keys are as at the end.

        Raises:
            MidiError: The file cannot be read, has no notes or lasts too long.
        """
        if path != self._path:
            self._course, self._path = Course.of(read_piano(path), self._state_s), path
        return self._course.window(chunk * STATES_PER_CHUNK, STATES_PER_CHUNK)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class PianoStates:
    """The MIDI states of a set's chunks.

    Attributes:
        previous: The chunk before each, -1 where there is none.
    """

    rows: SideRows
    previous: Int[Tensor, " clips"]

    @classmethod
    def open(cls, folder: str | Path) -> "PianoStates":
        """Opens the states of a set, which may have no audio.

        Raises:
            DatasetError: There is no set, or it has no states, or they are unfinished or damaged.
        """
        folder = Path(folder)
        header = read_header(folder)
        previous = previous_rows(read_clips(folder / CLIPS_FILE, header))
        return cls(SideRows.open(folder, header, MIDI_STATES.name), previous)

    def read(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows 512 89"]:
        """The states of chunks, from 0 to 1."""
        return torch.from_numpy(self.rows.read(rows)).float() / FULL

    def with_history(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows 1024 89"]:
        """The states of the chunk before each, zeros where there is none, and then its own."""
        before = self.previous[rows]
        history = torch.zeros(len(rows), STATES_PER_CHUNK, NUM_SLOTS)
        history[before >= 0] = self.read(before[before >= 0])
        return torch.cat([history, self.read(rows)], dim=1)
