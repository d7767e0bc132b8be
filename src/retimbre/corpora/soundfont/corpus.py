"""Notes of a General MIDI SoundFont: real instruments, recorded by others, in the layout of NSynth.

A General MIDI SoundFont has some eighty instruments that belong to one of NSynth's families (`general_midi.py`).
Played at every pitch and velocity they make a small corpus of real sounds without a download, from a package of the
operating system. FluidSynth plays them (`player.py`); which note a number stands for is decided as in the
procedural corpus, so that the first thousand are a fair sample.

The sounds are as free as the SoundFont is. FluidR3 GM, which most systems offer, is under the MIT licence.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.core.files import sha256_of
from retimbre.corpora.notes.plan import (
    LONGEST_S,
    SplitBy,
    check_keys,
    part_of_instrument,
    part_of_note,
    shuffled,
)
from retimbre.corpora.nsynth.entries import FAMILIES
from retimbre.corpora.nsynth.layout import PARTS, NoteEntry, NoteSource
from retimbre.corpora.soundfont.general_midi import PROGRAMS, Program
from retimbre.corpora.soundfont.player import (
    RATES_HZ,
    FluidSynthPlayer,
    check_soundfont,
    load_library,
    read_info,
)

# Where packages put a General MIDI SoundFont, the best known first.
_USUAL_PLACES = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/soundfonts/default.sf2",
)

_MIT_NAME = "Fluid R3 GM"


@final
@dataclasses.dataclass(frozen=True)
class SoundFontSettings:
    """What a corpus from a SoundFont is.

    Attributes:
        path: The `.sf2` file; empty looks where packages put one.
        lowest_pitch: As a MIDI number, as is `highest_pitch`; both are included.
        velocities: MIDI velocities, 1 to 127.
        seconds: Length of a note's clip.
        held_share: Part of the clip during which the key is down.
        split: Whether parts are made of whole instruments or of single notes.

    Raises:
        ConfigError: A setting cannot be.
    """

    path: str = ""
    seed: int = 0
    families: tuple[str, ...] = FAMILIES
    lowest_pitch: int = 24
    highest_pitch: int = 84
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127)
    sample_rate: int = 16_000
    seconds: float = 4.0
    held_share: float = 0.75
    split: SplitBy = "instruments"

    def __post_init__(self) -> None:
        for name in self.families:
            if name not in FAMILIES:
                raise ConfigError(f"there is no family {name!r}; {near_miss(name, FAMILIES)}")
        check_keys(self.lowest_pitch, self.highest_pitch, self.velocities)
        low, high = RATES_HZ
        if not low <= self.sample_rate <= high:
            raise ConfigError(
                f"sample_rate is {self.sample_rate}, but FluidSynth takes {low:,} to {high:,} Hz"
            )
        if not (0 < self.seconds <= LONGEST_S and self.num_samples >= 1):
            raise ConfigError(f"seconds is {self.seconds:g}, but takes one sample to {LONGEST_S:g} s")
        if not 0 < self.held_share <= 1:
            raise ConfigError(f"held_share is {self.held_share:g}, but takes more than 0 and at most 1")

    @property
    def num_samples(self) -> int:
        """Length of a clip."""
        return round(self.seconds * self.sample_rate)


def find_soundfont(path: str) -> Path:
    """The SoundFont that is named, or the one that the system has.

    Raises:
        DatasetError: There is none, or the file is no SoundFont.
    """
    if path:
        check_soundfont(Path(path))
        return Path(path)
    for usual in _USUAL_PLACES:
        if Path(usual).is_file():
            return Path(usual)
    raise DatasetError(
        "no SoundFont where packages put one; give --soundfont FILE.sf2 or install one (Debian: fluid-soundfont-gm)"
    )


@final
class SoundFontNotes(NoteSource):
    """The notes of a SoundFont; a context manager, since FluidSynth holds the file in memory."""

    def __init__(self, settings: SoundFontSettings) -> None:
        self.settings = settings
        load_library()
        self.path = find_soundfont(settings.path)
        self._player = FluidSynthPlayer(self.path, settings.sample_rate)
        self.programs = tuple(
            program
            for program in PROGRAMS
            if program.family in settings.families and self._player.has_program(program.number)
        )
        if not self.programs:
            self.__exit__()
            raise DatasetError(f"{self.path} has no General MIDI program of {', '.join(settings.families)}")

    def __enter__(self) -> "SoundFontNotes":
        return self

    def __exit__(self, *failure: object) -> None:
        self._player.__exit__(*failure)

    def __len__(self) -> int:
        """Notes that there are."""
        return len(self.programs) * self._num_pitches * len(self.settings.velocities)

    @property
    def sample_rate(self) -> int:
        """In hertz."""
        return self.settings.sample_rate

    @property
    def num_samples(self) -> int:
        """Of a note."""
        return self.settings.num_samples

    @functools.cached_property
    def _sha256(self) -> str:
        return sha256_of(self.path)

    @property
    def about(self) -> dict[str, Any]:
        """What makes the corpus what it is: the SoundFont's content, not where it lies."""
        info = read_info(self.path)
        name = info.get("INAM", self.path.name)
        licence = "that of the SoundFont"
        if _MIT_NAME in name:
            licence = "MIT (Fluid R3 GM, Frank Wen)"
        elif info.get("ICOP"):
            licence = f"{licence}; its copyright: {info['ICOP']}"
        return {
            "corpus": "soundfont",
            "licence": licence,
            "citation": name,
            "settings": {**dump(self.settings), "path": "", "sha256": self._sha256},
        }

    def entries(self, rows: range) -> list[NoteEntry]:
        """What is known of notes."""
        chosen = torch.arange(rows.start, rows.stop)
        later = part_of_note(self.settings.seed, chosen).tolist()
        keys = zip(rows, self._keys(rows), later, strict=True)
        return [self._entry(row, place, key, part) for row, (place, *key), part in keys]

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Their sounds; what passes full scale is clipped, which no note of the known SoundFonts does."""
        held = round(self.settings.held_share * self.num_samples)
        sounds = [
            self._player.play(
                self.programs[place].number, pitch, velocity, held_samples=held, num_samples=self.num_samples
            )
            for place, pitch, velocity in self._keys(rows)
        ]
        return torch.stack(sounds).clamp(-1, 1)

    @property
    def _num_pitches(self) -> int:
        return self.settings.highest_pitch - self.settings.lowest_pitch + 1

    def _keys(self, rows: Sequence[int]) -> list[tuple[int, int, int]]:
        """Place of the program, pitch and velocity of notes."""
        cells = shuffled(torch.tensor(list(rows)), len(self), self.settings.seed).tolist()
        keys = []
        for cell in cells:
            rest, velocity = divmod(cell, len(self.settings.velocities))
            place, pitch = divmod(rest, self._num_pitches)
            keys.append((place, self.settings.lowest_pitch + pitch, self.settings.velocities[velocity]))
        return keys

    def _entry(self, row: int, place: int, key: list[int], part: int) -> NoteEntry:
        program = self.programs[place]
        if self.settings.split == "instruments":
            part = self._part_of(program)
        return NoteEntry(
            number=row,
            instrument=place,
            instrument_name=program.instrument_name,
            family=program.family,
            source=program.source,
            pitch=key[0],
            velocity=key[1],
            qualities=(),
            part=PARTS[part],
        )

    def _part_of(self, program: Program) -> int:
        kin = [each for each in self.programs if each.family == program.family]
        return int(part_of_instrument(torch.tensor([kin.index(program)]), len(kin)))
