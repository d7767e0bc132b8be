"""Models side by side: what each is called, what it hears, and which of them hear the same clips.

Clips are drawn in the manner of a model's own training and at its own rate and length, so two models hear the same
clips only if they were trained alike. Whatever is put in one row (a table of answers, a triple of sounds) is of models
that do: `side_by_side` sorts them into such groups.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from retimbre.core.config import dump
from retimbre.matching.inverter import Inverter
from retimbre.training.shipped import MODEL_FILE
from retimbre.workflows.evaluation.inversion.held_out import HeldOutClips
from retimbre.workflows.evaluation.inversion.judge import Judgement

# What a clip depends on beside the way in which it was drawn.
_CLIP_OPTIONS = ("synth", "sample_rate", "seconds", "fixed", "levels")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """A model that is to be measured.

    Attributes:
        name: As it was asked for.
        label: A short name for files, different from every other contender's.
        facts: What was saved with it.
        clips: What it is measured on.
    """

    name: str
    label: str
    inverter: Inverter
    facts: dict[str, Any]
    clips: HeldOutClips

    @property
    def hears(self) -> dict[str, Any]:
        """What its clips depend on, by option."""
        config = dump(self.inverter.config)
        return {name: config[name] for name in _CLIP_OPTIONS} | self.clips.settings


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A contender and what came of it.

    Attributes:
        scores: All its figures, as JSON can hold them.
    """

    contender: Contender
    judgement: Judgement
    scores: dict[str, Any]


def labels_of(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Short names for files: the run folder's or the file's, made of plain characters and told apart by a number.

    Args:
        taken: Names that no model may have.
    """
    used = {name.lower() for name in taken}
    labels = []
    for name in names:
        path = Path(name)
        stem = path.parent.name if path.name == MODEL_FILE and path.parent.name else path.name
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem.removesuffix(".safetensors")).strip("-.") or "model"
        label, number = plain, 2
        # Not every file system tells capitals from small letters.
        while label.lower() in used:
            label, number = f"{plain}-{number}", number + 1
        used.add(label.lower())
        labels.append(label)
    return labels


def side_by_side(contenders: Sequence[Contender]) -> list[list[Contender]]:
    """The contenders in groups that hear the same clips, in the order in which they were named."""
    groups: list[list[Contender]] = []
    for each in contenders:
        for group in groups:
            if not differences(group[0], each):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def differences(one: Contender, other: Contender) -> list[str]:
    """The options by which two contenders hear different clips."""
    first, second = one.hears, other.hears
    # Where the manner of drawing is known from makes no difference.
    names = sorted((first.keys() | second.keys()) - {"as"})
    return [name for name in names if first.get(name) != second.get(name)]
