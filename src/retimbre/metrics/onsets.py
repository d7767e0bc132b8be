"""How well onsets that were found agree with those that there are.

An onset that was found is right if there is one within 50 ms of it, and, where keys are told, of the same key; each
counts once. Precision is the share of the found ones that are right, recall the share of those that there are that were
found, and F1 is 2 * right / (found + there), 1 for agreement in everything. Chance agreement is not nothing: where
notes come ten times a second, most times are near one. So an F1 says something beside that of another piece's notes.

References:
    Bay, Ehmann and Downie (2009), Evaluation of multiple-F0 estimation and tracking systems, ISMIR,
        https://ismir2009.ismir.net/proceedings/PS2-21.pdf (onsets within 50 ms)
"""

from collections.abc import Iterable, Sequence

TOLERANCE_S = 0.05
TOGETHER_S = 0.03
"""Onsets closer than this are one chord."""


def agreements(
    reference_s: Sequence[float], estimate_s: Sequence[float], tolerance_s: float = TOLERANCE_S
) -> int:
    """The most pairs of an onset that there is and one that was found, within the tolerance, each in one pair."""
    there, found = sorted(reference_s), sorted(estimate_s)
    pairs = place = 0
    # On a line, pairing from the left with the first that fits is as good as any other way.
    for onset_s in there:
        while place < len(found) and found[place] < onset_s - tolerance_s:
            place += 1
        if place < len(found) and found[place] <= onset_s + tolerance_s:
            pairs, place = pairs + 1, place + 1
    return pairs


def f1(num_right: int, num_there: int, num_found: int) -> float:
    """The F1 of counts; 1 where nothing was found because nothing is there."""
    return 2.0 * num_right / (num_there + num_found) if num_there + num_found else 1.0


def onset_f1(reference_s: Iterable[float], estimate_s: Iterable[float]) -> float:
    """Of times alone; what is struck together counts once."""
    there, found = apart(reference_s), apart(estimate_s)
    return f1(agreements(there, found), len(there), len(found))


def note_f1(reference: Iterable[tuple[float, int]], estimate: Iterable[tuple[float, int]]) -> float:
    """Of times and keys."""
    there, found = list(reference), list(estimate)
    right = sum(
        agreements(
            [at_s for at_s, each in there if each == key], [at_s for at_s, each in found if each == key]
        )
        for key in {key for _, key in there}
    )
    return f1(right, len(there), len(found))


def apart(onsets_s: Iterable[float]) -> list[float]:
    """Onsets in order, without those that follow within `TOGETHER_S` of one that is kept."""
    kept: list[float] = []
    for onset_s in sorted(onsets_s):
        if not kept or onset_s - kept[-1] >= TOGETHER_S:
            kept.append(onset_s)
    return kept
