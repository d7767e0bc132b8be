"""The trials before a training: each setting of a model for a short time, and which one to go on with.

All contestants have as many trials of the same length, so that none is better tuned than another. A setting is scored
by the validation of its run: the kernel distance of its sounds from held-out ones, whose instruments neither it nor the
judgement hears. A trial that diverges is an answer, too.

    FOLDER/trials.json     a row per trial: its options, its distance, or why it has none
    FOLDER/0 ...           their run folders, without the states to go on from
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from retimbre.core.errors import ConfigError, RetimbreError, UserError
from retimbre.core.files import write_json
from retimbre.workflows.study.representations.contest import Contestant
from retimbre.workflows.study.representations.pace import Pace
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.run import RunFolder

TRIALS_FILE = "trials.json"

Row = dict[str, Any]
Changes = Mapping[str, float]
Train = Callable[[GanRun, Path], Mapping[str, Any]]
"""Trains a run in a folder to its end and returns its manifest."""


def best_setting(contestant: Contestant, pace: Pace, folder: Path, train: Train) -> Changes:
    """The options of the trial whose sounds came nearest; trials that are not done yet are made.

    Raises:
        RetimbreError: All trials diverged.
        ConfigError: The file of trials is something else.
    """
    path = folder / TRIALS_FILE
    rows = read_trials(path)
    for number in range(len(rows), len(contestant.trials)):
        rows.append(_trial(contestant, contestant.trials[number], pace, folder / str(number), train))
        write_json(path, rows)
        shutil.rmtree(RunFolder(folder / str(number)).checkpoints.folder, ignore_errors=True)
    scored = [row for row in rows[: len(contestant.trials)] if row["kad"] is not None]
    if not scored:
        raise RetimbreError(f"all {len(rows)} trials diverged: {rows[0]['why']}")
    return min(scored, key=lambda row: row["kad"])["changes"]


def read_trials(path: Path) -> list[Row]:
    """The trials that are done.

    Raises:
        ConfigError: The file is something else.
    """
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        complete = isinstance(rows, list) and all({"changes", "kad", "steps"} <= row.keys() for row in rows)
    except (ValueError, RecursionError, AttributeError) as error:
        raise ConfigError(f"{path}: not the trials of a contestant: {error}; delete it") from error
    if not complete:
        raise ConfigError(f"{path}: not the trials of a contestant; delete it")
    return rows


def _trial(contestant: Contestant, changes: Changes, pace: Pace, folder: Path, train: Train) -> Row:
    config = contestant.run(pace.steps(contestant.budget.trial_s), changes, seed=0)
    # One validation, at the end: in a short training they would take a good part of the time.
    quick = dataclasses.replace(config.train, validate_every=config.train.steps)
    row: Row = {"changes": dict(changes), "steps": config.train.steps, "kad": None}
    try:
        manifest = train(dataclasses.replace(config, train=quick), folder)
    except UserError:
        raise
    except RetimbreError as error:
        return row | {"why": str(error)}
    return row | {"kad": manifest["validation"]["kad"], "seconds": manifest["seconds"]}
