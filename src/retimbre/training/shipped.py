"""Where trained models are: in a run folder, in a file, or shipped with the package under a name."""

import importlib.resources
from pathlib import Path

from retimbre.core.errors import CheckpointError, near_miss

MODEL_FILE = "model.safetensors"  # of a run folder


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The file of a run folder's model, of a path, or of a shipped checkpoint's name.

    Raises:
        CheckpointError: There is no such file; the message lists the shipped names.
    """
    path = Path(name_or_path)
    shipped = shipped_checkpoints()
    if path.is_dir() and (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    if path.is_file():
        return path
    if str(name_or_path) in shipped:  # even beside a folder of that name, say of the sounds that it made
        return shipped[str(name_or_path)]
    if path.is_dir():
        raise CheckpointError(f"{path}: has no {MODEL_FILE}; is it a run folder whose training has begun?")
    raise CheckpointError(
        f"there is no model {str(name_or_path)!r}: no such file; {near_miss(str(name_or_path), shipped)}"
    )


def shipped_checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    folder = Path(str(importlib.resources.files("retimbre"))) / "checkpoints"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
