"""Whether the real sounds differ enough among themselves to be a yardstick.

A measure proves itself by telling spoiled sounds from real ones, and what counts as a difference is decided by how much
the figures of real sounds vary. Twelve copies of one note do not vary at all: their figures have intervals without
width, anything lies apart from them, and every measure would pass. So real sounds of which next to all are the same
judge no measure, and neither do sounds that an embedder hears as one.
"""

from collections.abc import Iterable

from retimbre.metrics.distances.base import NO_VARIETY
from retimbre.workflows.evaluation.report.anchors import LEAST_PER_HALF
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.embed import batches
from retimbre.workflows.evaluation.sets.survey import digest_of


def same_sounds(*sets: Clips) -> str:
    """Why these sets are no yardstick: one has fewer different clips than a half of the real sounds takes.

    Empty if there is nothing against them.
    """
    for clips in sets:
        different = len(set(clips.about.digests or _digests(clips)))
        if different < LEAST_PER_HALF:
            return (
                f"{clips.name} has {different} different sounds among {len(clips)}, of which a yardstick takes "
                f"{LEAST_PER_HALF}"
            )
    return ""


def same_vectors(remarks: Iterable[str]) -> str:
    """The remark on a figure of real/real by which all sounds are one to who heard them; empty if there is none."""
    return next((remark for remark in remarks if remark.endswith(NO_VARIETY)), "")


def _digests(clips: Clips) -> list[str]:
    return [digest_of(samples) for batch in batches(clips) for samples in batch]
