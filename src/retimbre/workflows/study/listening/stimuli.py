"""The sounds of a pack, each under a name that tells nothing, and the screens that they are scored on.

Names are drawn by the seed and given to the sounds in a drawn order, so neither a name nor the order of names says
whose a sound is. Sounds of one item stand in one list (a *trial*). In a MUSHRA test the real sound is in it twice: once
hidden among the others, to be scored, and once open, as the reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from retimbre.core.random import generator, key
from retimbre.workflows.study.listening.manifest import Mode
from retimbre.workflows.study.listening.page import Screen
from retimbre.workflows.study.listening.selection import Item, Selection
from retimbre.workflows.study.listening.systems import REAL, System

SCORED, REFERENCE = "scored", "reference"
"""The roles of a sound."""


@final
@dataclass(frozen=True)
class Stimulus:
    """A sound to be packed.

    Attributes:
        name: What listeners see.
        system: The name of the system or anchor.
        role: `SCORED` or `REFERENCE`.
        item: What it is a sound of.
        trial: The list it is in, counted from 001.
        source: Whose sound it is, or is made of.
    """

    name: str
    system: str
    role: str
    item: Item
    trial: str
    source: System

    @property
    def original(self) -> bool:
        """Whether it is a system's own sound, not an anchor made of one and not the open reference."""
        return self.role == SCORED and self.system == self.source.name


def stimuli(selection: Selection, names: Sequence[str], mode: Mode, seed: int) -> list[Stimulus]:
    """All sounds of a pack, by list and then by name.

    Args:
        selection: The items.
        names: Of systems and anchors.
        mode: Whether there is an open reference.
        seed: Of the names.
    """
    wanted: list[tuple[str, str, Item, str, System]] = []
    for place, items in enumerate(selection.lists):
        for item in items:
            trial = f"{place + 1:03d}"
            sources = {each.name: each for each in item.systems}
            if REAL in sources:
                anchors = {name: sources[REAL] for name in names if name.startswith(f"{REAL}-")}
                sources |= anchors
            wanted += [(name, SCORED, item, trial, sources[name]) for name in names if name in sources]
            if mode == "mushra":
                wanted.append((REAL, REFERENCE, item, trial, sources[REAL]))
    order = torch.randperm(len(wanted), generator=generator(seed, "listening names")).tolist()
    drawn = _distinct_names(seed, len(wanted))
    sounds = [Stimulus(drawn[order[at]], *each) for at, each in enumerate(wanted)]
    return sorted(sounds, key=lambda sound: (sound.trial, sound.name))


def scored_in(sounds: Sequence[Stimulus], trial: str) -> list[str]:
    """The names of the sounds of a list that listeners score."""
    return [sound.name for sound in sounds if sound.trial == trial and sound.role == SCORED]


def screens(sounds: Sequence[Stimulus], mode: Mode) -> list[Screen]:
    """What listeners see at once: a single sound, or all of a list and the reference."""
    if mode == "mos":
        return [Screen(sound.trial, (sound.name,), "") for sound in sounds]
    references = {sound.trial: sound.name for sound in sounds if sound.role == REFERENCE}
    return [Screen(trial, tuple(scored_in(sounds, trial)), name) for trial, name in references.items()]


def _distinct_names(seed: int, count: int) -> list[str]:
    """Names of eight hexadecimal digits; the odd one that repeats is passed over."""
    names: dict[str, None] = {}
    number = 0
    while len(names) < count:
        names[f"{key(seed, 'listening name', number) & 0xFFFFFFFF:08x}"] = None
        number += 1
    return list(names)
