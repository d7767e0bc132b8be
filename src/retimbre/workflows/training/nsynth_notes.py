"""Notes of NSynth as a GAN's clips, straight from a folder of sounds and the file that knows them.

A prepared set (`retimbre data nsynth`) is the better way for more than one run: it is read once, checked and cut. But
an earlier program was pointed at the raw corpus, a folder of sounds and an `examples.json`, and chose its notes as it
started. `[data.nsynth]` does the same, with a choice that is the same on every machine: notes are drawn by their names,
and families have equal shares of them, exactly, where each has enough.

What is held out is drawn by note within each family, so training and validation share instruments.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.nsynth.entries import HIGHEST_MIDI, Note, note_of, read_examples
from retimbre.corpora.nsynth.scan import NSynthFilters
from retimbre.corpora.quota import at_most, equal_shares
from retimbre.data.manifest import Fractions
from retimbre.data.splits import Split, split_by_name
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length


@final
@dataclasses.dataclass(frozen=True)
class NSynthNotes:
    """[data.nsynth]: which notes of a raw corpus."""

    audio: str
    """The folder of the sounds; folders in it are not looked into."""
    examples: str
    """The file that knows them, `examples.json`."""
    families: tuple[str, ...] = ()
    """Instrument families; empty for all."""
    pitches: tuple[int, int] = (0, HIGHEST_MIDI)
    """The lowest and the highest MIDI pitch, both included."""
    name_contains: tuple[str, ...] = ()
    """A note's name contains one of these; empty for any name."""
    size: int = 0
    """How many notes, at most; 0 for all."""
    balance: bool = True
    """Whether families have equal shares of `size`."""
    validation: float = 0.1
    """The part of the notes that is held out."""

    def __post_init__(self) -> None:
        """Refuses families and pitches that there are not."""
        NSynthFilters(families=self.families, pitches=self.pitches, size=self.size)
        if not 0.0 < self.validation < 1.0:
            raise ConfigError(f"validation is {self.validation:g}; takes a part between 0 and 1")

    def part(self, part: Split) -> list[Note]:
        """The notes of a part, in an order such that the first of them are a fair sample.

        Raises:
            DatasetError: There is no such folder or file, or the part is empty.
        """
        notes = self.chosen()
        names, families = [note.name for note in notes], [note.family for note in notes]
        parts = split_by_name(names, families, Fractions(self.validation, 0.0))
        found = [note for note, its in zip(notes, parts, strict=True) if its == part]
        if not found:
            raise DatasetError(f"{self.audio}: {len(notes)} notes are wanted, too few for the part {part!r}")
        return sorted(found, key=lambda note: random.key(0, f"note {note.name}"))

    def chosen(self) -> list[Note]:
        """The notes of all parts, by name.

        Raises:
            DatasetError: There is no such folder or file, or no note in it that is wanted.
        """
        wanted = {note.name: note for note in self._wanted()}
        if not wanted:
            raise DatasetError(
                f"{self.audio}: has no sounds of notes that {self.examples} knows and [data.nsynth] wants"
            )
        if self.size and self.size < len(wanted):
            wanted = {name: wanted[name] for name in self._drawn(wanted)}
        return [wanted[name] for name in sorted(wanted)]

    def classes(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The values that occur of some attributes, numbers in order and names by the alphabet."""
        notes = self.chosen()
        values = {name: sorted({note.attribute(name) for note in notes}) for name in names}  # pyright: ignore[reportArgumentType]
        return {name: tuple(str(value) for value in found) for name, found in values.items()}

    def read(
        self, notes: Sequence[Note], sample_rate: int, num_samples: int
    ) -> Float[Tensor, "notes samples"]:
        """The beginnings of notes, padded with zeros where they are shorter. Raises AudioError for a damaged one."""
        clips = torch.zeros(len(notes), num_samples)
        for row, note in zip(clips, notes, strict=True):
            path = Path(self.audio) / f"{note.name}.wav"
            sound = audiofile.read(path, sample_rate=sample_rate, max_seconds=num_samples / sample_rate)
            row.copy_(fit_length(sound.samples, num_samples))
        return clips

    def _wanted(self) -> list[Note]:
        """The notes that pass the filters and have a sound."""
        folder = Path(self.audio)
        if not folder.is_dir():
            raise DatasetError(f"{folder}: there is no such folder of sounds")
        files = {path.stem for path in folder.glob("*.wav")}
        filters = NSynthFilters(families=self.families, pitches=self.pitches)
        read = (note_of(name, entry) for name, entry in read_examples(Path(self.examples)).items())
        return [
            note
            for note in read
            if isinstance(note, Note)
            and note.name in files
            and filters.lets_through(note)
            and (not self.name_contains or any(part in note.name for part in self.name_contains))
        ]

    def _drawn(self, wanted: Mapping[str, Note]) -> set[str]:
        """As many as are asked for; fewer where families are to be balanced and one is too small for its share."""
        of = {name: note.family if self.balance else "" for name, note in wanted.items()}
        counts = Counter(of.values())
        if min(counts.values()) >= -(-self.size // len(counts)):
            return equal_shares(of, self.size, seed=0)
        return at_most(of, self.size // len(counts), seed=0)
