"""The run file and the run folder: what a training is told, and what it leaves behind.

    RUN/config.toml         what was run, complete
    RUN/journal.csv         every number reported, one per row
    RUN/history.png         the same as curves
    RUN/checkpoints/        last, best, final and kept states, from which training goes on
    RUN/model.safetensors   the inverter: the average of the weights at the best validation
    RUN/run.json            versions, hardware, seed, clips seen, seconds, quality
    RUN/sounds.json         the recordings that are heard; begun_with.json: those that its first weights had heard

A run file is TOML or JSON with the tables [task], [data], [sounds] and [train]; see `runs/` for examples and
`docs/models.md` for every option. A folder belongs to one run: starting another one in it is refused, and
starting the same one goes on.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from retimbre.core.config import apply_overrides, build, dump, read_run_file, write_toml
from retimbre.core.errors import ConfigError, ExistsError
from retimbre.data.splits import Folds
from retimbre.matching.autoencoder import LabelAutoencoderConfig
from retimbre.matching.inverter import MODEL_FILE, Inverter, InverterConfig
from retimbre.matching.pairs import HELD_OUT, NoteRange, PairSource
from retimbre.matching.task import UpdateConfig
from retimbre.training.checkpoint import Checkpoints
from retimbre.training.devices import Precision
from retimbre.training.journal import Journal, TensorBoard
from retimbre.training.loop import FitConfig, Records
from retimbre.training.schedule import ScheduleConfig
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


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """[train]: how long, how fast and with what."""

    steps: int
    """Updates in the whole run."""
    batch_size: int = 128
    """Clips in each update."""
    learning_rate: float = 1e-3
    """The highest, after the warm-up."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """What the learning rate does after the warm-up."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises."""
    final_fraction: float = 0.0
    """What is left of the learning rate at a cosine's end."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """Adam as in the paper, or with weight decay."""
    weight_decay: float = 0.01
    """Of `adamw`."""
    clip_norm: float = 1.0
    """The longest gradient; 0 for any."""
    ema_decay: float = 0.999
    """Of the average of the weights; 0 for none."""
    precision: Precision = Precision.FP32
    """`fp32`, or `bf16`, which is about twice as fast where the processor has it."""
    threads: int = 0
    """Threads on the CPU; 0 for PyTorch's choice."""
    log_every: int = 50
    """Steps between rows of the journal."""
    validate_every: int = 500
    """Steps between validations."""
    checkpoint_every: int = 250
    """Steps between saved states; this is what a crash or Ctrl-C can cost."""
    keep_every: int = 0
    """Steps between states that are kept for good; 0 for none."""
    patience: int = 0
    """Validations without a new best after which training ends; 0 for never."""
    minutes: float = 0.0
    """Wall time after which a session stops, to be continued; 0 for none."""
    tensorboard: bool = False
    """Whether the journal is mirrored for TensorBoard, an extra."""

    def __post_init__(self) -> None:
        """Refuses an empty batch."""
        if self.batch_size < 1:
            raise ConfigError(f"[train] batch_size is {self.batch_size}, but takes 1 or more")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A run file."""

    task: InverterConfig | LabelAutoencoderConfig
    train: TrainConfig
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    sounds: SoundsConfig = dataclasses.field(default_factory=SoundsConfig)
    seed: int = 0
    """Which weights, pairs and orders."""

    def fit_config(self) -> FitConfig:
        """How long to train and what to write down when; the best state is the one of least loss."""
        train = self.train
        return FitConfig(
            steps=train.steps,
            log_every=train.log_every,
            validate_every=train.validate_every,
            checkpoint_every=train.checkpoint_every,
            keep_every=train.keep_every,
            patience=train.patience,
            minutes=train.minutes,
            monitor="loss",
            seed=self.seed,
        )

    def update_config(self) -> UpdateConfig:
        """How weights are moved."""
        train = self.train
        schedule = ScheduleConfig(
            train.learning_rate, train.schedule, train.warmup_steps, train.final_fraction
        )
        return UpdateConfig(
            schedule=schedule,
            num_steps=train.steps,
            optimizer=train.optimizer,
            weight_decay=train.weight_decay,
            clip_norm=train.clip_norm,
            ema_decay=train.ema_decay,
            precision=train.precision,
        )

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


# What may change from one session of a run to the next: how long and how it is watched, not what is learned.
MAY_CHANGE = {("data", "cache")} | {
    ("train", name)
    for name in (
        *("steps", "minutes", "patience", "threads", "tensorboard"),
        *("log_every", "validate_every", "checkpoint_every", "keep_every"),
    )
}


def read_run(path: Path, overrides: Iterable[str]) -> RunConfig:
    """A run file, with options set from texts such as `train.steps=100`; nothing is left to the catalogs' defaults.

    Raises:
        ConfigError: The file cannot be read, or an option is unknown, missing or out of range.
    """
    config = build(RunConfig, apply_overrides(read_run_file(path), overrides), "")
    return dataclasses.replace(config, task=config.task.resolved())


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """What was run."""
        return self.path / "config.toml"

    @property
    def journal(self) -> Path:
        """Every number reported."""
        return self.path / "journal.csv"

    @property
    def history(self) -> Path:
        """The curves."""
        return self.path / "history.png"

    @property
    def checkpoints(self) -> Checkpoints:
        """The states to go on from."""
        return Checkpoints(self.path / "checkpoints")

    @property
    def model(self) -> Path:
        """The inverter."""
        return self.path / MODEL_FILE

    @property
    def manifest(self) -> Path:
        """What was run on what, and how it ended."""
        return self.path / "run.json"

    def open_for(self, config: RunConfig) -> None:
        """Begins a run here, or makes sure that the one that was begun is this one.

        Raises:
            ExistsError: The folder holds something else; the message names what differs.
        """
        if not self.config.exists():
            if self.path.exists() and any(self.path.iterdir()):
                raise ExistsError(f"{self.path}: holds files, but no run; name another folder with --out")
        else:
            begun = read_run(self.config, [])
            differing = differences(dump(begun), dump(config))
            if differing:
                raise ExistsError(
                    f"{self.path}: holds a run that differs in {', '.join(differing)}; name another folder with --out"
                )
        write_toml(self.config, dump(config))

    def records(self, config: RunConfig) -> Records:
        """The journal and the checkpoints, for `fit`."""
        mirror = TensorBoard(self.path / "tensorboard") if config.train.tensorboard else None
        return Records(Journal(self.journal, mirror=mirror), self.checkpoints)


def differences(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The options, as `table.option`, in which two runs differ and may not."""
    found = []
    for table in sorted(begun.keys() | wanted.keys()):
        before, after = begun.get(table), wanted.get(table)
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            found += [table] if before != after else []
            continue
        names = sorted(before.keys() | after.keys())
        found += [
            f"{table}.{name}"
            for name in names
            if before.get(name) != after.get(name) and (table, name) not in MAY_CHANGE
        ]
    return found
