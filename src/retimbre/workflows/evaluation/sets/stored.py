"""The clips of a data set that `retimbre data` made, as a set to be judged.

Such a set is cut, resampled and checked already, and it knows more about its clips than file names can say. It is read
from its shards, in part, and brought to the rate and length that is asked for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import DatasetError
from retimbre.data.dataset import RecordedSet, RenderedSet
from retimbre.data.manifest import HEADER_FILE, read_header
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.workflows.evaluation.sets.base import ROWS_AT_ONCE, About, Clips, content_key
from retimbre.workflows.evaluation.sets.labels import ClipLabels
from retimbre.workflows.evaluation.sets.survey import LONGEST_S, ReadClip, remarks_on, surveyed

_OPENERS = {"recorded": RecordedSet.open, "rendered": RenderedSet.open}
_LABELS = ("pitch", "velocity", "family", "instrument")


@final
class StoredClips(Clips):
    """Some clips of a data set; made by `open_stored`."""

    def __init__(self, about: About, stored: RecordedSet | RenderedSet, rows: Sequence[int]) -> None:
        super().__init__(about)
        self._stored, self._rows = stored, tuple(rows)

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Read from the shards, resampled where the rates differ."""
        return _read(self._stored, [self._rows[row] for row in rows], self.sample_rate, self.num_samples)

    @property
    def key(self) -> str:
        """Of the samples and the rate."""
        return content_key(self.sample_rate, self.about.digests)


def is_stored(folder: Path) -> bool:
    """Whether a folder is a data set rather than one of sound files."""
    return (folder / HEADER_FILE).is_file()


def stored_size(folder: Path) -> int:
    """How many clips a data set has.

    Raises:
        DatasetError: It is damaged.
    """
    return read_header(folder).size


def open_stored(folder: Path, rows: Sequence[int], sample_rate: int, seconds: float) -> StoredClips:
    """Clips of a data set at a rate and a length; 0 s stands for the set's own, up to half a minute.

    Raises:
        DatasetError: The set is damaged, or of a kind without sounds of its own.
    """
    kind = read_header(folder).kind
    if kind not in _OPENERS:
        raise DatasetError(f"{folder}: a {kind} data set holds no sounds that can be judged")
    stored = _OPENERS[kind](folder)
    own_s = stored.header.num_samples / stored.header.sample_rate
    num_samples = max(round((seconds or min(own_s, LONGEST_S)) * sample_rate), 1)
    names = _names(stored, rows)
    excess_s = own_s - num_samples / sample_rate
    looks = [
        surveyed(Path(name), ReadClip(samples, stored.header.sample_rate, (), 1), excess_s, sample_rate)
        for start in range(0, len(rows), ROWS_AT_ONCE)
        for name, samples in zip(
            names[start : start + ROWS_AT_ONCE],
            _read(stored, rows[start : start + ROWS_AT_ONCE], sample_rate, num_samples),
            strict=True,
        )
    ]
    about = About(
        name=str(folder),
        sample_rate=sample_rate,
        num_samples=num_samples,
        names=names,
        labels=_labels(stored, rows),
        digests=tuple(look.digest for look in looks),
        source_rates=(stored.header.sample_rate,),
        remarks=remarks_on(looks, sample_rate, num_samples),
    )
    return StoredClips(about, stored, rows)


def _read(
    stored: RecordedSet | RenderedSet, rows: Sequence[int], sample_rate: int, num_samples: int
) -> Float[Tensor, "rows samples"]:
    audio = stored.audio(torch.tensor(rows, dtype=torch.int64))
    return fit_length(resample(audio.float(), stored.header.sample_rate, sample_rate), num_samples)


def _names(stored: RecordedSet | RenderedSet, rows: Sequence[int]) -> tuple[str, ...]:
    """The recording of each clip, and where in it the clip begins if that is not its start."""
    if isinstance(stored, RenderedSet):
        return tuple(f"{row:06d}" for row in rows)
    clips = [stored.clips[row] for row in rows]
    return tuple(f"{clip.source}@{clip.start_s:g}s" if clip.start_s else clip.source for clip in clips)


def _labels(stored: RecordedSet | RenderedSet, rows: Sequence[int]) -> ClipLabels:
    """What an imported corpus says of its notes; a rendered set has knobs instead."""
    if isinstance(stored, RenderedSet):
        return ClipLabels()
    told: dict[str, tuple[Any, ...]] = {
        name: tuple(stored.clips[row].attributes[name] for row in rows)
        for name in _LABELS
        if name in stored.attributes
    }
    return ClipLabels(**told)
