"""Latents that were found to sound good, kept in a file and taken up again.

Whatever is generated leaves its latents beside the sounds, a row for each, in the order of the files. So a timbre that
was found by chance can be played over all keys, a morph can go between two favourites, and the same numbers can be
handed to another checkpoint of the run to hear what it has learned since.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.training import checkpoint
from retimbre.workflows.generate.player import Player

KIND = "latents"
_KEY = "latents"


@final
@dataclasses.dataclass(frozen=True)
class LatentChoice:
    """Which latents are used.

    Attributes:
        file: Saved ones; empty to draw new ones.
        rows: Which rows of the file, from 0 on; negative ones count from the end. Empty for the first ones.
        seed: Of those that are drawn.
    """

    file: str = ""
    rows: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses rows of no file."""
        if self.rows and not self.file:
            raise ConfigError("rows of latents are chosen, but no file of latents is given")


def save_latents(path: Path, latents: Float[Tensor, "rows latent"], about: Mapping[str, Any]) -> None:
    """Writes latents as one whole file, with what is known of them."""
    checkpoint.save(path, {_KEY: latents}, kind=KIND, metadata=dict(about))


def read_latents(path: str | Path) -> Float[Tensor, "rows latent"]:
    """Reads a file that `save_latents` wrote, or a NumPy array `[rows, latent]` (`.npy`), as float32.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """
    path = Path(path)
    found = _from_numpy(path) if path.suffix.lower() == ".npy" else _from_checkpoint(path)
    if found.ndim != 2 or found.numel() == 0 or not found.is_floating_point():
        raise CheckpointError(
            f"{path}: holds an array of shape {tuple(found.shape)}; takes rows of real numbers, a latent each"
        )
    latents = found.float()  # in which a number of another precision may be infinite
    if not bool(latents.isfinite().all()):
        raise CheckpointError(f"{path}: holds numbers that are NaN, infinite or beyond 32-bit floats")
    return latents


def chosen_latents(
    player: Player, choice: LatentChoice, count: int, purpose: str = "latents"
) -> Float[Tensor, "count latent"]:
    """So many latents, from the file or drawn.

    Args:
        player: The generator that they are for.
        choice: Which ones.
        count: How many; 0 for all that are chosen from a file.
        purpose: Of the draw; other purposes give other latents.

    Raises:
        CheckpointError: The file cannot be read.
        ConfigError: There are not so many, or they are of another length than the generator takes.
    """
    if not choice.file:
        return player.sounds.draw_latents(count, seed=choice.seed, purpose=purpose)
    saved = read_latents(choice.file)
    if saved.shape[1] != player.sounds.latent_dim:
        raise ConfigError(
            f"{choice.file}: has latents of {saved.shape[1]} numbers, but {player.name} takes"
            f" {player.sounds.latent_dim}"
        )
    found = saved[_rows(choice, len(saved))]
    if count > len(found):
        raise ConfigError(f"{choice.file}: {len(found)} latents are chosen, but {count} are needed")
    return found[: count or len(found)]


def _rows(choice: LatentChoice, num_saved: int) -> Sequence[int]:
    for row in choice.rows:
        if not -num_saved <= row < num_saved:
            raise ConfigError(
                f"{choice.file}: has no row {row}; takes 0 to {num_saved - 1}, or -1 to -{num_saved} from its end"
            )
    return [row % num_saved for row in choice.rows] or range(num_saved)


def _from_checkpoint(path: Path) -> Tensor:
    state, _ = checkpoint.load(path, kind=KIND)
    if not isinstance(state.get(_KEY), Tensor):
        raise CheckpointError(f"{path}: damaged: holds no latents")
    return state[_KEY]


def _from_numpy(path: Path) -> Tensor:
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise CheckpointError(f"{path}: damaged, or no NumPy array: {str(error).splitlines()[0]}") from error
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
        raise CheckpointError(f"{path}: takes an array of real numbers")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
