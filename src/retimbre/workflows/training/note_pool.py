"""Notes that are rendered once and then heard many times over: what a listener learns from.

Rendering a note takes about as long as learning from it, so a session renders some ten thousands when it begins and
keeps them in memory as 16-bit integers at a peak of 1 (a listener does not hear how loud a clip is). The notes are a
function of the run file, so every session and every process has the same.

Parts are made of whole instruments: the last tenth of a family's tests, the tenth before validates (`corpora.notes`).
So a listener is validated on instruments that it never heard, of synthesized families and of General MIDI programs.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Literal, final

import torch
from jaxtyping import Float, Int, Int16
from torch import Tensor

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.plan import LONGEST_S, NotesSettings
from retimbre.corpora.notes.source import ProceduralNotes
from retimbre.corpora.nsynth.layout import NoteEntry, NoteSource
from retimbre.corpora.soundfont.corpus import SoundFontNotes, SoundFontSettings
from retimbre.listening.listener import ListenerConfig
from retimbre.workflows.training.census import TrainingCensus, counts_of
from retimbre.workflows.training.listener_run import Corpus, ListenerDataConfig

Part = Literal["train", "valid", "test"]

_AT_ONCE = 256
_SILENT_PEAK = 1e-4  # -80 dB: some instruments have nothing at the ends of the keyboard
_FULL_SCALE = 32_767


@final
@dataclasses.dataclass(frozen=True)
class PoolSettings:
    """Which notes there are to choose from.

    Attributes:
        corpora: Where they are from, in equal shares.
        families: Names of instrument families.
        pitches: The lowest and the highest, as MIDI numbers.
        velocities: As MIDI numbers.
        sample_rate: In Hz.
        seconds: Their length; the key is held for three quarters of it.
        instruments: Of each family of the corpus `notes`.
        soundfont: The `.sf2` file; empty looks where packages put one.
        seed: Of the corpora.
    """

    corpora: tuple[Corpus, ...]
    families: tuple[str, ...]
    pitches: tuple[int, int]
    velocities: tuple[int, ...]
    sample_rate: int
    seconds: float
    instruments: int
    soundfont: str
    seed: int

    @classmethod
    def of_listener(cls, data: ListenerDataConfig, task: ListenerConfig, seed: int) -> "PoolSettings":
        """The notes that a listener can name."""
        return cls(
            corpora=data.corpora,
            families=task.families,
            pitches=(task.lowest_pitch, task.highest_pitch),
            velocities=task.velocities,
            sample_rate=task.sample_rate,
            seconds=data.seconds,
            instruments=data.instruments,
            soundfont=data.soundfont,
            seed=seed,
        )


@final
@dataclasses.dataclass(frozen=True, eq=False)
class NotePool:
    """Rendered notes with their labels.

    Attributes:
        corpus: Of each note, the place of its corpus among those asked for.
        silent: Notes that were left out because nothing sounds.
    """

    samples: Int16[Tensor, "notes samples"]
    pitch: tuple[int, ...]
    velocity: tuple[int, ...]
    family: tuple[str, ...]
    corpus: Int[Tensor, " notes"]
    silent: int

    def __len__(self) -> int:
        """Notes there are."""
        return len(self.samples)

    def audio(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """Notes as they were rendered, at a peak of 1."""
        return self.samples[rows].float() / _FULL_SCALE

    def targets(self, config: ListenerConfig) -> dict[str, Int[Tensor, " notes"]]:
        """The classes of each attribute of a listener."""
        labels = {
            "pitch": self.pitch,
            "register": self.pitch,
            "velocity": self.velocity,
            "family": self.family,
        }
        return {each: config.targets(each, labels[each]) for each in config.attributes}

    def census(self, settings: PoolSettings) -> TrainingCensus:
        """The notes, counted."""
        counts = {
            "corpus": counts_of(settings.corpora[place] for place in self.corpus.tolist()),
            "family": counts_of(self.family),
            "pitch": counts_of(self.pitch),
            "velocity": counts_of(self.velocity),
        }
        return TrainingCensus(len(self), settings.seconds, {"silent": self.silent}, counts)


def note_seconds(num_samples: int, sample_rate: int) -> float:
    """How long notes are that fill a run's clips. Raises ConfigError for clips longer than notes of the corpora are."""
    seconds = num_samples / sample_rate
    if seconds > LONGEST_S:
        raise ConfigError(
            f"[task] num_samples is {num_samples:,}, {seconds:,.0f} s; notes of the corpora last "
            f"{LONGEST_S:g} s at most"
        )
    return seconds


def render_pool(settings: PoolSettings, part: Part, *, most: int) -> NotePool:
    """The first notes of a part of every corpus.

    Args:
        most: Notes of each corpus; fewer where it has fewer.

    Raises:
        MissingExtra: The corpus `soundfont` is asked for, and FluidSynth is not there.
        DatasetError: There is no SoundFont, or the part is empty.
    """
    kept: list[NoteEntry] = []
    corpora: list[int] = []
    silent = 0
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_corpus(corpus, settings)) for corpus in settings.corpora]
        # Notes go where they stay: thousands of them in pieces, and then joined, would take twice the memory.
        shape = sum(min(most, size) for _, size in opened), opened[0][0].num_samples
        samples = torch.empty(shape, dtype=torch.int16)
        for place, (corpus, (source, size)) in enumerate(zip(settings.corpora, opened, strict=True)):
            room = samples[len(kept) : len(kept) + most]
            entries, passed_over = _render(source, _entries(source, size, part), room)
            if not entries:
                raise DatasetError(_nothing(corpus, part, passed_over, source.num_samples))
            kept += entries
            corpora += [place] * len(entries)
            silent += passed_over
    return NotePool(
        samples=samples[: len(kept)],
        pitch=tuple(entry.pitch for entry in kept),
        velocity=tuple(entry.velocity for entry in kept),
        family=tuple(entry.family for entry in kept),
        corpus=torch.tensor(corpora),
        silent=silent,
    )


@contextlib.contextmanager
def open_corpus(name: Corpus, settings: PoolSettings) -> Iterator[tuple[NoteSource, int]]:
    """A corpus with these families, pitches and velocities, and how many notes it has."""
    lowest, highest = settings.pitches
    if name == "notes":
        corpus = NotesCorpus(
            NotesSettings(
                seed=settings.seed,
                families=settings.families,
                instruments=settings.instruments,
                lowest_pitch=lowest,
                highest_pitch=highest,
                velocities=settings.velocities,
                sample_rate=settings.sample_rate,
                seconds=settings.seconds,
            )
        )
        yield ProceduralNotes(corpus), len(corpus)
        return
    played = SoundFontSettings(
        path=settings.soundfont,
        seed=settings.seed,
        families=settings.families,
        lowest_pitch=lowest,
        highest_pitch=highest,
        velocities=settings.velocities,
        sample_rate=settings.sample_rate,
        seconds=settings.seconds,
    )
    with SoundFontNotes(played) as source:
        yield source, len(source)


def _entries(source: NoteSource, size: int, part: Part) -> Iterator[NoteEntry]:
    """The notes of a part, in their order."""
    for first in range(0, size, _AT_ONCE):
        entries = source.entries(range(first, min(first + _AT_ONCE, size)))
        yield from (entry for entry in entries if entry.part == part)


def _nothing(corpus: Corpus, part: Part, silent: int, num_samples: int) -> str:
    """Why a part has no note that could be kept."""
    if silent:
        return (
            f"the corpus {corpus!r}: all {silent} notes of its part {part!r} are silent in their first "
            f"{num_samples} samples; take longer clips"
        )
    return f"the corpus {corpus!r} has no notes in its part {part!r}; take more instruments"


def _render(
    source: NoteSource, entries: Iterator[NoteEntry], room: Int16[Tensor, "room samples"]
) -> tuple[list[NoteEntry], int]:
    """The first notes that sound, rendered into the room that there is, and how many there were that do not."""
    kept: list[NoteEntry] = []
    silent = 0
    while left := len(room) - len(kept):
        tried = list(itertools.islice(entries, min(_AT_ONCE, left)))
        if not tried:
            break
        audio = source.audio([entry.number for entry in tried])
        peak = audio.abs().amax(dim=1)
        sounds = peak > _SILENT_PEAK
        found = (audio[sounds] / peak[sounds, None] * _FULL_SCALE).round()
        room[len(kept) : len(kept) + len(found)] = found.to(torch.int16)
        kept += [entry for entry, does in zip(tried, sounds.tolist(), strict=True) if does]
        silent += int((~sounds).sum())
    return kept, silent
