"""Which note a number stands for.

The corpus is a grid: instruments, pitches, velocities. Note `i` is the grid cell at place `i` of a shuffled order, so
that the first thousand notes of a corpus are a fair sample of all of it, and a corpus of a thousand notes is the
beginning of the one of a million. Shuffling without holding the order in memory takes a permutation that can be
evaluated at one place: a Feistel network over the numbers below the next power of four, walked until the number falls
inside the grid.

A part (training, validation, test) is made of whole instruments, which shows how a model does on instruments that it
never heard, or of single notes of all instruments.

References:
    J. Black and P. Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002,
    https://doi.org/10.1007/3-540-45760-7_9 (cycle walking)
"""

import dataclasses
from typing import Literal, final

import torch
from jaxtyping import Int
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, near_miss
from retimbre.core.files import fingerprint
from retimbre.core.random import uniform
from retimbre.corpora.notes.families import FAMILIES
from retimbre.corpora.nsynth.layout import PARTS
from retimbre.dsp.decode import check_rate

SplitBy = Literal["instruments", "mixed"]

_LATER_TENTH = 10  # one in ten instruments or notes is for validation, and another for testing
_ROUNDS = 4  # of the Feistel network: from four on it passes for random
_HIGHEST_KEY = 108  # C8, the highest of a piano
_HIGHEST_VELOCITY = 127
_HIGHEST_SHARE = 0.45  # of the sample rate that a fundamental may have, so that vibrato stays under a half
_MOST_INSTRUMENTS = 10_000
LONGEST_S = 60.0

# Bounds the notes that one instrument number can have, so that addresses of random draws never meet.
_ADDRESSES_PER_FAMILY = 1_000_000


@final
@dataclasses.dataclass(frozen=True)
class NotesSettings:
    """What a corpus of notes is, apart from how many of them are written.

    Attributes:
        families: In the order that instruments are numbered in.
        instruments: Of each family.
        lowest_pitch: As a MIDI number, as is `highest_pitch`; both are included.
        velocities: MIDI velocities, 1 to 127.
        seconds: Length of a note's clip.
        held_share: Part of the clip during which the key is down.
        split: Whether parts are made of whole instruments or of single notes.

    Raises:
        ConfigError: A setting cannot be.
    """

    seed: int = 0
    families: tuple[str, ...] = tuple(FAMILIES)
    instruments: int = 100
    lowest_pitch: int = 24
    highest_pitch: int = 84
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127)
    sample_rate: int = 16_000
    seconds: float = 4.0
    held_share: float = 0.75
    split: SplitBy = "instruments"

    def __post_init__(self) -> None:
        self._check_instruments()
        check_keys(self.lowest_pitch, self.highest_pitch, self.velocities)
        check_rate(self.sample_rate, "sample_rate")
        highest_hz = 440 * 2 ** ((self.highest_pitch - 69) / 12)
        if highest_hz > _HIGHEST_SHARE * self.sample_rate:
            raise ConfigError(
                f"highest_pitch is {self.highest_pitch}, {highest_hz:,.0f} Hz; at a sample rate of "
                f"{self.sample_rate} Hz a note takes at most {_HIGHEST_SHARE * self.sample_rate:,.0f} Hz"
            )
        if not (0 < self.seconds <= LONGEST_S and self.num_samples >= 1):
            raise ConfigError(f"seconds is {self.seconds:g}, but takes one sample to {LONGEST_S:g} s")
        if not 0 < self.held_share <= 1:
            raise ConfigError(f"held_share is {self.held_share:g}, but takes more than 0 and at most 1")
        if self.split not in ("instruments", "mixed"):
            raise ConfigError(f"split is {self.split!r}, but takes 'instruments' or 'mixed'")

    def _check_instruments(self) -> None:
        if not self.families or len(set(self.families)) < len(self.families):
            raise ConfigError(
                f"families is {', '.join(self.families) or 'empty'}; it takes one or more, each once"
            )
        for name in self.families:
            if name not in FAMILIES:
                raise ConfigError(f"there is no family {name!r}; {near_miss(name, FAMILIES)}")
        if not 1 <= self.instruments <= _MOST_INSTRUMENTS:
            raise ConfigError(f"instruments is {self.instruments}, but takes 1 to {_MOST_INSTRUMENTS:,}")

    @property
    def num_samples(self) -> int:
        """Length of a clip."""
        return round(self.seconds * self.sample_rate)

    @property
    def num_instruments(self) -> int:
        """Of all families."""
        return len(self.families) * self.instruments

    @property
    def num_pitches(self) -> int:
        """Keys that every instrument plays."""
        return self.highest_pitch - self.lowest_pitch + 1

    @property
    def size(self) -> int:
        """Notes in the grid."""
        return self.num_instruments * self.num_pitches * len(self.velocities)

    @property
    def identity(self) -> str:
        """Sixteen hexadecimal digits that differ if any setting does."""
        return fingerprint(dump(self))


@final
@dataclasses.dataclass(frozen=True, eq=False)
class NoteLabels:
    """What is known of notes, one a row.

    Attributes:
        rows: The numbers of the notes.
        family: The place of the family among those of the settings.
        instrument: The number of the instrument, unique in the corpus.
        address: The number that the instrument's knobs are drawn at: the same whichever families are in the corpus.
        part: The place in `PARTS`.
    """

    rows: Int[Tensor, " rows"]
    family: Int[Tensor, " rows"]
    instrument: Int[Tensor, " rows"]
    address: Int[Tensor, " rows"]
    pitch: Int[Tensor, " rows"]
    velocity: Int[Tensor, " rows"]
    part: Int[Tensor, " rows"]


def labels_of(settings: NotesSettings, rows: Int[Tensor, " rows"]) -> NoteLabels:
    """The labels of notes.

    Raises:
        ConfigError: A number is not in the grid.
    """
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < settings.size:
        raise ConfigError(
            f"notes {int(rows.min())} to {int(rows.max())} are asked for; the grid has 0 to {settings.size - 1}"
        )
    cell = shuffled(rows, settings.size, settings.seed)
    num_velocities = len(settings.velocities)
    velocity = torch.tensor(settings.velocities)[cell % num_velocities]
    pitch = settings.lowest_pitch + cell // num_velocities % settings.num_pitches
    instrument = cell // (num_velocities * settings.num_pitches)
    family, place = instrument // settings.instruments, instrument % settings.instruments
    numbers = torch.tensor([FAMILIES[name].number for name in settings.families])
    return NoteLabels(
        rows=rows,
        family=family,
        instrument=instrument,
        address=numbers[family] * _ADDRESSES_PER_FAMILY + place,
        pitch=pitch,
        velocity=velocity,
        part=part_of_instrument(place, settings.instruments)
        if settings.split == "instruments"
        else part_of_note(settings.seed, rows),
    )


def check_keys(lowest_pitch: int, highest_pitch: int, velocities: tuple[int, ...]) -> None:
    """Refuses pitches and velocities that MIDI or a keyboard does not have.

    Raises:
        ConfigError: They cannot be.
    """
    if not 0 <= lowest_pitch <= highest_pitch <= _HIGHEST_KEY:
        raise ConfigError(f"pitches are {lowest_pitch} to {highest_pitch}, but take 0 to {_HIGHEST_KEY}")
    if not velocities or not all(1 <= velocity <= _HIGHEST_VELOCITY for velocity in velocities):
        raise ConfigError(f"velocities are {velocities}, but take numbers from 1 to {_HIGHEST_VELOCITY}")
    if len(set(velocities)) < len(velocities):
        raise ConfigError(f"velocities are {velocities}; each may be there once")


def part_of_instrument(place: Int[Tensor, " rows"], count: int) -> Int[Tensor, " rows"]:
    """Parts (as places in `PARTS`) of a family's instruments: the last tenth tests, the tenth before validates.

    Instruments are independent draws, so the last are as good as any. With fewer than three there is no such part.
    """
    held_out = -(-count // _LATER_TENTH) if count >= len(PARTS) else 0
    from_end = count - 1 - place
    return (from_end < held_out).long() + (from_end < 2 * held_out)


def part_of_note(seed: int, rows: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """Parts (as places in `PARTS`) of notes, whatever their instrument: a tenth each for testing and validation."""
    chance = uniform(seed, "notes part", rows, 1)[:, 0] * _LATER_TENTH
    return (chance < 1).long() + (chance < 2)


def shuffled(rows: Int[Tensor, " rows"], size: int, seed: int) -> Int[Tensor, " rows"]:
    """A permutation of the numbers below `size`, at those places."""
    half_bits = max(1, -(-(size - 1).bit_length() // 2))
    place = _feistel(rows, half_bits, seed)
    while bool((outside := place >= size).any()):
        place = torch.where(outside, _feistel(place, half_bits, seed), place)
    return place


def _feistel(number: Int[Tensor, " rows"], half_bits: int, seed: int) -> Int[Tensor, " rows"]:
    """One pass of a permutation of the numbers of twice that many bits."""
    left, right = number >> half_bits, number & ((1 << half_bits) - 1)
    for turn in range(_ROUNDS):
        mask = (uniform(seed, f"notes order {turn}", right, 1)[:, 0] * (1 << half_bits)).long()
        left, right = right, left ^ mask
    return (left << half_bits) | right
