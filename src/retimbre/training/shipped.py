"""Where trained models are: in a run folder, in a file, or shipped with the package under a name."""

import importlib.resources
from pathlib import Path

from retimbre.core.errors import CheckpointError, near_miss
from retimbre.training.run_checkpoints import FOLDER, KIND, Checkpoints, kind_of_model

MODEL_FILE = "model.safetensors"  # of a run folder


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The file of a run folder's model, of a path, or of a shipped checkpoint's name.

    A run that was interrupted before a session of it ended has no model. The best state so far stands for a generator.

    Raises:
        CheckpointError: There is no such file; the message lists the shipped names.
    """
    path = Path(name_or_path)
    shipped = shipped_checkpoints()
    if path.is_file():
        return path
    if (held := model_in(path)) is not None:
        if held.name != MODEL_FILE and kind_of_model(held) == KIND:
            raise CheckpointError(
                f"{path}: has no {MODEL_FILE} yet, its training broke off; `retimbre train` goes on and leaves one"
            )
        return held
    if str(name_or_path) in shipped:  # even beside a folder of that name, say of the sounds that it made
        return shipped[str(name_or_path)]
    if path.is_dir():
        raise CheckpointError(f"{path}: has no {MODEL_FILE}; is it a run folder whose training has begun?")
    raise CheckpointError(
        f"there is no model {str(name_or_path)!r}: no such file; {near_miss(str(name_or_path), shipped)}"
    )


def model_in(folder: Path) -> Path | None:
    """The file in a run folder that holds what was trained, or None if this is no run folder with one."""
    states = Checkpoints(folder / FOLDER)
    found = (path for path in (folder / MODEL_FILE, states.best, states.last) if path.is_file())
    return next(found, None)


def shipped_checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    folder = Path(str(importlib.resources.files("retimbre"))) / "checkpoints"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
