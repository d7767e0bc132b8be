"""Sound files as a set of clips.

    open_clips(folder)          the files of a folder, each decoded once to look at it, again whenever it is asked for;
                                or the clips of a data set (`stored.py`)
    HeldClips                   sounds in memory
    ChosenClips                 some rows of a set
    TransformedClips            a set behind an effect

All are `Clips` (`base.py`), and whatever judges sets takes any of them.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile
from retimbre.workflows.evaluation.sets.base import (
    ROWS_AT_ONCE,
    About,
    ChosenClips,
    Clips,
    HeldClips,
    Transform,
    TransformedClips,
    content_key,
)
from retimbre.workflows.evaluation.sets.labels import ClipLabels, labels_of
from retimbre.workflows.evaluation.sets.stored import is_stored, open_stored, stored_size
from retimbre.workflows.evaluation.sets.survey import (
    LONGEST_S,
    Survey,
    digest_of,
    read_clip,
    survey_files,
)

__all__ = [
    "ROWS_AT_ONCE",
    "About",
    "ChosenClips",
    "ClipLabels",
    "ClipOptions",
    "Clips",
    "FolderClips",
    "HeldClips",
    "Transform",
    "TransformedClips",
    "content_key",
    "open_clips",
]

Drawn = TypeVar("Drawn")


@final
@dataclasses.dataclass(frozen=True)
class ClipOptions:
    """How sound files become a set.

    Attributes:
        sample_rate: Of the set, in Hz; files of other rates are resampled at the door.
        seconds: Length of every clip; 0 for that of the longest file, up to half a minute.
        most: How many files are taken, drawn evenly by `seed`; 0 for all.
        seed: Of that draw.
    """

    sample_rate: int = 16_000
    seconds: float = 1.0
    most: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses rates, lengths and counts that no set has."""
        if not 1_000 <= self.sample_rate <= 192_000:
            raise ConfigError(f"sample rate is {self.sample_rate} Hz, but takes 1000 to 192000")
        if not 0.0 <= self.seconds <= LONGEST_S:
            raise ConfigError(
                f"seconds is {self.seconds:g}, but takes up to {LONGEST_S:g}, or 0 for the longest"
            )
        if self.most < 0:
            raise ConfigError(f"most is {self.most}, but takes a number of clips, or 0 for all")


@final
class FolderClips(Clips):
    """The sound files of a folder; made by `open_clips`."""

    def __init__(self, about: About, paths: tuple[Path, ...]) -> None:
        super().__init__(about)
        self.paths = paths

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Decoded anew, and compared with what was there when the set was opened."""
        return torch.stack([self._clip(row) for row in rows])

    def _clip(self, row: int) -> Tensor:
        samples = read_clip(self.paths[row], self.sample_rate, self.num_samples).samples
        if digest_of(samples) != self.about.digests[row]:
            raise AudioError(f"{self.paths[row]}: changed while it was being measured")
        return samples

    @property
    def key(self) -> str:
        """Of the samples and the rate."""
        return content_key(self.sample_rate, self.about.digests)


def open_clips(folder: str | Path, options: ClipOptions = ClipOptions()) -> Clips:
    """The sound files of a folder, searched to the bottom, as a set; or the clips of a data set.

    Every file is decoded once, so that what cannot be used is known and named before anything is computed. Labels come
    from an `examples.json` as NSynth has it, from names as NSynth gives them, or from a MIDI number at a name's end
    (`..._060.wav`).

    Args:
        folder: A folder of sounds, a single file, or a data set made by `retimbre data`.
        options: Rate, length and number of the clips.

    Raises:
        AudioError: There is no such folder, no sound file in it, or none that can be used.
        DatasetError: It is a damaged data set, or one without sounds.
    """
    folder = Path(folder)
    if not folder.exists():
        raise AudioError(f"{folder}: no such folder")
    if is_stored(folder):
        rows = _drawn(range(stored_size(folder)), options)
        return open_stored(folder, rows, options.sample_rate, options.seconds)
    paths = _drawn(audiofile.find_sounds([folder]), options)
    found = survey_files(paths, options.sample_rate, options.seconds)
    if not found.files:
        raise AudioError(f"{folder}: none of {len(paths)} sound files can be used: {found.failures[0]}")
    used = tuple(file.path for file in found.files)
    names = tuple(_name_below(path, folder) for path in used)
    labels, told = labels_of(used)
    about = About(
        name=str(folder),
        sample_rate=options.sample_rate,
        num_samples=found.num_samples,
        names=names,
        labels=labels,
        digests=tuple(file.digest for file in found.files),
        source_rates=tuple(sorted({file.source_rate for file in found.files})),
        remarks=(*_remarks(found, len(paths)), *told),
        passed_over=found.failures,
    )
    return FolderClips(about, used)


def _remarks(found: Survey, num_paths: int) -> tuple[str, ...]:
    passed_over = len(found.failures)
    if not passed_over:
        return found.remarks
    return (
        f"{passed_over} of {num_paths} files cannot be used and were passed over: {found.failures[0]}",
        *found.remarks,
    )


def _drawn(all_clips: Sequence[Drawn], options: ClipOptions) -> list[Drawn]:
    """Some of the clips, evenly drawn and in their order, where fewer are wanted than there are."""
    if options.most == 0 or options.most >= len(all_clips):
        return list(all_clips)
    order = torch.randperm(len(all_clips), generator=random.generator(options.seed, "clips", len(all_clips)))
    return [all_clips[row] for row in order[: options.most].sort().values.tolist()]


def _name_below(path: Path, folder: Path) -> str:
    return path.name if path == folder else path.relative_to(folder).as_posix()
