"""Run files of GANs that make no sense together, refused before anything is learned.

Each part of such a file is checked where it is read. What is left are contradictions between parts: a loss that weighs
guesses which no critic makes, a schedule of growth for networks of one size, or one that comes after hours to a scale
which a network does not have, at which generator and critic have other sizes, or whose batches cannot be divided.
"""

from collections.abc import Iterator, Sequence

import torch

from retimbre.core.errors import ConfigError, near_miss
from retimbre.gan.base import Critic, Generator, Stage
from retimbre.gan.conditions import blank
from retimbre.gan.growth import Growth
from retimbre.gan.hearing import Ear
from retimbre.gan.networks.equalized import MinibatchDeviation, cuts_a_group
from retimbre.gan.networks.pyramid import GrowingCritic, GrowingGenerator
from retimbre.gan.sounds import SoundGenerator
from retimbre.training.share import Share, share_of
from retimbre.workflows.training.gan_pool import ClipPool
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


def check_conditions(config: GanRun, pool: ClipPool) -> None:
    """Refuses conditions that the clips do not have.

    Raises:
        ConfigError: The message names the condition.
    """
    for name in config.task.conditions:
        if name not in pool.conditions:
            known = f"they have {', '.join(pool.conditions)}" if pool.conditions else "they have none"
            raise ConfigError(
                f"[task] conditions names {name!r}, which the clips of [data] do not have: {known}"
            )


def check_networks(
    config: GanRun, sounds: SoundGenerator, ears: Sequence[Ear], num_processes: int = 1
) -> None:
    """Refuses networks that cannot play the game that is asked for.

    Args:
        config: What is asked for.
        sounds: The generator.
        ears: Its critics.
        num_processes: How many train together.

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
                _check_sizes(sounds.network, ear.critic, config.growth)
    for ear in ears:
        for layer in ear.critic.modules():
            if isinstance(layer, MinibatchDeviation):
                _check_groups(config, layer, num_processes)


def _check_sizes(generator: Generator, critic: Critic, growth: Growth) -> None:
    """Refuses a critic that is shown features of one size at some scale and takes another."""
    if not (isinstance(generator, GrowingGenerator) and isinstance(critic, GrowingCritic)):
        return
    for scale in range(growth.start_scale, len(growth.steps)):
        made, taken = generator.pyramid.sizes[scale], critic.pyramid.sizes[scale]
        if made != taken:
            raise ConfigError(
                f"[task] factors of generator and critic differ: at scale {scale} the generator makes "
                f"{made[0]} x {made[1]} cells and the critic takes {taken[0]} x {taken[1]}; takes the same factors"
            )


def _check_groups(config: GanRun, layer: MinibatchDeviation, num_processes: int) -> None:
    """Refuses parts of a batch that would cut a group of clips which a critic compares."""
    at_once = config.task.rows_at_once
    for scale, batch_size in _batch_sizes(config).items():
        group = layer.group_of(batch_size)
        shares = (share_of(batch_size, rank, num_processes) for rank in range(num_processes))
        if any(cuts_a_group(part, group) for share in shares for part in _parts(share, at_once)):
            raise ConfigError(
                f"[task] rows_at_once is {at_once}, which cuts a group of {group} clips that a critic compares, in a "
                f"batch of {batch_size}{scale}; takes a multiple of the group, or 0. Batches that minibatch_group, "
                f"{layer.group_size}, does not divide are one group"
            )


def _parts(share: Share, at_once: int) -> Iterator[Share]:
    """The parts in which a share goes through the networks; none where it goes as a whole, which cuts no group."""
    if 0 < at_once < share.count:
        end = share.first + share.count
        for first in range(share.first, end, at_once):
            yield Share(first, min(at_once, end - first), share.total)


def _batch_sizes(config: GanRun) -> dict[str, int]:
    """Of the global batches: at each scale that is trained, or of all."""
    growth = config.growth
    if growth is None or not growth.batch_sizes:
        return {"": config.train.batch_size}
    scales = range(growth.start_scale, len(growth.steps))
    return {f" at scale {scale}": growth.batch_sizes[scale] for scale in scales}


def _guesses(ear: Ear, sounds: SoundGenerator) -> bool:
    """Whether a critic guesses any labels."""
    with torch.no_grad():
        heard = ear.real(torch.zeros(_FEW_CLIPS, sounds.num_samples))
        labels = sounds.labels(_FEW_CLIPS, {}) | blank(sounds.conditions, _FEW_CLIPS)
        return bool(ear.critic(heard, ear.told(labels)).classes)


def _grow(network: Generator | Critic, kind: str, stage: Stage) -> None:
    """Grows a network, which refuses a scale that it does not have; one of a single size is refused here."""
    plain = Generator.grow if isinstance(network, Generator) else Critic.grow
    if type(network).grow is plain:
        raise ConfigError(
            f"[growth] is for networks that grow, such as 'progressive'; {kind!r} has one size: leave it out"
        )
    network.grow(stage)
