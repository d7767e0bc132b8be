"""A census of notes that lie in NSynth's layout: one WAV file per note, and `examples.json` beside them.

Such a folder is what NSynth's authors hand out, what `retimbre data notes` writes, and what `retimbre data nsynth`
reads; it has no header of ours. So every entry is checked, every sound is read to its end, and where a `corpus.json`
lists checksums, every one is compared.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import soundfile

from retimbre.core.errors import AudioError
from retimbre.core.files import sha256_of
from retimbre.corpora.nsynth.entries import (
    AUDIO_FOLDER,
    CORPUS_FILE,
    EXAMPLES_FILE,
    Note,
    listed_sums,
    read_corpus_file,
)
from retimbre.corpora.nsynth.layout import corpus_hash, digest_of, samples_of
from retimbre.corpora.nsynth.scan import PARTS, PLAIN_ATTRIBUTES, NSynthFilters, find_folders, scan_folder
from retimbre.data.source import Reject
from retimbre.data.splits import SPLITS
from retimbre.dsp import audiofile
from retimbre.dsp.level import is_silent, peak
from retimbre.workflows.dataset.intake import in_order
from retimbre.workflows.dataset.remarks import counted_remarks

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class LayoutCensus:
    """What is in such a folder; a note whose sound cannot be read is a problem and counts nowhere.

    Attributes:
        lengths: Samples of the shortest and of the longest note.
        sample_rates: Notes at each rate, in hertz, the most frequent first.
        remarks: Notes that are odd in some way, by what it is.
        attributes: Notes of each value of each attribute.
        corpus: What `corpus.json` says; empty where there is none.
        problems: What is wrong, one line each.
    """

    notes: int
    seconds: float
    lengths: tuple[int, int]
    sample_rates: dict[int, int]
    splits: dict[str, int]
    attributes: dict[str, dict[str, int]]
    silent: int
    beyond_full_scale: int
    remarks: dict[str, int]
    rejects: tuple[Reject, ...]
    corpus: Mapping[str, Any]
    problems: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True)
class _Heard:
    """What one sound is; only `problem` says something about one that cannot be read."""

    problem: str
    num_samples: int = 0
    sample_rate: int = 0
    silent: bool = False
    beyond_full_scale: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate if self.sample_rate else 0.0


def is_nsynth_layout(folder: Path) -> bool:
    """Whether a folder is in NSynth's layout, or is to be: an unfinished corpus has no `examples.json` yet."""
    marks = [CORPUS_FILE, EXAMPLES_FILE, *(f"{part}/{EXAMPLES_FILE}" for part in PARTS)]
    return any((folder / mark).is_file() for mark in marks)


def count_layout(folder: Path, progress: Progress) -> LayoutCensus:
    """Reads every note of a folder in NSynth's layout.

    Args:
        progress: Called with the notes that are read and the notes there are.

    Raises:
        DatasetError: A JSON file is damaged, or the corpus is unfinished.
    """
    corpus = read_corpus_file(folder)
    listed = listed_sums(corpus)
    notes: list[tuple[Note, str]] = []
    paths: list[Path] = []
    rejects: list[Reject] = []
    for part, split in find_folders(folder):
        found, faults = scan_folder(part, NSynthFilters())
        notes += [(note, split or "train") for note in found]
        paths += [part / AUDIO_FOLDER / f"{note.name}.wav" for note in found]
        rejects += faults
    heard: list[_Heard] = []
    for one in in_order(_hear, paths):
        heard.append(one)
        progress(len(heard), len(notes))
    readable = [(*note, one) for note, one in zip(notes, heard, strict=True) if one.sample_rate]
    lengths = [one.num_samples for one in heard if one.sample_rate] or [0]
    splits = Counter(split for _, split, _ in readable)
    return LayoutCensus(
        notes=len(readable),
        seconds=sum(one.seconds for one in heard),
        lengths=(min(lengths), max(lengths)),
        sample_rates=dict(Counter(one.sample_rate for _, _, one in readable).most_common()),
        splits={name: splits[name] for name in SPLITS},
        attributes={
            name: _counts(note.attribute(name) for note, _, _ in readable) for name in PLAIN_ATTRIBUTES
        },
        silent=sum(one.silent for one in heard),
        beyond_full_scale=sum(one.beyond_full_scale for one in heard),
        remarks=counted_remarks(one.remarks for one in heard),
        rejects=tuple(rejects),
        corpus=corpus,
        problems=(
            *(f"{reject.path}: {reject.reason}" for reject in rejects if reject.kind == "failed"),
            *(one.problem for one in heard if one.problem),
            *_wrong_sums(folder, listed),
            *_wrong_hash(corpus, paths),
        ),
    )


def _hear(path: Path) -> _Heard:
    try:
        sound = audiofile.read(path)
    except AudioError as error:
        return _Heard(str(error))
    return _Heard(
        problem=f"{path}: it ends before its header says" if sound.truncated else "",
        num_samples=len(sound.samples),
        sample_rate=sound.sample_rate,
        silent=is_silent(sound.samples),
        beyond_full_scale=sound.gain != 1 or bool(peak(sound.samples) > 1),
        remarks=sound.remarks,
    )


def _wrong_sums(folder: Path, listed: Mapping[str, str]) -> Iterable[str]:
    def problem(name: str) -> str:
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            return f"{CORPUS_FILE} lists {name!r}, which is not a file of the folder"
        if not path.is_file():
            return f"{path}: listed in {CORPUS_FILE}, but there is no such file"
        is_right = sha256_of(path) == listed[name]
        return "" if is_right else f"{path}: its checksum is not the listed one; it was changed or damaged"

    return [found for found in in_order(problem, listed) if found]


def _wrong_hash(corpus: Mapping[str, Any], paths: Sequence[Path]) -> Iterable[str]:
    """Whether all notes together are the corpus that `corpus.json` names; nothing where it names none."""
    if "hash" not in corpus:
        return (
            [f"{CORPUS_FILE}: no hash: the corpus is not finished; make it again"] if "size" in corpus else []
        )
    try:
        digests = list(in_order(lambda path: digest_of(samples_of(path)), paths))
    except (OSError, soundfile.LibsndfileError):
        return []  # said already, note by note
    names = [path.stem for path in paths]
    if corpus_hash(dict(zip(names, digests, strict=True))) == corpus["hash"]:
        return []
    return [f"{CORPUS_FILE}: its hash is not that of the notes; some were changed, added or removed"]


def _counts(values: Iterable[Any]) -> dict[str, int]:
    """How often each value occurs, numbers by value and names by letter."""
    return {str(value): count for value, count in sorted(Counter(values).items())}
