"""What a network learns from, counted: the first thing to look at when its sounds are odd.

Published recipes for musical notes were found not to work, more than once, because the loader had chosen other
recordings than its user believed: electronic instruments instead of acoustic ones, or pitches that nobody expected. A
census costs nothing and shows it at once. It is told when training begins, lies in the run folder, and travels with the
model, so that who has the model alone can ask what it has heard.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, final

# Classes that a table shows one by one; of more, the numbers or names from first to last.
_MOST_SHOWN = 12


@final
@dataclasses.dataclass(frozen=True)
class TrainingCensus:
    """The clips of a training.

    Attributes:
        clips: Those that are trained on; clips that validate are not among them.
        seconds: The length of a clip.
        left_out: Those that are used for nothing, by the reason, such as `silent`.
        attributes: How many training clips there are of each value of each attribute, in order.
    """

    clips: int
    seconds: float
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    attributes: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return dataclasses.asdict(self)

    def rows(self) -> list[dict[str, str]]:
        """A table for readers: what is counted, how many, and of what."""
        rows = [{"training set": "clips", "number": f"{self.clips:,}", "which": f"{self.seconds:g} s each"}]
        rows += [
            {"training set": reason, "number": f"{count:,}", "which": "left out"}
            for reason, count in self.left_out.items()
            if count
        ]
        return rows + [
            {"training set": name, "number": f"{len(counts):,}", "which": _listed(counts)}
            for name, counts in self.attributes.items()
        ]


def counts_of(values: Iterable[str | int]) -> dict[str, int]:
    """How often each value occurs: numbers in their order, names by the alphabet."""
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _listed(counts: Mapping[str, int]) -> str:
    """The values with their counts, or where there are many the first and the last, and how rare the rarest is."""
    if len(counts) <= _MOST_SHOWN:
        return ", ".join(f"{name} ({count:,})" for name, count in counts.items())
    names = list(counts)
    fewest, most = min(counts.values()), max(counts.values())
    return f"{names[0]} to {names[-1]}, {fewest:,} to {most:,} clips each"
