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
    """The samples of a sound until it is written; a context manager.

    Attributes:
        path: Where the sound will be; the pieces lie in the same folder.
        most_samples: How many are kept; those beyond are left out. None for all.
        num_samples: How many there are so far.
        largest: The largest so far, without sign.
    """

    def __init__(self, path: Path, most_samples: int | None = None) -> None:
        self.path = path
        self.most_samples = most_samples
        self.num_samples = 0
        self.largest = 0.0
        self._file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  (closed on exit)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()

    @property
    def gain(self) -> float:
        """What keeps the sound within full scale."""
        return 1.0 / self.largest if self.largest > 1.0 else 1.0

    def add(self, piece: Float[Tensor, " piece"]) -> None:
        """Takes the next samples."""
        room = len(piece) if self.most_samples is None else self.most_samples - self.num_samples
        wanted = piece[:room].float()
        if len(wanted):
            with failing_by_name(self.path):
                self._file.write(wanted.numpy().tobytes())
            self.num_samples += len(wanted)
            self.largest = max(self.largest, float(peak(wanted)))

    def write(self, sample_rate: int, gain: float, *, integers: bool) -> None:
        """Writes the sound, with one gain for all of it."""
        audiofile.write_pieces(self.path, self._pieces(gain), sample_rate, integers=integers)

    def _pieces(self, gain: float) -> Iterator[Float[Tensor, " piece"]]:
        self._file.seek(0)
        while content := self._file.read(_BYTES * PIECE_SAMPLES):
            yield gain * torch.from_numpy(np.frombuffer(content, dtype=np.float32).copy())
