"""Sets of sounds as folders that the library `datasets` loads: the workflow behind `retimbre export hf`.

    DIR/README.md                    the card: licence, parts, columns (`card.py`)
    DIR/retimbre.json                where the sounds are from, for programs
    DIR/train/*.wav                  the sounds of a part, 16-bit integers
    DIR/train/metadata.jsonl         their labels, a JSON object per sound; `file_name` says of which
    DIR/validation/  DIR/test/       the same of the other parts

A part without clips has no folder. Several sources make one set, with a column `origin`; what only some of them know
is empty for the others. The folder is made beside its place and moved there when it is complete.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import torch

import retimbre
from retimbre.core import random
from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.core.files import free_files, refuse_to_lose, whole_folder, write_json, write_text
from retimbre.data.manifest import write_jsonl
from retimbre.data.source import Value
from retimbre.data.splits import SPLITS
from retimbre.dsp import audiofile
from retimbre.workflows.export.audiofolder.card import Card, Dtype, card_text, column_types, licence_id
from retimbre.workflows.export.audiofolder.clips import Clip, Clips, open_source
from retimbre.workflows.generate.folder import leveled

FORMAT, VERSION = "retimbre audiofolder", 1
CARD_FILE, FACTS_FILE, LABELS_FILE = "README.md", "retimbre.json", "metadata.jsonl"
FILE_COLUMN, ORIGIN_COLUMN = "file_name", "origin"
# Columns that the library makes itself.
_TAKEN = (FILE_COLUMN, "audio", ORIGIN_COLUMN)

_UNSAFE = re.compile(r"[^\w.-]+")

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class HfOptions:
    """What is published.

    Attributes:
        count: How many sounds of each source; 0 for all of a set, and 256 of a generator.
        title: Of the set; empty for the names of the sources.
        licence: Of the sounds, a text or the hub's identifier; empty for what the sources say.
        seed: Of a generator's sounds, and of the draw of clips where fewer are wanted than there are.
        device: Where a generator runs.
        force: Whether an earlier export in the folder is replaced.
    """

    count: int = 0
    title: str = ""
    licence: str = ""
    seed: int = 0
    device: str = "auto"
    force: bool = False

    def __post_init__(self) -> None:
        """Refuses a set of fewer than no sounds."""
        if self.count < 0:
            raise ConfigError(f"count is {self.count}, but takes 1 or more, or 0 for all")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Written:
    """A set that is being written: the labels so far by part, the rates that were met, and what went wrong."""

    rows: dict[str, list[dict[str, Value]]]
    rates: set[int]
    failed: list[str]


def export_hf(
    sources: Sequence[str | Path],
    out: str | Path,
    options: HfOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Writes sets of sounds as one folder that `datasets.load_dataset("audiofolder", data_dir=...)` loads.

    Args:
        sources: Data sets, folders of sounds, or generators (run folders, checkpoint files, shipped names).
        out: The folder of the new set.
        options: How many, and what the card says.
        progress: Told how many sounds are written.

    Returns:
        What `retimbre.json` holds; `failed` lists the files that could not be read.

    Raises:
        AudioError: A folder has no sounds, or none of them can be used.
        CheckpointError: A model cannot be read, or is no generator.
        ConfigError: No sources, or a generator that needs conditions.
        DatasetError: A data set is damaged, or holds no sounds.
        ExistsError: There is something else in the folder, or an export and no `force`.
    """
    options = options or HfOptions()
    if not sources:
        raise ConfigError("a data set is made of a set, a folder of sounds or a generator; none is named")
    folder = Path(out)
    _check_free(folder, force=options.force)
    opened = [open_source(str(each), options.count, options.seed, options.device, folder) for each in sources]
    chosen = [(source, _chosen(source, options)) for source in opened]
    with whole_folder(folder) as aside:
        written = _write_sounds(aside, chosen, progress)
        return _write_words(aside, opened, written, options)


def _check_free(folder: Path, *, force: bool) -> None:
    free_files(folder, FACTS_FILE, force=force)
    if folder.exists() and any(folder.iterdir()) and not _is_export(folder):
        raise ExistsError(f"{folder} holds files that are no earlier export, which --force does not touch")
    refuse_to_lose(folder, CARD_FILE, FACTS_FILE, f"*/{LABELS_FILE}", "*/*.wav")


def _is_export(folder: Path) -> bool:
    try:
        return json.loads((folder / FACTS_FILE).read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def _chosen(source: Clips, options: HfOptions) -> list[int]:
    """The numbers of the clips that are taken, ascending."""
    total = len(source.clips)
    if not options.count or options.count >= total:
        return list(range(total))
    order = torch.randperm(total, generator=random.generator(options.seed, "published clips", total))
    return sorted(order[: options.count].tolist())


def _write_sounds(aside: Path, chosen: Sequence[tuple[Clips, list[int]]], progress: Progress) -> _Written:
    written = _Written({name: [] for name in SPLITS}, set(), [])
    total = sum(len(numbers) for _, numbers in chosen)
    done = 0
    for place, (source, numbers) in enumerate(chosen):
        prefix = f"{place:02d}_" if len(chosen) > 1 else ""
        for number in numbers:
            _write_sound(aside, source, number, prefix, written)
            done += 1
            progress(done, total)
        if len(chosen) > 1:
            for rows in written.rows.values():
                for row in rows:
                    row.setdefault(ORIGIN_COLUMN, source.name)
    if not any(written.rows.values()):
        raise AudioError(f"not one of {total} sounds can be used: {written.failed[0]}")
    return written


def _write_sound(aside: Path, source: Clips, number: int, prefix: str, written: _Written) -> None:
    """Writes a sound and adds its labels; one that cannot be read is noted."""
    clip = source.clips[number]
    try:
        samples, rate = source.sound(number)
    except AudioError as error:
        written.failed.append(str(error))
        return
    name = f"{prefix}{_file_stem(clip, number)}.wav"
    audiofile.write(aside / clip.split / name, leveled(samples, "none")[0], rate, integers=True)
    labels = {f"{key}_" if key in _TAKEN else key: value for key, value in clip.labels.items()}
    written.rows[clip.split].append({FILE_COLUMN: name, **labels})
    written.rates.add(rate)


def _file_stem(clip: Clip, number: int) -> str:
    """A name that every file system takes and that no other clip has."""
    stem = _UNSAFE.sub("_", Path(clip.name).with_suffix("").as_posix() if "." in clip.name else clip.name)
    return stem if stem == f"{number:06d}" else f"{number:06d}_{stem[-80:]}"


def _write_words(
    aside: Path, sources: Sequence[Clips], written: _Written, options: HfOptions
) -> dict[str, Any]:
    """The labels, the card and the facts."""
    columns = column_types([row for rows in written.rows.values() for row in rows])
    del columns[FILE_COLUMN]
    for name, rows in written.rows.items():
        if rows:
            complete = [
                {FILE_COLUMN: row[FILE_COLUMN]} | {key: _cell(row.get(key), columns[key]) for key in columns}
                for row in rows
            ]
            write_jsonl(aside / name / LABELS_FILE, complete)
    licences = (
        (options.licence,) if options.licence else tuple(dict.fromkeys(each.licence for each in sources))
    )
    card = Card(
        title=options.title or " and ".join(source.name for source in sources),
        about=tuple(source.about for source in sources),
        licences=licences,
        citations=tuple(dict.fromkeys(source.citation for source in sources if source.citation)),
        columns=columns,
        counts={name: len(rows) for name, rows in written.rows.items()},
        sample_rates=tuple(sorted(written.rates)),
    )
    write_text(aside / CARD_FILE, card_text(card))
    reasons = Counter(written.failed)
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "retimbre": retimbre.__version__,
        "title": card.title,
        "sources": [{"name": each.name, "about": each.about, "licence": each.licence} for each in sources],
        "license": licence_id(licences),
        "columns": dict(columns),
        "splits": dict(card.counts),
        "sample_rates": list(card.sample_rates),
        "seed": options.seed,
        "failed": list(reasons),
    }
    write_json(aside / FACTS_FILE, facts)
    return facts


def _cell(value: Value | None, dtype: Dtype) -> Value | None:
    """A value in the type of its column; one that a source does not know is empty."""
    if value is None:
        return None
    if dtype == "string":
        return str(value)
    return float(value) if dtype == "float64" else value
