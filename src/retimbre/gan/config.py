"""What a run file says of a GAN: the sounds it makes, its networks, and the game they play.

    [task]
    kind = "gan"
    representation = "interns2020-mag"
    standardize = "cell"
    generator = { kind = "specgan" }
    critics = [{ network = { kind = "specgan" } }]
    loss = { kind = "wgan", gradient_penalty = 10.0, critic_steps = 5 }

Several critics may judge the same clip, each in a representation of its own: what the generator makes is turned to
audio and from there to what the critic hears, and gradients go all the way back.
"""

import dataclasses
import math
from typing import Any, Literal, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.gan.conditions import check_conditions
from retimbre.gan.losses import LOSSES
from retimbre.gan.networks.catalog import AnyCritic, AnyGenerator

Attribute = str
"""Of a clip: `pitch`, `velocity`, `family`, or any that a prepared set has."""
PenaltyMethod = Literal["exact", "finite-difference"]

# Far beyond any latent in use; a slip of the keyboard would ask for more memory than there is.
_MOST_LATENT_NUMBERS = 65_536


@final
@dataclasses.dataclass(frozen=True)
class LossConfig:
    """[task.loss]: what generator and critics try for."""

    kind: str = "wgan"
    """A name in `LOSSES`: wgan, lsgan, non-saturating, logistic or relativistic."""
    critic_steps: int = 1
    """Updates of the critics for each of the generator, each with clips of its own."""
    gradient_penalty: float = 0.0
    """Weight of (|gradient| - 1)^2 between real and generated clips; 10 in WGAN-GP."""
    drift: float = 0.0
    """Weight of the squared score of real clips, which keeps scores near zero."""
    r1: float = 0.0
    """Half of this weighs |gradient|^2 at real clips; with `auto_gamma` where it begins."""
    r2: float = 0.0
    """The same at generated clips."""
    auto_gamma: bool = False
    """Whether r1 and r2 are found while training: raised while the critic wins too clearly, lowered while it loses."""
    penalty_method: PenaltyMethod = "exact"
    """`exact`: by a second derivative. `finite-difference`: from the scores of clips with a little noise."""
    penalty_every: int = 1
    """Critic steps from one penalty to the next, which then weighs so many times as much."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over the clips of a batch. A sum ties the learning rate to the batch size (as system C does)."""
    class_weight_critic: float = 0.0
    """Of the cross-entropy of labels that critics guess for real clips (AC-GAN)."""
    class_weight_generator: float = 0.0
    """Of the cross-entropy of labels that critics guess for generated clips."""
    soft_labels: bool = False
    """Whether the targets of these are drawn around 1 and 0 (0.7 to 1.2, and 0 to 0.3)."""
    independent_conditions: bool = False
    """Whether what is generated is to have the labels and conditions of other clips than those it is judged beside."""
    condition_penalty: float = 0.0
    """Weight of (|gradient| - 1)^2 with respect to the conditions, between those of real and of generated clips."""
    reconstruction: float = 0.0
    """Weight of the mean absolute difference of generated and real samples, where a condition says what to generate."""
    class_skip: tuple[Attribute, ...] = ()
    """Attributes whose guesses do not count for generated clips."""

    def __post_init__(self) -> None:
        """Refuses what is below zero or unknown."""
        if self.kind not in LOSSES:
            raise ConfigError(f"there is no loss {self.kind!r}; {near_miss(self.kind, LOSSES)}")
        for name in ("critic_steps", "penalty_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but takes 1 or more")
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, int | float):
                _check_weight(name, value)
        self._check_together()

    def _check_together(self) -> None:
        """Refuses what does nothing without another setting, or is at odds with one."""
        if self.auto_gamma and not (self.r1 > 0.0 or self.r2 > 0.0):
            raise ConfigError("auto_gamma needs r1 or r2 above 0 to begin with")
        if self.soft_labels and not (self.class_weight_generator or self.class_weight_critic):
            raise ConfigError("soft_labels needs class_weight_critic or class_weight_generator above 0")
        if self.reconstruction and self.independent_conditions:
            raise ConfigError(
                "reconstruction compares generated clips with real ones, but with independent_conditions they are not "
                "to be the same; takes one of them"
            )


@final
@dataclasses.dataclass(frozen=True)
class CriticEntry:
    """One of [[task.critics]]: a critic, what it hears and how much the generator minds it."""

    network: AnyCritic
    """Its layers."""
    representation: str = ""
    """What it hears, a name in the catalog; empty for what the generator makes."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of that representation."""
    standardize: Literal["", "bin", "cell"] = ""
    """Whether what it hears is scaled by statistics of the training set; only with a representation of its own."""
    weight: float = 1.0
    """Of its score in the loss of the generator."""

    def __post_init__(self) -> None:
        """Refuses a weight by which the generator would try to be found out."""
        _check_weight("weight", self.weight)


@final
@dataclasses.dataclass(frozen=True)
class GanConfig:
    """[task]: what is generated and by which networks."""

    generator: AnyGenerator
    """Its layers."""
    critics: tuple[CriticEntry, ...]
    """One or more."""
    kind: Literal["gan"] = "gan"
    """Tells these run files from those of other kinds."""
    representation: str = "waveform"
    """What the generator makes, a name in the catalog; it has to be invertible."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of that representation."""
    standardize: Literal["", "bin", "cell"] = ""
    """Whether features are scaled by their statistics over the training set, per bin or per cell."""
    clip: bool = True
    """Whether scaled features are cut off at three deviations."""
    sample_rate: int = 16_000
    """Of the clips, in Hz."""
    num_samples: int = 16_384
    """Length of the clips."""
    latent_dim: int = 64
    """Random numbers that a clip is made from."""
    latent: Literal["normal", "uniform"] = "normal"
    """Their distribution: N(0, 1), or even between -1 and 1."""
    attributes: tuple[Attribute, ...] = ()
    """What the networks are told of a clip."""
    conditions: dict[str, int] = dataclasses.field(default_factory=dict)
    """The signals that the networks are told, and how long each is: see `conditions`."""
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    """The game."""
    critic_learning_rate: float = 0.0
    """Of the critics; 0 for the generator's."""
    rows_at_once: int = 0
    """Clips that go through the networks together, to save memory; 0 for the whole batch. Gradients are summed up."""

    def __post_init__(self) -> None:
        """Refuses what makes no sound and has no judge."""
        if not self.critics:
            raise ConfigError("critics is empty; takes one or more")
        if len(set(self.attributes)) < len(self.attributes):
            raise ConfigError(f"attributes is {', '.join(self.attributes)}; takes each once at most")
        for name, least in {"sample_rate": 1, "num_samples": 1, "latent_dim": 1, "rows_at_once": 0}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}, but takes {least} or more")
        if self.latent_dim > _MOST_LATENT_NUMBERS:
            raise ConfigError(f"latent_dim is {self.latent_dim}, but takes 1 to {_MOST_LATENT_NUMBERS}")
        _check_weight("critic_learning_rate", self.critic_learning_rate)
        check_conditions(self.conditions, self.num_samples)
        if self.loss.condition_penalty and not self.conditions:
            raise ConfigError("condition_penalty is for networks with conditions; [task] conditions is empty")
        _check_rates(self)

    def resolved(self) -> "GanConfig":
        """The same: nothing is left to a catalog's defaults."""
        return self


def _check_weight(name: str, value: float) -> None:
    """Refuses, with ConfigError, what is below zero, infinite or not a number."""
    if not 0.0 <= value < math.inf:
        raise ConfigError(f"{name} is {value:g}, but takes 0 or more, a finite number")


def _check_rates(config: GanConfig) -> None:
    """Refuses a network that plays a synthesizer at another rate: it would play another pitch."""
    for network in (config.generator, *(entry.network for entry in config.critics)):
        rate = getattr(network, "sample_rate", config.sample_rate)
        if rate != config.sample_rate:
            raise ConfigError(
                f"sample_rate of the network {network.kind!r} is {rate}, but that of [task] is "
                f"{config.sample_rate}; takes the same"
            )
