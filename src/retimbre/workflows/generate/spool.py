"""A sound that is written as it is made, although its level is known only when all of it is there.

Pieces go to a temporary file without a name. At the end the loudest sample is known, and the sound is written with one
gain for all, so that it stays within full scale and loud passages stay loud. Memory holds one piece.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import failing_by_name
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.workflows.generate.mixdown import PIECE_SAMPLES

_BYTES = 4  # of a float32 sample


@final
class Spool:
    """So many samples of a sound; a context manager.

    Attributes:
        folder: Where the pieces lie until then.
        left: Samples that are still missing.
        largest: The largest so far, without sign.
    """

    def __init__(self, folder: Path, num_samples: int) -> None:
        self.folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed on exit)
        self.num_samples = self.left = num_samples
        self.largest = 0.0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()

    @property
    def gain(self) -> float:
        """What keeps the sound within full scale."""
        return 1.0 / self.largest if self.largest > 1.0 else 1.0

    def add(self, piece: Float[Tensor, " piece"]) -> None:
        """Takes the next samples; those beyond the end are left out."""
        wanted = piece[: self.left].float()
        if len(wanted):
            with failing_by_name(self.folder):
                self._file.write(wanted.numpy().tobytes())
            self.left -= len(wanted)
            self.largest = max(self.largest, float(peak(wanted)))

    def write(self, path: Path, sample_rate: int, *, integers: bool) -> None:
        """Writes the sound."""
        audiofile.write_pieces(path, self._pieces(), sample_rate, integers=integers)

    def _pieces(self) -> Iterator[Float[Tensor, " piece"]]:
        self._file.seek(0)
        while content := self._file.read(_BYTES * PIECE_SAMPLES):
            yield self.gain * torch.from_numpy(np.frombuffer(content, dtype=np.float32).copy())
