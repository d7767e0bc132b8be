"""The manifest of a listening pack: which sound is whose, and all that the answers depend on.

It is the key to the blind test, so it stays with the experimenter; listeners get the folder `listeners` alone. It lists
every file of the pack with its SHA-256, every sound with its system, item, source and gain, and the settings.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of, write_json

Mode = Literal["mos", "mushra"]
MANIFEST_FILE = "manifest.json"
FORMAT = "retimbre listening pack 1"
SCALES: dict[str, tuple[int, int]] = {"mos": (1, 5), "mushra": (0, 100)}
"""The lowest and the highest score of each kind of test."""


@final
@dataclass(frozen=True)
class PackedSound:
    """A sound that listeners score.

    Attributes:
        system: The name of the system, or of the anchor.
        item: What it is a sound of.
        trial: The list it is presented with.
    """

    system: str
    item: str
    trial: str


@final
@dataclass(frozen=True)
class Pack:
    """What the answers are read with.

    Attributes:
        identity: Names the pack in the answers.
        sounds: By the opaque name that listeners saw; the open reference, which is not scored, is not among them.
        systems: Names of systems and anchors, in the order of the tables.
        reference: The name of the hidden reference; empty if there is none.
    """

    identity: str
    mode: Mode
    sounds: dict[str, PackedSound]
    systems: tuple[str, ...]
    reference: str


def write_manifest(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Writes the manifest with a list of all files of the pack, itself excepted; returns what was written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in files
    }
    content = {"format": FORMAT, **content, "files": listed}
    write_json(folder / MANIFEST_FILE, content)
    return content


def is_pack(folder: Path) -> bool:
    """Whether a folder holds a listening pack, however damaged."""
    try:
        return FORMAT in (folder / MANIFEST_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def read_pack(folder: str | Path) -> Pack:
    """Reads a pack's manifest.

    Raises:
        DatasetError: There is none, it is damaged, or it is another file.
    """
    path = Path(folder) / MANIFEST_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{folder} is no listening pack: {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DatasetError(f"{path} is no manifest of a listening pack, which says format {FORMAT!r}")
    try:
        return _pack(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged: {error!r} is missing or of another kind") from error


def _pack(content: dict[str, Any]) -> Pack:
    sounds = {
        name: PackedSound(entry["system"], entry["item"], entry["trial"])
        for name, entry in content["sounds"].items()
        if entry["role"] == "scored"
    }
    if content["mode"] not in SCALES:
        raise KeyError(content["mode"])
    return Pack(content["id"], content["mode"], sounds, tuple(content["systems"]), content["reference"])
