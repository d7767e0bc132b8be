"""Sounds that a model makes, kept in a file that has no name, so that each is made once and none stays in memory.

A set is heard several times: by every embedder of a report, by the measures of notes, by the reader. A generator would
have to make its sounds again each time, and ten thousand clips do not fit in memory. Disk has the room, and the system
removes a temporary file when its last reader is gone, however the program ends.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.workflows.evaluation.sets.clips import About, Clips, content_key
from retimbre.workflows.evaluation.sets.survey import digest_of


@final
class SpooledClips(Clips):
    """Clips in a temporary file; made by `spooled`."""

    def __init__(self, about: About, samples: np.memmap) -> None:
        super().__init__(about)
        self._samples = samples

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Read from the file."""
        return torch.from_numpy(np.array(self._samples[list(rows)]))

    @property
    def key(self) -> str:
        """Of the samples and the rate."""
        return content_key(self.sample_rate, self.about.digests)


def spooled(
    about: About,
    sounds: Iterable[Float[Tensor, "_ samples"]],
    afterwards: Callable[[], tuple[str, ...]] = tuple,
) -> SpooledClips:
    """Writes sounds to a temporary file, a batch at a time.

    Args:
        about: What is known of them beforehand; as many names as there will be sounds.
        sounds: Batches in order, each clip as long as `about` says.
        afterwards: Asked for further remarks when all sounds are made.

    Raises:
        ConfigError: There are more or fewer sounds than names, or samples that are not finite.
    """
    digests: list[str] = []
    with tempfile.TemporaryFile() as file:
        for batch in sounds:
            if not bool(batch.isfinite().all()):
                raise ConfigError(
                    f"{about.name} makes samples that are NaN or infinite, which no set can hold"
                )
            rows = batch.detach().float().cpu()
            file.write(rows.contiguous().numpy().tobytes())
            digests += [digest_of(samples) for samples in rows]
        if len(digests) != len(about.names):
            raise ConfigError(f"{about.name} makes {len(digests)} sounds for {len(about.names)} names")
        file.flush()
        shape = (len(digests), about.num_samples)
        samples = np.memmap(file, dtype=np.float32, mode="r", shape=shape)  # lives on when the file is closed
    remarks = (*about.remarks, *afterwards())
    return SpooledClips(dataclasses.replace(about, digests=tuple(digests), remarks=remarks), samples)
