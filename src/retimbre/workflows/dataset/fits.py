"""Whether a data set on disk is of the kind that an inverter answers for.

A class is a number, and what it stands for is agreed on elsewhere: class 7 of a knob is one value among 8 levels and
another among 16, and with another knob held elsewhere the same value makes another sound. A set whose agreement is not
the inverter's can be read without complaint and teaches, or measures, the wrong thing. So training and evaluation both
ask here before they read a clip.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, final

from retimbre.matching.inverter import Inverter
from retimbre.synth.knobs import Value
from retimbre.workflows.dataset.plan import Plan

# Values of levels that were written as text and read again, or kept in 32 bits, differ by this much.
_SAME_LEVEL = 1e-5


@final
@dataclasses.dataclass(frozen=True)
class Misfit:
    """One respect in which a set is not what an inverter needs.

    Attributes:
        what: The respect, such as a knob's levels.
        found: What the set has.
        wanted: What the inverter has.
        option: Where a run file says it.
    """

    what: str
    found: Any
    wanted: Any
    option: str

    def against(self, whose: str) -> str:
        """The misfit in words, where the inverter belongs to a `run` or is a `model`."""
        return f"its {self.what}: {self.found}, but the {whose}'s: {self.wanted}"


def first_misfit(plan: Plan, inverter: Inverter) -> Misfit | None:
    """The first respect in which a set is not an inverter's; None if it fits.

    The sample rate comes before the number of samples: of clips at another rate, the number follows from it.
    """
    return next(_misfits(plan, inverter), None)


def _misfits(plan: Plan, inverter: Inverter) -> Iterator[Misfit]:
    """Every misfit in turn; what comes after one is only meaningful if that one is absent."""
    header, config, space = plan.header, inverter.config, inverter.space
    searched = ", ".join(each.name for each in plan.space.searched)
    wanted = ", ".join(each.name for each in space.searched)
    respects = [
        Misfit("synthesizer", header.options["synth"], config.synth, "[task] synth"),
        Misfit("sample rate", header.sample_rate, config.sample_rate, "[task] sample_rate"),
        Misfit("samples", header.num_samples, inverter.num_samples, "[task] seconds"),
        Misfit("searched knobs", searched, wanted, "[task.fixed]"),
    ]
    yield from (each for each in respects if each.found != each.wanted)
    for knob in space.searched:
        levels = plan.space[knob.name].class_values(), knob.class_values()
        if not _alike(*levels):
            yield Misfit(f"levels of {knob.name}", *_described(*levels), "[task.levels]")
    for name, value in space.fixed.items():
        held = plan.space.fixed[name]
        if not _alike((held,), (value,)):
            yield Misfit(f"fixed {name}", _written(held), _written(value), "[task.fixed]")


def _alike(ones: tuple[Value, ...], others: tuple[Value, ...]) -> bool:
    return len(ones) == len(others) and all(map(_same, ones, others))


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=_SAME_LEVEL)


def _described(ones: tuple[Value, ...], others: tuple[Value, ...]) -> tuple[str, str]:
    """Two lists of levels in few words that differ: how many, or else the first that is not the same."""
    if len(ones) != len(others):
        return str(len(ones)), str(len(others))
    place = next(place for place, pair in enumerate(zip(ones, others, strict=True)) if not _same(*pair))
    one, other = (f"{_written(values[place])} as level {place}" for values in (ones, others))
    return one, other


def _written(value: Value) -> str:
    # Nine digits tell any two numbers apart that are not the same level.
    return value if isinstance(value, str) else f"{value:.9g}"
