"""What there is to say about a kind of run, so that one loop can train all of them.

A run file's `[task] kind` names what is trained: an inverter, a label autoencoder, a listener. The loop, the folder,
the journal and the manifest are the same for all; a `Kind` is what differs, as three functions. To add a kind: write
its configuration with a literal field `kind`, a class of run with its [data] (as `listener_run.py`) and a line in
`RUNS` of `run.py`; then the three functions in a module of their own, and a line in `KINDS` of `fit.py`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from retimbre.training.loop import Progress
from retimbre.training.parallel import ALONE, World
from retimbre.training.task import Task
from retimbre.workflows.training.census import TrainingCensus
from retimbre.workflows.training.run import RunFolder
from retimbre.workflows.training.settings import RunConfig

Batch = TypeVar("Batch")
Run = TypeVar("Run", bound=RunConfig)


@dataclasses.dataclass(frozen=True)
class Session:
    """How a session of a run is started, apart from its run file.

    Attributes:
        out: The run folder.
        device: `auto`, `cpu` or `cuda`.
        warm_start: A model (file, run folder or shipped name) whose weights a new run begins with; empty for
            fresh ones.
        progress: Told of every step.
        world: The processes that train together. A kind makes what is this process's share, and nothing else.
        rehearsal: Whether nothing may be written.
        announce: Told what is trained on, before the first step.
    """

    out: Path
    device: str = "auto"
    warm_start: str = ""
    progress: Callable[[Progress], object] = lambda progress: None
    world: World = ALONE
    rehearsal: bool = False
    announce: Callable[[TrainingCensus], object] = lambda census: None


@dataclasses.dataclass(frozen=True)
class Trial:
    """A step that a rehearsal makes, for others that take as long.

    Attributes:
        name: What sets these steps apart, such as `with penalty`.
        step: Which one is made.
        count: How many there are in the run.
        clips: How many clips each of them takes, all processes together.
    """

    name: str
    step: int
    count: int
    clips: int


@dataclasses.dataclass(frozen=True)
class Prepared(Generic[Batch]):
    """What is trained and what it is trained on, before anything is written.

    Attributes:
        task: What is trained, on the device of the session.
        batch_at: The batch of a step, 1 for the first: the rows that are this process's.
        validation: Renders or reads the held-out batches that are this process's.
        sizes: What a rehearsal tells about the network, by name.
        census: What is trained on, counted; None for kinds whose clips have nothing to count.
        illustrate: Writes sounds and pictures of the task as it is into a folder; None for kinds that make no sounds.
        trials: The steps that a rehearsal times; empty where all steps are alike.
        clips_mb: What the clips of the run will take of the processor's memory, which a rehearsal makes few of.
    """

    task: Task[Batch]
    batch_at: Callable[[int], Batch]
    validation: Callable[[], Sequence[Batch]]
    sizes: dict[str, Any]
    census: TrainingCensus | None = None
    illustrate: Callable[[Path], object] | None = None
    trials: Sequence[Trial] = ()
    clips_mb: float = 0.0


@dataclasses.dataclass(frozen=True)
class Kind(Generic[Run]):
    """One kind of run.

    Attributes:
        prepare: Makes what is trained.
        facts: What should be known of the model beside how it was trained.
        export: Writes the model of a run, `folder.model`, with facts about it, and returns the network.
    """

    prepare: Callable[[Run, Session], Prepared[Any]]
    facts: Callable[[Run], dict[str, Any]]
    export: Callable[[Run, RunFolder, dict[str, Any]], nn.Module]
