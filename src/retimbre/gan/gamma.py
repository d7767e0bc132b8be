"""Finding the weight of the gradient penalty while training.

How hard a critic has to be held back depends on the number of features, their scale, the networks and the data; values
that work are known for a few sets of pictures and differ by a factor of thousands. What does not depend on them is how
clearly a critic should win. If real clips score far above generated ones, the critic has run away and its gradient
says nothing; if they score the same, it is held too tightly to see a difference. So the weight, gamma, is steered: the
mean *margin*, the score of real clips less that of generated ones, is smoothed over the last steps; while it lies above
a band gamma grows by a constant factor per step, while it lies below it shrinks, and inside nothing happens.

With scores as logits, a critic that gives every pair a margin m tells it apart with probability sigmoid(m). Margins
scatter, though, and the critic's loss is that of the badly judged pairs: the band from 0.15 to 0.6 is a relativistic
loss of about 0.65 to 0.5, where 0.69 is that of a critic that sees no difference.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import final

from retimbre.core.errors import ConfigError


@final
@dataclasses.dataclass(frozen=True)
class GammaConfig:
    """How gamma is steered."""

    lowest_margin: float = 0.15
    """Below this the critic is held too tightly, and gamma shrinks."""
    highest_margin: float = 0.6
    """Above this the critic wins too clearly, and gamma grows."""
    rate: float = 0.01
    """By how much of itself gamma changes in a step."""
    memory_steps: float = 50.0
    """Over how many steps the margin is averaged, in exponential decay."""
    span: float = 1000.0
    """How far gamma may go from where it began, as a factor up or down."""

    def __post_init__(self) -> None:
        """Refuses an empty band and steps that do not move."""
        if not self.lowest_margin < self.highest_margin:
            raise ConfigError(
                f"lowest_margin is {self.lowest_margin:g}, but takes less than {self.highest_margin:g}"
            )
        for name, least in {"rate": 0.0, "memory_steps": 1.0, "span": 1.0}.items():
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} is {getattr(self, name):g}, but takes {least:g} or more")


_USUAL = GammaConfig()


@final
class AutoGamma:
    """A gamma that keeps the critic's margin within a band.

    Attributes:
        value: The present gamma.
        margin: The smoothed margin; 0 before the first update.
    """

    def __init__(self, start: float, config: GammaConfig = _USUAL) -> None:
        """Begins at `start`, which has to be above 0."""
        if not (start > 0.0 and math.isfinite(start)):
            raise ConfigError(f"gamma begins at {start:g}, but takes a number above 0")
        self.config = config
        self.start = start
        self.value = start
        self.margin = 0.0
        self._updates = 0

    def update(self, margin: float) -> None:
        """Takes in the mean margin of a step: of the whole batch, so that all processes steer alike.

        One that is not finite changes nothing: it is for the training loop to stop the run.
        """
        if not math.isfinite(margin):
            return
        self._updates += 1
        # A plain mean until there are enough steps to forget any, so that the first ones are not drawn towards zero.
        share = 1.0 / min(self._updates, self.config.memory_steps)
        self.margin += share * (margin - self.margin)
        if self.margin > self.config.highest_margin:
            self._scale(1.0 + self.config.rate)
        elif self.margin < self.config.lowest_margin:
            self._scale(1.0 / (1.0 + self.config.rate))

    def state_dict(self) -> dict[str, float]:
        """What `update` depends on."""
        return {"value": self.value, "margin": self.margin, "updates": float(self._updates)}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Takes up what `state_dict` returned. Raises KeyError for another's."""
        self.value = float(state["value"])
        self.margin = float(state["margin"])
        self._updates = int(state["updates"])

    def _scale(self, factor: float) -> None:
        span = self.config.span
        self.value = min(max(self.value * factor, self.start / span), self.start * span)
