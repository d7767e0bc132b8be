"""The clips that a basis is learned from, with all that a batch leaves to chance.

Clips of a prepared set stay on disk and are read as they are drawn; files of a folder and made notes are read or
rendered once. Each epoch goes through all clips in an order of its own, so that every clip is heard as often as every
other. What is drawn for a step is a function of the seed and the step (`core.random`).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import DatasetError
from retimbre.corpora.maestro.midi_states import NUM_SLOTS, STATES_PER_CHUNK, PianoStates
from retimbre.data.dataset import RecordedSet
from retimbre.data.folder import Cutting, cut_file
from retimbre.data.manifest import Fractions
from retimbre.data.splits import Split, split_by_name
from retimbre.dsp.audiofile import find_sounds
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.gan.basis.config import BasisTaskConfig
from retimbre.gan.basis.task import BasisBatch
from retimbre.workflows.training.basis_run import BasisDataConfig, BasisRun
from retimbre.workflows.training.note_pool import Part, PoolSettings, note_seconds, render_pool

STATE_SHAPE = (STATES_PER_CHUNK, NUM_SLOTS)

_HELD_OUT = Fractions(0.1, 0.1)
_POOL_PARTS: dict[Split, Part] = {"train": "train", "validation": "valid", "test": "test"}


@final
@dataclasses.dataclass(frozen=True, eq=False)
class BasisClips:
    """The clips of a part.

    Attributes:
        count: How many there are.
        read: Clips by number.
        states: MIDI states by number; None where they are not wanted.
    """

    count: int
    read: Callable[[Int[Tensor, " rows"]], Tensor]
    states: Callable[[Int[Tensor, " rows"]], Tensor] | None = None

    def batch(self, rows: Int[Tensor, " rows"], config: BasisRun, address: int) -> BasisBatch:
        """Clips by number, with the chances of an address: a step, or 0 for a validation."""
        audio = self.read(rows)
        source = random.generator(config.seed, "basis batch", address)
        low, high = config.task.nonzeros_per_s
        place = float(torch.rand((), generator=source))
        return BasisBatch(
            audio=audio,
            noise=config.task.noise * torch.randn(audio.shape, generator=source),
            chance=torch.rand(len(audio), generator=source),
            nonzeros_per_s=low * math.exp(place * math.log(high / low)),
            states=self.states(rows) if self.states else None,
        )

    def drawn(self, config: BasisRun, step: int, batch_size: int) -> Int[Tensor, " rows"]:
        """The numbers of a step's clips, 1 for the first step: epoch after epoch, each in an order of its own."""
        places = torch.arange((step - 1) * batch_size, step * batch_size)
        epochs, within = places // self.count, places % self.count
        orders = {
            epoch: torch.randperm(self.count, generator=random.generator(config.seed, "basis epoch", epoch))
            for epoch in epochs.unique().tolist()
        }
        return torch.stack(
            [orders[epoch][row] for epoch, row in zip(epochs.tolist(), within.tolist(), strict=True)]
        )


def clips_of(data: BasisDataConfig, task: BasisTaskConfig, part: Split, seed: int) -> BasisClips:
    """The clips of a part.

    Raises:
        DatasetError: There is no such set or folder, it is damaged, or the part is empty.
    """
    if data.set:
        return _of_set(data.set, task, part)
    audio = _of_folder(Path(data.folder), task, part) if data.folder else _of_notes(data, task, part, seed)
    return BasisClips(len(audio), lambda rows: audio[rows])


def to_device(batch: BasisBatch, device: torch.device) -> BasisBatch:
    """A batch where the task is."""
    states = None if batch.states is None else batch.states.to(device)
    return dataclasses.replace(
        batch,
        audio=batch.audio.to(device),
        noise=batch.noise.to(device),
        chance=batch.chance.to(device),
        states=states,
    )


def validation_batches(clips: BasisClips, config: BasisRun, device: torch.device) -> Sequence[BasisBatch]:
    """Held-out clips, evenly from all there are; the same in every session."""
    most = config.data.validation_clips or clips.count
    rows = torch.linspace(0, clips.count - 1, min(most, clips.count)).round().long()
    size = config.train.batch_size
    return [to_device(clips.batch(some, config, 0), device) for some in rows.split(size)]


def _of_set(folder: str, task: BasisTaskConfig, part: Split) -> BasisClips:
    opened = RecordedSet.open(folder)
    rows = opened.split(part)
    if not len(rows):
        raise DatasetError(f"{folder}: has no clips in its part {part!r}")
    rate = task.basis.sample_rate

    def read(wanted: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        audio = resample(opened.audio(rows[wanted]), opened.header.sample_rate, rate)
        return fit_length(audio, task.num_samples)

    if task.classifier.weight <= 0.0:
        return BasisClips(len(rows), read)
    length = opened.header.num_samples * rate / opened.header.sample_rate
    if length != task.num_samples:
        raise DatasetError(
            f"{folder}: its clips have {length:g} samples at {rate} Hz, and so its MIDI states; num_samples of [task] "
            f"is {task.num_samples}"
        )
    states = PianoStates.open(folder)
    return BasisClips(len(rows), read, lambda wanted: states.read(rows[wanted]))


def _of_folder(folder: Path, task: BasisTaskConfig, part: Split) -> Float[Tensor, "clips samples"]:
    paths = find_sounds([folder])
    if not paths:
        raise DatasetError(f"{folder}: has no sound files")
    parts = split_by_name([str(path.relative_to(folder)) for path in paths], [""] * len(paths), _HELD_OUT)
    seconds = task.num_samples / task.basis.sample_rate
    cutting = Cutting(task.basis.sample_rate, seconds, long="window", hop_s=seconds)
    own = [path for path, its in zip(paths, parts, strict=True) if its == part]
    if not own:
        raise DatasetError(f"{folder}: has {len(paths)} sound files, too few for a part {part!r}")
    return torch.cat([cut_file(path, cutting).audio for path in own])


def _of_notes(
    data: BasisDataConfig, task: BasisTaskConfig, part: Split, seed: int
) -> Float[Tensor, "clips samples"]:
    settings = PoolSettings(
        corpora=("notes",),
        families=data.families,
        pitches=(data.lowest_pitch, data.highest_pitch),
        velocities=data.velocities,
        sample_rate=task.basis.sample_rate,
        seconds=note_seconds(task.num_samples, task.basis.sample_rate),
        instruments=data.instruments,
        soundfont="",
        seed=seed,
    )
    most = data.notes if part == "train" else data.validation_clips or data.notes
    pool = render_pool(settings, _POOL_PARTS[part], most=most)
    return fit_length(pool.audio(torch.arange(len(pool))), task.num_samples)
