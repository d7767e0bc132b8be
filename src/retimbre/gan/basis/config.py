"""What a run file says of a basis: its functions, what it is to come close to, and who else judges it.

    [task]
    kind = "basis"
    loss = "snr"
    basis = { functions = { kind = "windowed", num_bands = [256, 1024, 4096] }, code = "sparse" }

Three things may be asked of the codes. That the sound comes back: by the absolute or the squared error of its samples,
by the ratio of signal and error in decibels (which every clip takes part in alike, however soft), and by its spectrum
if wanted. That the keys of a piano can be read from them: `[task.classifier]`. And that what comes back cannot be told
from a recording: `[task.critic]`.
"""

import dataclasses
import math
from typing import Literal, final

from retimbre.core.errors import ConfigError
from retimbre.dsp.pursuit import PursuitSettings
from retimbre.gan.basis.judges import CRITIC_REDUCTION
from retimbre.representation.basis_functions import FreeConfig
from retimbre.representation.learned_basis import BasisConfig


@final
@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """[task.classifier]: a network that reads from the codes which keys are down."""

    weight: float = 0.0
    """Of its cross-entropy, summed over keys; 0 for no such network. It needs a set with MIDI states."""
    hidden: tuple[int, ...] = (512, 128, 100)
    """Widths of its layers."""

    def __post_init__(self) -> None:
        """Refuses what has no width."""
        _check_weights(self, ("weight",))
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"hidden is {list(self.hidden)}; takes widths of 1 or more")


@final
@dataclasses.dataclass(frozen=True)
class BasisCriticConfig:
    """[task.critic]: a network that tells what comes back from recordings, by WGAN-GP."""

    weight: float = 0.0
    """Of its score in the loss of the basis; 0 for no critic."""
    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Of its convolutions."""
    steps: int = 5
    """Its updates for each of the basis, each with clips of its own."""
    gradient_penalty: float = 10.0
    """Weight of (|gradient| - 1)^2 between recordings and what came back."""
    learning_rate: float = 1e-4
    """Its own; by Adam with betas 0.5 and 0.9."""

    def __post_init__(self) -> None:
        """Refuses a critic that never learns."""
        _check_weights(self, ("weight", "gradient_penalty", "learning_rate"))
        if self.steps < 1:
            raise ConfigError(f"steps of a critic is {self.steps}, but takes 1 or more")
        if not self.channels or min(self.channels) < 1:
            raise ConfigError(f"channels is {list(self.channels)}; takes 1 or more each")

    def updates(self) -> int:
        """Updates of the critic for each of the basis; 0 without one."""
        return self.steps if self.weight > 0.0 else 0


@final
@dataclasses.dataclass(frozen=True)
class BasisTaskConfig:
    """[task]: which basis is learned, and by what."""

    kind: Literal["basis"] = "basis"
    """Tells these run files from those of other kinds."""
    basis: BasisConfig = dataclasses.field(default_factory=BasisConfig)
    """Functions and codes."""
    num_samples: int = 16_384
    """Length of a clip."""
    loss: Literal["snr", "l1", "l2"] = "snr"
    """Of the samples that come back: the error below the signal in decibels, or its absolute or squared mean."""
    spectral: float = 0.0
    """Weight of the mean difference of log magnitudes, in decibels; 0 for none."""
    noise: float = 0.0
    """Standard deviation of what is added to the sound that is encoded, and has to be left out again."""
    nonzeros_per_s: tuple[float, float] = (250.0, 4_000.0)
    """Values of a sparse code; every step draws between these, evenly on a logarithmic scale."""
    rounds: int = 8
    """Of a pursuit while training."""
    polish: int = 4
    """Steps of conjugate gradients after it."""
    validation_nonzeros_per_s: float = 1_000.0
    """Values of a sparse code at which a validation measures."""
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    """Reads keys from codes."""
    critic: BasisCriticConfig = dataclasses.field(default_factory=BasisCriticConfig)
    """Tells what comes back from recordings."""

    def __post_init__(self) -> None:
        """Refuses what gives no sound."""
        _check_weights(self, ("spectral", "noise"))
        low, high = self.nonzeros_per_s
        if not (0.0 < low <= high < math.inf and 0.0 < self.validation_nonzeros_per_s < math.inf):
            raise ConfigError(
                f"nonzeros_per_s is {low:g} to {high:g} and validation_nonzeros_per_s "
                f"{self.validation_nonzeros_per_s:g}; takes more than 0, the smaller first"
            )
        _ = self.pursuit
        if self.classifier.weight > 0.0 and self.basis.code != "rectified":
            raise ConfigError(
                f"a classifier teaches a basis through its codes, but {self.basis.code} ones pass no gradient on to "
                "the functions; takes code = 'rectified'"
            )
        if self.num_samples < 1:
            raise ConfigError(f"num_samples is {self.num_samples}, but takes 1 or more")
        least = CRITIC_REDUCTION ** len(self.critic.channels)
        if self.critic.updates() and self.num_samples % least:
            raise ConfigError(
                f"num_samples is {self.num_samples}; with this critic takes a multiple of {least}"
            )

    @property
    def pursuit(self) -> PursuitSettings:
        """How sparse codes are found while training."""
        return PursuitSettings(self.rounds, self.polish)

    def frames_per_state(self, num_states: int) -> int:
        """Frames of the codes for each MIDI state of a clip.

        Raises:
            ConfigError: There is not a whole number of frames, one or more, for each.
        """
        functions = self.basis.functions
        stride = functions.stride if isinstance(functions, FreeConfig) else max(functions.num_bands)
        frames, rest = divmod(self.num_samples, stride)
        if rest or frames % num_states or not frames:
            raise ConfigError(
                f"codes with a frame every {stride} samples, {self.num_samples / stride:g} in a clip, have no whole "
                f"number of frames for each of {num_states} MIDI states; take free functions with another stride"
            )
        return frames // num_states


def _check_weights(thing: object, names: tuple[str, ...]) -> None:
    """Refuses, with ConfigError, what is below zero, infinite or not a number."""
    for name in names:
        if not 0.0 <= (value := getattr(thing, name)) < math.inf:
            raise ConfigError(f"{name} is {value:g}, but takes 0 or more, a finite number")
