"""Any recordings: files, and folders searched to the bottom.

This is the corpus of somebody who has sounds and no list of them. Its only label is the first sub-folder of a path,
which is how people sort sounds by hand. What lies between the sounds and is none (texts, pictures, projects of an audio
editor) is counted and named, so that nobody wonders why a file is missing whose ending was not known; hidden files,
which a file manager does not show either, are passed over in silence.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from retimbre.core.errors import AudioError
from retimbre.data.source import Reject, Scan, Source
from retimbre.dsp import audiofile
from retimbre.dsp.decode import SUFFIXES

# More than this and a list is no longer read, only its length.
MOST_NAMED = 100


def scan_folders(places: Sequence[Path], *, without: Path) -> Scan:
    """Every recording among files and folders.

    Args:
        places: A file named outright is taken whatever its ending, and even when it is missing: reading it says so.
        without: A folder to pass over: what is written is not taken for input.

    Raises:
        AudioError: There are no recordings.
    """
    kept_out = without.resolve()
    found: list[Source] = []
    for place in places:
        for path in audiofile.find_sounds([place]):
            name = path.relative_to(place).as_posix() if place.is_dir() else path.name
            if not _is_within(path, kept_out):
                found.append(Source(path, name, label=_first_folder(name)))
    if not found:
        raise AudioError(f"{without} is the only place among the inputs that has sounds; name another --out")
    ordered = sorted(found, key=lambda source: (source.name, str(source.path)))
    others = [path for place in places for path in _others(place) if not _is_within(path, kept_out)]
    return Scan(tuple(ordered), tuple(named_up_to(others, "no ending of a sound file")))


def named_up_to(paths: Sequence[Path], reason: str) -> Iterator[Reject]:
    """Files that are no recordings of a corpus, as rejects: the first hundred by name, the rest as a number."""
    for path in sorted(paths)[:MOST_NAMED]:
        yield Reject(str(path), "passed over", reason)
    if len(paths) > MOST_NAMED:
        more = len(paths) - MOST_NAMED
        yield Reject(f"{more:,} more files", "passed over", reason, count=more)


def _others(place: Path) -> Iterator[Path]:
    """Visible files of a folder that are not taken for sounds."""
    for folder, inner, files in os.walk(place):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() not in SUFFIXES:
                yield Path(folder, name)


def _first_folder(name: str) -> str:
    parts = Path(name).parts
    return parts[0] if len(parts) > 1 else ""


def _is_within(path: Path, folder: Path) -> bool:
    return folder in path.resolve().parents
