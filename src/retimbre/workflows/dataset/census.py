"""Is a data set what it says? Counts, checksums, and a few clips played again.

Opening a set checks sizes and headers; this goes further and reads every byte. For a rendered set it also renders a few
clips anew from their labels and compares: labels that do not belong to their sounds, the worst fault a set can have
and one that no checksum finds, show there, and so does an instrument that has changed since. A folder of notes in
NSynth's layout, which has no header, is counted too.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of
from retimbre.corpora.catalog import CORPORA
from retimbre.corpora.nsynth.entries import origin_of
from retimbre.data.dataset import CLIPS_FILE, read_clips, read_columns, read_labels
from retimbre.data.manifest import HEADER_FILE, Header, Shard, read_header, read_jsonl, read_manifest
from retimbre.data.side_arrays import check_side_arrays, side_array_names
from retimbre.data.source import Value
from retimbre.data.splits import SPLITS, split_by_classes
from retimbre.data.store import open_shard
from retimbre.workflows.dataset.envelopes import check_envelopes, count_envelopes
from retimbre.workflows.dataset.layout_census import LayoutCensus, count_layout, is_nsynth_layout
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.dataset.recordings import REJECTS_FILE
from retimbre.workflows.dataset.remarks import remarks_on_clips
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
        corpus: Where its sounds come from; empty in a set of an older version.
        fingerprint: Names the content; empty for a folder without a header.
        seconds: Of all clips together.
        sample_rate: In hertz; the most frequent one where there are several.
        num_samples: Of the longest clip; `lengths` has the shortest and the longest.
        sample_rates: Clips at each rate.
        splits: Clips in each part.
        labels: Clips of each label; for a synthesizer its knobs and their numbers of classes.
        attributes: Clips of each value of each attribute.
        side_arrays: What lies beside the audio.
        silent: Clips in which nothing rises above -80 dB.
        beyond_full_scale: Clips with a sample beyond 1.
        remarks: Recordings that were used although they are odd in some way, by what it is, such as `cut short`.
        rejected: Files that were left out, by kind.
        rejects: The same by name, as `rejects.jsonl` has them.
        largest_difference: Between clips played again and their sounds on disk; zero where none was played.
        problems: What is wrong, one line each; empty for a sound set.
    """

    folder: Path
    kind: str
    corpus: str
    licence: str
    citation: str
    fingerprint: str
    clips: int
    seconds: float
    sample_rate: int
    num_samples: int
    lengths: tuple[int, int]
    sample_rates: dict[int, int]
    shards: int
    splits: dict[str, int]
    labels: dict[str, int]
    attributes: dict[str, dict[str, int]]
    side_arrays: tuple[str, ...]
    silent: int
    beyond_full_scale: int
    remarks: dict[str, int]
    rejected: dict[str, int]
    rejects: tuple[dict[str, Any], ...]
    largest_difference: float
    problems: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True)
class _Counted:
    """Clips by what is known about them."""

    splits: dict[str, int]
    labels: dict[str, int]
    attributes: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    remarks: dict[str, int] = dataclasses.field(default_factory=dict)


def check_dataset(folder: str | Path, *, progress: Progress | None = None) -> Census:
    """Reads a whole data set and reports on it.

    Args:
        progress: Called with the shards (or notes) that are read and those there are.

    Raises:
        DatasetError: There is no data set, or its header, manifest or labels cannot be read. Damaged audio does not
            raise: it is listed in `problems`.
    """
    folder, progress = Path(folder), progress or _ignore
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is a file, but a data set is a folder"
            if folder.exists()
            else f"there is no folder {folder}"
        )
    if not (folder / HEADER_FILE).exists() and is_nsynth_layout(folder):
        return _of_layout(folder, count_layout(folder, progress))
    header = read_header(folder)
    counted = _COUNTERS[header.kind](folder, header)
    arrays, problems = _open_shards(folder, header, progress) if header.kind != "labels" else ({}, [])
    problems += check_side_arrays(folder, header)
    loudest = np.concatenate([np.abs(array).max(axis=1) for array in arrays.values()] or [np.zeros(0)])
    if not np.isfinite(loudest).all():
        problems.append(f"{int((~np.isfinite(loudest)).sum())} clips hold samples that are not numbers")
    difference = 0.0
    if not problems:
        difference, found = _played_again(folder, header, arrays)
        problems.extend(found)
    rejects = read_jsonl(folder / REJECTS_FILE) if (folder / REJECTS_FILE).exists() else []
    corpus = _corpus_of(header)
    return Census(
        folder=folder,
        kind=header.kind,
        corpus=corpus.get("name", ""),
        licence=corpus.get("licence", ""),
        citation=corpus.get("citation", ""),
        fingerprint=header.fingerprint,
        clips=header.size,
        seconds=header.size * header.num_samples / header.sample_rate,
        sample_rate=header.sample_rate,
        num_samples=header.num_samples,
        lengths=(header.num_samples, header.num_samples),
        sample_rates={header.sample_rate: header.size},
        shards=header.num_shards,
        splits=counted.splits,
        labels=counted.labels,
        attributes=counted.attributes,
        side_arrays=side_array_names(folder, header),
        silent=int((loudest <= _SILENT).sum()),
        beyond_full_scale=int((loudest > 1).sum()),
        remarks=counted.remarks,
        rejected=_by_kind(rejects),
        rejects=tuple(rejects),
        largest_difference=difference,
        problems=tuple(problems),
    )


def _of_layout(folder: Path, found: LayoutCensus) -> Census:
    """The census of a folder in NSynth's layout."""
    rejects = tuple(dataclasses.asdict(reject) for reject in found.rejects)
    entry = CORPORA["nsynth"]
    told = {"name": "nsynth", "licence": entry.licence, "citation": entry.citation, **origin_of(found.corpus)}
    return Census(
        folder=folder,
        kind="NSynth layout",
        corpus=told["name"],
        licence=told["licence"],
        citation=told["citation"],
        fingerprint=str(found.corpus.get("hash", "")),
        clips=found.notes,
        seconds=found.seconds,
        sample_rate=next(iter(found.sample_rates), 0),
        num_samples=found.lengths[1],
        lengths=found.lengths,
        sample_rates=found.sample_rates,
        shards=0,
        splits=found.splits,
        labels=found.attributes["family"],
        attributes=found.attributes,
        side_arrays=(),
        silent=found.silent,
        beyond_full_scale=found.beyond_full_scale,
        remarks=found.remarks,
        rejected=_by_kind(rejects),
        rejects=rejects,
        largest_difference=0.0,
        problems=found.problems,
    )


def _corpus_of(header: Header) -> dict[str, str]:
    """The name, licence and citation of what a set was made of."""
    if header.kind == "rendered":
        entry = CORPORA["synth"]
        return {"name": "synth", "licence": entry.licence, "citation": entry.citation}
    corpus = header.options.get("corpus", {})
    return corpus if isinstance(corpus, dict) else {}


def _by_kind(rejects: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for reject in rejects:
        counts[reject["kind"]] += reject.get("count", 1)
    return dict(counts)


def _rendered(folder: Path, header: Header) -> _Counted:
    columns = read_columns(folder, header)
    labels = read_labels(folder, header, columns)
    counts = split_by_classes(labels.classes, header.split).bincount(minlength=len(SPLITS))
    knobs = dict(zip(columns.knobs, columns.class_counts, strict=True))
    return _Counted(dict(zip(SPLITS, counts.tolist(), strict=True)), knobs)


def _recorded(folder: Path, header: Header) -> _Counted:
    clips = read_clips(folder / CLIPS_FILE, header)
    splits = Counter(clip.split for clip in clips)
    return _Counted(
        splits={name: splits[name] for name in SPLITS},
        labels=dict(sorted(Counter(clip.label for clip in clips).items())),
        attributes={name: _counts(clip.attributes[name] for clip in clips) for name in clips[0].attributes},
        remarks=remarks_on_clips(clips, header.sample_rate),
    )


def _procedural(folder: Path, header: Header) -> _Counted:
    return _Counted(*count_envelopes(folder, header))


_COUNTERS: dict[str, Callable[[Path, Header], _Counted]] = {
    "rendered": _rendered,
    "recorded": _recorded,
    "labels": _recorded,
    "procedural": _procedural,
}


def _counts(values: Iterable[Value]) -> dict[str, int]:
    """How often each value occurs, numbers by value and names by letter."""
    ordered = sorted(Counter(values).items(), key=lambda item: (isinstance(item[0], str), item[0]))
    return {str(value): count for value, count in ordered}


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


def _played_again(
    folder: Path, header: Header, arrays: dict[int, NDArray[np.float32]]
) -> tuple[float, list[str]]:
    """Makes some clips anew, where the set says how: the largest difference, and what is not as it says."""
    if header.kind == "procedural":
        return check_envelopes(folder, header)
    if header.kind == "rendered":
        return _play_again(folder, header, arrays)
    return 0.0, []


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
