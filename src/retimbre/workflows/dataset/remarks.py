"""What is odd about recordings that were used all the same, as counts.

A file that was cut short, is clipped, louder than full scale or at an unusual rate still gives clips, and `clips.jsonl`
says so with each of them. Nobody reads a hundred thousand lines, so here they become one: how many recordings there
are of each kind. A remark is a clause such as `cut short: it ends after 0.30 s, before its header says`; its kind is
what stands before the first mark.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from retimbre.data.dataset import Clip


def counted_remarks(remarks: Iterable[Sequence[str]]) -> dict[str, int]:
    """How many recordings have a remark of each kind, the most frequent first.

    Args:
        remarks: Those of each recording.
    """
    kinds = Counter(kind for each in remarks for kind in {re.split("[:;]", remark)[0] for remark in each})
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def remarks_on_clips(clips: Sequence[Clip], sample_rate: int) -> dict[str, int]:
    """How many of the recordings that clips were cut from are odd in some way, or of another rate than the set.

    Args:
        sample_rate: Of the set, in hertz.
    """
    recordings = {(clip.source, clip.sha256): clip for clip in clips}.values()
    rates = ((f"at {clip.source_rate} Hz",) for clip in recordings if clip.source_rate != sample_rate)
    return counted_remarks([*(clip.remarks for clip in recordings), *rates])
