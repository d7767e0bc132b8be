"""The checkpoints of one run: which states of it are kept, where, and which one is taken up."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retimbre.core.errors import CheckpointError
from retimbre.training.checkpoint import load, read_header, save

KIND = "training"
FOLDER = "checkpoints"  # of a run folder

# What a run leaves, by what its [task] is, where its checkpoints can stand for it.
_LEAVES = {"gan": "generator"}

_SNAPSHOT_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run: their folder, and the metadata that each of them carries."""

    folder: Path
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def last(self) -> Path:
        """The state at the last regular save, or at the end."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The state with the best validation so far."""
        return self.folder / "best.safetensors"

    @property
    def final(self) -> Path:
        """The state at the end of training: all steps made, or patience lost."""
        return self.folder / "final.safetensors"

    def at(self, step: int) -> Path:
        """The snapshot taken after a step."""
        return self.folder / f"step-{step:08d}.safetensors"

    def snapshots(self) -> dict[int, Path]:
        """The snapshots that exist, by step, in order."""
        found = (
            (_SNAPSHOT_NAME.fullmatch(path.name), path) for path in self.folder.glob("step-*.safetensors")
        )
        return dict(sorted((int(match[1]), path) for match, path in found if match))

    @property
    def newest(self) -> Path:
        """The state from which the run is continued; the file need not exist.

        It is the best one where a run broke off between that and the next regular save: were an older state taken up,
        the best one would be of a time that the run has not come to.
        """
        if self.last.exists() and self.best.exists():
            return max(self.last, self.best, key=_step_of)
        return self.best if self.best.exists() else self.last

    def save(self, path: Path, state: Mapping[str, object]) -> None:
        """Writes a state of the run to one of the paths above."""
        save(path, state, kind=KIND, metadata=self.metadata)

    def load_newest(self) -> dict[str, Any] | None:
        """The newest state, or None where the run has none yet. Raises CheckpointError as `load` does."""
        path = self.newest
        return load(path, kind=KIND)[0] if path.exists() else None

    def load_best(self, *, after: int = 0) -> dict[str, Any]:
        """The state of the best validation after a step, else the last one. Raises CheckpointError as `load` does."""
        if self.best.exists() and _step_of(self.best) > after:
            return load(self.best, kind=KIND)[0]
        return load(self.last, kind=KIND)[0]


def kind_of_model(path: Path) -> str:
    """The kind of model that a file holds: of a state of a training whose model can be heard from it, that model's.

    Raises:
        CheckpointError: As `load` does.
    """
    header = read_header(path)
    if header.kind != KIND:
        return header.kind
    try:
        return _LEAVES[header.metadata["run"]["task"]["kind"]]
    except (KeyError, TypeError):
        return KIND


def _step_of(path: Path) -> int:
    """The step after which a state was saved, read from the head of its file."""
    header = read_header(path, kind=KIND)
    try:
        return int(dict(json.loads(header.structure)["dict"])["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint: it does not say after which step") from error
