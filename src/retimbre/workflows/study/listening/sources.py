"""Opening what was named on the command line as the systems of a listening test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.training import checkpoint
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.evaluation.sets.clips import ClipOptions, HeldClips
from retimbre.workflows.evaluation.sets.models import is_sound_folder, sounds_of
from retimbre.workflows.study.listening.sounds import Excerpt
from retimbre.workflows.study.listening.systems import (
    REAL,
    SoundFolder,
    System,
    check_names,
    open_folder,
    split_name,
)


@final
@dataclass(frozen=True)
class ModelAnswers(System):
    """A model that is asked about the real sounds, one at a time and when it is needed.

    Attributes:
        model: A run folder, a checkpoint file or a shipped name.
        real: What it is asked about; its keys are theirs.
    """

    name: str
    model: str
    real: SoundFolder
    _answered: dict[tuple[str, float], Excerpt] = field(default_factory=dict, repr=False, compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """See `System`."""
        return self.real.keys

    @property
    def source(self) -> str:
        """The model."""
        return self.model

    def excerpt(self, key: str, seconds: float) -> Excerpt:
        """See `System`; an answer is as long as the part of the real sound that is used."""
        if (key, seconds) not in self._answered:
            asked = self.real.excerpt(key, seconds)
            clips = HeldClips(REAL, asked.samples[None], asked.sample_rate, names=(key,))
            answer = sounds_of(self.model, clips, ClipOptions(sample_rate=asked.sample_rate))
            self._answered[key, seconds] = Excerpt(answer.audio([0])[0], answer.sample_rate, ())
        return self._answered[key, seconds]


def open_systems(texts: Sequence[str], real: Path | None) -> tuple[list[System], SoundFolder | None]:
    """The systems of a test and the real sounds.

    Args:
        texts: NAME=PLACE or PLACE, where a place is a folder of sounds or a model.
        real: The folder of real sounds; None if there are none.

    Raises:
        AudioError: A folder without sounds.
        CheckpointError: A model that cannot be read.
        ConfigError: No systems, names that repeat, or a model without real sounds.
    """
    if not texts:
        raise ConfigError("a listening test needs systems: NAME=FOLDER, folders of sounds, or inverters")
    named = [split_name(text) for text in texts]
    check_names(name for name, _ in named)
    reference = open_folder(REAL, real) if real is not None else None
    return [_open(name, place, reference) for name, place in named], reference


def _open(name: str, place: str, real: SoundFolder | None) -> System:
    if is_sound_folder(place):
        return open_folder(name, Path(place))
    try:
        # What is no model is found out now, and not after an hour of reading sounds.
        checkpoint.read_header(find_checkpoint(place))
    except CheckpointError as error:
        if Path(place).exists():
            raise
        raise ConfigError(f"{place!r} is neither a folder of sounds nor a model: {error}") from error
    if real is None:
        raise ConfigError(f"{name} is a model, which answers real sounds: name their folder with --real")
    return ModelAnswers(name, place, real)
