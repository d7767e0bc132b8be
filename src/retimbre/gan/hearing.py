"""What a critic hears: the clips themselves, or another representation of them.

A generator makes the features of one representation. A critic of the same one is handed them as they are. A critic of
another hears what a listener would: the features are turned to audio and the audio to what the critic takes, and the
gradient of its verdict goes back through both transforms. So one generator can answer to several critics that each mind
something else, the samples and the spectrum, say.
"""

import dataclasses
from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Labels
from retimbre.gan.conditions import check_heard, condition_shapes, told_to
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.sounds import SoundGenerator, shape_of
from retimbre.representation.base import Representation
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Standardized, Statistics


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Ear:
    """A critic with the representation that it hears.

    Attributes:
        critic: The network.
        representation: From audio to what it takes.
        shares: Whether that is the generator's own.
        weight: Of its score in the loss of the generator.
    """

    critic: Critic
    representation: Representation
    shares: bool
    weight: float

    def real(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """What it hears of recordings, at the present scale."""
        return self.critic.reduce(self.representation.encode(audio))

    def told(self, labels: Labels) -> Labels:
        """Labels as it gets them: audio among the conditions as features of what it hears."""
        return told_to(labels, self.representation)

    def generated(
        self, features: Float[Tensor, "batch channels ..."], sounds: SoundGenerator
    ) -> Float[Tensor, "batch heard ..."]:
        """What it hears of a generator's features of the present scale."""
        if self.shares:
            return features.float()
        audio = sounds.heard(sounds.network.enlarge(features))
        return self.critic.reduce(self.representation.encode(audio))


def critic_representation(config: GanConfig, entry: CriticEntry) -> Representation | None:
    """What a critic hears before any scaling; None for what the generator makes.

    Raises:
        ConfigError: There is none of that name, or it is the generator's own and yet to be scaled otherwise.
    """
    if entry.representation:
        return representation(entry.representation, config.sample_rate, entry.settings)
    if entry.settings or entry.standardize:
        raise ConfigError(
            "a critic with settings or standardize of its own needs a representation of its own"
        )
    return None


def ears_of(sounds: SoundGenerator, statistics: Sequence[Statistics | None]) -> list[Ear]:
    """The critics of a run, with fresh weights.

    Args:
        sounds: The generator that they judge.
        statistics: For each critic, those that scale what it hears; None for none.
    """
    config = sounds.config
    ears: list[Ear] = []
    for entry, scaled_by in zip(config.critics, statistics, strict=True):
        own = critic_representation(config, entry)
        heard = sounds.representation if own is None else own
        if own is not None and scaled_by is not None:
            heard = Standardized(own, scaled_by, clip=config.clip)
        check_heard(entry.network, config.conditions)
        conditions = condition_shapes(config.conditions, heard)
        form = Form(shape_of(heard, config.num_samples), sounds.classes, conditions=conditions)
        ears.append(Ear(entry.network.build(form), heard, own is None, entry.weight))
    return ears
