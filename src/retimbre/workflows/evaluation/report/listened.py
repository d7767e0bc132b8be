"""What can be heard on the page: some of the real clips, and beside each what every set has for it.

Sounds side by side are compared by ear as answers to one question, so they have to be. A model that answers real clips
keeps their names, and so does a spoiled anchor; a folder of another program's sounds is matched by the names of its
files. What has no sound of that name shows one of its own, under its own name.
"""

from collections.abc import Sequence
from pathlib import Path

from retimbre.workflows.evaluation.note_readings import partners
from retimbre.workflows.evaluation.report.anchors import SILENCE
from retimbre.workflows.evaluation.report.page import ListenedClip, ListenedSound
from retimbre.workflows.evaluation.report.rows import JudgedSet
from retimbre.workflows.evaluation.sets.clips import Clips

_ORDER = {"real": 0, "model": 1, "anchor": 2}


def listened_clips(rows: Sequence[JudgedSet], real: Clips, count: int) -> list[ListenedClip]:
    """So many of the real clips, evenly chosen, with a sound of every set but silence for each.

    Args:
        rows: The sets.
        real: The real clips that are no reference.
        count: How many at most.
    """
    count = min(count, len(real))
    indices = [round((place + 0.5) * len(real) / count - 0.5) for place in range(count)]
    shown = sorted((row for row in rows if row.name != SILENCE), key=lambda row: _ORDER[row.kind])
    places = {row.name: _places(row.clips, real, indices) for row in shown}
    return [
        ListenedClip(
            real.names[index], [_sound(row, places[row.name][turn], real.names[index]) for row in shown]
        )
        for turn, index in enumerate(indices)
    ]


def _places(clips: Clips, real: Clips, indices: Sequence[int]) -> list[int]:
    """Which clip of a set stands beside each of some real clips."""
    if clips.names == real.names:
        return list(indices)
    answers = {answered: place for place, answered in partners(clips, real).items()}
    # What answers a clip that is not shown is no worse than any other where nothing answers this one.
    taken = set(answers.values())
    own = [place for place in range(len(clips)) if place not in taken] or list(range(len(clips)))
    return [answers.get(index, own[index % len(own)]) for index in indices]


def _sound(row: JudgedSet, place: int, real_name: str) -> ListenedSound:
    name = row.clips.names[place]
    own = "" if Path(name).with_suffix("") == Path(real_name).with_suffix("") else name
    return ListenedSound(row.name, own, row.clips.audio([place])[0], row.clips.sample_rate)
