"""Long sound files, a segment at a time: the same door as `audiofile`, for sounds that need not fit into memory.

A sound file is gone through twice. The first time says what the door must know before the first sample passes: how many
frames there are in truth, whether the channels cancel, whether anything is not a number, how loud the loudest sample
is. The second time the samples come, mixed, scaled and resampled on the way, and are cut into segments of equal length
that may overlap. What comes out is sample for sample what `audiofile.read` gives.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import soxr
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from retimbre.dsp.audiofile import remarks_on
from retimbre.dsp.decode import Survey, check_rate, survey
from retimbre.dsp.resample import resampled_length


@final
@dataclasses.dataclass(frozen=True)
class SoundStream:
    """One channel of a sound file, to be read straight on.

    Attributes:
        found: What the first pass over the file has found.
        sample_rate: Of the samples that come out, in Hz.
    """

    found: Survey
    sample_rate: int

    @property
    def num_samples(self) -> int:
        """Samples at `sample_rate`."""
        return resampled_length(self.found.num_frames, self.found.info.sample_rate, self.sample_rate)

    @property
    def gain(self) -> float:
        """What samples are multiplied by: 1, or less when a float file is louder than full scale."""
        return 1 / max(1.0, self.found.peak)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a listener should know, one clause each."""
        found = self.found
        ends_at_s = found.num_frames / found.info.sample_rate if found.truncated else None
        return remarks_on(found.mix, self.gain, clipped=found.clipped, ends_at_s=ends_at_s)

    def segments(self, length: int, step: int) -> Iterator[Float[Tensor, " length"]]:
        """Segments of `length` samples, one every `step` (at most `length`), until all samples were in one.

        What the last one lacks is silence.
        """
        waiting = np.zeros(0, np.float32)
        done = 0
        for block in self._resampled():
            waiting = np.concatenate([waiting, block])
            while len(waiting) >= length and done + length < self.num_samples:
                yield torch.from_numpy(waiting[:length].copy())
                waiting, done = waiting[step:], done + step
        yield torch.from_numpy(np.pad(waiting, (0, length - len(waiting))))

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        """Blocks at `sample_rate`, together `num_samples` long."""
        source_rate = self.found.info.sample_rate
        scaled = (block * np.float32(self.gain) for block in self.found.blocks())
        if source_rate == self.sample_rate:
            yield from scaled
            return
        converter = soxr.ResampleStream(source_rate, self.sample_rate, 1, dtype="float32", quality="HQ")
        left = self.num_samples
        for block in scaled:
            resampled = converter.resample_chunk(block)[:left]
            left -= len(resampled)
            yield resampled
        rest = converter.resample_chunk(np.zeros(0, np.float32), last=True)[:left]
        yield np.pad(rest, (0, left - len(rest)))


def open_stream(path: str | Path, *, sample_rate: int | None = None) -> SoundStream:
    """Goes through a sound file once and makes it ready to be read in segments.

    Args:
        path: A file in any format that libsndfile reads.
        sample_rate: The rate wanted; None keeps the file's own.

    Raises:
        AudioError: the file cannot be used; the message names it and says why.
    """
    if sample_rate is not None:
        check_rate(sample_rate, "the rate to read at")
    found = survey(Path(path))
    return SoundStream(found, found.info.sample_rate if sample_rate is None else sample_rate)
