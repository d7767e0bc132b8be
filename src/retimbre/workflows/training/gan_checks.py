"""Run files of GANs that make no sense together, refused before anything is learned.

Each part of such a file is checked where it is read. What is left are contradictions between parts: a loss that weighs
guesses which no critic makes, a schedule of growth for networks of one size, or one that ends after hours at a scale
which the network does not have.
"""

from collections.abc import Sequence

import torch

from retimbre.core.errors import ConfigError, near_miss
from retimbre.gan.base import Critic, Generator, Stage
from retimbre.gan.hearing import Ear
from retimbre.gan.sounds import SoundGenerator
from retimbre.workflows.training.gan_run import GanRun

_FEW_CLIPS = 4


def check_labels(config: GanRun) -> None:
    """Refuses losses of labels that the networks are not told.

    Raises:
        ConfigError: The message names the option.
    """
    task, loss = config.task, config.task.loss
    for name in ("class_weight_critic", "class_weight_generator"):
        if getattr(loss, name) > 0.0 and not task.attributes:
            raise ConfigError(
                f"[task.loss] {name} is {getattr(loss, name):g}, but there are no labels to guess: "
                "[task] attributes is empty"
            )
    for name in loss.class_skip:
        if name not in task.attributes:
            known = near_miss(name, task.attributes) if task.attributes else "[task] attributes is empty"
            raise ConfigError(
                f"[task.loss] class_skip names {name!r}, which the networks are not told; {known}"
            )


def check_networks(config: GanRun, sounds: SoundGenerator, ears: Sequence[Ear]) -> None:
    """Refuses networks that cannot play the game that is asked for.

    Raises:
        ConfigError: The message names the option and the network.
    """
    loss = config.task.loss
    is_weighed = loss.class_weight_critic > 0.0 or loss.class_weight_generator > 0.0
    if is_weighed and not any(_guesses(ear, sounds) for ear in ears):
        kinds = ", ".join(entry.network.kind for entry in config.task.critics)
        raise ConfigError(
            "[task.loss] class_weight_critic and class_weight_generator weigh guesses of labels, but no critic "
            f"({kinds}) makes any; see its option class_logits"
        )
    if config.growth is not None:
        last = Stage(len(config.growth.steps) - 1)
        _grow(sounds.network, config.task.generator.kind, last)
        for ear, entry in zip(ears, config.task.critics, strict=True):
            if ear.shares:  # any other hears clips of full size
                _grow(ear.critic, entry.network.kind, last)


def _guesses(ear: Ear, sounds: SoundGenerator) -> bool:
    """Whether a critic guesses any labels."""
    with torch.no_grad():
        heard = ear.real(torch.zeros(_FEW_CLIPS, sounds.num_samples))
        return bool(ear.critic(heard, sounds.labels(_FEW_CLIPS, {})).classes)


def _grow(network: Generator | Critic, kind: str, stage: Stage) -> None:
    """Grows a network, which refuses a scale that it does not have; one of a single size is refused here."""
    plain = Generator.grow if isinstance(network, Generator) else Critic.grow
    if type(network).grow is plain:
        raise ConfigError(
            f"[growth] is for networks that grow, such as 'progressive'; {kind!r} has one size: leave it out"
        )
    network.grow(stage)
