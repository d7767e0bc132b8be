"""What every run file says, whatever it trains: the table [train], the seed, and what the loop makes of them.

A run file has the tables [task] and [train], and mostly [data]. How long and how fast one trains is asked in the same
words for all kinds of runs, so it is here; what is trained and on what is a class of its own for each family of kinds
(`matching_run`, `listener_run`), since an inverter's pairs and a listener's notes have no option in common.
"""

import abc
import dataclasses
from typing import Any, Literal

from retimbre.core.errors import ConfigError
from retimbre.training.devices import Precision
from retimbre.training.loop import FitConfig
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig


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
    betas: tuple[float, float] = (0.9, 0.999)
    """What Adam keeps of its running means of gradients and of their squares at each update."""
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
    samples_every: int = 0
    """Steps between sounds and pictures of what the network makes, for kinds that make sounds; 0 for none."""
    patience: int = 0
    """Validations without a new best after which training ends; 0 for never."""
    minutes: float = 0.0
    """Wall time after which a session stops, to be continued; 0 for none."""
    tensorboard: bool = False
    """Whether the journal is mirrored for TensorBoard, an extra."""

    def __post_init__(self) -> None:
        """Refuses an empty batch, and fewer threads than none."""
        for name, value, least in (("batch_size", self.batch_size, 1), ("threads", self.threads, 0)):
            if value < least:
                raise ConfigError(f"[train] {name} is {value}, but takes {least} or more")


class RunConfig(abc.ABC):
    """A run file; its classes are frozen dataclasses with the fields `task`, `train`, `data` and `seed`."""

    train: TrainConfig
    seed: int

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """What is trained: `[task] kind`."""

    @abc.abstractmethod
    def resolved(self) -> "RunConfig":
        """The same run with nothing left to the defaults of catalogs."""

    def clips_after(self, step: int) -> int:
        """How many clips the updates up to a step take, all processes together."""
        return step * self.train.batch_size

    def facts_at(self, step: int) -> dict[str, Any]:
        """What a manifest should tell of what was trained up to a step, by name; nothing for most kinds."""
        return {}

    def fit_config(self) -> FitConfig:
        """How long to train and what to write down when; the best state is the one of least loss."""
        train = self.train
        return FitConfig(
            steps=train.steps,
            log_every=train.log_every,
            validate_every=train.validate_every,
            checkpoint_every=train.checkpoint_every,
            keep_every=train.keep_every,
            samples_every=train.samples_every,
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
            betas=train.betas,
        )
