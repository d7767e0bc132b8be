"""A corpus of notes as NSynth is laid out, so that whatever reads NSynth reads it.

    corpus.json                      what it is: settings, hash, licence, census, and the checksum of every file
    nsynth-train/examples.json       what is known of each note, under NSynth's keys
    nsynth-train/audio/NAME.wav      one channel of 16-bit integers
    nsynth-valid/, nsynth-test/      the same

`NoteSource` is what can be written so (`nsynth_writer.py`), `find_faults` checks what was.

The hash of a corpus is the SHA-256 of its notes' names and samples, in the order of the names. It does not depend on
the machine, on the version of the library that writes the files, or on how often the writing was interrupted.

References:
    Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    https://arxiv.org/abs/1704.01279; its files are described at https://magenta.tensorflow.org/datasets/nsynth
"""

import abc
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import soundfile
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of
from retimbre.corpora.nsynth import AUDIO_FOLDER, CORPUS_FILE, FAMILIES, QUALITIES, SOURCES

PARTS = ("train", "valid", "test")
"""The parts of NSynth, under its names."""

Progress = Callable[[int, int], None]

@final
@dataclasses.dataclass(frozen=True)
class NoteEntry:
    """What is known of a note.

    Attributes:
        number: Unique in the corpus.
        instrument: The number of the instrument; `instrument_name` is such as `bass_synthetic_012`.
        qualities: Of NSynth's ten.
        part: One of `PARTS`.
    """

    number: int
    instrument: int
    instrument_name: str
    family: str
    source: str
    pitch: int
    velocity: int
    qualities: tuple[str, ...]
    part: str

    @property
    def name(self) -> str:
        """Instrument, pitch and velocity."""
        return f"{self.instrument_name}-{self.pitch:03d}-{self.velocity:03d}"

    @property
    def file(self) -> str:
        """Where its sound is, from the corpus's folder."""
        return f"nsynth-{self.part}/{AUDIO_FOLDER}/{self.name}.wav"

    def entry(self, sample_rate: int) -> dict[str, Any]:
        """The note under NSynth's keys."""
        return {
            "note": self.number,
            "note_str": self.name,
            "instrument": self.instrument,
            "instrument_str": self.instrument_name,
            "pitch": self.pitch,
            "velocity": self.velocity,
            "sample_rate": sample_rate,
            "qualities": [int(quality in self.qualities) for quality in QUALITIES],
            "qualities_str": [quality for quality in QUALITIES if quality in self.qualities],
            "instrument_family": FAMILIES.index(self.family),
            "instrument_family_str": self.family,
            "instrument_source": SOURCES.index(self.source),
            "instrument_source_str": self.source,
        }


class NoteSource(abc.ABC):
    """Notes that can be had by their numbers from 0, in any order and as often as wanted."""

    sample_rate: int
    num_samples: int

    @property
    @abc.abstractmethod
    def about(self) -> dict[str, Any]:
        """What makes the corpus what it is, as JSON: `corpus`, `licence`, `citation` and `settings`."""

    @abc.abstractmethod
    def entries(self, rows: range) -> list[NoteEntry]:
        """What is known of notes."""

    @abc.abstractmethod
    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Their sounds, in [-1, 1]."""


def corpus_hash(digests: Mapping[str, str]) -> str:
    """One SHA-256 of all notes, from the SHA-256 of each one's samples by its name."""
    lines = (f"{name} {digests[name]}\n" for name in sorted(digests))
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.encode())
    return whole.hexdigest()


def is_written_corpus(folder: Path) -> bool:
    """Whether a folder is a corpus that was written here."""
    return (folder / CORPUS_FILE).is_file()


def read_corpus_file(folder: Path) -> dict[str, Any]:
    """What a corpus says about itself.

    Raises:
        DatasetError: There is none, or its file is damaged.
    """
    path = folder / CORPUS_FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not a JSON file: {error}") from error
    keys = {"corpus", "licence", "settings", "size", "sample_rate", "num_samples"}
    if not isinstance(table, dict) or not keys <= set(table):
        raise DatasetError(f"{path}: not a corpus of notes: takes an object with {', '.join(sorted(keys))}")
    return table


def find_faults(folder: Path, *, progress: Progress | None = None) -> list[str]:
    """Everything in which a written corpus is not what its `corpus.json` says, one line each.

    Reads every file: checks its checksum, and that the samples of all together have the corpus's hash.

    Raises:
        DatasetError: There is no `corpus.json`, or it is damaged.
    """
    table = read_corpus_file(folder)
    files = table.get("files")
    if not isinstance(files, dict):
        return ["not finished; run the command that made it again"]
    faults, digests = [], {}
    for place, (file, checksum) in enumerate(files.items(), start=1):
        path = folder / file
        if not path.is_file():
            faults.append(f"{file}: missing")
        elif sha256_of(path) != checksum:
            faults.append(f"{file}: its checksum is not the listed one; it was changed or damaged")
        else:
            digests[path.stem] = digest_of(samples_of(path))
        if progress:
            progress(place, len(files))
    if not faults and corpus_hash(digests) != table["hash"]:
        faults.append(f"the samples do not have the hash {table['hash'][:16]}...")
    return faults


def samples_of(path: Path) -> bytes:
    """The samples of a file as 16-bit integers, the low byte first whatever the machine."""
    samples, _ = soundfile.read(path, dtype="int16")
    return samples.astype("<i2").tobytes()


def digest_of(samples: bytes) -> str:
    """The SHA-256 of a note's samples."""
    return hashlib.sha256(samples).hexdigest()
