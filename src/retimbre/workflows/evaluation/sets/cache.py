"""Vectors that were computed once, kept under the name of everything they depend on.

An embedder is frozen, so what it says of a set of sounds never changes: the second number about a set should not cost
a second pass over it. A table is one file whose name is a fingerprint of the samples (not of their folder), of every
setting and weight of the embedder, of the framing, the device and the program's version; whatever changes, the name
changes, and a table is never taken for another.

Nor is a file believed because its name is right. Each carries the SHA-256 of its tensors and the whole of what the name
stands for; one that does not agree with itself is made again. The folder can be deleted at any time.
"""

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import CheckpointError
from retimbre.core.files import fingerprint
from retimbre.training import checkpoint

KIND = "vectors"

NO_CACHE_NAME = "none"
"""What a user names to keep nothing."""

Tables = dict[str, Float[Tensor, "clips ..."]]
"""What is computed in one pass over a set, by name: a row for each clip."""


def default_folder() -> Path:
    """Where tables are kept if nobody says otherwise: `retimbre` in the user's folder for caches.

    References:
        https://specifications.freedesktop.org/basedir-spec/latest/
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path.home() / ".cache") / "retimbre"


@final
@dataclasses.dataclass(frozen=True)
class VectorCache:
    """A folder of tables.

    Attributes:
        folder: Where; None keeps nothing.
    """

    folder: Path | None = None

    def kept(self, about: Mapping[str, Any], make: Callable[[], Tables]) -> Tables:
        """The tables of that description: those that are kept, or else what `make` computes.

        A file that is damaged, and a folder that cannot be written to, are told as warnings.

        Args:
            about: Everything that the tables depend on, as JSON has it.
            make: Computes them.
        """
        if self.folder is None:
            return make()
        path = self.folder / f"vectors-{fingerprint(about)}.safetensors"
        found = _read(path, about)
        if found is not None:
            return found
        made = make()
        _write(path, about, made)
        return made


def cache_named(name: str) -> VectorCache:
    """The cache that a user names: a folder, `none` for no cache, or nothing for the user's own folder."""
    if name == NO_CACHE_NAME:
        return VectorCache()
    return VectorCache(Path(name) if name else default_folder())


def _read(path: Path, about: Mapping[str, Any]) -> Tables | None:
    """A table that agrees with itself; None if there is none."""
    if not path.is_file():
        return None
    try:
        state, metadata = checkpoint.load(path, kind=KIND)
        if metadata == {"about": dict(about), "sha256": _digest(state)}:
            return state
        reason = "its content is not what it says"
    except (CheckpointError, OSError) as error:
        reason = str(error)
    warnings.warn(f"{path}: kept vectors are damaged and are computed again: {reason}", stacklevel=2)
    return None


def _write(path: Path, about: Mapping[str, Any], tables: Tables) -> None:
    try:
        checkpoint.save(path, tables, kind=KIND, metadata={"about": dict(about), "sha256": _digest(tables)})
    except OSError as error:
        warnings.warn(f"{path.parent}: vectors cannot be kept: {error.strerror}", stacklevel=2)


def _digest(tables: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, table in sorted(tables.items()):
        if isinstance(table, Tensor):
            digest.update(f"{name} {table.dtype} {tuple(table.shape)}\n".encode())
            digest.update(table.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
