"""What the contestants are measured by: real notes beside real notes, and real notes there and back.

The *floor* of a distance is what two halves of real notes have between each other; no generator can be asked for less.
The *ceiling* of a representation is what real notes get that went through it and came back: where phases are lost or
bands are wide, a perfect generator of that representation would sound like this, and no better.
"""

import dataclasses
import time
from pathlib import Path
from typing import final

import torch

from retimbre.gan.sounds import own_representation
from retimbre.representation.base import Representation
from retimbre.workflows.evaluation.sets.clips import ROWS_AT_ONCE, HeldClips
from retimbre.workflows.study.representations.contest import Contestant
from retimbre.workflows.study.representations.generated import keys_played, write_note
from retimbre.workflows.study.representations.judge import judge, yardstick
from retimbre.workflows.study.representations.marks import Marks, kept_marks, read_marks


@final
@dataclasses.dataclass(frozen=True)
class Floor:
    """The other half of the real notes, judged like a generator.

    Attributes:
        contestant: Any, whose budget says which notes.
        study: The folder of the study.
        device: `auto`, `cpu` or `cuda`.
        deadline_s: The time, as `time.time` gives it, after which it is not begun.
    """

    contestant: Contestant
    study: Path
    device: str = "auto"
    deadline_s: float = float("inf")

    @property
    def name(self) -> str:
        """Of the row."""
        return "real/real"

    @property
    def path(self) -> Path:
        """Its marks."""
        return self.study / "real" / "floor.json"

    @property
    def finished(self) -> bool:
        """Whether it is judged."""
        return read_marks(self.path) is not None

    def run(self) -> str:
        """Judges real notes by real notes, if there is time."""
        if time.time() >= self.deadline_s:
            return f"{self.name}: stopped, to be continued"
        against = yardstick(self.contestant, str(self.study / "vectors"), self.device)
        _write_examples(self.path.parent / "sounds", against.other_half, self.contestant.budget.pitches)
        kept_marks(
            self.path, against.key, lambda: {"figures": judge(against.other_half, against), "about": {}}
        )
        return f"{self.name}: judged"


@final
@dataclasses.dataclass(frozen=True)
class Ceiling:
    """The other half of the real notes, through a representation and back.

    Attributes:
        contestant: Any that generates the representation.
        study: The folder of the study.
        device: `auto`, `cpu` or `cuda`.
        deadline_s: The time, as `time.time` gives it, after which it is not begun.
    """

    contestant: Contestant
    study: Path
    device: str = "auto"
    deadline_s: float = float("inf")

    @property
    def name(self) -> str:
        """Of the row."""
        return f"real/{self.contestant.transform.name}"

    @property
    def path(self) -> Path:
        """Its marks."""
        return self.study / "real" / f"{self.contestant.transform.name}.json"

    @property
    def finished(self) -> bool:
        """Whether it is judged."""
        return read_marks(self.path) is not None

    def run(self) -> str:
        """Judges real notes that went there and back, if there is time."""
        if time.time() >= self.deadline_s:
            return f"{self.name}: stopped, to be continued"
        against = yardstick(self.contestant, str(self.study / "vectors"), self.device)
        chosen = self._representation()

        def make() -> Marks:
            begun_s = time.process_time()
            again = _there_and_back(against.other_half, chosen)
            passed_ms = 1e3 * (time.process_time() - begun_s) / len(again)
            return {"figures": judge(again, against), "about": {"there_and_back_ms": passed_ms}}

        kept_marks(self.path, {"representation": chosen.identity(), **against.key}, make)
        return f"{self.name}: judged"

    def _representation(self) -> Representation:
        """What the contestant generates; scaling its bins and scaling them back changes nothing."""
        config = self.contestant.run((1,) * len(self.contestant.model.weights), {}, seed=0)
        return own_representation(config.task, None)


def _write_examples(folder: Path, clips: HeldClips, pitches: tuple[int, int]) -> None:
    """Writes a real note of each key that generators play on the page."""
    for key in keys_played(pitches):
        rows = [row for row, each in enumerate(clips.labels.pitch) if each == key][:1]
        for samples in clips.audio(rows):
            write_note(folder, key, samples, clips.sample_rate)


@torch.no_grad()
def _there_and_back(clips: HeldClips, chosen: Representation) -> HeldClips:
    """Clips as they come back, in memory: they are heard many times."""
    batches = [
        chosen.decode(chosen.encode(audio), num_samples=clips.num_samples)
        for first in range(0, len(clips), ROWS_AT_ONCE)
        if len(audio := clips.audio(range(first, min(first + ROWS_AT_ONCE, len(clips)))))
    ]
    return HeldClips(f"through {chosen.identity()}", torch.cat(batches), clips.sample_rate, clips.labels)
