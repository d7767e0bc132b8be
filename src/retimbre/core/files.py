"""Files that appear whole or not at all and where nothing was before, and the fingerprints of their content."""

import contextlib
import csv
import fnmatch
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from retimbre.core.errors import ConfigError, ExistsError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; renames it into place when the block ends, removes it when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with failing_by_name(path, aside):
            aside.touch()
            mode = aside.stat().st_mode
            yield aside
            aside.chmod(mode)  # some libraries write what nobody else may read
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def failing_by_name(path: Path, aside: Path | None = None) -> Iterator[None]:
    """Has errors of the system that name no file, as that of a full disk, or the one beside it, name this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(aside)):
            raise
        raise OSError(f"{path}: cannot be written: {error.strerror}") from error


def free_files(out: str | Path, *names: str, force: bool) -> dict[str, Path]:
    """Where results will be written, asked for before they are computed, so that no work is lost at the first file.

    Args:
        out: Their folder, which need not be there yet; empty for none, which gives no files.
        names: Of the files in it.
        force: Whether files of these names may be there already.

    Raises:
        ExistsError: The folder is a file or lies below one, or a file is there already.
    """
    if not str(out):
        return {}
    folder = Path(out)
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ExistsError(f"{path} is a file, but --out takes a folder")
    files = {name: folder / name for name in names}
    there = [name for name, path in files.items() if path.exists()]
    if there and not force:
        raise ExistsError(f"{folder} holds {', '.join(there)} already; --force replaces them")
    return files


def refuse_to_lose(folder: Path, *own: str) -> None:
    """Stops before a folder is replaced as a whole that holds more than what replaces it.

    Args:
        folder: Where the new one is to be.
        own: Patterns of the files that are replaced, relative to the folder.

    Raises:
        ExistsError: Names the first file that matches none of them.
    """
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not path.is_dir() and not any(fnmatch.fnmatchcase(inside.as_posix(), pattern) for pattern in own):
            raise ExistsError(
                f"{folder} holds {inside.as_posix()}, which --force would lose; move it away first"
            )


@contextlib.contextmanager
def folder_aside(aside: Path, place: Path) -> Iterator[Path]:
    """Yields an empty folder for files that will be moved to another place; it is gone when the block ends.

    Errors of the system name that place in its stead: nobody could look into a folder that is gone. The folder around
    it goes, too, if it was made for this and nothing came of it.
    """
    around = aside.parent
    is_new = not around.exists()
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
    except OSError as error:
        if str(aside) not in str(error):
            raise
        raise OSError(str(error).replace(str(aside), str(place))) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if is_new and around.is_dir() and not any(around.iterdir()):
            around.rmdir()


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder to make in place of `folder`; it appears under that name only when the block ends well.

    An earlier one goes only after the new one is there.

    Raises:
        ConfigError: The folder has no name of its own, as `.` has none.
    """
    if not folder.name:
        raise ConfigError(
            f"--out is {str(folder)!r}, where the program runs; takes a folder that can be replaced"
        )
    with folder_aside(folder.with_name(f".{folder.name}.{os.getpid()}.part"), folder) as aside:
        yield aside
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(aside, folder)
        shutil.rmtree(old, ignore_errors=True)


def unique_names(stems: Iterable[str]) -> list[str]:
    """Names of files: the stems, with a number behind each that was there before."""
    names: list[str] = []
    for stem in stems:
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return names


def remove_asides(folder: Path, name: str) -> None:
    """Removes what a killed process left when it was writing a file; no other may be writing it now.

    Args:
        name: Of the file, or `*` with a suffix for every file with that suffix.
    """
    wanted = Path(name)
    for path in folder.glob(f".{wanted.stem}.*{wanted.suffix}"):
        if re.fullmatch(r"\..+\.\d+", path.stem):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a whole JSON file, indented; a NaN or an infinity in it is a bug and raises ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, one a line; None is an empty cell, and a float has just the digits that read back as it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Sixteen hexadecimal digits that name a JSON-able value: equal values, equal digits, whatever the key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
