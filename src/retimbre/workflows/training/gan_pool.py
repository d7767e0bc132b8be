"""The clips that a GAN learns from, in memory: rendered notes, or a prepared set.

A generator sees each clip many times, so they are prepared once: cut or padded to one length, brought to a peak of 1 if
that is wanted, faded out, and kept as 16-bit integers. Labels become classes; which classes there are follows from the
run file for the corpora, and from what occurs in it for a prepared set.

Parts are made of whole instruments in the corpora, and are those of the set otherwise: what validates was never trained
on.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Literal, final

import torch
from jaxtyping import Float, Int, Int16
from torch import Tensor

from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.data.dataset import RecordedSet
from retimbre.data.splits import Split
from retimbre.dsp.level import fade_out, fit_length, normalise_peak
from retimbre.dsp.resample import resample
from retimbre.gan.base import Classes
from retimbre.gan.config import GanConfig
from retimbre.workflows.training.census import TrainingCensus, counts_of
from retimbre.workflows.training.chunk_clips import chunk_clips, wants_chunks
from retimbre.workflows.training.envelope_clips import EnvelopeClips
from retimbre.workflows.training.gan_run import GanDataConfig
from retimbre.workflows.training.note_pool import PoolSettings, note_seconds, render_pool
from retimbre.workflows.training.nsynth_notes import NSynthNotes

Part = Literal["train", "valid", "test"]
Table = Callable[[Int[Tensor, "*rows"]], Tensor]
"""From the numbers of clips to the values of a condition, `[*rows, ...]`."""

_FULL_SCALE = 32_767
_SILENT_PEAK = 1e-4  # -80 dB
_AT_ONCE = 256
_SPLITS: dict[Part, Split] = {"train": "train", "valid": "validation", "test": "test"}


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ClipPool:
    """Clips with their classes.

    Attributes:
        classes: The names of the classes of each attribute.
        labels: The class of each clip.
        census: The clips, counted, by these attributes and others.
        conditions: What makes the values of each condition of some clips.
    """

    samples: Int16[Tensor, "clips samples"]
    classes: Classes
    labels: dict[str, Int[Tensor, " clips"]]
    census: TrainingCensus
    conditions: Mapping[str, Table] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Clips there are."""
        return len(self.samples)

    def audio(self, rows: Int[Tensor, "*rows"]) -> Float[Tensor, "*rows samples"]:
        """Clips in [-1, 1]."""
        return self.samples[rows].float() / _FULL_SCALE

    def told(self, rows: Int[Tensor, "*rows"], device: torch.device) -> dict[str, Tensor]:
        """The classes and conditions of clips, on a device."""
        classes = {name: each[rows].to(device) for name, each in self.labels.items()}
        return classes | {name: table(rows).to(device) for name, table in self.conditions.items()}


def clip_pool(data: GanDataConfig, task: GanConfig, part: Part, *, most: int, seed: int) -> ClipPool:
    """The clips of a part.

    Args:
        most: At most so many, of each corpus or of the set.
        seed: Of the corpora, and of the choice among the clips of a set.

    Raises:
        DatasetError: There is no such set, it is damaged, or the part is empty.
        ConfigError: The clips have no such attribute.
        MissingExtra: The corpus `soundfont` is asked for, and FluidSynth is not there.
    """
    if data.envelopes is not None:
        return _of_envelopes(data.envelopes, task, part, most, seed)
    if wants_chunks(data, task):
        return ClipPool(**vars(chunk_clips(data, task, _SPLITS[part], most=most, seed=seed)))
    if data.nsynth is not None:
        return _of_nsynth(data.nsynth, data, task, part, most)
    return _of_set(data, task, part, most, seed) if data.set else _of_corpora(data, task, part, most, seed)


def _of_corpora(data: GanDataConfig, task: GanConfig, part: Part, most: int, seed: int) -> ClipPool:
    known = {
        "pitch": tuple(str(pitch) for pitch in range(data.lowest_pitch, data.highest_pitch + 1)),
        "velocity": tuple(str(velocity) for velocity in data.velocities),
        "family": data.families,
    }
    for name in task.attributes:
        if name not in known:
            raise ConfigError(f"notes of the corpora have no attribute {name!r}; {near_miss(name, known)}")
    settings = PoolSettings(
        corpora=data.corpora,
        families=data.families,
        pitches=(data.lowest_pitch, data.highest_pitch),
        velocities=data.velocities,
        sample_rate=task.sample_rate,
        seconds=note_seconds(task.num_samples, task.sample_rate),
        instruments=data.instruments,
        soundfont=data.soundfont,
        seed=seed,
    )
    pool = render_pool(settings, part, most=most)
    values = {"pitch": pool.pitch, "velocity": pool.velocity, "family": pool.family}
    classes = {name: known[name] for name in task.attributes}
    labels = {
        name: torch.tensor([names.index(str(value)) for value in values[name]])
        for name, names in classes.items()
    }
    for rows in pool.samples.split(_AT_ONCE):
        rows.copy_(_kept(rows.float() / _FULL_SCALE, data, task.num_samples))
    return ClipPool(pool.samples, classes, labels, pool.census(settings))


def _of_set(data: GanDataConfig, task: GanConfig, part: Part, most: int, seed: int) -> ClipPool:
    opened = RecordedSet.open(data.set)
    rows = opened.split(_SPLITS[part])
    if not len(rows):
        raise DatasetError(
            f"{data.set}: has no clips in its part {_SPLITS[part]!r}; `retimbre data` parts a set when it makes it, by "
            "--validation and --test"
        )
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    rows = rows[order[:most]].sort().values
    columns = {name: opened.column(name) for name in task.attributes}
    pieces: list[Tensor] = []
    sounding: list[Tensor] = []
    for chunk in rows.split(_AT_ONCE):
        audio = resample(opened.audio(chunk), opened.header.sample_rate, task.sample_rate)
        sounds = audio.abs().amax(dim=1) > _SILENT_PEAK
        pieces.append(_kept(audio[sounds], data, task.num_samples))
        sounding.append(chunk[sounds])
    kept = torch.cat(sounding)
    if not len(kept):
        raise DatasetError(f"{data.set}: all clips of its part {_SPLITS[part]!r} are silent")
    left_out = {"silent": len(rows) - len(kept)}
    census = TrainingCensus(len(kept), task.num_samples / task.sample_rate, left_out, _counts(opened, kept))
    return ClipPool(
        torch.cat(pieces),
        {name: tuple(str(value) for value in column.names) for name, column in columns.items()},
        {name: column.classes[kept] for name, column in columns.items()},
        census,
    )


def _of_nsynth(source: NSynthNotes, data: GanDataConfig, task: GanConfig, part: Part, most: int) -> ClipPool:
    notes = source.part(_SPLITS[part])[:most]
    heard = [
        source.read(notes[first : first + _AT_ONCE], task.sample_rate, task.num_samples)
        for first in range(0, len(notes), _AT_ONCE)
    ]
    audio = torch.cat(heard)
    sounds = audio.abs().amax(dim=1) > _SILENT_PEAK
    kept = [note for note, is_heard in zip(notes, sounds.tolist(), strict=True) if is_heard]
    if not kept:
        raise DatasetError(f"{source.audio}: all notes of the part {_SPLITS[part]!r} are silent")
    there = source.classes(["family", *task.attributes])
    if part == "train" and (missing := sorted(set(source.families) - set(there["family"]))):
        warnings.warn(f"{source.audio}: has no notes of {', '.join(missing)} as wanted", stacklevel=2)
    classes = {name: there[name] for name in task.attributes}
    known = ("family", "source", "pitch", "velocity")
    census = TrainingCensus(
        len(kept),
        task.num_samples / task.sample_rate,
        {"silent": len(notes) - len(kept)},
        {name: counts_of(note.attribute(name) for note in kept) for name in known},  # pyright: ignore[reportArgumentType]
    )
    labels = {
        name: torch.tensor([names.index(str(note.attribute(name))) for note in kept])
        for name, names in classes.items()
    }
    return ClipPool(_kept(audio[sounds], data, task.num_samples), classes, labels, census)


def _of_envelopes(source: EnvelopeClips, task: GanConfig, part: Part, most: int, seed: int) -> ClipPool:
    settings = source.settings(
        _SPLITS[part], sample_rate=task.sample_rate, num_samples=task.num_samples, seed=seed
    )
    source.check_attributes(task.attributes, settings)
    made = source.clips(_SPLITS[part], settings, most)
    classes = {name: tuple(f"{value:g}" for value in settings.levels[name]) for name in task.attributes}
    labels = {name: made.classes[name] for name in task.attributes}
    counts = {"wave": counts_of(made.carriers)} | {
        name: counts_of(names[place] for place in labels[name].tolist()) for name, names in classes.items()
    }
    census = TrainingCensus(most, task.num_samples / task.sample_rate, {}, counts)
    conditions = {"sound": _table(made.sound), "envelope": _table(made.curve)}
    return ClipPool(_integers(made.target), classes, labels, census, conditions)


def _table(values: Float[Tensor, "clips samples"]) -> Table:
    """A condition between -1 and 1, kept as integers."""
    kept = _integers(values)
    return lambda rows: kept[rows].float() / _FULL_SCALE


def _counts(opened: RecordedSet, kept: Int[Tensor, " kept"]) -> dict[str, dict[str, int]]:
    """How many clips there are of each value of everything that is known of them."""
    columns = {name: opened.column(name) for name in ("label", *opened.attributes)}
    return {
        name: counts_of(column.names[place] for place in column.classes[kept].tolist())
        for name, column in columns.items()
    }


def _kept(
    audio: Float[Tensor, "clips samples"], data: GanDataConfig, num_samples: int
) -> Int16[Tensor, "clips length"]:
    """Clips of one length as integers."""
    fitted = fit_length(audio, num_samples)
    fitted = normalise_peak(fitted) if data.peak or not data.set else fitted
    faded = fade_out(fitted, fraction=data.fade_out) if data.fade_out else fitted
    return _integers(faded)


def _integers(values: Float[Tensor, "clips samples"]) -> Int16[Tensor, "clips samples"]:
    return (values.clamp(-1.0, 1.0) * _FULL_SCALE).round().to(torch.int16)
