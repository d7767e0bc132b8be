"""What a published data set can be made of: a prepared set, a folder of sounds, or a generator.

All three come down to the same: a list of clips, each with a name, a part (train, validation or test) and labels, whose
sound can be had by its number. A prepared set has its parts already, and they are kept. A folder has labels in its
names (`evaluation/sets/labels.py`) and its sub-folders, and its files are parted by name. A generator is asked for as
many sounds as are wanted, with labels drawn evenly; the sound of a number depends on the seed and the number alone.
"""

import abc
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import DatasetError
from retimbre.corpora.catalog import CORPORA
from retimbre.corpora.folder import scan_folders
from retimbre.corpora.nsynth.entries import origin_of, read_corpus_file
from retimbre.data.dataset import RecordedSet, RenderedSet
from retimbre.data.manifest import HEADER_FILE, Fractions, read_header
from retimbre.data.source import Value
from retimbre.data.splits import SPLITS, Split, split_by_name
from retimbre.dsp import audiofile
from retimbre.training.shipped import find_checkpoint, model_in
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.evaluation.sets.labels import labels_of
from retimbre.workflows.generate.latent_file import LatentChoice, chosen_latents
from retimbre.workflows.generate.names import random_name
from retimbre.workflows.generate.player import any_class, open_player

MODEL_COUNT = 256
"""Sounds of a generator, if no number is asked for."""

_NOTE_COLUMNS = ("note_pitch_hz", "note_velocity", "note_gate_s")


@final
@dataclasses.dataclass(frozen=True)
class Clip:
    """A sound to be published.

    Attributes:
        name: Unique among the clips of its source.
        split: The part that it is in.
        labels: What is known about it, by column.
    """

    name: str
    split: Split
    labels: Mapping[str, Value]


class Clips(abc.ABC):
    """Clips of one source.

    Attributes:
        name: What the source is called.
        about: What it is, a sentence.
        licence: Under what conditions its sounds may be used.
        citation: What its authors ask to be cited; may be empty.
        clips: All of them.
    """

    name: str
    about: str
    licence: str
    citation: str
    clips: tuple[Clip, ...]

    @abc.abstractmethod
    def sound(self, number: int) -> tuple[Float[Tensor, " samples"], int]:
        """The samples of a clip and their rate.

        Raises:
            AudioError: They cannot be read or made.
        """


@final
class SetClips(Clips):
    """The clips of a data set that `retimbre data` made.

    Raises:
        DatasetError: It is damaged, or has no sounds.
    """

    def __init__(self, folder: Path) -> None:
        header = read_header(folder)
        openers = {"recorded": RecordedSet.open, "rendered": RenderedSet.open}
        if header.kind not in openers:
            raise DatasetError(
                f"{folder}: a {header.kind} data set; takes one of recorded or rendered sounds"
            )
        self._stored = openers[header.kind](folder)
        corpus = header.options.get("corpus", {})
        entry = CORPORA["synth"]
        self.name = folder.resolve().name
        self.licence = corpus.get("licence", entry.licence)
        self.citation = corpus.get("citation", "")
        made_of = corpus.get("name") or f"the synthesizer {header.options['synth']}"
        self.about = (
            f"{header.size} clips of {made_of}, {header.num_samples} samples at {header.sample_rate} Hz"
        )
        stored = self._stored
        self.clips = _recorded(stored) if isinstance(stored, RecordedSet) else _rendered(stored)

    def sound(self, number: int) -> tuple[Float[Tensor, " samples"], int]:
        """See `Clips`."""
        return self._stored.audio(torch.tensor([number]))[0].float(), self._stored.header.sample_rate


@final
class FolderClips(Clips):
    """The sound files of a folder, each at its own rate and length.

    Raises:
        AudioError: There are none.
    """

    def __init__(self, folder: Path, without: Path) -> None:
        sources = scan_folders([folder], without=without).sources
        self._paths = [source.path for source in sources]
        self.name = folder.resolve().name
        self.about = f"{len(sources)} sound files"
        told = origin_of(read_corpus_file(folder))
        self.licence = told.get("licence", CORPORA["folder"].licence)
        self.citation = told.get("citation", "")
        names = [source.name for source in sources]
        known = labels_of(self._paths)[0].known()
        if any(source.label for source in sources):
            known = {"label": tuple(source.label for source in sources)} | known
        parts = split_by_name(names, [source.label for source in sources], Fractions())
        self.clips = tuple(
            Clip(name, part, {column: values[row] for column, values in known.items()})
            for row, (name, part) in enumerate(zip(names, parts, strict=True))
        )

    def sound(self, number: int) -> tuple[Float[Tensor, " samples"], int]:
        """See `Clips`."""
        sound = audiofile.read(self._paths[number])
        return sound.samples, sound.sample_rate


@final
class GeneratedClips(Clips):
    """Sounds of a generator, of latents and labels drawn by chance.

    Raises:
        CheckpointError: There is no such generator.
        ConfigError: It is told conditions.
    """

    def __init__(self, model: str, count: int, seed: int, device: str) -> None:
        self._player = open_player(model, "average", device)
        sounds = self._player.sounds
        self._asked = any_class(self._player, {}, count, seed)
        self._latents = chosen_latents(self._player, LatentChoice(seed=seed), count)
        self.name = Path(model).name
        self.about = (
            f"{count} sounds made by the generator {self.name} (identity {sounds.identity()}) from seed {seed}, "
            f"{sounds.num_samples} samples at {sounds.sample_rate} Hz"
        )
        self.licence, self.citation = _licence_beside(find_checkpoint(model)), ""
        names = [random_name(self._asked, row) for row in range(count)]
        parts = split_by_name(names, [""] * count, Fractions())
        self.clips = tuple(
            Clip(name, part, {column: _typed(column, values[row]) for column, values in self._asked.items()})
            for row, (name, part) in enumerate(zip(names, parts, strict=True))
        )

    def sound(self, number: int) -> tuple[Float[Tensor, " samples"], int]:
        """See `Clips`."""
        asked = {name: values[number : number + 1] for name, values in self._asked.items()}
        row = self._latents[number : number + 1]
        return self._player.play(row, asked, [f"sound {number}"])[0], self._player.sounds.sample_rate


def open_source(source: str, count: int, seed: int, device: str, out: Path) -> Clips:
    """A prepared set, a folder of sounds or a generator as clips.

    Args:
        source: A folder of either kind, a run folder, a checkpoint file or a shipped name.
        count: How many sounds a generator makes; 0 for `MODEL_COUNT`.
        seed: Of a generator's sounds.
        device: Where a generator runs.
        out: A folder that is no input.
    """
    path = Path(source)
    if (path / HEADER_FILE).is_file():
        return SetClips(path)
    if path.is_dir() and model_in(path) is None:
        return FolderClips(path, out)
    return GeneratedClips(source, count or MODEL_COUNT, seed, device)


def _recorded(stored: RecordedSet) -> tuple[Clip, ...]:
    told = any(clip.label for clip in stored.clips)
    return tuple(
        Clip(
            f"{number:06d}",
            clip.split,
            {"source": clip.source, "start_s": clip.start_s}
            | ({"label": clip.label} if told else {})
            | dict(clip.attributes),
        )
        for number, clip in enumerate(stored.clips)
    )


def _rendered(stored: RenderedSet) -> tuple[Clip, ...]:
    space = plan_from_header(stored.header).space
    knobs = space.from_unit(stored.unit)
    notes = stored.labels.notes.tolist()
    searched = [knob.name for knob in space.searched]
    found: list[Clip] = []
    for row in range(len(stored)):
        values = space.to_values(knobs, row)
        labels: dict[str, Value] = {name: values[name] for name in searched}
        labels |= dict(zip(_NOTE_COLUMNS, notes[row], strict=True))
        found.append(Clip(f"{row:06d}", SPLITS[int(stored.parts[row])], labels))
    return tuple(found)


def _licence_beside(checkpoint: Path) -> str:
    """What the card of a shipped checkpoint says of its licence; nothing where there is no card."""
    try:
        return str(json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8")).get("licence", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _typed(column: str, value: Any) -> Value:
    """Keys and velocities as numbers, other classes as their names."""
    return int(value) if column in ("pitch", "velocity") else str(value)
