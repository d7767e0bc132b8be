"""What is known of the clips of a set: key, strength, family and instrument of each note.

A folder of notes says it in one of three ways. NSynth's layout has an `examples.json` beside its `audio` folder. Files
copied out of it keep names that tell nearly as much, `bass_acoustic_000-036-100.wav`. And a scale that was generated or
played has a MIDI number at the end of each name, `lead_060.wav`: files with the same beginning are one instrument.

A label is known for every clip of a set or for none: half a column would silently become statistics about half a set.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from retimbre.corpora.nsynth.entries import (
    AUDIO_FOLDER,
    EXAMPLES_FILE,
    FAMILIES,
    HIGHEST_MIDI,
    Note,
    note_of,
    read_examples,
)

_NSYNTH_NAME = re.compile(
    r"(?P<instrument>(?P<family>[a-z_]+?)_[a-z]+_\d{3,})-(?P<pitch>\d{3})-(?P<velocity>\d{3})"
)
# The same tail behind any other beginning, which then names no family.
_NOTE_NAME = re.compile(r"(?P<instrument>.+)-(?P<pitch>\d{3})-(?P<velocity>\d{3})")
_SCALE_NAME = re.compile(r"(?P<instrument>.*?)[_-](?P<pitch>\d{3})")


@final
@dataclasses.dataclass(frozen=True)
class ClipLabels:
    """Labels per clip; an empty tuple where they are not known.

    Attributes:
        pitch: MIDI numbers.
        velocity: 0 to 127.
        family: Names, NSynth's where the folder is NSynth's.
        instrument: Names; clips with the same name are one instrument.
    """

    pitch: tuple[int, ...] = ()
    velocity: tuple[int, ...] = ()
    family: tuple[str, ...] = ()
    instrument: tuple[str, ...] = ()

    def known(self) -> dict[str, tuple[Any, ...]]:
        """The labels that there are, by name."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: values for name, values in columns.items() if values}

    def chosen(self, rows: Sequence[int]) -> "ClipLabels":
        """Those of some clips."""
        return ClipLabels(
            pitch=_picked(self.pitch, rows),
            velocity=_picked(self.velocity, rows),
            family=_picked(self.family, rows),
            instrument=_picked(self.instrument, rows),
        )


def _picked(values: tuple[Any, ...], rows: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[row] for row in rows) if values else ()


# What one clip's name or entry tells.
_Told = dict[str, Any]


def labels_of(paths: Sequence[Path]) -> tuple[ClipLabels, tuple[str, ...]]:
    """The labels of sound files, and remarks on those that are known for some of them only.

    Raises:
        DatasetError: There is an `examples.json` that cannot be read.
    """
    listed = {folder: _listed(folder) for folder in {path.parent for path in paths}}
    told = [_from_entry(path.stem, listed[path.parent]) or _from_name(path.stem) for path in paths]
    columns: dict[str, tuple[Any, ...]] = {}
    remarks: list[str] = []
    for name in (field.name for field in dataclasses.fields(ClipLabels)):
        known = [each[name] for each in told if name in each]
        if len(known) == len(told):
            columns[name] = tuple(known)
        elif known:
            remarks.append(
                f"the {name} of {len(told) - len(known)} of {len(told)} clips is not known, so none is used"
            )
    return ClipLabels(**columns), tuple(remarks)


def _listed(folder: Path) -> dict[str, Any]:
    """The entries of the `examples.json` of a folder, or of the one whose `audio` it is; empty if there is none."""
    place = folder.parent if folder.resolve().name == AUDIO_FOLDER else folder
    return read_examples(place / EXAMPLES_FILE) if (place / EXAMPLES_FILE).is_file() else {}


def _from_entry(name: str, entries: dict[str, Any]) -> _Told:
    note = note_of(name, entries[name]) if name in entries else None
    if not isinstance(note, Note):
        return {}
    return {
        "pitch": note.pitch,
        "velocity": note.velocity,
        "family": note.family,
        "instrument": note.instrument,
    }


def _from_name(stem: str) -> _Told:
    for pattern, reader in _READERS.items():
        match = pattern.fullmatch(stem)
        told = reader(match.groupdict()) if match else {}
        if told:
            return told
    return {}


def _nsynth(groups: dict[str, str]) -> _Told:
    told = _note(groups)
    return told | {"family": groups["family"]} if told and groups["family"] in FAMILIES else {}


def _note(groups: dict[str, str]) -> _Told:
    told = _scale(groups) | {"velocity": int(groups["velocity"])}
    return told if told["velocity"] <= HIGHEST_MIDI and "pitch" in told else {}


def _scale(groups: dict[str, str]) -> _Told:
    pitch = int(groups["pitch"])
    return {"pitch": pitch, "instrument": groups["instrument"]} if pitch <= HIGHEST_MIDI else {}


_READERS: dict[re.Pattern[str], Callable[[dict[str, str]], _Told]] = {
    _NSYNTH_NAME: _nsynth,
    _NOTE_NAME: _note,
    _SCALE_NAME: _scale,
}
