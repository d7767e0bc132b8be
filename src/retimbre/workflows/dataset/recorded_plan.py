"""What a recorded data set is to be: which recordings, cut how, parted how, and under what name it is the same set.

A set is found again by its content, not by the folder that it was made of. Its header has, in words, every option and
every filter of its corpus, and as one fingerprint the name, the size and the SHA-256 of every file with all that is
known about it. Change any of them and it is another set; copy the recordings to another machine and it is the same.
The licence, and what the authors of the corpus ask to be cited, are in the header too, so that they go where the
sounds go.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, final

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.files import fingerprint, sha256_of
from retimbre.corpora.catalog import CORPORA
from retimbre.data.dataset import Clip
from retimbre.data.folder import Cutting
from retimbre.data.manifest import Fractions
from retimbre.data.source import Reject, Scan, Source
from retimbre.data.splits import Split, split_by_name
from retimbre.workflows.dataset.intake import Progress, Taken, in_order

# Files that a thread hashes in advance: hashing one is quicker than handing it over.
_HASHED_AHEAD = 8


@final
@dataclasses.dataclass(frozen=True)
class RecordedPlan:
    """What the set is to be.

    Attributes:
        digests: Size and SHA-256 of each source.
        split: What is held out of the recordings that their corpus does not part itself.
        options: Of the header.
    """

    scan: Scan
    digests: Sequence[tuple[int, str]]
    cutting: Cutting
    split: Fractions
    options: dict[str, Any]

    @property
    def key(self) -> str:
        """Names the sources and everything that is done with them."""
        return fingerprint([self.options, dataclasses.asdict(self.split)])


def plan_import(
    scan: Scan, cutting: Cutting, split: Fractions, corpus: str, progress: Progress | None = None
) -> RecordedPlan:
    """Reads every file once, for its checksum.

    Args:
        progress: Called with the files that are read and the files there are.

    Raises:
        AudioError: The scan found no recording.
        ConfigError: The sources do not all have the same attributes.
    """
    _check_left(scan)
    _check_attributes(scan)
    digests: list[tuple[int, str]] = []
    for digest in in_order(_digest, scan.sources, ahead=_HASHED_AHEAD):
        digests.append(digest)
        if progress:
            progress(len(digests), len(scan.sources))
    scan, digests = _without_changed(scan, digests)
    return RecordedPlan(scan, digests, cutting, split, _options(scan, digests, cutting, corpus))


def rejects_of(plan: RecordedPlan, taken: Sequence[Taken]) -> list[Reject]:
    """What could not be read, what was dropped, and what the scanner had to say."""
    of_files = [
        Reject(str(source.path), entry.outcome, entry.reason)
        for source, entry in zip(plan.scan.sources, taken, strict=True)
        if entry.outcome != "used"
    ]
    return [*of_files, *plan.scan.rejects]


def clips_of(plan: RecordedPlan, taken: Sequence[Taken]) -> list[Clip]:
    """Every clip of the set, with what is known about it."""
    rate = plan.cutting.sample_rate
    used = [
        (source, digest, entry)
        for source, digest, entry in zip(plan.scan.sources, plan.digests, taken, strict=True)
        if entry.outcome == "used"
    ]
    parts = _parts([source for source, _, _ in used], plan.split)
    return [
        Clip(
            source=source.name,
            label=source.label,
            start_s=start / rate,
            seconds=length / rate,
            split=part,
            sha256=sha256,
            source_rate=entry.source_rate,
            remarks=entry.remarks,
            attributes=dict(source.attributes),
        )
        for (source, (_, sha256), entry), part in zip(used, parts, strict=True)
        for start, length in zip(entry.starts, entry.lengths, strict=True)
    ]


def _parts(sources: Sequence[Source], fractions: Fractions) -> list[Split]:
    """The part that the corpus gives, or that its group is in; the rest is parted here."""
    part_of: dict[str, Split] = {
        source.parted_as: source.split for source in sources if source.split is not None
    }
    free = [source for source in sources if source.parted_as not in part_of]
    names = [source.parted_as for source in free]
    drawn = split_by_name(names, [source.label for source in free], fractions)
    part_of |= dict(zip(names, drawn, strict=True))
    return [source.split or part_of[source.parted_as] for source in sources]


def _check_left(scan: Scan) -> None:
    if scan.sources:
        return
    if not scan.rejects:
        raise AudioError("nothing is left: the filters let no recording through")
    count = sum(reject.count for reject in scan.rejects)
    first = f"{scan.rejects[0].path}: {scan.rejects[0].reason}"
    raise AudioError(f"nothing is left: all {count} recordings were rejected; the first, {first}")


def _check_attributes(scan: Scan) -> None:
    names = scan.sources[0].attributes.keys()
    odd = next((source for source in scan.sources if source.attributes.keys() != names), None)
    if odd is not None:
        raise ConfigError(f"{odd.name} has the attributes {sorted(odd.attributes)}, others {sorted(names)}")


def _without_changed(scan: Scan, digests: list[tuple[int, str]]) -> tuple[Scan, list[tuple[int, str]]]:
    """Rejects the files whose content is not what the corpus says it is."""
    changed = {
        source.name
        for source, (_, found) in zip(scan.sources, digests, strict=True)
        if found and source.sha256 not in {"", found}
    }
    if not changed:
        return scan, digests
    reason = "its checksum is not the one that the corpus lists; it was changed or damaged"
    rejects = [
        Reject(str(source.path), "failed", reason) for source in scan.sources if source.name in changed
    ]
    kept = [
        (source, digest)
        for source, digest in zip(scan.sources, digests, strict=True)
        if source.name not in changed
    ]
    scan = dataclasses.replace(
        scan, sources=tuple(source for source, _ in kept), rejects=(*rejects, *scan.rejects)
    )
    _check_left(scan)
    return scan, [digest for _, digest in kept]


def _digest(source: Source) -> tuple[int, str]:
    """Size and SHA-256 of a file; of one that cannot be read 0 and nothing, and reading it will say why."""
    try:
        return source.path.stat().st_size, sha256_of(source.path)
    except OSError:
        return 0, ""


def _options(scan: Scan, digests: Sequence[tuple[int, str]], cutting: Cutting, corpus: str) -> dict[str, Any]:
    """What the header says about the content: equal for two sets exactly if they are made of the same."""
    known = [
        [source.name, *digest, source.label, dict(source.attributes), source.split, source.group]
        for source, digest in zip(scan.sources, digests, strict=True)
    ]
    entry = CORPORA[corpus]
    return {
        "corpus": {
            "name": corpus,
            "licence": entry.licence,
            "citation": entry.citation,
            **scan.origin,
        },
        "filters": dump(scan.options),
        "cutting": dataclasses.asdict(cutting),
        "sources": fingerprint(known),
    }
