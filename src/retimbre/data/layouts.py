"""Data sets in the layouts of earlier systems, for programs that read those.

    npy     NAME_input.npy, (clips, 1, samples) float32, and NAME_labels.npy, one-hot float32
    hdf5    NAME_data.hdf5 with `files`, `parameters` (JSON), `labels` and `audio_exists`; NAME_params.json;
    NAME_00000.wav ... csv     meta.csv with id, filename, label (the one-hot vector, in full) and a column per
    knob; 00000.wav ...

A layout is written beside the native set and from it. Labels are one-hot blocks, one per searched knob in the
order of the instrument's knobs. Two habits of the originals are left out on purpose: nothing is pickled (the level
tables are in NAME_params.json), and `audio_exists` is true once the audio exists.
"""

import csv
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.errors import ConfigError, MissingExtra, near_miss
from retimbre.core.files import whole_file, write_json
from retimbre.data.dataset import RecordedSet, RenderedSet
from retimbre.dsp import audiofile

LAYOUTS_FILE = "layouts.json"
CLIPS_AT_ONCE = 256  # what is held in memory while a layout is written


@final
@dataclasses.dataclass(frozen=True)
class Column:
    """One searched knob: its name and the value of each class."""

    name: str
    levels: tuple[float | str, ...]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """What a layout is written from.

    Attributes:
        name: What the files' names begin with.
        classes: The class of each column, for each clip.
        values: All settings of a clip by name, the fixed ones included.
        fixed: Settings that are the same in every clip.
    """

    name: str
    clips: RenderedSet | RecordedSet
    sample_rate: int
    columns: tuple[Column, ...]
    classes: Int[Tensor, "clips columns"]
    values: Callable[[int], dict[str, Any]]
    fixed: dict[str, Any]

    def one_hot(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The labels of some clips: a block per column, with a one at the class."""
        blocks = [
            torch.nn.functional.one_hot(self.classes[list(rows), index], len(column.levels))
            for index, column in enumerate(self.columns)
        ]
        return torch.cat(blocks, dim=1).float().numpy()


def write_layout(layout: str, folder: Path, table: Table) -> list[str]:
    """Writes a set in a layout and returns the names of its files.

    Raises:
        ConfigError: There is no such layout.
        MissingExtra: The layout needs a library that is not installed.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"there is no layout {layout!r}; {near_miss(layout, LAYOUTS)}")
    return LAYOUTS[layout](folder, table)


def write_layout_once(folder: Path, layout: str, table: Table, *, key: str, anew: bool) -> list[str]:
    """Writes a layout unless it is there, and returns the names of the files written now.

    Args:
        key: The fingerprint of the set; a layout of another set is replaced.
        anew: Whether to write it in any case.

    Raises:
        ConfigError, MissingExtra: As `write_layout`.
    """
    records = _read_records(folder)
    there = records.get(layout, {})
    is_same = there.get("key") == key and there.get("name") == table.name
    if is_same and not anew and all((folder / name).is_file() for name in there["files"]):
        return []
    files = write_layout(layout, folder, table)
    for name in set(there.get("files", [])) - set(files):
        (folder / Path(name).name).unlink(missing_ok=True)
    write_json(folder / LAYOUTS_FILE, {**records, layout: {"key": key, "name": table.name, "files": files}})
    return files


def _read_records(folder: Path) -> dict[str, Any]:
    """Which layouts were written, by name; a record that cannot be read counts as none, and they are written again."""
    try:
        records = json.loads((folder / LAYOUTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}


def _write_npy(folder: Path, table: Table) -> list[str]:
    names = [f"{table.name}_input.npy", f"{table.name}_labels.npy"]
    total = len(table.clips)
    num_samples = table.clips.audio(torch.tensor([0])).shape[1]
    with whole_file(folder / names[0]) as aside:
        audio = np.lib.format.open_memmap(aside, mode="w+", dtype=np.float32, shape=(total, 1, num_samples))
        for rows in _in_parts(total):
            audio[rows.start : rows.stop, 0] = table.clips.audio(torch.arange(rows.start, rows.stop)).numpy()
        audio.flush()
    with whole_file(folder / names[1]) as aside:
        np.save(aside, table.one_hot(range(total)), allow_pickle=False)
    return names


def _write_hdf5(folder: Path, table: Table) -> list[str]:
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", extra="hdf5", purpose="the hdf5 layout") from None
    total = len(table.clips)
    waves = _write_waves(folder, table, f"{table.name}_{{:05d}}.wav")
    names = [f"{table.name}_data.hdf5", f"{table.name}_params.json"]
    with whole_file(folder / names[0]) as aside, h5py.File(aside, "w") as file:
        text = h5py.string_dtype()
        file.create_dataset("files", data=waves, dtype=text)
        file.create_dataset(
            "parameters", data=[json.dumps(table.values(row)) for row in range(total)], dtype=text
        )
        file.create_dataset("labels", data=table.one_hot(range(total)))
        file.create_dataset("audio_exists", data=np.ones(total, dtype=bool))
    parameters = [
        {"name": column.name, "levels": list(column.levels), "id": str(index)}
        for index, column in enumerate(table.columns)
    ]
    write_json(folder / names[1], {"parameters": parameters, "fixed": table.fixed})
    return names + waves


def _write_csv(folder: Path, table: Table) -> list[str]:
    waves = _write_waves(folder, table, "{:05d}.wav")
    with (
        whole_file(folder / "meta.csv") as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        settings = list(table.values(0))
        writer.writerow(["id", "filename", "label", *settings])
        for row, wave in enumerate(waves):
            values = table.values(row)
            writer.writerow(
                [row, wave, _printed(table.one_hot([row])[0]), *(values[key] for key in settings)]
            )
    return ["meta.csv", *waves]


def _write_waves(folder: Path, table: Table, pattern: str) -> list[str]:
    names = []
    for rows in _in_parts(len(table.clips)):
        for row, clip in zip(rows, table.clips.audio(torch.arange(rows.start, rows.stop)), strict=True):
            names.append(pattern.format(row))
            audiofile.write(folder / names[-1], clip, table.sample_rate)
    return names


def _printed(label: NDArray[np.float32]) -> str:
    """A one-hot vector as NumPy prints it, but never shortened with dots."""
    return "[" + " ".join("1." if value else "0." for value in label) + "]"


def _in_parts(total: int) -> Iterator[range]:
    for start in range(0, total, CLIPS_AT_ONCE):
        yield range(start, min(start + CLIPS_AT_ONCE, total))


LAYOUTS: dict[str, Callable[[Path, Table], list[str]]] = {
    "npy": _write_npy,
    "hdf5": _write_hdf5,
    "csv": _write_csv,
}
