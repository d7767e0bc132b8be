"""Making labelled data sets: a synthesizer plays drawn patches, and what was drawn is written down.

A set can take hours, so making one is a thing that can be stopped and gone on with. The header of the folder says
which set it is, the manifest which shards are finished; the same call again renders what is missing and nothing
else. A folder that holds another set is refused, unless the caller says what may be thrown away.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, final

from retimbre.core.errors import DatasetError, ExistsError
from retimbre.data.dataset import CLASSES_FILE, NOTES_FILE, UNIT_FILE, RenderedSet
from retimbre.data.layouts import Column, Table, write_layout_once
from retimbre.data.manifest import (
    HEADER_FILE,
    MANIFEST_FILE,
    Header,
    read_header,
    write_header,
    write_manifest,
)
from retimbre.data.store import finished_shards, remove_audio, write_shard
from retimbre.workflows.dataset.differences import differing_options
from retimbre.workflows.dataset.plan import Plan, SetOptions, plan_of
from retimbre.workflows.dataset.shards import Engine, labels_of, render_shards, values_of

Progress = Callable[[int, int], None]
Regenerate = Literal["", "samples", "audio"]

# What may differ when drawn patches are rendered anew.
_AUDIO_ONLY = {"num_samples", "rendering", "sample_rate", "shard_rows"}


@final
@dataclasses.dataclass(frozen=True)
class HowToMake:
    """How a set is made, which changes nothing in it.

    Attributes:
        layout: `native`, or an earlier system's layout to write beside it: npy, hdf5 or csv.
        name: What the files of such a layout are called; empty stands for the folder's name.
        engine: `local`, or `ray` for several machines.
        regenerate: `samples` draws and renders everything anew, whatever was there; `audio` renders anew what was
            drawn, perhaps at another length, rate or level; empty renders what is missing.
        force: Whether another set in the folder is replaced.
    """

    layout: str = "native"
    name: str = ""
    engine: Engine = "local"
    device: str = "cpu"
    regenerate: Regenerate = ""
    force: bool = False


@final
@dataclasses.dataclass(frozen=True)
class Made:
    """What `make_dataset` did.

    Attributes:
        rendered: Clips rendered now; the rest was there.
        classes: Length of the one-hot label.
        layout_files: Files of the layout that were written now.
    """

    folder: Path
    fingerprint: str
    size: int
    rendered: int
    seconds_each: float
    sample_rate: int
    classes: int
    layout_files: tuple[str, ...]


def make_dataset(
    out: str | Path, options: SetOptions, how: HowToMake | None = None, *, progress: Progress | None = None
) -> Made:
    """Makes a rendered data set, or finishes one.

    Args:
        progress: Called with the clips that are there and the clips there will be, after each shard.

    Raises:
        ConfigError: An option cannot be.
        ExistsError: The folder holds a set made with other options.
        DatasetError: The folder's set is damaged, or the disk is too small.
    """
    out, how = Path(out), how or HowToMake()
    plan = plan_of(options, device=how.device)
    rendered = _fill(out, plan, how, progress or _ignore)
    layout_files = [] if how.layout == "native" else _write_layout(out, plan, how, anew=rendered > 0)
    return Made(
        folder=out,
        fingerprint=plan.header.fingerprint,
        size=plan.header.size,
        rendered=rendered,
        seconds_each=plan.header.num_samples / plan.header.sample_rate,
        sample_rate=plan.header.sample_rate,
        classes=plan.space.total_classes,
        layout_files=tuple(layout_files),
    )


def _fill(out: Path, plan: Plan, how: HowToMake, progress: Progress) -> int:
    """Renders what is missing; returns the number of clips rendered."""
    header = plan.header
    _make_room(out, header, how)
    finished = finished_shards(out, header)
    missing = [shard for shard in range(header.num_shards) if shard not in finished]
    if not missing and all((out / name).is_file() for name in (CLASSES_FILE, UNIT_FILE, NOTES_FILE)):
        return 0
    _check_disk(out, header, len(missing))
    write_header(out, header)
    labels_of(plan, range(header.size)).write(out)
    done = sum(entry.rows for entry in finished.values())
    rendered = 0
    progress(done, header.size)
    for shard, audio in render_shards(plan, missing, how.engine):
        finished[shard] = write_shard(out, shard, audio)
        write_manifest(out, finished.values())
        rendered += len(audio)
        progress(done + rendered, header.size)
    return rendered


def _make_room(out: Path, header: Header, how: HowToMake) -> None:
    """Leaves the folder with nothing, or with finished parts of this very set."""
    if out.exists() and not out.is_dir():
        raise ExistsError(f"{out} is a file, but a data set is a folder")
    if not (out / HEADER_FILE).exists():
        if out.is_dir() and any(out.iterdir()) and not how.force:
            raise ExistsError(f"{out} holds other files and no data set; --force writes beside them")
        remove_audio(out, out / MANIFEST_FILE)
        return
    may_replace = how.force or how.regenerate == "samples"
    if may_replace and not _is_readable(out):
        remove_audio(out, out / MANIFEST_FILE)
        return
    differing = differing_options(read_header(out), header)
    may_replace |= how.regenerate == "audio" and {name.partition(".")[0] for name in differing} <= _AUDIO_ONLY
    if differing and not may_replace:
        raise ExistsError(f"{out} holds a set with other {', '.join(differing)}; --force replaces it")
    if differing or how.regenerate:
        remove_audio(out, out / MANIFEST_FILE)


def _is_readable(out: Path) -> bool:
    try:
        read_header(out)
    except DatasetError:
        return False
    return True


def _check_disk(out: Path, header: Header, num_shards: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    needed = 4 * num_shards * min(header.shard_rows, header.size) * header.num_samples
    free = shutil.disk_usage(out).free
    if needed > free:
        raise DatasetError(
            f"{out}: the set needs {needed / 1e9:.1f} GB, but its disk has {free / 1e9:.1f} GB free"
        )


def _write_layout(out: Path, plan: Plan, how: HowToMake, *, anew: bool) -> list[str]:
    """Writes a layout unless it is there; returns the names of the files written."""
    rendered = RenderedSet.open(out)
    table = Table(
        name=how.name or out.resolve().name,
        clips=rendered,
        sample_rate=plan.header.sample_rate,
        columns=tuple(Column(knob.name, tuple(knob.class_values())) for knob in plan.space.searched),
        classes=rendered.classes,
        values=lambda row: values_of(plan, rendered.labels, row),
        fixed=dict(plan.space.fixed),
    )
    return write_layout_once(out, how.layout, table, key=plan.header.fingerprint, anew=anew)


def _ignore(done: int, total: int) -> None:
    """No progress is wanted."""
