"""What a rendered data set contains, as a pure function of its plan: clip i is clip i anywhere and in any order.

A `Plan` says everything: the instrument at its rate, the searched space, the seed. From it `labels_of` makes the
labels of any clips and `render_rows` their audio. Nothing is carried from one shard to the next, so a set can be
rendered in pieces, by several machines, stopped and gone on with, and its files come out byte for byte the same.

The noise seed of a clip is its number.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import MissingExtra, RetimbreError
from retimbre.data.dataset import Labels
from retimbre.dsp.level import normalise_peak
from retimbre.synth.base import Note
from retimbre.workflows.dataset.plan import Plan

Engine = Literal["local", "ray"]

# Streams of their own, so that a range of notes does not change the knobs.
_KNOBS, _NOTES = "data set knobs", "data set notes"


def labels_of(plan: Plan, rows: range) -> Labels:
    """The labels of some clips."""
    number = torch.arange(rows.start, rows.stop)
    classes, unit = _draw_knobs(plan, number)
    note = _draw_notes(plan, number)
    return Labels(classes, unit, torch.stack([note.pitch_hz, note.velocity, note.gate_s], dim=1))


def render_rows(plan: Plan, rows: range) -> NDArray[np.float32]:
    """The audio of some clips, rendered together.

    Raises:
        RetimbreError: The synthesizer made samples that are not numbers; the message says which clip.
    """
    number = torch.arange(rows.start, rows.stop)
    classes, unit = _draw_knobs(plan, number)
    # Classes give the very values of the levels, which the way through the unit cube would round.
    knobs = plan.space.from_unit(unit) if plan.draw == "continuous" else plan.space.from_classes(classes)
    device = torch.device(plan.device)
    knobs = {name: knob.to(device) for name, knob in knobs.items()}
    note = _draw_notes(plan, number).to(device)
    with torch.no_grad():
        audio = plan.synth.render_in_chunks(knobs, note, num_samples=plan.header.num_samples)
        audio = normalise_peak(audio) if plan.normalise else audio
    bad = torch.nonzero(~audio.isfinite().all(1)).flatten()
    if len(bad):
        raise RetimbreError(
            f"{plan.synth.name} made samples that are not numbers in clip {int(number[bad[0]])}"
        )
    return audio.cpu().numpy()


def values_of(plan: Plan, labels: Labels, row: int) -> dict[str, Any]:
    """All settings of one clip by name, the fixed ones exactly as they were given."""
    if plan.draw == "continuous":
        knobs = plan.space.from_unit(labels.unit[row : row + 1])
        drawn = plan.space.to_values(knobs)
    else:
        classes = labels.classes[row].tolist()
        searched = zip(plan.space.searched, classes, strict=True)
        drawn = {knob.name: knob.class_values()[index] for knob, index in searched}
    settings = drawn | dict(plan.space.fixed)
    return {name: settings[name] for name in plan.space.names}


def render_shards(
    plan: Plan, shards: Iterable[int], engine: Engine
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The audio of these shards, each as it is finished: in order here, in any order from other machines."""
    if engine == "ray":
        yield from _render_with_ray(plan, list(shards))
        return
    for shard in shards:
        yield shard, render_rows(plan, plan.header.rows_of(shard))


def _draw_notes(plan: Plan, number: Int[Tensor, " rows"]) -> Note:
    return plan.notes.draw(random.uniform(plan.seed, _NOTES, number, 2), number)


def _draw_knobs(plan: Plan, number: Int[Tensor, " rows"]) -> tuple[Tensor, Tensor]:
    """Classes and unit points of some clips."""
    space = plan.space
    if plan.draw == "grid":
        classes = space.grid_classes(int(number[0]), int(number[-1]) + 1)
        return classes, space.to_unit(space.from_classes(classes))
    uniform = random.uniform(plan.seed, _KNOBS, number, len(space.searched))
    if plan.draw == "classes":
        classes = space.draw_classes(uniform)
        return classes, space.to_unit(space.from_classes(classes))
    unit = space.draw_unit(uniform)
    return space.to_classes(space.from_unit(unit)), unit


def _render_with_ray(plan: Plan, shards: list[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", extra="ray", purpose="--engine ray") from None
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        remote = ray.remote(render_rows)
        # Two shards per processor keep every machine busy and bound what waits in memory.
        most_waiting = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: dict[Any, int] = {}
        while shards or waiting:
            while shards and len(waiting) < most_waiting:
                shard = shards.pop(0)
                waiting[remote.remote(plan, plan.header.rows_of(shard))] = shard
            finished, _ = ray.wait(list(waiting))
            yield waiting.pop(finished[0]), ray.get(finished[0])
    finally:
        if started_here:
            ray.shutdown()
