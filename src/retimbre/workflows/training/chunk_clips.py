"""Chunks of recordings with what came before them and what the keys did: what networks with such conditions learn from.

A prepared set of performances (`retimbre data maestro`) holds chunks in their order. Of each chunk a network may be
told the end of the chunk before (`history`) and the states of the keyboard (`midi`): 512 of the chunk itself or, twice
as many, those of the chunk before as well. Chunks without one before them are left out where the history is told.

Chunks of a set are taken as they are. To bring each to a peak of 1, or to fade it out, would tear it from what was
heard before; at another rate or length the states would not fit. Parts are those of the set, made of whole recordings.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import final

import torch
from jaxtyping import Int, Int16
from torch import Tensor

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.maestro.midi_states import STATES_PER_CHUNK, PianoStates
from retimbre.data.dataset import RecordedSet
from retimbre.data.pairs import previous_rows
from retimbre.data.splits import Split
from retimbre.gan.base import Classes
from retimbre.gan.conditions import HISTORY, MIDI
from retimbre.gan.config import GanConfig
from retimbre.workflows.training.census import TrainingCensus, counts_of
from retimbre.workflows.training.gan_run import GanDataConfig

_FULL_SCALE = 32_767
_AT_ONCE = 256


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ChunkClips:
    """Some chunks of a set, and what they are told by.

    Attributes:
        samples: As integers.
        classes: The names of the classes of each attribute.
        labels: The class of each chunk.
        conditions: From the numbers of chunks to the values of each condition.
    """

    samples: Int16[Tensor, "clips samples"]
    classes: Classes
    labels: dict[str, Int[Tensor, " clips"]]
    census: TrainingCensus
    conditions: Mapping[str, Callable[[Tensor], Tensor]]


def wants_chunks(data: GanDataConfig, task: GanConfig) -> bool:
    """Whether networks are told something that only the chunks of performances have."""
    return bool(data.set) and bool({HISTORY, MIDI} & task.conditions.keys())


def chunk_clips(data: GanDataConfig, task: GanConfig, split: Split, *, most: int, seed: int) -> ChunkClips:
    """Chunks of a part of a set.

    Args:
        most: How many, chosen by the seed.

    Raises:
        DatasetError: There is no such set, it is damaged, its chunks have no states, or the part is empty.
        ConfigError: The task's clips have another rate or length than the chunks, or are to be changed one by one.
    """
    opened = RecordedSet.open(data.set)
    _check(opened, data, task)
    before = previous_rows(opened.clips)
    rows = opened.split(split)
    there = len(rows)
    if HISTORY in task.conditions:
        rows = rows[before[rows] >= 0]
    if not len(rows):
        what = "chunks with one before them" if there else "chunks"
        raise DatasetError(f"{data.set}: has no {what} in its part {split!r}")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    kept = rows[order[:most]].sort().values
    columns = {name: opened.column(name) for name in task.attributes}
    samples = torch.cat([_integers(opened.audio(some)) for some in kept.split(_AT_ONCE)])
    counts = counts_of(opened.clips[row].label for row in kept.tolist())
    census = TrainingCensus(
        len(kept),
        task.num_samples / task.sample_rate,
        {"first of their recording": there - len(rows)},
        {"label": counts},
    )
    return ChunkClips(
        samples,
        {name: tuple(str(value) for value in column.names) for name, column in columns.items()},
        {name: column.classes[kept] for name, column in columns.items()},
        census,
        _conditions(opened, task, kept, before),
    )


def _check(opened: RecordedSet, data: GanDataConfig, task: GanConfig) -> None:
    """Refuses clips that are not the chunks of the set."""
    header = opened.header
    for name, has in {"sample_rate": header.sample_rate, "num_samples": header.num_samples}.items():
        if getattr(task, name) != has:
            raise ConfigError(
                f"[task] {name} is {getattr(task, name)}, but the chunks of {data.set} have {has}; conditions of "
                "chunks take the same"
            )
    if data.peak or data.fade_out:
        name = "peak = false" if data.peak else "fade_out = 0"
        raise ConfigError(
            f"[data] would tear each chunk from the one before it; conditions of chunks take {name}"
        )
    history = task.conditions.get(HISTORY, 1)
    if history > header.num_samples:
        raise ConfigError(
            f"the condition 'history' has {history} samples; takes 1 to {header.num_samples}, a chunk"
        )
    states = task.conditions.get(MIDI, STATES_PER_CHUNK)
    if states not in (STATES_PER_CHUNK, 2 * STATES_PER_CHUNK):
        raise ConfigError(
            f"the condition 'midi' has {states} states; takes {STATES_PER_CHUNK} of a chunk, or "
            f"{2 * STATES_PER_CHUNK} with the chunk before"
        )


def _conditions(
    opened: RecordedSet, task: GanConfig, kept: Int[Tensor, " clips"], before: Int[Tensor, " all"]
) -> dict[str, Callable[[Tensor], Tensor]]:
    """A table for each condition of chunks that the networks are told."""
    found: dict[str, Callable[[Tensor], Tensor]] = {}
    if HISTORY in task.conditions:
        length = task.conditions[HISTORY]
        ends = torch.cat(
            [_integers(opened.audio(before[some])[:, -length:]) for some in kept.split(_AT_ONCE)]
        )
        found[HISTORY] = lambda rows: ends[rows].float() / _FULL_SCALE
    if MIDI in task.conditions:
        states = PianoStates.open(opened.folder)
        read = states.read if task.conditions[MIDI] == STATES_PER_CHUNK else states.with_history
        found[MIDI] = lambda rows: read(kept[rows.flatten()]).unflatten(0, rows.shape)
    return found


def _integers(audio: Tensor) -> Int16[Tensor, "clips samples"]:
    return (audio.clamp(-1.0, 1.0) * _FULL_SCALE).round().to(torch.int16)
