"""Opening what was named on the command line as the systems of a listening test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.gan.sounds import KIND as GENERATOR
from retimbre.training import checkpoint
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.evaluation.sets.clips import ClipOptions, HeldClips
from retimbre.workflows.evaluation.sets.models import is_sound_folder, sounds_of
from retimbre.workflows.generate.chunks import CAN_TELL
from retimbre.workflows.generate.player import Player, open_player
from retimbre.workflows.study.listening.conditioned import ConditionedSounds
from retimbre.workflows.study.listening.generators import (
    answers_of,
    balanced_questions,
    questions_about,
)
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


def open_systems(
    texts: Sequence[str], real: Path | None, *, count: int, seed: int
) -> tuple[list[System], SoundFolder | None]:
    """The systems of a test and the real sounds.

    Args:
        texts: NAME=PLACE or PLACE, where a place is a folder of sounds or a model.
        real: The folder of real sounds; None if there are none.
        count: How many sounds generators are asked for where there are no real ones.
        seed: Of what generators are asked.

    Raises:
        AudioError: A folder without sounds.
        CheckpointError: A model that cannot be read, or makes no sounds.
        ConfigError: No systems, names that repeat, an inverter or a generator that is told conditions without real
            sounds, or a generator of conditions that these do not have.
    """
    if not texts:
        raise ConfigError("a listening test needs systems: NAME=FOLDER, folders of sounds, or models")
    named = [split_name(text) for text in texts]
    check_names(name for name, _ in named)
    reference = open_folder(REAL, real) if real is not None else None
    opened = {name: _open(name, place, reference, seed) for name, place in named}
    players = [each for each in opened.values() if isinstance(each, Player)]
    if not players:
        return [each for each in opened.values() if isinstance(each, System)], reference
    questions = questions_about(reference, seed) if reference else balanced_questions(players, count, seed)
    systems = [
        answers_of(name, each, questions) if isinstance(each, Player) else each
        for name, each in opened.items()
    ]
    return systems, reference


def _open(name: str, place: str, real: SoundFolder | None, seed: int) -> System | Player:
    """A system, or the generator of one, which has to be told yet what it is asked."""
    if is_sound_folder(place):
        return open_folder(name, Path(place))
    player = open_player(place, can_tell=CAN_TELL) if _kind_of(place) == GENERATOR else None
    if player is not None and not player.sounds.conditions:
        return player
    if real is None:
        what = (
            f"is told {' and '.join(player.sounds.conditions)} of" if player else "is a model, which answers"
        )
        raise ConfigError(f"{name} {what} real sounds: name their folder with --real")
    return ModelAnswers(name, place, real) if player is None else ConditionedSounds(name, player, real, seed)


def _kind_of(place: str) -> str:
    """What kind of model it is: found out now, and not after an hour of reading sounds."""
    try:
        return checkpoint.read_header(find_checkpoint(place)).kind
    except CheckpointError as error:
        if Path(place).exists():
            raise
        raise ConfigError(f"{place!r} is neither a folder of sounds nor a model: {error}") from error
