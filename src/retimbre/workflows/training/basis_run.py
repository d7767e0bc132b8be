"""The run files of bases: functions that are learned from recordings, from a prepared set, or from made notes."""

import dataclasses
from typing import final

from retimbre.core.errors import ConfigError
from retimbre.gan.basis.config import BasisTaskConfig
from retimbre.training.loop import FitConfig
from retimbre.workflows.training.settings import RunConfig, TrainConfig


@final
@dataclasses.dataclass(frozen=True)
class BasisDataConfig:
    """[data]: what a basis is learned from: a set, a folder, or notes that the program makes."""

    set: str = ""
    """A prepared set of recordings, with its own parts; its MIDI states are read where a classifier wants them."""
    folder: str = ""
    """A folder of sound files, cut to clips; every tenth file validates and every tenth is left for tests."""
    notes: int = 2_000
    """Notes to be made where neither is named."""
    families: tuple[str, ...] = ("keyboard", "guitar", "mallet")
    """Instruments of these notes."""
    instruments: int = 40
    """Of each family."""
    lowest_pitch: int = 36
    """Of the notes, as a MIDI number."""
    highest_pitch: int = 84
    """Of the notes, as a MIDI number."""
    velocities: tuple[int, ...] = (50, 100)
    """Of the notes, as MIDI numbers."""
    validation_clips: int = 64
    """Held-out clips that every validation goes through, at most; 0 for all."""

    def __post_init__(self) -> None:
        """Refuses two sources at once, and none."""
        if self.set and self.folder:
            raise ConfigError(
                f"[data] set is {self.set!r} and folder {self.folder!r}; takes one of them at most"
            )
        for name, least in {"notes": 1, "instruments": 1, "validation_clips": 0}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"[data] {name} is {getattr(self, name)}, but takes {least} or more")


@final
@dataclasses.dataclass(frozen=True)
class BasisRun(RunConfig):
    """A run file that trains a basis."""

    task: BasisTaskConfig
    train: TrainConfig
    data: BasisDataConfig = dataclasses.field(default_factory=BasisDataConfig)
    seed: int = 0
    """Which weights, clips and noise."""

    def __post_init__(self) -> None:
        """Refuses a classifier of keys without keys."""
        if self.task.classifier.weight > 0.0 and not self.data.set:
            raise ConfigError(
                "[task.classifier] reads keys, but [data] names no set; takes one with MIDI states, as `retimbre data "
                "maestro` makes"
            )

    def clips_after(self, step: int) -> int:
        """With a critic, every update takes clips for each of the critic's."""
        return super().clips_after(step) * max(1, self.task.critic.updates())

    def fit_config(self) -> FitConfig:
        """As for every run, but the best state is the one of the highest signal-to-noise ratio."""
        return dataclasses.replace(super().fit_config(), monitor="snr_db", higher_is_better=True)

    @property
    def kind(self) -> str:
        """What is trained."""
        return self.task.kind

    def resolved(self) -> "BasisRun":
        """The same: nothing is left to the defaults of catalogs."""
        return self
