"""Making a corpus of notes: the procedural one, or that of a SoundFont."""

from pathlib import Path

from retimbre.core.errors import ConfigError
from retimbre.core.memory import keep_freed_memory
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.plan import NotesSettings
from retimbre.corpora.notes.source import ProceduralNotes
from retimbre.corpora.nsynth.layout import NoteSource, Progress
from retimbre.corpora.nsynth.writer import Written, write_notes
from retimbre.corpora.soundfont.corpus import SoundFontNotes, SoundFontSettings
from retimbre.training.devices import pick_device


def make_notes(
    out: str | Path,
    settings: NotesSettings,
    size: int,
    *,
    device: str = "cpu",
    force: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes procedural notes in NSynth's layout, or the ones that are missing.

    Args:
        size: How many; 0 for all of the grid.
        force: Whether another corpus in the folder is replaced.

    Raises:
        ConfigError: There are not so many notes.
        ExistsError: The folder holds something else.
        DatasetError: The disk is too small, or the folder's corpus is damaged.
    """
    keep_freed_memory()
    corpus = NotesCorpus(settings, pick_device(device).type)
    return _write(Path(out), ProceduralNotes(corpus), (size, len(corpus)), force, progress)


def make_soundfont_notes(
    out: str | Path,
    settings: SoundFontSettings,
    size: int,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes the notes of a SoundFont in NSynth's layout, or the ones that are missing.

    Args:
        size: How many; 0 for all that the SoundFont has.
        force: Whether another corpus in the folder is replaced.

    Raises:
        MissingExtra: FluidSynth or its Python binding is not installed.
        ConfigError: There are not so many notes.
        ExistsError: The folder holds something else.
        DatasetError: The SoundFont cannot be used, the disk is too small, or the folder's corpus is damaged.
    """
    with SoundFontNotes(settings) as source:
        return _write(Path(out), source, (size, len(source)), force, progress)


def _write(
    out: Path, source: NoteSource, sizes: tuple[int, int], force: bool, progress: Progress | None
) -> Written:
    """Writes as many notes as wanted, of as many as there are."""
    size, there = sizes
    if not 0 <= size <= there:
        raise ConfigError(
            f"size is {size:,}, but there are {there:,} notes; more instruments, pitches or velocities make more"
        )
    return write_notes(out, source, size or there, force=force, progress=progress)
