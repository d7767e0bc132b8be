"""The kind of run that trains a label autoencoder: from a run file to its task, its class vectors and its model.

Class vectors come from one of three places:

    [data]                                   endless vectors, every class as likely as any other
    [data] folder = SET                      the labels of a rendered data set
    [data] folder = SOUNDS, labels_from = M  what the inverter M takes the sounds of a folder for (`heard_labels`)

The first two are parted by the hash of the vector, as the pairs of an inverter are, so no vector of the held-out part
is ever trained on. The third is parted by recording, since what two recordings share is what is to be learned.
"""

import abc
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import CheckpointError, ConfigError, DatasetError
from retimbre.core.files import sha256_of
from retimbre.data.dataset import RenderedSet
from retimbre.data.splits import SPLITS, Split
from retimbre.matching.autoencoder import (
    LabelAutoencoder,
    LabelAutoencoderConfig,
    differing_knobs,
    load_autoencoder,
    save_autoencoder,
)
from retimbre.matching.label_task import ClassBatch, LabelTask, commonest
from retimbre.matching.networks.catalog import num_trainable
from retimbre.matching.pairs import HELD_OUT, FileSource, NoteRange, PairSource
from retimbre.synth.catalog import find_synth
from retimbre.training import devices
from retimbre.training.share import Share
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.training.heard_labels import HeardLabels, heard_labels
from retimbre.workflows.training.kind import Kind, Prepared, Session
from retimbre.workflows.training.matching_run import MatchingRun
from retimbre.workflows.training.run import RunFolder

VALIDATION_BATCH = 1024

# How many endless training vectors say how often each class occurs.
_COUNTED = 4096


class ClassSource(abc.ABC):
    """Where class vectors come from."""

    @abc.abstractmethod
    def classes(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, "batch searched"]:
        """The vectors of these rows; past the end of what there is, in further passes."""

    @abc.abstractmethod
    def count(self, split: Split) -> int:
        """How many there are; 0 for no end."""

    def part(self, step: int, share: Share, device: torch.device) -> ClassBatch:
        """A share of the training batch of a step, 1 for the first."""
        first = (step - 1) * share.total + share.first
        rows = torch.arange(first, first + share.count)
        return ClassBatch(self.classes(rows, "train").to(device), share)


@final
@dataclasses.dataclass(frozen=True)
class DrawnClasses(ClassSource):
    """The labels of endless pairs, which are not rendered."""

    pairs: PairSource

    def classes(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, "batch searched"]:
        """The vectors of these rows."""
        return self.pairs.patches(self.pairs.numbers(rows, split), split)[0]

    def count(self, split: Split) -> int:
        """No end, or as many training pairs as there are."""
        return self.pairs.num_distinct if split == "train" else 0


@final
@dataclasses.dataclass(frozen=True, eq=False)
class GivenClasses(ClassSource):
    """Vectors that are there, gone through in passes, each in an order of its own."""

    parts: dict[Split, Int[Tensor, "examples searched"]]
    seed: int

    def classes(self, rows: Int[Tensor, " batch"], split: Split) -> Int[Tensor, "batch searched"]:
        """The vectors of these rows; the held-out parts keep their order."""
        vectors = self.parts[split]
        laps, places = rows // len(vectors), rows % len(vectors)
        if split == "train":
            for lap in laps.unique().tolist():
                generator = random.generator(self.seed, "order of a pass", lap)
                order = torch.randperm(len(vectors), generator=generator)
                here = laps == lap
                places[here] = order[places[here]]
        return vectors[places]

    def count(self, split: Split) -> int:
        """How many vectors the part has."""
        return len(self.parts[split])


def prepare(config: MatchingRun, session: Session) -> Prepared[ClassBatch]:
    """The autoencoder with its optimizer, and its class vectors."""
    devices.set_threads(config.train.threads)
    device = devices.pick_device(session.device)
    # Fresh weights come from the global stream, so it is put in a place of its own.
    devices.restart_random(config.seed, "weights", 0)
    autoencoder = LabelAutoencoder(autoencoder_config(config))
    if session.warm_start:
        _warm_up(autoencoder, session.warm_start)
    source = classes_of(config)
    share = session.world.share(config.train.batch_size)
    batches = functools.partial(validation_batches, source, config.data.validation_clips, device)
    return Prepared(
        task=LabelTask(autoencoder, config.update_config(), device, session.world),
        batch_at=lambda step: source.part(step, share, device),
        validation=lambda: session.world.portion(batches()),
        sizes=sizes(autoencoder, config),
    )


def autoencoder_config(config: MatchingRun) -> LabelAutoencoderConfig:
    """The [task] of a run of this kind."""
    if not isinstance(config.task, LabelAutoencoderConfig):
        raise ConfigError(f"a run of kind {config.kind!r} trains no label autoencoder")
    return config.task


def classes_of(config: MatchingRun) -> ClassSource:
    """Where the class vectors of a run come from.

    Raises:
        ConfigError: An option that means nothing here, or labels of other knobs or levels.
        DatasetError: A data set is missing or damaged, or a part of it is empty.
    """
    data, task = config.data, autoencoder_config(config)
    if data.shuffled_labels or data.balance or config.sounds.folder:
        raise ConfigError(
            "[data] shuffled_labels, balance and [sounds] are for inverters; an autoencoder hears nothing"
        )
    if data.labels_from:
        heard = heard_of(config)
        return GivenClasses({"train": heard.train, "validation": heard.validation}, config.seed)
    if data.folder:
        return _of_a_set(config)
    synth = find_synth(task.synth)
    return DrawnClasses(
        PairSource(
            synth=synth,
            space=task.space,
            num_samples=1,
            notes=NoteRange(),
            draw=data.draw,
            seed=config.seed,
            distinct=data.pairs,
            folds=data.held_out() or HELD_OUT,
        )
    )


def _of_a_set(config: MatchingRun) -> GivenClasses:
    data, task = RenderedSet.open(config.data.folder), autoencoder_config(config)
    made_with = plan_from_header(data.header)
    _check_knobs(data.folder, made_with.synth.name, made_with.space, task)
    rows = FileSource(data, config.seed, folds=config.data.held_out()).rows
    parts: dict[Split, Tensor] = {split: data.classes[rows[split]] for split in SPLITS}
    for split, vectors in parts.items():
        if not len(vectors) and split != "test":
            raise DatasetError(f"{data.folder}: its {split} split is empty; make a larger set")
    return GivenClasses(parts, config.seed)


def heard_of(config: MatchingRun) -> HeardLabels:
    """What the inverter of a run takes its sounds for; read once in a session."""
    task, data = autoencoder_config(config), config.data
    found = heard_labels(data.labels_from, Path(data.folder))
    _check_knobs(data.labels_from, found.synth, found.space, task)
    return found


def _check_knobs(where: object, synth: str, space: Any, task: LabelAutoencoderConfig) -> None:
    if synth != task.synth:
        raise ConfigError(f"{where}: labels of {synth!r}, but the run is for {task.synth!r}")
    if differing := differing_knobs(space, task.space):
        raise ConfigError(
            f"{where}: its searched knobs or their levels are not the run's: {', '.join(differing)}"
        )


def validation_batches(source: ClassSource, count: int, device: torch.device) -> Sequence[ClassBatch]:
    """The held-out vectors: so many, or all if there are fewer."""
    count = min(count, source.count("validation") or count)
    pieces = torch.arange(count).split(VALIDATION_BATCH)
    return [ClassBatch(source.classes(rows, "validation").to(device)) for rows in pieces]


def sizes(autoencoder: LabelAutoencoder, config: MatchingRun) -> dict[str, Any]:
    """How large an autoencoder is, and what it is trained on."""
    return {
        "parameters": num_trainable(autoencoder),
        "outputs": autoencoder.space.total_classes,
        "searched": len(autoencoder.space.searched),
        "bottleneck": autoencoder.config.bottleneck,
        **facts(config),
    }


def facts(config: MatchingRun) -> dict[str, Any]:
    """Where the labels are from, how many there are, and what is had without a code."""
    source, task = classes_of(config), autoencoder_config(config)
    numbers = [source.count("train"), source.count("validation") or config.data.validation_clips]
    counted = source.classes(torch.arange(numbers[0] or _COUNTED), "train")
    held_out = source.classes(torch.arange(min(numbers[1], config.data.validation_clips)), "validation")
    told: dict[str, Any] = {
        "labels": "drawn evenly" if not config.data.folder else config.data.folder,
        "train_vectors": numbers[0] or "no end",
        "validation_vectors": len(held_out),
        "commonest": commonest(task.space, counted, held_out),
    }
    if config.data.labels_from:
        model = find_checkpoint(config.data.labels_from)
        told |= {"labels_from": config.data.labels_from, "labels_from_sha256": sha256_of(model)}
        told |= heard_of(config).told
    return {"data": told}


def _warm_up(autoencoder: LabelAutoencoder, name_or_path: str) -> None:
    trained = load_autoencoder(name_or_path)
    try:
        autoencoder.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{find_checkpoint(name_or_path)}: its layers are not those of this run: bottleneck "
            f"{trained.config.bottleneck}, hidden {list(trained.config.hidden)}, {trained.space.total_classes} classes"
        ) from error


def export(config: MatchingRun, folder: RunFolder, facts: dict[str, Any]) -> LabelAutoencoder:
    """Writes the autoencoder: the average of the weights at the best validation, else at the last saved state."""
    state = folder.checkpoints.load_best()
    autoencoder = LabelAutoencoder(autoencoder_config(config))
    task = LabelTask(autoencoder, config.update_config(), torch.device("cpu"))
    task.load_state_dict(state["task"])
    with task.average.applied():
        save_autoencoder(folder.model, task.autoencoder, facts=facts)
    return task.autoencoder


LABEL_AUTOENCODER = Kind(prepare, facts, export)
