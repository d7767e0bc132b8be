"""The run files of listeners: classifiers of notes, which learn from the corpora that the program makes itself."""

import dataclasses
from typing import Literal, final

from retimbre.core.errors import ConfigError
from retimbre.listening.listener import ListenerConfig
from retimbre.training.loop import FitConfig
from retimbre.workflows.training.settings import RunConfig, TrainConfig

Corpus = Literal["notes", "soundfont"]
CORPORA: tuple[Corpus, ...] = ("notes", "soundfont")

_SHORTEST_S = 0.05


@dataclasses.dataclass(frozen=True)
class ListenerDataConfig:
    """[data]: the notes that a listener hears in training."""

    corpora: tuple[Corpus, ...] = CORPORA
    """Where notes are from, in equal shares; `soundfont` needs FluidSynth and a General MIDI SoundFont."""
    notes: int = 12_000
    """Notes of each corpus that are rendered when a session begins, and kept in memory."""
    instruments: int = 200
    """Instruments of each family of the corpus `notes`."""
    soundfont: str = ""
    """The `.sf2` file; empty looks where packages put one."""
    seconds: float = 2.0
    """Length of the rendered notes; the key is held for three quarters of it."""
    clip_s: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0, 2.0)
    """Lengths of the clips of a batch; every step draws one."""
    augment: bool = True
    """Whether clips are detuned, cut, filtered, put into rooms and given noise, as recordings are."""
    shuffled_labels: bool = False
    """Whether training notes get the labels of other notes: the control of a comparison."""
    validation_clips: int = 2_000
    """Notes of held-out instruments that every validation goes through, corpora together."""

    def __post_init__(self) -> None:
        """Refuses what leaves nothing to hear."""
        if not self.corpora or len(set(self.corpora)) < len(self.corpora):
            raise ConfigError(
                f"[data] corpora is {', '.join(self.corpora) or 'empty'}; takes one or more, each once"
            )
        for name in ("notes", "instruments", "validation_clips"):
            if getattr(self, name) < 1:
                raise ConfigError(f"[data] {name} is {getattr(self, name)}, but takes 1 or more")
        if self.seconds < _SHORTEST_S:
            raise ConfigError(f"[data] seconds is {self.seconds:g}, but takes {_SHORTEST_S:g} or more")
        if not self.clip_s or min(self.clip_s) < _SHORTEST_S or max(self.clip_s) > self.seconds:
            raise ConfigError(
                f"[data] clip_s is {list(self.clip_s)}, but takes lengths from {_SHORTEST_S:g} to seconds = "
                f"{self.seconds:g}"
            )


@final
@dataclasses.dataclass(frozen=True)
class ListenerRun(RunConfig):
    """A run file that trains a listener."""

    task: ListenerConfig
    train: TrainConfig
    data: ListenerDataConfig = dataclasses.field(default_factory=ListenerDataConfig)
    seed: int = 0
    """Which weights, notes and augmentations."""

    def fit_config(self) -> FitConfig:
        """As for every run, but the best state is the one of most right answers.

        Some General MIDI programs sound an octave or a fifth beside their key. A listener that has become sure of
        pitches is sure of theirs, too: the cross-entropy of a validation rises while its answers get better.
        """
        return dataclasses.replace(super().fit_config(), monitor="right", higher_is_better=True)

    @property
    def kind(self) -> str:
        """What is trained."""
        return self.task.kind

    def resolved(self) -> "ListenerRun":
        """The same: nothing is left to the defaults of catalogs."""
        return self
