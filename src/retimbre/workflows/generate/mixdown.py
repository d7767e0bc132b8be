"""Notes added up to a piece, however long, in the memory of a few seconds.

A piece of music is the sum of its notes, each from its onset on. Notes come in the order of their onsets, so all that
lies before the latest onset is finished: no later note can change it. It is handed out piece by piece, and what is
kept is only what still sounds.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

Onset = tuple[int, Float[Tensor, " note"]]
"""The sample that a note begins at, from the start of the piece, and the note."""

PIECE_SAMPLES = 1 << 16


def added_up(notes: Iterable[Onset]) -> Iterator[Float[Tensor, " piece"]]:
    """The sum of notes, in pieces of about `PIECE_SAMPLES`.

    Args:
        notes: In the order of their onsets.

    Raises:
        ValueError: A note begins before one that came earlier.
    """
    start, sounding = 0, torch.zeros(0)
    latest = 0
    for onset, note in notes:
        if onset < latest:
            raise ValueError(f"a note at sample {onset} comes after one at {latest}; notes come in order")
        latest = onset
        while onset - start >= PIECE_SAMPLES:
            yield _first(sounding, PIECE_SAMPLES)
            sounding, start = sounding[PIECE_SAMPLES:], start + PIECE_SAMPLES
        end = onset - start + len(note)
        if end > len(sounding):
            sounding = torch.cat([sounding, torch.zeros(end - len(sounding))])
        sounding[onset - start : end] += note
    for start in range(0, len(sounding), PIECE_SAMPLES):
        yield sounding[start : start + PIECE_SAMPLES]


def _first(sounding: Float[Tensor, " sounding"], count: int) -> Float[Tensor, " count"]:
    """So many samples, with silence after what sounds."""
    missing = max(0, count - len(sounding))
    return torch.cat([sounding[:count], torch.zeros(missing)])
