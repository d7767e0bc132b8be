"""The shares that a listener is judged by, from its answers and the labels.

The intervals of the shares are Wilson's. A bootstrap knows nothing but what it saw: where all answers were right, all
of its draws are, and its interval would have no width. Clips count as independent; notes of one instrument are less
than that.
"""

import dataclasses
from collections import Counter
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from retimbre.listening.listener import Listener
from retimbre.metrics.bootstrap import share_interval
from retimbre.workflows.evaluation.sets.labels import ClipLabels

CONFIDENCE = 0.95
OCTAVE = 12


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """What a listener said about the clips of a set.

    Attributes:
        given: The likeliest class, for each attribute.
        right: The class that is right, -1 where the label is none.
        silent: Clips in which there is nothing to hear, whatever their label says.
    """

    given: dict[str, Int[Tensor, " clips"]]
    right: dict[str, Int[Tensor, " clips"]]
    silent: Bool[Tensor, " clips"]

    def counted(self, name: str) -> Bool[Tensor, " clips"]:
        """The clips that can be answered: they sound, and their label is a class."""
        return (self.right[name] >= 0) & ~self.silent


def headline(answers: Answers) -> dict[str, Any]:
    """The share of pitches within a semitone, or of right answers to the first attribute where no pitch is told."""
    first = "pitch" if "pitch" in answers.given else next(iter(answers.given))
    off = (answers.given[first] - answers.right[first]).abs()
    return share_of(off <= (1 if first == "pitch" else 0), answers.counted(first))


def share_of(claim: Bool[Tensor, " clips"], among: Bool[Tensor, " clips"]) -> dict[str, Any]:
    """The share of clips that a claim is true of, with its 95 % interval by Wilson's score; None of no clips."""
    n, hits = int(among.sum()), int((claim & among).sum())
    if not n:
        return {"value": None, "low": None, "high": None, "n": 0}
    return dataclasses.asdict(share_interval(hits, n, CONFIDENCE))


def attribute_scores(answers: Answers, name: str) -> dict[str, Any]:
    """The share of right answers; `commonest`, that of always answering one class; how many sound but have no class."""
    right, given = answers.right[name], answers.given[name]
    among = answers.counted(name)
    counts = torch.bincount(right[among])
    commonest = float(counts.max() / among.sum()) if len(counts) else None
    return share_of(given == right, among) | {
        "commonest": commonest,
        "without_class": int(((right < 0) & ~answers.silent).sum()),
    }


def pitch_scores(answers: Answers, labels: ClipLabels) -> dict[str, Any]:
    """Pitch within a semitone, as a whole and by family, and answers that are an octave off."""
    off, among = answers.given["pitch"] - answers.right["pitch"], answers.counted("pitch")
    near = off.abs() <= 1
    # A pitch is the same but for its octave if it is a multiple of twelve away, to a semitone.
    same_name = ((off + 1) % OCTAVE) <= 2
    told: dict[str, Any] = {
        "within_semitone": share_of(near, among),
        "whatever_octave": share_of(same_name, among),
        "octave_above": share_of((off - OCTAVE).abs() <= 1, among),
        "octave_below": share_of((off + OCTAVE).abs() <= 1, among),
    }
    families = sorted(set(labels.family))
    of = {family: torch.tensor([each == family for each in labels.family]) for family in families}
    told["by_family"] = {
        family: share_of(near, among & of[family])
        | {"octave_below": int(((off + OCTAVE).abs() <= 1)[among & of[family]].sum())}
        | {"octave_above": int(((off - OCTAVE).abs() <= 1)[among & of[family]].sum())}
        for family in families
    }
    return told


def confusion(listener: Listener, answers: Answers) -> dict[str, dict[str, int]]:
    """How often each family that occurs was taken for each family."""
    names = listener.classes["family"]
    among = answers.counted("family")
    right, given = (answers.right["family"][among].tolist(), answers.given["family"][among].tolist())
    pairs = Counter(zip(right, given, strict=True))
    present = sorted({true for true, _ in pairs})
    return {names[true]: {name: pairs[true, place] for place, name in enumerate(names)} for true in present}
