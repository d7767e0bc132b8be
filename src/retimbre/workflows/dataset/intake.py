"""Recordings to shards of clips: read by several threads, written in order, stopped and gone on with.

Reading a corpus of a hundred thousand files takes an hour, so it must survive being stopped. Three files say where it
was: the shards themselves, the manifest that lists the finished ones, and a journal (`import.jsonl`) with a line per
recording that was read: where its clips begin, or why it gave none. A line is written before any of its clips gets
into a shard. So whoever goes on finds the clips of the finished shards in the journal, keeps the recordings that are
in them entirely, and reads from the next one, leaving out as many of its clips as are written already:

    recordings   |  a  |    b    |  c  |     d     |  e ...
    clips        | 0 1 | 2 3 4 5 | 6 7 | 8 9 10 11 |
    shards       |   0     |    1      |  (lost)            finished: 8 clips; a, b and c are kept, d is read again

What a recording gives depends on the recording and the options alone, never on a thread or on what was read before it:
the shards come out byte for byte as if nothing had happened. In memory are one shard, a few recordings, and what is
known about the rest.
"""

import dataclasses
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar, final

import pydantic
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, DatasetError, ExistsError
from retimbre.data.folder import Cut, Cutting, cut_file
from retimbre.data.manifest import MANIFEST_FILE, Shard, read_manifest, write_jsonl, write_manifest
from retimbre.data.source import Source
from retimbre.data.store import remove_audio, rows_per_shard, write_shard

JOURNAL_FILE = "import.jsonl"
Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")

# Beyond eight threads the disk is the limit, and each one holds a recording.
_MOST_THREADS = 8


@final
@dataclasses.dataclass(frozen=True)
class Taken:
    """What a recording gave: a line of the journal.

    Attributes:
        starts: Where its clips begin, in samples at the set's rate.
        lengths: How many samples of each are recording and not padding.
        source_rate: The file's own rate; 0 where it could not be read.
        outcome: `used`, or as `data.source.Reject` has it.
        reason: Why it gave no clip; empty where it did.
    """

    starts: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    source_rate: int = 0
    remarks: tuple[str, ...] = ()
    outcome: Literal["used", "failed", "dropped"] = "used"
    reason: str = ""


_TAKEN = pydantic.TypeAdapter(Taken)


def take_in(
    out: Path, sources: Sequence[Source], cutting: Cutting, key: str, progress: Progress
) -> tuple[list[Taken], list[Shard]]:
    """Writes the clips of all sources to the folder's shards; goes on where an interrupted call with this key was.

    Args:
        key: Names the sources and options; what another key left is thrown away.
        progress: Called with the recordings that are read and the recordings there are.

    Returns:
        What each source gave, in the order of `sources`, and the shards. The journal stays: the caller removes it
        when the set is whole.
    """
    rows = rows_per_shard(cutting.num_samples)
    taken, shards = _left_behind(out, key, rows)
    written = sum(shard.rows for shard in shards)
    taken = _within(taken, written)
    surplus = written - sum(len(entry.starts) for entry in taken)
    write_jsonl(out / JOURNAL_FILE, [{"key": key}, *(dataclasses.asdict(entry) for entry in taken)])
    writer = _ShardWriter(out, rows, shards)
    progress(len(taken), len(sources))
    ahead = 1 if cutting.long == "window" else 2
    results = in_order(lambda source: _cut(source, cutting), sources[len(taken) :], ahead=ahead)
    with (out / JOURNAL_FILE).open("a", encoding="utf-8") as journal:
        for entry, audio in results:
            taken.append(entry)
            journal.write(json.dumps(dataclasses.asdict(entry)) + "\n")
            journal.flush()
            writer.add(audio[surplus:])
            surplus = max(0, surplus - len(audio))
            progress(len(taken), len(sources))
    writer.finish()
    return taken, writer.shards


def check_left_behind(out: Path, key: str) -> None:
    """Refuses a folder where an import of something else was interrupted.

    Raises:
        ExistsError: There is one; the message says what to do.
    """
    lines = _journal_lines(out)
    if lines and lines[0] != json.dumps({"key": key}):
        raise ExistsError(f"{out} holds an unfinished set of other files or options; --force replaces it")


def remove_left_behind(out: Path) -> None:
    """Removes the journal, the manifest and every shard."""
    (out / JOURNAL_FILE).unlink(missing_ok=True)
    remove_audio(out, out / MANIFEST_FILE)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 2
) -> Iterator[Result]:
    """The function of each item, in order, computed by several threads that run `ahead` items each in advance."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(source: Source, cutting: Cutting) -> tuple[Taken, Float[Tensor, "clips samples"]]:
    nothing = torch.empty(0, cutting.num_samples)
    try:
        cut: Cut = cut_file(source.path, cutting)
    except AudioError as error:
        reason = str(error).removeprefix(f"{source.path}: ")
        return Taken(outcome="failed", reason=reason), nothing
    if not cut.starts:
        reason = f"shorter than {cutting.seconds:g} s"
        return Taken(source_rate=cut.source_rate, outcome="dropped", reason=reason), nothing
    return Taken(cut.starts, cut.lengths, cut.source_rate, cut.remarks), cut.audio


@final
class _ShardWriter:
    """Collects clips, in whatever pieces they come, and writes a shard whenever there are enough."""

    def __init__(self, out: Path, rows: int, shards: Sequence[Shard]) -> None:
        self._out = out
        self._rows = rows
        self._waiting: list[Tensor] = []
        self.shards = list(shards)

    def add(self, clips: Float[Tensor, "clips samples"]) -> None:
        """Takes clips in."""
        self._waiting.extend(clips)
        while len(self._waiting) >= self._rows:
            self._write(self._waiting[: self._rows])
            self._waiting = self._waiting[self._rows :]

    def finish(self) -> None:
        """Writes what remains as the last shard."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []

    def _write(self, clips: list[Tensor]) -> None:
        self.shards.append(write_shard(self._out, len(self.shards), torch.stack(clips).numpy()))
        write_manifest(self._out, self.shards)


def _left_behind(out: Path, key: str, rows: int) -> tuple[list[Taken], list[Shard]]:
    """What an interrupted call with this key wrote: the journal's whole lines and the full shards from the first."""
    lines = _journal_lines(out)
    if not lines or lines[0] != json.dumps({"key": key}):
        remove_left_behind(out)
        return [], []
    shards = []
    for number, shard in enumerate(_listed_shards(out)):
        path = out / shard.file
        is_full = shard.shard == number and shard.rows == rows
        if not (is_full and path.is_file() and path.stat().st_size == shard.bytes):
            break
        shards.append(shard)
    return [_TAKEN.validate_json(line) for line in lines[1:]], shards


def _listed_shards(out: Path) -> list[Shard]:
    try:
        return read_manifest(out)
    except DatasetError:  # a damaged list counts as none: everything is read again
        return []


def _journal_lines(out: Path) -> list[str]:
    """The lines of the journal that were written to their end."""
    try:
        text = (out / JOURNAL_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return text.splitlines()[: text.count("\n")]


def _within(taken: Sequence[Taken], written: int) -> list[Taken]:
    """The recordings, from the first, whose clips are all among those written."""
    kept = []
    for entry in taken:
        written -= len(entry.starts)
        if written < 0:
            break
        kept.append(entry)
    return kept
