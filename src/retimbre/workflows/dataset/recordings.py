"""A folder of recordings to a data set: any mixture of formats, rates, channels and lengths becomes clips of one kind.

Every file is read on its own. One that cannot be used is listed in `rejects.jsonl` with its reason and the rest
goes on; one that yields no clip because the caller wants short ones dropped is listed there too, as dropped. The
same files and the same options make the same set, and asking for it again does nothing.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ExistsError
from retimbre.core.files import fingerprint, sha256_of
from retimbre.data.dataset import CLIPS_FILE, Clip, RecordedSet
from retimbre.data.folder import Cut, Cutting, cut_file
from retimbre.data.layouts import LAYOUTS_FILE, Column, Table, write_layout_once
from retimbre.data.manifest import (
    HEADER_FILE,
    MANIFEST_FILE,
    Fractions,
    Header,
    Shard,
    read_header,
    read_jsonl,
    write_header,
    write_jsonl,
    write_manifest,
)
from retimbre.data.splits import split_by_name
from retimbre.data.store import finished_shards, remove_audio, rows_per_shard, write_shard
from retimbre.dsp import audiofile

REJECTS_FILE = "rejects.jsonl"
Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class Reject:
    """A recording that is not in the set: it failed, or it was dropped as the caller asked."""

    path: str
    kind: Literal["failed", "dropped"]
    reason: str


@final
@dataclasses.dataclass(frozen=True)
class Imported:
    """What `import_folder` did.

    Attributes:
        files: Recordings that are in the set.
        clips: Clips in the set.
        was_there: Whether the set was there already and nothing was read again.
        layout_files: Files of the layout that were written now.
    """

    folder: Path
    files: int
    clips: int
    seconds_each: float
    sample_rate: int
    rejects: tuple[Reject, ...]
    was_there: bool
    layout_files: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True)
class HowToImport:
    """How the set is written.

    Attributes:
        layout: `manifest`, this program's own, or an earlier system's to write beside it: npy, hdf5 or csv.
        name: What the files of such a layout are called; empty stands for the folder's name.
        force: Whether another set in the folder is replaced.
    """

    layout: str = "manifest"
    name: str = ""
    split: Fractions = dataclasses.field(default_factory=Fractions)
    force: bool = False


@final
@dataclasses.dataclass(frozen=True)
class Source:
    """A recording to read: its path, its path below the folder that was named, and its checksum."""

    path: Path
    name: str
    sha256: str

    @property
    def label(self) -> str:
        """The first sub-folder; empty at the top."""
        return Path(self.name).parts[0] if len(Path(self.name).parts) > 1 else ""


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
        progress: Called with the files that are read and the files there are, after each.

    Raises:
        AudioError: There are no recordings, or not one of them could be used.
        ExistsError: The folder holds another set.
    """
    out, cutting, how = Path(out), cutting or Cutting(), how or HowToImport()
    found = _sources(sources, out)
    options = {
        "cutting": dataclasses.asdict(cutting),
        "sources": fingerprint([[source.name, source.sha256] for source in found]),
    }
    was_there = _is_there(out, options, how)
    if not was_there:
        _import(out, found, cutting, how, options, progress or _ignore)
    made = RecordedSet.open(out)
    rejects = tuple(Reject(**line) for line in read_jsonl(out / REJECTS_FILE))
    layout_files = [] if how.layout == "manifest" else _write_layout(out, made, how, anew=not was_there)
    return Imported(
        folder=out,
        files=len({clip.source for clip in made.clips}),
        clips=len(made),
        seconds_each=made.header.num_samples / made.header.sample_rate,
        sample_rate=made.header.sample_rate,
        rejects=rejects,
        was_there=was_there,
        layout_files=tuple(layout_files),
    )


def _sources(named: Sequence[str | Path], out: Path) -> list[Source]:
    """Every recording among files and folders, without what an earlier call wrote to `out`."""
    found = []
    for place in (Path(name) for name in named):
        for path in audiofile.find_sounds([place]):
            name = path.relative_to(place).as_posix() if place.is_dir() else path.name
            if out.resolve() not in path.resolve().parents:
                found.append(Source(path, name, sha256_of(path) if path.is_file() else ""))
    if not found:
        raise AudioError(f"{out} is the only place among the inputs that has sounds; name another --out")
    return sorted(found, key=lambda source: (source.name, source.sha256))


def _is_there(out: Path, options: dict[str, object], how: HowToImport) -> bool:
    """Whether the folder holds this very set, complete; a folder that holds anything else is refused."""
    if out.exists() and not out.is_dir():
        raise ExistsError(f"{out} is a file, but a data set is a folder")
    if (out / HEADER_FILE).exists() and not how.force:
        there = read_header(out)
        if there.kind != "recorded" or there.options != options or there.split != how.split:
            raise ExistsError(f"{out} holds a set of other files or options; --force replaces it")
        return len(finished_shards(out, there)) == there.num_shards
    if out.is_dir() and not how.force and any(not _is_own(path) for path in out.iterdir()):
        raise ExistsError(f"{out} holds other files and no data set; --force writes beside them")
    return False


def _is_own(path: Path) -> bool:
    """Whether a file is what an interrupted call leaves."""
    own = {MANIFEST_FILE, CLIPS_FILE, REJECTS_FILE, LAYOUTS_FILE}
    return path.name in own or path.name.lstrip(".").startswith("audio-")


def _import(
    out: Path,
    sources: list[Source],
    cutting: Cutting,
    how: HowToImport,
    options: dict[str, object],
    progress: Progress,
) -> None:
    """Reads everything and writes the set; its header comes last, so an interrupted call leaves no set."""
    (out / HEADER_FILE).unlink(missing_ok=True)
    remove_audio(out, out / MANIFEST_FILE)
    rejects: list[Reject] = []
    cuts: list[tuple[Source, Cut]] = []
    audio = _kept(sources, cutting, cuts, rejects, progress)
    shards = list(_write_shards(out, audio, rows_per_shard(cutting.num_samples)))
    if not shards:
        raise AudioError(
            f"none of {len(sources)} files gave a clip; the first, {rejects[0].path}: {rejects[0].reason}"
        )
    clips = _clips(cuts, cutting.sample_rate, how.split)
    header = Header(
        kind="recorded",
        size=len(clips),
        sample_rate=cutting.sample_rate,
        num_samples=cutting.num_samples,
        shard_rows=rows_per_shard(cutting.num_samples),
        split=how.split,
        options=options,
    )
    write_jsonl(out / CLIPS_FILE, [dataclasses.asdict(clip) for clip in clips])
    write_jsonl(out / REJECTS_FILE, [dataclasses.asdict(reject) for reject in rejects])
    write_manifest(out, shards)
    write_header(out, header)


def _kept(
    sources: list[Source],
    cutting: Cutting,
    cuts: list[tuple[Source, Cut]],
    rejects: list[Reject],
    progress: Progress,
) -> Iterator[Float[Tensor, "clips samples"]]:
    """The clips of each usable file; notes what was cut, without its audio, and what was not."""
    for done, source in enumerate(sources, start=1):
        try:
            cut = cut_file(source.path, cutting)
        except AudioError as error:
            reason = str(error).removeprefix(f"{source.path}: ")
            rejects.append(Reject(str(source.path), "failed", reason))
        else:
            if cut.starts:
                yield cut.audio
                nothing = torch.empty(0, cutting.num_samples)
                cuts.append((source, dataclasses.replace(cut, audio=nothing)))
            else:
                reason = f"shorter than {cutting.seconds:g} s"
                rejects.append(Reject(str(source.path), "dropped", reason))
        progress(done, len(sources))


def _write_shards(out: Path, audio: Iterable[Float[Tensor, "clips samples"]], rows: int) -> Iterator[Shard]:
    """Writes clips as shards of `rows`, whatever pieces they come in."""
    waiting: list[Tensor] = []
    shard = 0
    for clips in audio:
        waiting.extend(clips)
        while len(waiting) >= rows:
            yield write_shard(out, shard, torch.stack(waiting[:rows]).numpy())
            waiting, shard = waiting[rows:], shard + 1
    if waiting:
        yield write_shard(out, shard, torch.stack(waiting).numpy())


def _clips(cuts: list[tuple[Source, Cut]], sample_rate: int, split: Fractions) -> list[Clip]:
    sources = [source for source, _ in cuts]
    parts = split_by_name([source.name for source in sources], [source.label for source in sources], split)
    return [
        Clip(
            source=source.name,
            label=source.label,
            start_s=start / sample_rate,
            seconds=length / sample_rate,
            split=part,
            sha256=source.sha256,
            source_rate=cut.source_rate,
            remarks=cut.remarks,
        )
        for (source, cut), part in zip(cuts, parts, strict=True)
        for start, length in zip(cut.starts, cut.lengths, strict=True)
    ]


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


def _ignore(done: int, total: int) -> None:
    """No progress is wanted."""
