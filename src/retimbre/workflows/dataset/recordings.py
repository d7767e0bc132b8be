"""Recordings of any corpus to a data set: one importer behind every scanner.

A scanner (`retimbre.corpora`) says which recordings a corpus has and what is known about each; here they are read, cut
to clips of one length and rate, parted, and written with their labels. Every file is read on its own. One that cannot
be used is listed in `rejects.jsonl` with its reason and the rest goes on; one that yields no clip because the caller
wants short ones dropped is listed there too, as dropped, and so is what lies around and is no recording. It is an
error only when nothing is left.

The same files and the same options make the same set (`recorded_plan.py` says what "the same" means), and asking for it
again does nothing. A call that was interrupted is gone on with (`intake.py`).
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ExistsError
from retimbre.corpora.folder import scan_folders
from retimbre.data.dataset import CLIPS_FILE, RecordedSet
from retimbre.data.folder import Cutting
from retimbre.data.layouts import LAYOUTS_FILE, Column, Table, write_layout_once
from retimbre.data.manifest import (
    HEADER_FILE,
    MANIFEST_FILE,
    Fractions,
    Header,
    read_header,
    read_jsonl,
    write_header,
    write_jsonl,
)
from retimbre.data.side_arrays import remove_side_arrays
from retimbre.data.source import Reject, Scan
from retimbre.data.splits import SPLITS
from retimbre.data.store import finished_shards, rows_per_shard
from retimbre.workflows.dataset.differences import differing_names, told
from retimbre.workflows.dataset.intake import (
    JOURNAL_FILE,
    Progress,
    check_left_behind,
    remove_left_behind,
    take_in,
)
from retimbre.workflows.dataset.recorded_plan import RecordedPlan, clips_of, plan_import, rejects_of
from retimbre.workflows.dataset.remarks import remarks_on_clips

REJECTS_FILE = "rejects.jsonl"


@final
@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        files: Recordings that are in the set.
        clips: Clips in the set.
        splits: Clips in each part.
        labels: Clips of each label.
        remarks: Recordings that are in the set although they are odd in some way, by what it is.
        rejected: Files that are not in the set, by kind; `rejects` names them.
        was_there: Whether the set was there already and nothing was read again.
        layout_files: Files of the layout that were written now.
        fingerprint: Names the content: equal for equal sets.
    """

    folder: Path
    corpus: str
    files: int
    clips: int
    seconds_each: float
    sample_rate: int
    splits: dict[str, int]
    labels: dict[str, int]
    remarks: dict[str, int]
    rejected: dict[str, int]
    rejects: tuple[Reject, ...]
    was_there: bool
    layout_files: tuple[str, ...]
    fingerprint: str


@final
@dataclasses.dataclass(frozen=True)
class HowToImport:
    """How the set is written.

    Attributes:
        layout: `manifest`, this program's own, or an earlier system's to write beside it: npy, hdf5 or csv.
        name: What the files of such a layout are called; empty stands for the folder's name.
        split: What is held out of the recordings that their corpus does not part itself.
        force: Whether another set in the folder is replaced.
    """

    layout: str = "manifest"
    name: str = ""
    split: Fractions = dataclasses.field(default_factory=Fractions)
    force: bool = False


def import_folder(
    sources: Sequence[str | Path],
    out: str | Path,
    cutting: Cutting | None = None,
    how: HowToImport | None = None,
    *,
    progress: Progress | None = None,
) -> Imported:
    """Makes a recorded data set of files and folders.

    Args:
        progress: Called with how much is done, of how much, as `import_sources`.

    Raises:
        AudioError: There are no recordings, or not one of them could be used.
        ExistsError: The folder holds another set.
    """
    scan = scan_folders([Path(source) for source in sources], without=Path(out))
    return import_sources(scan, out, cutting, how, corpus="folder", progress=progress)


def import_sources(
    scan: Scan,
    out: str | Path,
    cutting: Cutting | None = None,
    how: HowToImport | None = None,
    *,
    corpus: str,
    progress: Progress | None = None,
) -> Imported:
    """Makes a recorded data set of what a scanner found, finishes one, or finds that it is there.

    Args:
        corpus: Its name in the catalog of corpora.
        progress: Called with how much is done, of how much, after each recording: it counts one for its checksum, and
            one more for its clips.

    Raises:
        AudioError: There are no recordings, or not one of them could be used.
        ConfigError: The sources do not all have the same attributes.
        ExistsError: The folder holds another set.
    """
    out, cutting, how = Path(out), cutting or Cutting(), how or HowToImport()
    progress = progress or _ignore
    plan = plan_import(scan, cutting, how.split, corpus, _half(progress, 0))
    was_there = _is_there(out, plan, how)
    if not was_there:
        _import(out, plan, force=how.force, progress=_half(progress, 1))
    made = RecordedSet.open(out)
    layout_files = [] if how.layout == "manifest" else _write_layout(out, made, how, anew=not was_there)
    return _imported(made, was_there=was_there, layout_files=layout_files)


def _is_there(out: Path, plan: RecordedPlan, how: HowToImport) -> bool:
    """Whether the folder holds this very set, complete; a folder that holds anything else is refused."""
    if out.exists() and not out.is_dir():
        raise ExistsError(f"{out} is a file, but a data set is a folder")
    if (out / HEADER_FILE).exists() and not how.force:
        there = read_header(out)
        names = differing_names(
            {"kind": there.kind, "split": dump(there.split), **there.options},
            {"kind": "recorded", "split": dump(plan.split), **plan.options},
        )
        if names:
            raise ExistsError(
                f"{out} holds a set of other files or options ({told(names)}); --force replaces it"
            )
        return len(finished_shards(out, there)) == there.num_shards
    if out.is_dir() and not how.force and any(not _is_own(path) for path in out.iterdir()):
        raise ExistsError(f"{out} holds other files and no data set; --force writes beside them")
    return False


def _is_own(path: Path) -> bool:
    """Whether a file is what an interrupted call leaves."""
    own = {MANIFEST_FILE, CLIPS_FILE, REJECTS_FILE, LAYOUTS_FILE, JOURNAL_FILE}
    return path.name in own or path.name.lstrip(".").startswith(("audio-", "import."))


def _import(out: Path, plan: RecordedPlan, *, force: bool, progress: Progress) -> None:
    """Reads everything and writes the set; its header comes last, so an interrupted call leaves no set."""
    if force or (out / HEADER_FILE).exists():
        (out / HEADER_FILE).unlink(missing_ok=True)
        remove_left_behind(out)
        remove_side_arrays(out)
    check_left_behind(out, plan.key)
    is_new = not out.exists()
    sources, cutting = plan.scan.sources, plan.cutting
    taken, shards = take_in(out, sources, cutting, plan.key, progress)
    rejects = rejects_of(plan, taken)
    if not shards:
        remove_left_behind(out)
        if is_new:
            out.rmdir()
        raise AudioError(
            f"none of {len(sources)} files gave a clip; the first, {rejects[0].path}: {rejects[0].reason}"
        )
    header = Header(
        kind="recorded",
        size=sum(shard.rows for shard in shards),
        sample_rate=cutting.sample_rate,
        num_samples=cutting.num_samples,
        shard_rows=rows_per_shard(cutting.num_samples),
        split=plan.split,
        options=plan.options,
    )
    write_jsonl(out / CLIPS_FILE, [dataclasses.asdict(clip) for clip in clips_of(plan, taken)])
    write_jsonl(out / REJECTS_FILE, [dataclasses.asdict(reject) for reject in rejects])
    write_header(out, header)
    (out / JOURNAL_FILE).unlink()


def _imported(made: RecordedSet, *, was_there: bool, layout_files: Sequence[str]) -> Imported:
    rejects = tuple(Reject(**line) for line in read_jsonl(made.folder / REJECTS_FILE))
    rejected: Counter[str] = Counter()
    for reject in rejects:
        rejected[reject.kind] += reject.count
    splits = Counter(clip.split for clip in made.clips)
    return Imported(
        folder=made.folder,
        corpus=made.header.options["corpus"]["name"],
        files=len({(clip.source, clip.sha256) for clip in made.clips}),
        clips=len(made),
        seconds_each=made.header.num_samples / made.header.sample_rate,
        sample_rate=made.header.sample_rate,
        splits={name: splits[name] for name in SPLITS},
        labels=dict(sorted(Counter(clip.label for clip in made.clips).items())),
        remarks=remarks_on_clips(made.clips, made.header.sample_rate),
        rejected=dict(rejected),
        rejects=rejects,
        was_there=was_there,
        layout_files=tuple(layout_files),
        fingerprint=made.header.fingerprint,
    )


def _write_layout(out: Path, made: RecordedSet, how: HowToImport, *, anew: bool) -> list[str]:
    labels = tuple(sorted({clip.label for clip in made.clips}))
    classes = torch.tensor([[labels.index(clip.label)] for clip in made.clips])

    def values(row: int) -> dict[str, object]:
        clip = made.clips[row]
        return {
            "label": clip.label,
            "source": clip.source,
            "start_s": clip.start_s,
            "seconds": clip.seconds,
        }

    name = how.name or out.resolve().name
    table = Table(name, made, made.header.sample_rate, (Column("label", labels),), classes, values, {})
    return write_layout_once(out, how.layout, table, key=made.header.fingerprint, anew=anew)


def _half(progress: Progress, before: int) -> Progress:
    """Progress of the first half of the work (0 halves before it) or the second."""
    return lambda done, total: progress(before * total + done, 2 * total)


def _ignore(done: int, total: int) -> None:
    """No progress is wanted."""
