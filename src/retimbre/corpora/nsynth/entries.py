"""What `examples.json` says about a note of NSynth, and what is checked before any of it is believed.

    "bass_acoustic_000-036-100": {"pitch": 36, "velocity": 100, "instrument_str": "bass_acoustic_000",
        "instrument_family_str": "bass", "instrument_source_str": "acoustic", "qualities": [0, 1, 0, ...], ...}

The eleven families, three sources and ten qualities are the corpus's own; each is stored as a number and as a word,
and the word is what is read here. A corpus of our own making has a `corpus.json` beside it, with its licence and the
SHA-256 checksum of every file.
"""

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from retimbre.core.errors import DatasetError
from retimbre.data.source import Reject, Value

EXAMPLES_FILE, AUDIO_FOLDER, CORPUS_FILE = "examples.json", "audio", "corpus.json"
FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal",
)  # fmt: skip
SOURCES = ("acoustic", "electronic", "synthetic")
QUALITIES = (
    "bright", "dark", "distortion", "fast_decay", "long_release", "multiphonic", "nonlinear_env", "percussive",
    "reverb", "tempo-synced",
)  # fmt: skip

HIGHEST_MIDI = 127

# Unicode's categories of what has no place in a name: control characters, halves of characters, ends of lines.
_NOT_IN_NAMES = {"Cc", "Cs", "Zl", "Zp"}


@final
@dataclasses.dataclass(frozen=True)
class Note:
    """An entry of `examples.json`, checked."""

    name: str
    pitch: int
    velocity: int
    instrument: str
    family: str
    source: str
    qualities: tuple[str, ...]

    def attribute(self, name: str) -> Value:
        """One of `PLAIN_ATTRIBUTES`, or 1 or 0 for whether the note has a quality."""
        return int(name in self.qualities) if name in QUALITIES else getattr(self, name)


def read_examples(path: Path) -> dict[str, Any]:
    """The entries of an `examples.json`, unchecked.

    Raises:
        DatasetError: It cannot be read, is not JSON, or holds no notes.
    """
    entries = _read_json(path)
    if not isinstance(entries, dict) or not any(
        isinstance(entry, dict) and "pitch" in entry for entry in entries.values()
    ):
        raise DatasetError(f"{path}: not NSynth's: takes an object of notes by name, each with its pitch")
    return entries


def note_of(name: str, entry: Any) -> Note | Reject:
    """A note from its entry, or what is wrong with it."""
    reason = _fault(name, entry)
    if reason:
        return Reject(name if _is_plain(name) else ascii(name), "failed", reason)
    qualities = tuple(
        quality for quality, has in zip(QUALITIES, entry.get("qualities", ()), strict=False) if has
    )
    return Note(
        name=name,
        pitch=entry["pitch"],
        velocity=entry["velocity"],
        instrument=entry["instrument_str"],
        family=entry["instrument_family_str"],
        source=entry["instrument_source_str"],
        qualities=qualities,
    )


def _is_plain(name: str) -> bool:
    """Whether a name can be shown on one line of any terminal."""
    return not any(unicodedata.category(character) in _NOT_IN_NAMES for character in name)


def _is_midi(value: Any) -> bool:
    return type(value) is int and 0 <= value <= HIGHEST_MIDI


def _is_quality_list(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) in {0, len(QUALITIES)})


# Key of an entry: whether a value is right, and what it takes.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "pitch": (_is_midi, f"0 to {HIGHEST_MIDI}"),
    "velocity": (_is_midi, f"0 to {HIGHEST_MIDI}"),
    "instrument_str": (lambda value: isinstance(value, str) and value != "" and _is_plain(value), "a name"),
    "instrument_family_str": (lambda value: value in FAMILIES, ", ".join(FAMILIES)),
    "instrument_source_str": (lambda value: value in SOURCES, ", ".join(SOURCES)),
    "qualities": (_is_quality_list, f"{len(QUALITIES)} times 0 or 1"),
}


def _fault(name: str, entry: Any) -> str:
    """Why an entry is no note; empty for one that is."""
    if not isinstance(entry, dict):
        return f"its entry is no object: {entry!r}"
    if not name or Path(name).name != name or not _is_plain(name):
        return "its name is no file's name"
    for key, (is_right, takes) in _FIELDS.items():
        if not is_right(entry.get(key)):
            return f"its {key} is {entry.get(key)!r}, but takes {takes}"
    return ""


def read_corpus_file(raw: Path) -> Mapping[str, Any]:
    """What the folder's own `corpus.json` says; nothing for NSynth itself, which has none.

    Raises:
        DatasetError: There is one that cannot be read.
    """
    path = raw / CORPUS_FILE
    if not path.is_file():
        return {}
    table = _read_json(path)
    if not isinstance(table, dict):
        raise DatasetError(f"{path}: takes an object, not {type(table).__name__}")
    return table


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not a JSON file: {error}") from error


def origin_of(corpus: Mapping[str, Any]) -> dict[str, str]:
    """Where a `corpus.json` says its notes are from, as `data.source.Scan` has it; nothing if it has no licence."""
    if "licence" not in corpus:
        return {}
    told = {
        "name": corpus.get("corpus", ""),
        "licence": corpus["licence"],
        "citation": corpus.get("citation", ""),
    }
    return {key: str(value) for key, value in told.items()}


def listed_sums(corpus: Mapping[str, Any]) -> dict[str, str]:
    """The checksum of each file that a `corpus.json` lists, by its path below the folder.

    Raises:
        DatasetError: It lists something else.
    """
    files = corpus.get("files", {})
    if not isinstance(files, dict):
        raise DatasetError(f"{CORPUS_FILE}: 'files' should be an object of checksums, not {files!r}")
    return {str(name): str(digest) for name, digest in files.items()}
