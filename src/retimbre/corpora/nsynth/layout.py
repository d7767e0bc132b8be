"""A corpus of notes as NSynth is laid out, so that whatever reads NSynth reads it.

    corpus.json                      what it is: settings, hash, licence, census, and the checksum of every file
    nsynth-train/examples.json       what is known of each note, under NSynth's keys
    nsynth-train/audio/NAME.wav      one channel of 16-bit integers
    nsynth-valid/, nsynth-test/      the same

`NoteSource` is what can be written so, by `writer.py`; `scan.py` reads it.

The hash of a corpus is the SHA-256 of its notes' names and samples, in the order of the names. It does not depend on
the machine, on the version of the library that writes the files, or on how often the writing was interrupted.

References:
    Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    https://arxiv.org/abs/1704.01279; its files are described at https://magenta.tensorflow.org/datasets/nsynth
"""

import abc
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import soundfile
from jaxtyping import Float
from torch import Tensor

from retimbre.corpora.nsynth.entries import AUDIO_FOLDER, FAMILIES, QUALITIES, SOURCES

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

    @property
    @abc.abstractmethod
    def sample_rate(self) -> int:
        """In hertz."""

    @property
    @abc.abstractmethod
    def num_samples(self) -> int:
        """Of a note."""

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


def samples_of(path: Path) -> bytes:
    """The samples of a file as 16-bit integers, the low byte first whatever the machine."""
    samples, _ = soundfile.read(path, dtype="int16")
    return samples.astype("<i2").tobytes()


def digest_of(samples: bytes) -> str:
    """The SHA-256 of a note's samples."""
    return hashlib.sha256(samples).hexdigest()
