"""The shares that a listener is judged by, from its answers and the labels.

The intervals of the shares are Wilson's. A bootstrap knows nothing but what it saw: where all answers were right, all
of its draws are, and its interval would have no width. Clips count as independent; notes of one instrument are less
than that.
"""

import dataclasses
import math
import statistics
from collections import Counter
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from retimbre.listening.listener import Listener
from retimbre.workflows.evaluation.sets.labels import ClipLabels

CONFIDENCE = 0.95
OCTAVE = 12


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """What a listener said about the clips of a set: for each attribute the likeliest class, and the right one."""

    given: dict[str, Int[Tensor, " clips"]]
    right: dict[str, Int[Tensor, " clips"]]


def headline(answers: Answers) -> dict[str, Any]:
    """The share of pitches within a semitone, or of right answers to the first attribute where no pitch is told."""
    first = "pitch" if "pitch" in answers.given else next(iter(answers.given))
    off = (answers.given[first] - answers.right[first]).abs()
    return share_of(off <= (1 if first == "pitch" else 0), answers.right[first] >= 0)


def share_of(claim: Bool[Tensor, " clips"], among: Bool[Tensor, " clips"]) -> dict[str, Any]:
    """The share of clips that a claim is true of, with its 95 % interval by Wilson's score; None of no clips.

    References:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference",
        https://doi.org/10.1080/01621459.1927.10502953
    """
    n, hits = int(among.sum()), int((claim & among).sum())
    if not n:
        return {"value": None, "low": None, "high": None, "n": 0}
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # Rounding must not part a share of 0 or 1 from its own interval.
    low, high = min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach))
    return {"value": share, "low": low, "high": high, "n": n}


def attribute_scores(answers: Answers, name: str) -> dict[str, Any]:
    """The share of right answers; `commonest`, that of always answering one class; notes that have no class."""
    right, given = answers.right[name], answers.given[name]
    among = right >= 0
    counts = torch.bincount(right[among])
    commonest = float(counts.max() / among.sum()) if len(counts) else None
    return share_of(given == right, among) | {
        "commonest": commonest,
        "without_class": int((~among).sum()),
    }


def pitch_scores(answers: Answers, labels: ClipLabels) -> dict[str, Any]:
    """Pitch within a semitone, as a whole and by family, and answers that are an octave off."""
    off, among = answers.given["pitch"] - answers.right["pitch"], answers.right["pitch"] >= 0
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
    pairs = Counter(zip(answers.right["family"].tolist(), answers.given["family"].tolist(), strict=True))
    present = sorted({true for true, _ in pairs if true >= 0})
    return {names[true]: {name: pairs[true, place] for place, name in enumerate(names)} for true in present}
