"""The run file and the run folder: what a training is told, and what it leaves behind.

    RUN/config.toml         what was run, complete
    RUN/journal.csv         every number reported, one per row
    RUN/history.png         the same as curves
    RUN/checkpoints/        last, best, final and kept states, from which training goes on
    RUN/model.safetensors   the model: the average of the weights at the best validation
    RUN/run.json            versions, hardware, seed, clips seen, seconds, quality
    RUN/census.json         what is trained on, counted, for kinds that count it
    RUN/samples/            what the network made after some steps (`samples`), if it was asked for
    RUN/sounds.json         the recordings that are heard; begun_with.json: those that its first weights had heard

A run file is TOML or JSON. Its `[task] kind` says what is trained, and by that which class of `RUNS` it is read as:
each has the tables [task] and [train], and a [data] table of its own. See `runs/` for examples and `docs/models.md` for
every option. A folder belongs to one run: starting another one in it is refused, and starting the same one goes on.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from retimbre.core.config import apply_overrides, build, dump, named, read_run_file, write_toml
from retimbre.core.errors import ConfigError, ExistsError, near_miss
from retimbre.core.files import free_files
from retimbre.training.journal import Journal, TensorBoard
from retimbre.training.loop import Records
from retimbre.training.run_checkpoints import FOLDER, Checkpoints
from retimbre.training.shipped import MODEL_FILE
from retimbre.workflows.legacy.sony2020 import in_its_words, is_sony2020, translate
from retimbre.workflows.training.basis_run import BasisRun
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.listener_run import ListenerRun
from retimbre.workflows.training.matching_run import MatchingRun
from retimbre.workflows.training.settings import RunConfig

RUNS: dict[str, type[RunConfig]] = {
    "inversion": MatchingRun,
    "label-autoencoder": MatchingRun,
    "listener": ListenerRun,
    "gan": GanRun,
    "basis": BasisRun,
}
"""What the run file of each kind is read as; a file whose [task] names no kind trains an inverter."""

# What may change from one session of a run to the next: how long and how it is watched, not what is learned.
MAY_CHANGE = {("data", "cache")} | {
    ("train", name)
    for name in (
        *("steps", "minutes", "patience", "threads", "tensorboard"),
        *("log_every", "validate_every", "checkpoint_every", "keep_every", "samples_every"),
    )
}


def read_run(path: Path, overrides: Iterable[str]) -> RunConfig:
    """A run file, with options set from texts such as `train.steps=100`; nothing is left to the catalogs' defaults.

    A JSON file of system C is read as what it means (`legacy.sony2020`); options are set over that.

    Raises:
        ConfigError: The file cannot be read, or an option is unknown, missing or out of range.
    """
    table = read_run_file(path)
    if not is_sony2020(table):
        return run_of(apply_overrides(table, overrides))
    with in_its_words():
        return run_of(apply_overrides(translate(table), overrides))


def run_of(table: Mapping[str, Any]) -> RunConfig:
    """A run from the tables of its file.

    Raises:
        ConfigError: An option is unknown, missing or out of range.
    """
    task = table.get("task")
    kind = task.get("kind", "inversion") if isinstance(task, Mapping) else "inversion"
    if not isinstance(kind, str) or kind not in RUNS:
        raise ConfigError(f"[task] has no kind {kind!r}; {near_miss(str(kind), RUNS)}")
    config = build(RUNS[kind], table, "").resolved()
    # The loop and the optimizers mind the ranges of [train]; asked now, they refuse before any clip is made.
    with named("train"):
        config.fit_config()
        config.update_config()
    return config


def read_matching_run(path: Path, overrides: Iterable[str]) -> MatchingRun:
    """The run file of an inverter or a label autoencoder; see `read_run`.

    Raises:
        ConfigError: Also if it trains something else.
    """
    config = read_run(path, overrides)
    if not isinstance(config, MatchingRun):
        raise ConfigError(f"{path}: trains a {config.kind}, but takes an inverter or a label autoencoder")
    return config


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """What was run."""
        return self.path / "config.toml"

    @property
    def journal(self) -> Path:
        """Every number reported."""
        return self.path / "journal.csv"

    @property
    def history(self) -> Path:
        """The curves."""
        return self.path / "history.png"

    @property
    def checkpoints(self) -> Checkpoints:
        """The states to go on from."""
        return Checkpoints(self.path / FOLDER)

    @property
    def model(self) -> Path:
        """What was trained."""
        return self.path / MODEL_FILE

    @property
    def manifest(self) -> Path:
        """What was run on what, and how it ended."""
        return self.path / "run.json"

    @property
    def census(self) -> Path:
        """What is trained on, counted."""
        return self.path / "census.json"

    def open_for(self, config: RunConfig) -> None:
        """Begins a run here, or makes sure that the one that was begun is this one.

        Raises:
            ExistsError: The folder holds something else; the message names what differs.
        """
        free_files(self.path, force=False)
        if not self.config.exists():
            if self.path.exists() and any(self.path.iterdir()):
                raise ExistsError(f"{self.path}: holds files, but no run; name another folder with --out")
        else:
            begun = read_run(self.config, [])
            differing = differences(dump(begun), dump(config))
            if differing:
                raise ExistsError(
                    f"{self.path}: holds a run that differs in {', '.join(differing)}; name another folder with --out"
                )
        write_toml(self.config, dump(config))

    def records(self, config: RunConfig, census: Mapping[str, Any] | None = None) -> Records:
        """The journal and the checkpoints, for `fit`; each of these says what it is a state of, and of which clips."""
        mirror = TensorBoard(self.path / "tensorboard") if config.train.tensorboard else None
        known = {"run": dump(config), "census": dict(census or {})}
        return Records(Journal(self.journal, mirror=mirror), Checkpoints(self.checkpoints.folder, known))


def differences(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The options, as `table.option`, in which two runs differ and may not."""
    found = []
    for table in sorted(begun.keys() | wanted.keys()):
        before, after = begun.get(table), wanted.get(table)
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            found += [table] if before != after else []
            continue
        names = sorted(before.keys() | after.keys())
        found += [
            f"{table}.{name}"
            for name in names
            if before.get(name) != after.get(name) and (table, name) not in MAY_CHANGE
        ]
    return found
