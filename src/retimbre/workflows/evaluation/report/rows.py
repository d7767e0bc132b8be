"""The rows of a report: the sets that are judged, all against one reference and of one size.

Two sets are compared fairly only if they are heard at one rate, are cut to one length, and have one number of clips:
nearly every distance depends on all three. So the real sounds say the rate and the length, their half that is not the
reference says the number, and larger sets are drawn from. A smaller one is taken as it is, with a remark.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, final

import torch

from retimbre.core.errors import ConfigError, UserError
from retimbre.workflows.evaluation.report.anchors import REAL, Anchor, Halves, drawn, fewer_clips
from retimbre.workflows.evaluation.sets.clips import ClipOptions, Clips, TransformedClips
from retimbre.workflows.evaluation.sets.embed import batches
from retimbre.workflows.evaluation.sets.models import sounds_of
from retimbre.workflows.evaluation.sets.spool import spooled

Advance = Callable[[], None]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class JudgedSet:
    """A row.

    Attributes:
        name: For a reader; no two rows share one.
        kind: A model's sounds, the real sounds that are not the reference, or another anchor.
        clips: The sounds.
        says: What they are, a sentence.
        remarks: What a reader of its figures should know.
    """

    name: str
    kind: Literal["model", "real", "anchor"]
    clips: Clips
    says: str
    remarks: tuple[str, ...] = ()


def anchor_rows(anchors: Sequence[Anchor]) -> list[JudgedSet]:
    """The anchors as rows; what has to be computed is computed once and kept on disk."""
    return [
        JudgedSet(
            anchor.name,
            "real" if anchor.name == REAL else "anchor",
            _computed(anchor.clips),
            anchor.says,
            anchor.remarks,
        )
        for anchor in anchors
    ]


def _computed(clips: Clips) -> Clips:
    if not isinstance(clips, TransformedClips):
        return clips
    return spooled(dataclasses.replace(clips.about, digests=()), batches(clips))


def model_rows(
    names: Sequence[str], halves: Halves, options: ClipOptions, device: torch.device, advance: Advance
) -> tuple[list[JudgedSet], dict[str, UserError]]:
    """The sets of some models or folders of sounds, and why the others have none.

    Models that answer real sounds answer the half that is not the reference: no set may know the reference.

    Args:
        names: Folders of sounds, run folders, checkpoint files or shipped names.
        halves: The real sounds.
        options: How folders are read; rate and length are those of the real sounds.
        device: Where models run.
        advance: Called after every model.

    Raises:
        ConfigError: A model is named twice.
    """
    shown = _shown(names)
    other = halves.other
    same = dataclasses.replace(
        options, sample_rate=other.sample_rate, seconds=other.num_samples / other.sample_rate, most=0
    )
    rows: list[JudgedSet] = []
    failures: dict[str, UserError] = {}
    for name in names:
        try:
            clips = sounds_of(name, other, same, device=device)
            rows.append(_model_row(shown[name], clips, other, options.seed))
        except UserError as error:
            failures[name] = error
        advance()
    return rows, failures


def _model_row(shown: str, clips: Clips, other: Clips, seed: int) -> JudgedSet:
    remarks = list(clips.remarks)
    count = len(clips)
    if count > len(other):
        clips = drawn(clips, len(other), clips.name, seed)
        remarks.append(f"{len(other)} of its {count} clips were drawn, as many as there are real ones")
    remarks += fewer_clips(count, len(other))
    return JudgedSet(shown, "model", clips, f"{len(clips)} sounds of {clips.name}.", tuple(remarks))


def _shown(names: Sequence[str]) -> dict[str, str]:
    """A short name for each: the last part of its path where no two share it."""
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name!r} is named twice; a report judges every set once")
    short = [Path(name).name or name for name in names]
    return {name: last if short.count(last) == 1 else name for name, last in zip(names, short, strict=True)}
