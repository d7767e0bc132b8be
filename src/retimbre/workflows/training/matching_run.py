"""The run files of sound matching: inverters and label autoencoders, which learn from pairs of sounds and knobs."""

import dataclasses
from typing import Literal, final

from retimbre.core.errors import ConfigError
from retimbre.data.splits import Folds
from retimbre.matching.autoencoder import LabelAutoencoderConfig
from retimbre.matching.inverter import Inverter, InverterConfig
from retimbre.matching.pairs import HELD_OUT, NoteRange, PairSource
from retimbre.workflows.training.settings import RunConfig, TrainConfig
from retimbre.workflows.training.sounds import SoundsConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """[data]: what is heard in training."""

    folder: str = ""
    """A data set made by `retimbre data synth`; empty renders endless pairs instead."""
    labels_from: str = ""
    """An inverter whose answers to the sounds in `folder` are the labels; for label autoencoders."""
    balance: str = ""
    """A knob whose classes are made equally frequent in training on a data set; empty for none."""
    draw: Literal["classes", "continuous"] = "classes"
    """Whether rendered knobs stand at their levels, as in the paper, or anywhere in their travel."""
    pitch_hz: tuple[float, float] = (440.0, 440.0)
    """Lowest and highest pitch of the keys pressed, drawn evenly in octaves."""
    gate_s: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest time a key is held; zeros stand for the synthesizer's own gate."""
    compiled: bool = False
    """Whether rendering is compiled first, which pays in all but the shortest runs."""
    pairs: int = 0
    """How many distinct training pairs are rendered before they begin again; 0 for no end."""
    shuffled_labels: bool = False
    """Whether training sounds get the labels of other sounds: the control of a comparison."""
    folds: int = 0
    """Folds of a cross-validation over class vectors; 0 for the split that is always held out."""
    fold: int = 0
    """Which fold is held out."""
    cache: str = ""
    """Where a network that listens through an embedder keeps embeddings, for several runs; empty for the run folder."""
    validation_clips: int = 2048
    """Held-out clips that every validation goes through."""

    def __post_init__(self) -> None:
        """Refuses a validation without clips."""
        if self.validation_clips < 1:
            raise ConfigError(f"[data] validation_clips is {self.validation_clips}, but takes 1 or more")
        if self.pairs < 0 or (self.pairs and self.folder):
            raise ConfigError(f"[data] pairs is {self.pairs}, but takes 0 or more, and 0 with a folder")
        if self.balance and not self.folder:
            raise ConfigError("[data] balance needs a folder: endless pairs are even already")
        if self.labels_from and not self.folder:
            raise ConfigError("[data] labels_from needs a folder: of the sounds that the inverter is to hear")
        if self.fold and not self.folds:
            raise ConfigError(f"[data] fold is {self.fold}, but folds is 0")
        self.held_out()

    def held_out(self) -> Folds | None:
        """The fold that is held out; none for what is always held out."""
        return Folds(self.folds, self.fold) if self.folds else None


@final
@dataclasses.dataclass(frozen=True)
class MatchingRun(RunConfig):
    """A run file that trains an inverter or a label autoencoder."""

    task: InverterConfig | LabelAutoencoderConfig
    train: TrainConfig
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    sounds: SoundsConfig = dataclasses.field(default_factory=SoundsConfig)
    seed: int = 0
    """Which weights, pairs and orders."""

    @property
    def kind(self) -> str:
        """What is trained."""
        return self.task.kind

    def resolved(self) -> "MatchingRun":
        """The same run with nothing left to the defaults of catalogs."""
        return dataclasses.replace(self, task=self.task.resolved())

    def pair_source(self, inverter: Inverter) -> PairSource:
        """The endless pairs of a run."""
        data, own_s = self.data, inverter.synth.default_gate_s
        low_s, high_s = data.gate_s if any(data.gate_s) else (own_s, own_s)
        return PairSource(
            synth=inverter.synth,
            space=inverter.space,
            num_samples=inverter.num_samples,
            notes=NoteRange(*data.pitch_hz, low_s, high_s),
            draw=data.draw,
            seed=self.seed,
            compiled=data.compiled,
            distinct=data.pairs,
            shuffled_labels=data.shuffled_labels,
            folds=data.held_out() or HELD_OUT,
        )
