"""Writing the envelope set to disk, and making some of it again to see whether it is what it says.

An example is a function of its number, so a set is made in any order, stopped and gone on with; a larger set begins
with the smaller one. Only a few examples are in memory at a time, whatever the size.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError
from retimbre.corpora.catalog import CORPORA
from retimbre.corpora.envelopes.corpus import EnvelopeBatch, EnvelopeCorpus, EnvelopeSettings
from retimbre.corpora.envelopes.on_disk import SETTINGS, EnvelopeSet, parts_of, settings_of, side_arrays
from retimbre.data.manifest import Fractions, Header, write_manifest
from retimbre.data.side_arrays import write_side_array
from retimbre.data.splits import SPLITS
from retimbre.data.store import finished_shards, rows_per_shard, write_shard
from retimbre.training.devices import pick_device
from retimbre.workflows.dataset.claim import claim_folder
from retimbre.workflows.dataset.plan import MOST_CLIPS

CORPUS = "envelopes"
Progress = Callable[[int, int], None]

# Samples that are made at a time: in float64, with what is worked out on the way, some 30 MB.
_SAMPLES_AT_ONCE = 1 << 19

# Another build of a library may round a sample the other way; a wrong label moves it by far more.
MOST_DIFFERENCE = 1e-5
_MADE_AGAIN = 16


@final
@dataclasses.dataclass(frozen=True)
class EnvelopePlan:
    """A set of so many examples.

    Attributes:
        device: Where they are made: another device may round otherwise, so it is one of the header's options.
    """

    size: int
    settings: EnvelopeSettings = dataclasses.field(default_factory=EnvelopeSettings)
    split: Fractions = dataclasses.field(default_factory=Fractions)
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MOST_CLIPS:
            raise ConfigError(f"the size is {self.size:,}, but takes 1 to {MOST_CLIPS:,}")

    @property
    def header(self) -> Header:
        """The header of the set."""
        entry = CORPORA[CORPUS]
        corpus = {"name": CORPUS, "licence": entry.licence, "citation": entry.citation}
        return Header(
            kind="procedural",
            size=self.size,
            sample_rate=self.settings.sample_rate,
            num_samples=self.settings.num_samples,
            shard_rows=rows_per_shard(self.settings.num_samples),
            split=self.split,
            options={
                "corpus": corpus,
                SETTINGS: dump(self.settings),
                "device": str(pick_device(self.device)),
                "side_arrays": list(side_arrays(self.settings)),
            },
        )


@final
@dataclasses.dataclass(frozen=True)
class EnvelopesMade:
    """What was made.

    Attributes:
        labels: Examples of each class, as stage and value, and of each carrier.
        written: Shards that were written now, of audio and of side arrays.
    """

    folder: Path
    size: int
    num_samples: int
    sample_rate: int
    splits: dict[str, int]
    labels: dict[str, int]
    written: int
    was_there: bool
    fingerprint: str


def make_envelopes(
    plan: EnvelopePlan, out: str | Path, *, force: bool = False, progress: Progress | None = None
) -> EnvelopesMade:
    """Writes a set, finishes one, or finds that it is there.

    Args:
        progress: Called with the shards that are written and the shards there are.

    Raises:
        ExistsError: The folder holds another set or other files, and `force` is not given.
    """
    out, header = Path(out), plan.header
    was_there = claim_folder(out, header, force=force)
    arrays = side_arrays(plan.settings)
    total = header.num_shards * (1 + len(arrays))
    written = _write_targets(plan, out, header)
    for index, array in enumerate(arrays.values(), start=1):
        if progress:
            progress(index * header.num_shards, total)
        written += write_side_array(out, header, array, _rows_of(plan, array.name))
    if progress:
        progress(total, total)
    return _made(out, plan, header, written=written, was_there=was_there)


def check_envelopes(folder: str | Path, header: Header) -> tuple[float, list[str]]:
    """Makes some examples again: the largest difference of a sample, and what is wrong.

    Raises:
        DatasetError: The set cannot be opened.
    """
    data = EnvelopeSet.open(folder)
    rows = torch.linspace(0, header.size - 1, min(_MADE_AGAIN, header.size)).round().long()
    stored, made = data.batch(rows), EnvelopeCorpus(settings_of(Path(folder), header)).batch(rows)
    differences = [
        (stored.target - made.target).abs().amax(dim=1),
        (stored.basic - made.basic).abs().amax(dim=1),
    ]
    difference = torch.stack(differences).amax(dim=0)
    same = (stored.labels.classes == made.labels.classes).all(dim=1) & (
        stored.labels.carrier == made.labels.carrier
    )
    problems = [
        f"clip {row} differs by {by:.2g} from what this program makes for it"
        for row, by in zip(rows.tolist(), difference.tolist(), strict=True)
        if by > MOST_DIFFERENCE
    ]
    problems += [f"clip {row} has other labels than the seed gives" for row in rows[~same].tolist()]
    return float(difference.max()), problems


def count_envelopes(folder: Path, header: Header) -> tuple[dict[str, int], dict[str, int]]:
    """Examples in each part, and of each class (as stage and value) and each carrier."""
    corpus = EnvelopeCorpus(settings_of(folder, header))
    parts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for rows in _in_parts(range(header.size), 1):
        numbers = torch.arange(rows.start, rows.stop)
        parts += _counts(parts_of(numbers, header.split), SPLITS)
        found = corpus.labels(numbers)
        for column, (stage, values) in enumerate(corpus.settings.levels.items()):
            labels += _counts(found.classes[:, column], [f"{stage} {value:g}" for value in values])
        labels += _counts(found.carrier, corpus.settings.carriers)
    return {name: parts[name] for name in SPLITS}, dict(labels)


def _counts(classes: Int[Tensor, " rows"], names: Sequence[str]) -> Counter[str]:
    return Counter(dict(zip(names, classes.bincount(minlength=len(names)).tolist(), strict=True)))


def _write_targets(plan: EnvelopePlan, out: Path, header: Header) -> int:
    """Writes the audio shards that are missing; returns how many."""
    done = finished_shards(out, header)
    targets = _rows_of(plan, "target")
    missing = [shard for shard in range(header.num_shards) if shard not in done]
    for shard in missing:
        done[shard] = write_shard(out, shard, targets(header.rows_of(shard)))
        write_manifest(out, done.values())
    return len(missing)


def _rows_of(plan: EnvelopePlan, field: str) -> Callable[[range], NDArray[Any]]:
    """What gives a field of some examples as an array."""
    corpus, device = EnvelopeCorpus(plan.settings), pick_device(plan.device)

    def rows_of(rows: range) -> NDArray[Any]:
        parts = []
        for some in _in_parts(rows, plan.settings.num_samples):
            numbers = torch.arange(some.start, some.stop, device=device)
            signals = field in {each.name for each in dataclasses.fields(EnvelopeBatch)}
            source = corpus.batch(numbers) if signals else corpus.labels(numbers)
            parts.append(getattr(source, field).cpu().numpy())
        return np.concatenate(parts)

    return rows_of


def _in_parts(rows: range, num_samples: int) -> Iterator[range]:
    at_once = max(1, _SAMPLES_AT_ONCE // num_samples)
    for start in range(rows.start, rows.stop, at_once):
        yield range(start, min(start + at_once, rows.stop))


def _made(out: Path, plan: EnvelopePlan, header: Header, *, written: int, was_there: bool) -> EnvelopesMade:
    splits, labels = count_envelopes(out, header)
    return EnvelopesMade(
        folder=out,
        size=header.size,
        num_samples=header.num_samples,
        sample_rate=header.sample_rate,
        splits=splits,
        labels=labels,
        written=written,
        was_there=was_there,
        fingerprint=header.fingerprint,
    )
