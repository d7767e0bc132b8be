"""Is a data set what it says? Counts, checksums, and a few clips played again.

Opening a set checks sizes and headers; this goes further and reads every byte. For a rendered set it also renders a few
clips anew from their labels and compares: labels that do not belong to their sounds, the worst fault a set can have
and one that no checksum finds, show there, and so does an instrument that has changed since.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of
from retimbre.data.dataset import CLIPS_FILE, read_clips, read_columns, read_labels
from retimbre.data.manifest import Header, Shard, read_header, read_jsonl, read_manifest
from retimbre.data.splits import SPLITS, split_by_classes
from retimbre.data.store import open_shard
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.dataset.recordings import REJECTS_FILE
from retimbre.workflows.dataset.shards import labels_of, render_rows

Progress = Callable[[int, int], None]

# Full scale is 1. A GPU or another build of a library moves samples by less; a wrong label by far more.
MOST_DIFFERENCE = 1e-3
CLIPS_PLAYED_AGAIN = 4
_SILENT = 1e-4  # -80 dB, as `dsp.level.is_silent`


@final
@dataclasses.dataclass(frozen=True)
class Census:
    """What is in a data set, and what is wrong with it.

    Attributes:
        seconds: Of all clips together.
        splits: Clips in each part.
        labels: Clips of each label, for recordings; for a synthesizer its knobs and their numbers of classes.
        silent: Clips in which nothing rises above -80 dB.
        beyond_full_scale: Clips with a sample beyond 1.
        rejects: Recordings that were left out, as `rejects.jsonl` has them.
        largest_difference: Between clips played again and their sounds on disk; zero where none was played.
        problems: What is wrong, one line each; empty for a sound set.
    """

    folder: Path
    kind: str
    clips: int
    seconds: float
    sample_rate: int
    num_samples: int
    shards: int
    splits: dict[str, int]
    labels: dict[str, int]
    silent: int
    beyond_full_scale: int
    rejects: tuple[dict[str, Any], ...]
    largest_difference: float
    problems: tuple[str, ...]


def check_dataset(folder: str | Path, *, progress: Progress | None = None) -> Census:
    """Reads a whole data set and reports on it.

    Args:
        progress: Called with the shards that are read and the shards there are.

    Raises:
        DatasetError: There is no data set, or its header, manifest or labels cannot be read. Damaged audio does not
            raise: it is listed in `problems`.
    """
    folder = Path(folder)
    header = read_header(folder)
    splits, labels = _rendered_labels(folder, header) if header.kind == "rendered" else _names(folder, header)
    arrays, problems = _open_shards(folder, header, progress or _ignore)
    loudest = np.concatenate([np.abs(array).max(axis=1) for array in arrays.values()] or [np.zeros(0)])
    if not np.isfinite(loudest).all():
        problems.append(f"{int((~np.isfinite(loudest)).sum())} clips hold samples that are not numbers")
    difference = 0.0
    if header.kind == "rendered" and not problems:
        difference, found = _play_again(folder, header, arrays)
        problems.extend(found)
    rejects = read_jsonl(folder / REJECTS_FILE) if (folder / REJECTS_FILE).exists() else []
    return Census(
        folder=folder,
        kind=header.kind,
        clips=header.size,
        seconds=header.size * header.num_samples / header.sample_rate,
        sample_rate=header.sample_rate,
        num_samples=header.num_samples,
        shards=header.num_shards,
        splits=splits,
        labels=labels,
        silent=int((loudest <= _SILENT).sum()),
        beyond_full_scale=int((loudest > 1).sum()),
        rejects=tuple(rejects),
        largest_difference=difference,
        problems=tuple(problems),
    )


def _rendered_labels(folder: Path, header: Header) -> tuple[dict[str, int], dict[str, int]]:
    columns = read_columns(folder, header)
    labels = read_labels(folder, header, columns)
    counts = split_by_classes(labels.classes, header.split).bincount(minlength=len(SPLITS))
    knobs = dict(zip(columns.knobs, columns.class_counts, strict=True))
    return dict(zip(SPLITS, counts.tolist(), strict=True)), knobs


def _names(folder: Path, header: Header) -> tuple[dict[str, int], dict[str, int]]:
    clips = read_clips(folder / CLIPS_FILE, header)
    splits = Counter(clip.split for clip in clips)
    return {name: splits[name] for name in SPLITS}, dict(
        sorted(Counter(clip.label for clip in clips).items())
    )


def _open_shards(
    folder: Path, header: Header, progress: Progress
) -> tuple[dict[int, NDArray[np.float32]], list[str]]:
    """The sound shards, and what is wrong with the others."""
    entries = {entry.shard: entry for entry in read_manifest(folder)}
    arrays, problems = {}, []
    for shard in range(header.num_shards):
        try:
            arrays[shard] = _verified(folder, header, entries.get(shard))
        except DatasetError as error:
            problems.append(f"audio-{shard:05d}.npy: {error}")
        progress(shard + 1, header.num_shards)
    return arrays, problems


def _verified(folder: Path, header: Header, entry: Shard | None) -> NDArray[np.float32]:
    if entry is None:
        raise DatasetError("not made yet; run the command that made the set again")
    array = open_shard(folder, header, entry)
    if sha256_of(folder / entry.file) != entry.sha256:
        raise DatasetError("its checksum is not the listed one; it was changed or damaged")
    return array


def _play_again(
    folder: Path, header: Header, arrays: dict[int, NDArray[np.float32]]
) -> tuple[float, list[str]]:
    """Renders some clips anew: the largest difference, and which clips or labels are not what the set says."""
    plan = plan_from_header(header)
    stored = read_labels(folder, header, read_columns(folder, header))
    wrong = (labels_of(plan, range(header.size)).classes != stored.classes).any(1)
    problems = [f"{int(wrong.sum())} clips have other classes than the seed gives"] if wrong.any() else []
    largest = 0.0
    for row in np.unique(np.linspace(0, header.size - 1, CLIPS_PLAYED_AGAIN).round().astype(int)).tolist():
        rows = range(row, row + 1)
        audio = arrays[row // header.shard_rows][row % header.shard_rows]
        difference = float(np.abs(render_rows(plan, rows)[0] - audio).max())
        largest = max(largest, difference)
        if difference > MOST_DIFFERENCE:
            problems.append(f"clip {row} differs by {difference:.2g} from what this program renders for it")
    return largest, problems


def _ignore(done: int, total: int) -> None:
    """No progress is wanted."""
