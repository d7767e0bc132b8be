"""Writing a corpus of notes to disk, in NSynth's layout.

A corpus can have hundreds of thousands of notes, so it is written in small batches and can be stopped: files appear
whole, `corpus.json` says from the start which corpus the folder is for, and the same call again writes what is
missing. A corpus may also grow, since its first notes stay what they are. Neither sounds nor entries are ever all in
memory.

A corpus that was finished lists the checksum of every file. The list is kept while the corpus is gone on with, so that
a file which was damaged since is written again and never taken for a note.
"""

import contextlib
import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO, final

import soundfile

from retimbre.core.errors import DatasetError, ExistsError
from retimbre.core.files import remove_asides, sha256_of, whole_file, write_json
from retimbre.corpora.nsynth.entries import (
    AUDIO_FOLDER,
    CORPUS_FILE,
    EXAMPLES_FILE,
    listed_sums,
    read_corpus_file,
)
from retimbre.corpora.nsynth.layout import (
    PARTS,
    NoteEntry,
    NoteSource,
    Progress,
    corpus_hash,
    digest_of,
    samples_of,
)
from retimbre.dsp import audiofile
from retimbre.dsp.level import is_silent

_BYTES_PER_SAMPLE = 2
_BYTES_BESIDE = (
    6_144  # a file's header, its entries in two JSON files, and the rest of its last block on the disk
)
_NOTES_AT_ONCE = 64


@final
@dataclasses.dataclass(frozen=True)
class Written:
    """What `write_notes` did.

    Attributes:
        hash: Of the names and samples of all notes.
        notes: In the folder.
        written: Those of them that were written now; the rest was there.
        damaged: Those of the written ones whose file was there, but was not what it should be.
        silent: Notes that make no sound, as outside an instrument's range, and were left out.
        census: Notes of each part, family, source and velocity, how many instruments and pitches, and seconds in all.
    """

    folder: Path
    hash: str
    notes: int
    written: int
    damaged: int
    silent: int
    sample_rate: int
    num_samples: int
    licence: str
    census: dict[str, Any]


def write_notes(
    out: Path, source: NoteSource, size: int, *, force: bool = False, progress: Progress | None = None
) -> Written:
    """Writes the first `size` notes of a source, or those of them that are missing.

    Args:
        force: Whether another corpus in the folder is removed, and whether other files may lie beside this one.
        progress: Called with the notes that are there and the notes there will be.

    Raises:
        ExistsError: The folder holds something else.
        DatasetError: The disk is too small, the corpus in the folder is damaged, or not one note makes a sound.
    """
    is_new = not out.exists()
    listed = _claim(out, source, size, force=force)
    _check_disk(out, source, size)
    census, written, damaged = _Census(), 0, 0
    digests: dict[str, str] = {}
    files: dict[str, str] = {}
    with _Examples(out, source.sample_rate) as examples:
        for start in range(0, size, _NOTES_AT_ONCE):
            rows = range(start, min(start + _NOTES_AT_ONCE, size))
            entries, now, of_them_damaged = _write_missing(out, source, source.entries(rows), listed)
            written, damaged = written + now, damaged + of_them_damaged
            digests.update((entry.name, digest_of(samples_of(out / entry.file))) for entry in entries)
            files.update((entry.file, sha256_of(out / entry.file)) for entry in entries)
            census.add(entries)
            examples.add(entries)
            if progress:
                progress(rows.stop, size)
    if not digests:
        _give_up(out, source, size, is_new=is_new)
    table = census.table(seconds_each=source.num_samples / source.sample_rate)
    found = {"hash": corpus_hash(digests), "census": table, "files": files}
    write_json(out / CORPUS_FILE, {**_header(source, size), **found})
    return Written(
        folder=out,
        hash=found["hash"],
        notes=len(digests),
        written=written,
        damaged=damaged,
        silent=size - len(digests),
        sample_rate=source.sample_rate,
        num_samples=source.num_samples,
        licence=source.about["licence"],
        census=table,
    )


def _write_missing(
    out: Path, source: NoteSource, entries: list[NoteEntry], listed: Mapping[str, str]
) -> tuple[list[NoteEntry], int, int]:
    """Writes the sounds that are not there or damaged.

    A note without a sound is not written: its labels would say what nobody hears.

    Returns:
        The notes that are there now, how many were written, and how many of these had a damaged file.
    """
    missing = [
        entry for entry in entries if not _is_there(out / entry.file, source, listed.get(entry.file, ""))
    ]
    if not missing:
        return entries, 0, 0
    damaged = sum((out / entry.file).exists() for entry in missing)
    sounds = source.audio([entry.number for entry in missing]).cpu()
    silent = {entry.name for entry, sound in zip(missing, sounds, strict=True) if is_silent(sound)}
    for entry, sound in zip(missing, sounds, strict=True):
        if entry.name not in silent:
            audiofile.write(out / entry.file, sound, source.sample_rate, integers=True)
    return [entry for entry in entries if entry.name not in silent], len(missing) - len(silent), damaged


def _is_there(path: Path, source: NoteSource, listed: str) -> bool:
    """Whether a finished sound is there: the listed one, or one of the right kind and length where none is listed."""
    try:
        if listed:
            return sha256_of(path) == listed
        info = soundfile.info(path)
        fits = (info.samplerate, info.subtype) == (source.sample_rate, "PCM_16")
        return fits and len(samples_of(path)) == source.num_samples * _BYTES_PER_SAMPLE
    except (OSError, soundfile.LibsndfileError):
        return False


def _give_up(out: Path, source: NoteSource, size: int, *, is_new: bool) -> None:
    """Leaves nothing where there are no notes, and says so."""
    (out / CORPUS_FILE).unlink()
    if is_new:
        out.rmdir()
    raise DatasetError(
        f"{out}: none of {size:,} notes of {source.num_samples} samples at {source.sample_rate} Hz makes a sound; "
        "nothing was written"
    )


def _claim(out: Path, source: NoteSource, size: int, *, force: bool) -> dict[str, str]:
    """Makes the folder this corpus's: an unfinished `corpus.json`, and nothing of another one.

    Returns:
        The checksums of the files that the corpus has so far.
    """
    listed: dict[str, str] = {}
    if out.exists() and not out.is_dir():
        raise ExistsError(f"{out} is a file, but a corpus is a folder")
    if (out / CORPUS_FILE).is_file():
        reason = _why_another(out, source, size, force=force)
        if reason and not force:
            raise ExistsError(f"{out} holds {reason}; --force replaces it")
        if reason:
            _remove(out)
        else:
            listed = listed_sums(read_corpus_file(out))
    else:
        _check_others(out, force=force)
    _remove_asides(out)
    write_json(out / CORPUS_FILE, {**_header(source, size), "files": listed})
    return listed


def _check_others(out: Path, *, force: bool) -> None:
    """Refuses a folder with files of others: a corpus of theirs always, anything else unless forced."""
    theirs = [f"nsynth-{part}" for part in PARTS if (out / f"nsynth-{part}").exists()]
    if theirs:
        raise ExistsError(
            f"{out} holds {', '.join(theirs)} and no {CORPUS_FILE}: notes of others, which are never replaced; "
            "take another folder"
        )
    if out.is_dir() and any(out.iterdir()) and not force:
        raise ExistsError(f"{out} holds other files and no corpus of notes; --force writes beside them")


def _remove_asides(out: Path) -> None:
    """Removes the unfinished files that a killed call left."""
    remove_asides(out, CORPUS_FILE)
    for part in PARTS:
        remove_asides(out / f"nsynth-{part}", EXAMPLES_FILE)
        remove_asides(out / f"nsynth-{part}" / AUDIO_FOLDER, "*.wav")


def _why_another(out: Path, source: NoteSource, size: int, *, force: bool) -> str:
    """Why the corpus in a folder is not this one or its beginning; empty if it is."""
    wanted = _header(source, size)
    try:
        there = read_corpus_file(out)
        listed_sums(there)
    except DatasetError:
        if force:
            return "a damaged corpus"
        raise
    if not isinstance(there.get("size"), int):
        return f"a {CORPUS_FILE} of something else"
    differing = [name for name in wanted if name != "size" and there.get(name) != wanted[name]]
    if differing:
        return f"a corpus with other {', '.join(differing)}"
    return f"{there['size']:,} notes, more than {size:,}" if there["size"] > size else ""


def _remove(out: Path) -> None:
    """Removes the header first: what has none is no corpus."""
    (out / CORPUS_FILE).unlink()
    for part in PARTS:
        shutil.rmtree(out / f"nsynth-{part}", ignore_errors=True)


def _header(source: NoteSource, size: int) -> dict[str, Any]:
    """What a corpus is, as it looks when it was written and read again."""
    shape = {"size": size, "sample_rate": source.sample_rate, "num_samples": source.num_samples}
    return json.loads(json.dumps({**source.about, **shape}))


def _check_disk(out: Path, source: NoteSource, size: int) -> None:
    there = sum(1 for _ in out.glob(f"nsynth-*/{AUDIO_FOLDER}/*.wav"))
    needed = max(0, size - there) * (source.num_samples * _BYTES_PER_SAMPLE + _BYTES_BESIDE)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise DatasetError(f"{out}: {size:,} notes need {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free")


@final
class _Examples:
    """The `examples.json` of each part, written entry by entry; a part without notes gets none."""

    def __init__(self, out: Path, sample_rate: int) -> None:
        self._out = out
        self._sample_rate = sample_rate
        self._files: dict[str, TextIO] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "_Examples":
        return self

    def add(self, entries: list[NoteEntry]) -> None:
        """Writes entries to the files of their parts."""
        for entry in entries:
            mark = ",\n" if entry.part in self._files else "{\n"
            if entry.part not in self._files:
                self._open(entry.part)
            text = json.dumps(entry.entry(self._sample_rate))
            self._files[entry.part].write(f"{mark} {json.dumps(entry.name)}: {text}")

    def _open(self, part: str) -> None:
        aside = self._stack.enter_context(whole_file(self._out / f"nsynth-{part}" / EXAMPLES_FILE))
        self._files[part] = self._stack.enter_context(aside.open("w", encoding="utf-8"))

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            for file in self._files.values():
                file.write("\n}\n")
        self._stack.__exit__(*failure)


@final
class _Census:
    """Counts of what a corpus has."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("parts", "families", "sources", "velocities")
        }
        self._instruments: set[int] = set()
        self._pitches: set[int] = set()

    def add(self, entries: list[NoteEntry]) -> None:
        """Counts notes."""
        for entry in entries:
            values = (entry.part, entry.family, entry.source, str(entry.velocity))
            for counts, value in zip(self._counts.values(), values, strict=True):
                counts[value] += 1
            self._instruments.add(entry.instrument)
            self._pitches.add(entry.pitch)

    def table(self, *, seconds_each: float) -> dict[str, Any]:
        """The counts as JSON, in an order that does not depend on that of the notes."""
        notes = self._counts["parts"].total()
        return {
            **{name: dict(sorted(counts.items())) for name, counts in self._counts.items()},
            "instruments": len(self._instruments),
            "pitches": len(self._pitches),
            "notes": notes,
            "seconds": notes * seconds_each,
        }
