"""Sound made chunk by chunk by a generator that is told what came before, what the keys do, or both.

Each chunk is told the end of what was made so far, or the states of the keyboard in it and before it, and is then
joined to what is there (`dsp.seams`): a generator is told of the past but not held to it, sample by sample. Only the
end of what was made is kept, so a piece may be of any length.
"""

import dataclasses
from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.corpora.maestro.midi_states import FULL, STATES_PER_CHUNK, Course
from retimbre.dsp import seams
from retimbre.gan.conditions import CONDITIONS, HISTORY, MIDI
from retimbre.workflows.generate.player import Player

CAN_TELL = (HISTORY, MIDI)
"""The conditions that can be given chunk by chunk."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ChunkPlan:
    """What is made.

    Attributes:
        latents: A row per chunk.
        classes: The class of each attribute, the same for all chunks.
        course: What the keys do, from the beginning of the first chunk on; None for nothing.
    """

    latents: Float[Tensor, "chunks latent"]
    classes: dict[str, tuple[str, ...]]
    course: Course | None = None


def need_condition(player: Player, name: str) -> None:
    """Refuses a generator that is not told what a command tells.

    Raises:
        ConfigError: Names the condition that is missing.
    """
    told = player.sounds.conditions
    if name not in told:
        what = f"the condition {', '.join(told)}" if told else "no condition"
        raise ConfigError(
            f"{player.name}: is told {what}, but `retimbre {CONDITIONS[name].command}` tells it {name!r}"
        )


def made_chunks(
    player: Player, before: Float[Tensor, " samples"], plan: ChunkPlan
) -> Iterator[Float[Tensor, " piece"]]:
    """The sound that follows, piece by piece, a chunk being told what was heard before it and joined to that.

    Around a seam a few samples on either side are changed (`seams.reach_of`). So the first piece begins with the last
    so many samples of what was there before, and takes their place.

    Args:
        before: What is heard before the first chunk; may be empty or shorter than the history, after silence then.

    Raises:
        AudioError: A chunk is NaN, infinite or immense.
    """
    rate = player.sounds.sample_rate
    kept = max(player.sounds.conditions.get(HISTORY, 0), seams.LEARNED_SAMPLES)
    reach, fade_samples = seams.reach_of(rate), round(seams.FADE_S * rate)
    heard, pending = before[-kept:], before[-reach:]
    for number in range(len(plan.latents)):
        latent = plan.latents[number : number + 1]
        told = _conditions(player, heard, plan.course, number)
        (made,) = player.play(latent, plan.classes, [f"chunk {number}"], told)
        chunk = seams.joined(heard, made, fade_samples)
        stretch = seams.smoothed(torch.cat([pending, chunk]), len(pending), rate)
        heard = torch.cat([heard[: len(heard) - len(pending)], stretch])[-kept:]
        yield stretch[:-reach]
        pending = stretch[-reach:]
    yield pending


def _conditions(
    player: Player, heard: Float[Tensor, " samples"], course: Course | None, number: int
) -> dict[str, Tensor]:
    """What a chunk is told, as a batch of one."""
    found: dict[str, Tensor] = {}
    for name, length in player.sounds.conditions.items():
        if name == HISTORY:
            silence = heard.new_zeros(max(0, length - len(heard)))
            found[name] = torch.cat([silence, heard[-length:]])[None]
        elif name == MIDI:
            found[name] = states_of(course, number, length)[None]
    return found


def states_of(course: Course | None, number: int, length: int) -> Float[Tensor, "states 89"]:
    """The states of a chunk, and of as many before it as the generator is told; zeros before the beginning."""
    states = torch.zeros(length, CONDITIONS[MIDI].width)
    if course is not None:
        first = (number + 1) * STATES_PER_CHUNK - length
        missing = max(0, -first)
        window = course.window(first + missing, length - missing)
        states[missing:] = torch.from_numpy(window).float() / FULL
    return states
