"""NSynth, and every folder in its layout: one JSON file that knows each note, and a folder of equally named sounds.

A note is an instrument at a pitch and a velocity, named after the three: `bass_acoustic_000-036-100` is MIDI pitch 36,
velocity 100. `examples.json` maps such names to what is known (family, source, qualities), `audio/` holds the sounds.
The corpus comes as three such folders, `nsynth-train`, `nsynth-valid` and `nsynth-test`, which share no instrument
between training and the rest; one folder alone is read, too.

Every filter is a question about one note and all that are asked must be answered with yes, in whatever order. Then a
quota may choose among what is left (`quota.py`). Nothing here believes the file: a note with a pitch that is no MIDI
number, a note without a sound and a sound without a note are named and left out.

References:
    Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    https://arxiv.org/abs/1704.01279
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, final

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.corpora.folder import named_up_to
from retimbre.corpora.nsynth.entries import (
    AUDIO_FOLDER,
    EXAMPLES_FILE,
    FAMILIES,
    HIGHEST_MIDI,
    QUALITIES,
    SOURCES,
    Note,
    listed_sums,
    note_of,
    origin_of,
    read_corpus_file,
    read_examples,
)
from retimbre.corpora.quota import equal_shares
from retimbre.data.source import Reject, Scan, Source, Value
from retimbre.data.splits import Split

PARTS: dict[str, Split] = {"nsynth-train": "train", "nsynth-valid": "validation", "nsynth-test": "test"}

# What `--attribute` and `--balance` take: a plain column each, but `qualities`, which stands for ten.
PLAIN_ATTRIBUTES = ("pitch", "velocity", "instrument", "family", "source")


@final
@dataclasses.dataclass(frozen=True)
class NSynthFilters:
    """Which notes are wanted; an empty filter lets everything through.

    Attributes:
        pitches: The lowest and the highest MIDI pitch, both included.
        instruments: Such as `bass_acoustic_000`.
        qualities: A note has all of these.
        name_contains: A note's name contains all of these.
        size: How many notes in all, exactly; 0 takes every one.
        balance: The attribute whose classes have equal shares of `size`; `none` draws among all notes alike.
        attributes: What is kept of each note, beside its family, which is the label; empty keeps everything.
        parting: `given` keeps the three parts of the corpus; `instruments` parts anew, each instrument in one part;
            `mixed` parts anew by note, so that parts share instruments. A folder without parts is parted by
            instrument unless `mixed`.
        seed: Of the choice that `size` makes.
    """

    families: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pitches: tuple[int, int] = (0, HIGHEST_MIDI)
    velocities: tuple[int, ...] = ()
    instruments: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    name_contains: tuple[str, ...] = ()
    size: int = 0
    balance: str = "family"
    attributes: tuple[str, ...] = PLAIN_ATTRIBUTES
    parting: Literal["given", "instruments", "mixed"] = "given"
    seed: int = 0

    def __post_init__(self) -> None:
        for given, known, what in (
            (self.families, FAMILIES, "family"),
            (self.sources, SOURCES, "source"),
            (self.qualities, QUALITIES, "quality"),
            (self.attributes, (*PLAIN_ATTRIBUTES, *QUALITIES, "qualities"), "attribute"),
            ((self.balance,), (*PLAIN_ATTRIBUTES, *QUALITIES, "none"), "attribute to balance by"),
        ):
            if unknown := [name for name in given if name not in known]:
                raise ConfigError(f"NSynth has no {what} {unknown[0]!r}; {near_miss(unknown[0], known)}")
        low, high = self.pitches
        if not 0 <= low <= high <= HIGHEST_MIDI:
            raise ConfigError(f"pitches are MIDI numbers from low to high, 0 to 127, not {low} to {high}")
        if self.size < 0:
            raise ConfigError(f"a size is 0 for all notes or a number of notes, not {self.size}")

    def lets_through(self, note: "Note") -> bool:
        """Whether a note passes every filter; the quota is not asked."""
        low, high = self.pitches
        return (
            low <= note.pitch <= high
            and _is_wanted(note.family, self.families)
            and _is_wanted(note.source, self.sources)
            and _is_wanted(note.velocity, self.velocities)
            and _is_wanted(note.instrument, self.instruments)
            and set(self.qualities) <= set(note.qualities)
            and all(part in note.name for part in self.name_contains)
        )


def scan_nsynth(raw: Path, filters: NSynthFilters) -> Scan:
    """The notes of a folder in NSynth's layout that the filters want.

    Raises:
        DatasetError: The folder is not in NSynth's layout, or its JSON is damaged.
        ConfigError: The quota cannot be.
    """
    sources: dict[str, Source] = {}
    notes: list[Note] = []
    rejects: list[Reject] = []
    corpus = read_corpus_file(raw)
    sums = {raw / name: digest for name, digest in listed_sums(corpus).items()}
    for folder, part in find_folders(raw):
        wanted, faults = scan_folder(folder, filters)
        rejects += faults
        for note in wanted:
            if note.name in sources:
                rejects.append(
                    Reject(f"{folder}: {note.name}", "failed", "another part has a note of this name")
                )
            else:
                source = _source(note, folder, part, filters)
                sources[note.name] = dataclasses.replace(source, sha256=sums.get(source.path, ""))
                notes.append(note)
    chosen = _chosen(notes, filters)
    return Scan(
        sources=tuple(sources[name] for name in sorted(chosen)),
        rejects=tuple(rejects),
        options=dump(filters),
        origin=origin_of(corpus),
    )


def scan_folder(folder: Path, filters: NSynthFilters) -> tuple[list[Note], list[Reject]]:
    """The wanted notes of one folder that have a sound, and everything that does not fit together."""
    notes: list[Note] = []
    rejects: list[Reject] = []
    entries = read_examples(folder / EXAMPLES_FILE)
    files = {path.name for path in (folder / AUDIO_FOLDER).iterdir()}
    for name, entry in entries.items():
        note = note_of(name, entry)
        if isinstance(note, Reject):
            rejects.append(note)
        elif not filters.lets_through(note):
            continue
        elif f"{name}.wav" in files:
            notes.append(note)
        else:
            path = folder / AUDIO_FOLDER / f"{name}.wav"
            rejects.append(Reject(str(path), "failed", "the note has no sound: there is no such file"))
    strangers = [folder / AUDIO_FOLDER / file for file in files if file.removesuffix(".wav") not in entries]
    return notes, [*rejects, *named_up_to(strangers, f"no note of this name in {EXAMPLES_FILE}")]


def find_folders(raw: Path) -> list[tuple[Path, Split | None]]:
    """The folders with an `examples.json`, each with the part it stands for.

    Raises:
        DatasetError: There is none, perhaps because the corpus is unfinished, or one has no sounds.
    """
    found: list[tuple[Path, Split | None]] = [
        (raw / name, part) for name, part in PARTS.items() if (raw / name / EXAMPLES_FILE).is_file()
    ]
    if not found and (raw / EXAMPLES_FILE).is_file():
        found = [(raw, None)]
    if not found:
        raise DatasetError(_why_none(raw))
    for folder, _ in found:
        if not (folder / AUDIO_FOLDER).is_dir():
            raise DatasetError(
                f"{folder} has an {EXAMPLES_FILE}, but no folder {AUDIO_FOLDER}/ with its sounds"
            )
    return found


def _why_none(raw: Path) -> str:
    """Why a folder has no `examples.json`: a corpus gets it with its last note."""
    size = read_corpus_file(raw).get("size")
    if not isinstance(size, int):
        return f"{raw} holds no {EXAMPLES_FILE}, nor do {', '.join(PARTS)} in it"
    there = sum(1 for name in PARTS for _ in (raw / name / AUDIO_FOLDER).glob("*.wav"))
    return (
        f"{raw} holds an unfinished corpus, {there:,} of {size:,} notes; "
        "the command that began it goes on where it was"
    )


def _chosen(notes: Sequence[Note], filters: NSynthFilters) -> set[str]:
    if not filters.size or not notes:
        return {note.name for note in notes}
    by = filters.balance
    classes: Mapping[str, Value] = {note.name: "" if by == "none" else note.attribute(by) for note in notes}
    return equal_shares(classes, filters.size, seed=filters.seed)


def _source(note: Note, folder: Path, part: Split | None, filters: NSynthFilters) -> Source:
    attributes = filters.attributes or (*PLAIN_ATTRIBUTES, "qualities")
    return Source(
        path=folder / AUDIO_FOLDER / f"{note.name}.wav",
        name=f"{note.name}.wav",
        label=note.family,
        attributes={name: note.attribute(name) for name in _columns(attributes)},
        split=part if filters.parting == "given" else None,
        group="" if filters.parting == "mixed" else note.instrument,
    )


def _columns(attributes: Sequence[str]) -> Iterator[str]:
    for name in attributes:
        yield from QUALITIES if name == "qualities" else (name,)


def _is_wanted(value: Value, wanted: Sequence[Value]) -> bool:
    return not wanted or value in wanted
