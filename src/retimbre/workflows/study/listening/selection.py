"""Which sounds a listening test is made of.

Systems are compared best on sounds of the same thing: the same latent, pitch or target, which shows in equal keys. Such
a key is an *item*; every system has a sound of it, and so have the anchors. Where systems share no keys, as two
generators of unrelated outputs, a test of opinions (MOS) can still be made: each then brings items of its own, and only
listeners are shared. Comparing sounds side by side (MUSHRA) makes no sense there and is refused.

Items are drawn by the seed. One that is silent or cannot be read in any of its systems is left out for all of them and
named: it cannot be brought to the loudness of the others. A system that often fails so is flattered, which is said too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch

from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.random import generator
from retimbre.workflows.study.listening.systems import REAL, System, shared_keys


@final
@dataclass(frozen=True)
class Draw:
    """How items are drawn.

    Attributes:
        count: How many at most.
        seconds: How much of each sound is used.
        seed: Of the draw.
        side_by_side: Whether sounds of one item are compared on one screen (MUSHRA), so that all systems need them.
    """

    count: int
    seconds: float
    seed: int
    side_by_side: bool


@final
@dataclass(frozen=True)
class Item:
    """What several systems have a sound of.

    Attributes:
        name: Unique in the test.
        key: Of the sounds.
        systems: Those that have it.
    """

    name: str
    key: str
    systems: tuple[System, ...]


@final
@dataclass(frozen=True)
class Selection:
    """The items of a test.

    Attributes:
        lists: Items that are presented together: one each where all systems share it, else one per system.
        rates: The sample rates met, hertz, ascending.
        remarks: What the reader of the results should know.
        failed: The files that could not be read, a line each.
    """

    lists: tuple[tuple[Item, ...], ...]
    rates: tuple[int, ...]
    remarks: tuple[str, ...]
    failed: tuple[str, ...]


def select(systems: Sequence[System], real: System | None, draw: Draw) -> Selection:
    """Draws the items of a test.

    Raises:
        ConfigError: Sounds are to be compared side by side and no key is shared.
        AudioError: Not one usable item is left for some of the systems.
    """
    groups = _groups(systems, real, draw)
    search = _Search(draw)
    found = [search.items(group, alone=len(groups) == 1) for group in groups]
    most = max(len(items) for items in found)
    lists = tuple(tuple(items[place] for items in found if place < len(items)) for place in range(most))
    remarks = [*_about_groups(groups), *search.remarks()]
    if min(len(items) for items in found) < draw.count:
        counts = ", ".join(str(len(items)) for items in found)
        remarks.append(f"{counts} items instead of the {draw.count} asked for")
    if len(search.rates) > 1:
        rates = ", ".join(str(rate) for rate in sorted(search.rates))
        remarks.append(
            f"sample rates of {rates} Hz are mixed; all sounds are played at the highest, and a lower one is heard "
            "as dullness"
        )
    return Selection(lists, tuple(sorted(search.rates)), tuple(remarks), tuple(search.failed))


def _groups(systems: Sequence[System], real: System | None, draw: Draw) -> list[tuple[System, ...]]:
    """Systems that share items, together; the rest apart."""
    everyone = (*systems, *([real] if real else []))
    if shared_keys(everyone):
        return [everyone]
    if draw.side_by_side:
        examples = ", ".join(f"{each.name} has {each.keys[0]!r}" for each in everyone)
        raise ConfigError(
            f"MUSHRA compares sounds of one name, but no name is in every system: {examples}; use --mode mos"
        )
    if real and shared_keys(systems):
        return [tuple(systems), (real,)]
    return [(each,) for each in everyone]


def _about_groups(groups: Sequence[tuple[System, ...]]) -> list[str]:
    if len(groups) == 1:
        return []
    apart = "; ".join(" and ".join(each.name for each in group) for group in groups)
    return [f"items are drawn apart, since no name of a sound is in every system: {apart}"]


@final
@dataclass
class _Search:
    """Goes through the sounds of systems in a drawn order, and keeps what it met."""

    draw: Draw
    rates: set[int] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    silent: list[tuple[str, str]] = field(default_factory=list)

    def items(self, group: tuple[System, ...], *, alone: bool) -> list[Item]:
        """Up to as many items as wanted that every system of the group can use."""
        keys = shared_keys(group)
        names = "+".join(each.name for each in group)
        purpose = "listening items" if alone else f"listening items of {names}"
        order = torch.randperm(len(keys), generator=generator(self.draw.seed, purpose)).tolist()
        found: list[Item] = []
        for place in order:
            if len(found) == self.draw.count:
                break
            key = keys[place]
            if self._usable(group, key):
                found.append(Item(key if alone else f"{names}: {key}", key, group))
        if not found:
            lines = [*self.failed, *(f"{name}: {key} is silent" for name, key in self.silent)]
            raise AudioError(f"no sound of {names} can be used: {lines[0]}")
        return found

    def _usable(self, group: tuple[System, ...], key: str) -> bool:
        rates: set[int] = set()
        for system in group:
            try:
                excerpt = system.excerpt(key, self.draw.seconds)
            except AudioError as error:
                self.failed.append(str(error))
                return False
            if excerpt.silent:
                self.silent.append((system.name, key))
                return False
            rates.add(excerpt.sample_rate)
        self.rates |= rates
        return True

    def remarks(self) -> list[str]:
        """What was left out, a line for each sound and one for each system that is flattered by it."""
        lines = [f"left out: {name}: {key} is silent" for name, key in self.silent]
        for name, count in Counter(name for name, _ in self.silent if name != REAL).items():
            lines.append(f"{name}: {count} silent sounds are left out, which flatters it")
        return [*lines, *(f"left out: {line}" for line in self.failed)]
