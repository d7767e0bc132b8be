"""A part of a corpus, chosen so that anybody who asks for the same part gets it.

Each recording draws a number from the seed and its own name, and the lowest numbers are taken. So the choice does not
depend on the order in which a disk lists its files, on the machine, or on what else was asked for; and a larger part
contains the smaller one.
"""

from collections import defaultdict
from collections.abc import Mapping

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.data.source import Value


def equal_shares(classes: Mapping[str, Value], size: int, *, seed: int) -> set[str]:
    """Exactly `size` recordings, of which every class has its equal share to within one.

    Where `size` is not a multiple of the number of classes, the classes that get one more are drawn, too.

    Args:
        classes: The class of each recording, by its name.

    Raises:
        ConfigError: A class is too small for its share; the message says which and what would fit.
    """
    members = _by_class(classes)
    ranked = sorted(members, key=lambda value: (random.key(seed, f"class {value}"), str(value)))
    chosen: set[str] = set()
    for rank, value in enumerate(ranked):
        share = size // len(members) + (rank < size % len(members))
        if share > len(members[value]):
            most = len(members) * min(len(names) for names in members.values())
            raise ConfigError(
                f"{size} recordings over {len(members)} classes takes {share} of {value!r}, but there are "
                f"{len(members[value])}; the most that is balanced is {most}"
            )
        chosen.update(_drawn(members[value], share, seed))
    return chosen


def at_most(classes: Mapping[str, Value], most: int, *, seed: int) -> set[str]:
    """Up to `most` recordings of each class: all of a smaller class, a drawn part of a larger one."""
    members = _by_class(classes)
    return {name for names in members.values() for name in _drawn(names, most, seed)}


def _by_class(classes: Mapping[str, Value]) -> dict[Value, list[str]]:
    members: dict[Value, list[str]] = defaultdict(list)
    for name, value in classes.items():
        members[value].append(name)
    return members


def _drawn(names: list[str], count: int, seed: int) -> list[str]:
    if count >= len(names):
        return names
    return sorted(names, key=lambda name: (random.key(seed, f"recording {name}"), name))[:count]
