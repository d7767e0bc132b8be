"""Piano performances to a data set: chunks of audio, states of keys and pedal beside them, or one without the other.

The audio goes the way of all recordings (`recordings.py`), cut to chunks without overlap, the last one of a piece
padded with zeros: a piece of n samples gives ceil(n / chunk) of them. The states follow, shard by shard, as a side
array. Without audio, the chunks are those that the MIDI file fills until its last movement, and the set holds names
and states alone. A chunk has 512 states, so with states it has 512 samples or more.

Each step goes on where it was stopped.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from retimbre.core.errors import AudioError, ConfigError
from retimbre.corpora.maestro.midi_states import MIDI_STATES, STATES_PER_CHUNK, PieceReader
from retimbre.corpora.maestro.scan import (
    CHUNK_SAMPLES,
    SAMPLE_RATE,
    MaestroFilters,
    MaestroScan,
    Performance,
    scan,
)
from retimbre.data.dataset import CLIPS_FILE, read_clips
from retimbre.data.folder import Cutting
from retimbre.data.manifest import Header, read_header, write_jsonl
from retimbre.data.pairs import previous_rows
from retimbre.data.side_arrays import remove_side_arrays, side_array_names, write_side_array
from retimbre.data.source import Reject
from retimbre.data.splits import SPLITS
from retimbre.data.store import rows_per_shard
from retimbre.workflows.dataset.claim import claim_folder
from retimbre.workflows.dataset.intake import Taken
from retimbre.workflows.dataset.recorded_plan import clips_of, plan_import, rejects_of
from retimbre.workflows.dataset.recordings import REJECTS_FILE, HowToImport, import_sources
from retimbre.workflows.dataset.remarks import remarks_on_clips

CORPUS = "maestro"

Progress = Callable[[int, int], None]
Stage = Callable[[str], contextlib.AbstractContextManager[Progress]]
"""Called with the name of a piece of work; gives what is told how much of it is done, of how much."""


@final
@dataclasses.dataclass(frozen=True)
class Chunks:
    """How performances are cut.

    Attributes:
        num_samples: Length of a chunk.
    """

    sample_rate: int = SAMPLE_RATE
    num_samples: int = CHUNK_SAMPLES

    def __post_init__(self) -> None:
        if self.sample_rate < 1 or self.num_samples < 1:
            raise ConfigError(
                f"chunks of {self.num_samples} samples at {self.sample_rate} Hz: takes 1 or more of each"
            )

    @property
    def cutting(self) -> Cutting:
        """The same as recordings are cut: full windows side by side, the last one padded."""
        seconds = self.num_samples / self.sample_rate
        return Cutting(self.sample_rate, seconds, short="pad", long="window", hop_s=seconds)


@final
@dataclasses.dataclass(frozen=True)
class Performances:
    """What was made.

    Attributes:
        content: `both`, `audio` or `midi`.
        pieces: Performances that are in the set.
        hours: Of the chunks together, padding included.
        pairs: Chunks that have one before them in the same piece.
        labels: Chunks of each composer.
        remarks: Performances that are in the set although they are odd in some way, by what it is.
        states_written: Shards of MIDI states that were written now.
        was_there: Whether the chunks were there already.
        fingerprint: Names the content: equal for equal sets.
    """

    folder: Path
    content: str
    pieces: int
    clips: int
    num_samples: int
    sample_rate: int
    hours: float
    pairs: int
    splits: dict[str, int]
    labels: dict[str, int]
    remarks: dict[str, int]
    rejects: tuple[Reject, ...]
    states_written: int
    was_there: bool
    fingerprint: str


def import_performances(
    raw: str | Path,
    out: str | Path,
    filters: MaestroFilters | None = None,
    chunks: Chunks | None = None,
    how: HowToImport | None = None,
    stage: Stage | None = None,
) -> Performances:
    """Makes a set of a folder of performances, finishes one, or finds that it is there.

    Args:
        stage: Told of the two parts of the work, "reading" and "MIDI states".

    Raises:
        DatasetError: The folder has no performances, or its table cannot be read.
        AudioError: Not one of them could be used.
        ConfigError: The chunks have fewer samples than states.
        ExistsError: The folder `out` holds another set.
    """
    out, how, stage = Path(out), how or HowToImport(), stage or _silent
    filters, chunks = filters or MaestroFilters(), chunks or Chunks()
    if filters.content != "audio" and chunks.num_samples < STATES_PER_CHUNK:
        raise ConfigError(
            f"a chunk has {STATES_PER_CHUNK} states, so it takes as many samples or more, not {chunks.num_samples}"
        )
    found = scan(raw, filters)
    if not found.performances:
        raise AudioError(_nothing_left(Path(raw), found))
    with stage("reading") as progress:
        if filters.content == "midi":
            was_there, rejects = _write_clips(out, found, chunks, how), found.rejects
        else:
            made = import_sources(found.sources, out, chunks.cutting, how, corpus=CORPUS, progress=progress)
            was_there, rejects = made.was_there, made.rejects
    if not side_array_names(out, read_header(out)):
        remove_side_arrays(out)  # what lies there is of a set that was replaced
    written = 0
    if filters.content != "audio":
        with stage("MIDI states") as progress:
            written = _write_states(out, found.performances, chunks, progress)
    return _made(out, filters, rejects, states_written=written, was_there=was_there)


def _nothing_left(raw: Path, found: MaestroScan) -> str:
    if not found.rejects:
        return f"{raw}: the first performance is longer than {found.filters.hours:g} hours"
    first = found.rejects[0]
    return f"{raw}: none of {len(found.rejects)} performances can be used; the first, {first.path}: {first.reason}"


def _write_states(out: Path, performances: Sequence[Performance], chunks: Chunks, progress: Progress) -> int:
    header = read_header(out)
    clips = read_clips(out / CLIPS_FILE, header)
    midi_of = {each.source.name: each.midi for each in performances if each.midi}
    reader = PieceReader(num_samples=chunks.num_samples, sample_rate=chunks.sample_rate)

    def states(rows: range) -> UInt8[np.ndarray, "rows 512 89"]:
        wanted = clips[rows.start : rows.stop]
        places = [round(clip.start_s * chunks.sample_rate / chunks.num_samples) for clip in wanted]
        pieces = [midi_of[clip.source] for clip in wanted]
        return np.stack([reader.states(midi, chunk) for midi, chunk in zip(pieces, places, strict=True)])

    return write_side_array(out, header, MIDI_STATES, states, progress)


def _write_clips(out: Path, found: MaestroScan, chunks: Chunks, how: HowToImport) -> bool:
    """Writes a set without audio but for its states; returns whether it was there."""
    plan = plan_import(found.sources, chunks.cutting, how.split, CORPUS)
    taken = [_taken(each.seconds, chunks) for each in found.performances]
    header = Header(
        kind="labels",
        size=sum(len(entry.starts) for entry in taken),
        sample_rate=chunks.sample_rate,
        num_samples=chunks.num_samples,
        shard_rows=rows_per_shard(chunks.num_samples),
        split=how.split,
        options=plan.options,
    )
    was_there = claim_folder(out, header, force=how.force)
    write_jsonl(out / CLIPS_FILE, [dataclasses.asdict(clip) for clip in clips_of(plan, taken)])
    write_jsonl(out / REJECTS_FILE, [dataclasses.asdict(reject) for reject in rejects_of(plan, taken)])
    return was_there


def _taken(seconds: float, chunks: Chunks) -> Taken:
    """The chunks of a piece that lasts so long, one at least."""
    window = chunks.num_samples
    total = max(1, round(seconds * chunks.sample_rate))
    starts = tuple(range(0, total, window))
    return Taken(starts, tuple(min(window, total - start) for start in starts), chunks.sample_rate)


def _made(
    out: Path, filters: MaestroFilters, rejects: Sequence[Reject], *, states_written: int, was_there: bool
) -> Performances:
    header = read_header(out)
    clips = read_clips(out / CLIPS_FILE, header)
    splits = Counter(clip.split for clip in clips)
    return Performances(
        folder=out,
        content=filters.content,
        pieces=len({clip.source for clip in clips}),
        clips=len(clips),
        num_samples=header.num_samples,
        sample_rate=header.sample_rate,
        hours=len(clips) * header.num_samples / header.sample_rate / 3600,
        pairs=int((previous_rows(clips) >= 0).sum()),
        splits={name: splits[name] for name in SPLITS},
        labels=dict(sorted(Counter(clip.label for clip in clips).items())),
        remarks=remarks_on_clips(clips, header.sample_rate),
        rejects=tuple(rejects),
        states_written=states_written,
        was_there=was_there,
        fingerprint=header.fingerprint,
    )


@contextlib.contextmanager
def _silent(title: str) -> Iterator[Progress]:
    """No progress is wanted."""
    yield lambda done, total: None
