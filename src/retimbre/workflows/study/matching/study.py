"""The comparison of inverters: the paper's table, ours, in one command that can be stopped and continued.

    OUT/runs/MODEL/              each model's run folder, and MODEL-control beside it
    OUT/runs/MODEL/marks...      what it got on every held-out clip
    OUT/embeddings/              what the frozen front ends heard, shared by all networks over them
    OUT/table.csv  knobs.csv     a row per model; a row per model and knob
    OUT/study.json  report.md    everything, and the same for a reader

Models train one after another, or side by side in processes of their own. Whatever is finished is not done again, so
a study goes on where it stopped, and a further run file joins a table that is there.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any, final

from retimbre.core.errors import ConfigError, PartialFailure, RetimbreError
from retimbre.core.files import sha256_of, write_json, write_text
from retimbre.matching.inverter import load_inverter
from retimbre.training import devices
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.jobs import in_processes
from retimbre.workflows.study.matching.contest import BUDGETS, Entrant, entrants
from retimbre.workflows.study.matching.measure import Marks, heard_in, mark, test_clips
from retimbre.workflows.study.matching.page import report_page
from retimbre.workflows.study.matching.tables import Standing, knob_rows, model_row
from retimbre.workflows.study.rows import rows_csv
from retimbre.workflows.training.fit import run_session
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import RunFolder

MARKS_FILE = "marks.safetensors"

# Clips in which it is found out which knobs can be heard.
AUDIBILITY_CLIPS = 1024

Tell = Callable[[str], object]


@final
@dataclasses.dataclass(frozen=True)
class StudyOptions:
    """What is compared, and for how long.

    Attributes:
        run_files: The models' run files, of one synthesizer; empty for the paper's fourteen models.
        budget: `smoke`, `cpu` or `full`.
        overrides: Options set over run files and budget.
        minutes: Wall time after which no more is begun and trainings stop, to be continued; 0 for no end.
        workers: Trainings side by side.
        device: `auto`, `cpu` or `cuda`.
    """

    run_files: tuple[Path, ...] = ()
    budget: str = "cpu"
    overrides: tuple[str, ...] = ()
    minutes: float = 0.0
    workers: int = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses a study of nobody."""
        if self.workers < 1 or self.minutes < 0.0:
            raise ConfigError(
                f"workers is {self.workers} and minutes {self.minutes:g}, but they take 1 and 0 or more"
            )


def study_matching(
    out: str | Path, options: StudyOptions | None = None, *, tell: Tell = lambda line: None
) -> dict[str, Any]:
    """Trains and judges every model of the comparison and its control, or goes on with it.

    Args:
        out: The study's folder.
        options: What is compared; the paper's models on the CPU budget if left out.
        tell: Told a line whenever something is finished.

    Returns:
        The table: under `models` a row per model that is finished, and `unfinished`, the names of those that are not.

    Raises:
        ConfigError: A run file, a budget or an override is wrong.
        ExistsError: The folder holds runs that differ from these.
        PartialFailure: Trainings failed; the others are done.
    """
    options = options or StudyOptions()
    folder = study_folder(out)
    contest = entrants(options.run_files, options.budget, options.overrides, folder / "embeddings")
    deadline_s = time.time() + options.minutes * 60 if options.minutes else float("inf")
    jobs = [Job(tuple(each), folder, options, deadline_s) for each in _groups(contest)]
    failures = _run(jobs, options.workers, tell)
    result = conclude(folder, contest, options)
    if failures:
        raise PartialFailure(f"{len(failures)} of {len(jobs)} parts of the study failed: {failures[0]}")
    return result


@final
@dataclasses.dataclass(frozen=True)
class Job:
    """Entrants that are trained one after another, in one process."""

    entrants: tuple[Entrant, ...]
    folder: Path
    options: StudyOptions
    deadline_s: float

    def run(self) -> list[str]:
        """Trains and judges each, and says how it went."""
        return [
            _complete(each, self.folder, self.options, self.deadline_s)
            for each in self.entrants
            if time.time() < self.deadline_s
        ]


def _groups(contest: Sequence[tuple[Entrant, Entrant]]) -> list[list[Entrant]]:
    """Models first, then controls; those that share a cache of embeddings in one group, which fills it once."""
    groups: dict[str, list[Entrant]] = {}
    for entrant in [*(model for model, _ in contest), *(control for _, control in contest)]:
        shares = entrant.config.data.cache
        groups.setdefault(entrant.front_end if shares else entrant.name, []).append(entrant)
    return list(groups.values())


def _run(jobs: Sequence[Job], workers: int, tell: Tell) -> list[str]:
    """Runs the jobs and returns what went wrong, one line each."""
    failures: list[str] = []
    if workers == 1:
        for job in jobs:
            try:
                lines = job.run()
            except RetimbreError as error:
                lines = [_failure(job, error, failures)]
            for line in lines:
                tell(line)
        return failures
    with in_processes([job.run for job in jobs], workers, threads=None) as futures:
        job_of = dict(zip(futures, jobs, strict=True))
        for future in as_completed(futures):
            error = future.exception()
            lines = [_failure(job_of[future], error, failures)] if error else future.result()
            for line in lines:
                tell(line)
    return failures


def _failure(job: Job, error: BaseException, failures: list[str]) -> str:
    """Adds a failure to the list and returns the line that tells it; the others go on."""
    names = ", ".join(each.name for each in job.entrants)
    failures.append(f"{names}: {error or type(error).__name__}")
    return f"failed: {failures[-1]}"


def _complete(entrant: Entrant, folder: Path, options: StudyOptions, deadline_s: float) -> str:
    """Trains an entrant as far as time allows and judges it when it is trained."""
    run = RunFolder(folder / "runs" / entrant.name)
    minutes = max((deadline_s - time.time()) / 60, 0.01) if deadline_s < float("inf") else 0.0
    config = dataclasses.replace(
        entrant.config, train=dataclasses.replace(entrant.config.train, minutes=minutes)
    )
    manifest = run_session(config, Session(run.path, options.device))
    if not manifest["finished"]:
        return f"{entrant.name}: stopped at step {manifest['step']} of {manifest['steps']}"
    marks = _marks(entrant, run, options)
    return (
        f"{entrant.name}: mean percentile rank {marks.ranks.mean().item():.2f}, {manifest['seconds']:.0f} s"
    )


def _facts(run: RunFolder, options: StudyOptions) -> dict[str, Any]:
    """What the marks of a model depend on."""
    budget = BUDGETS[options.budget]
    return {
        "model_sha256": sha256_of(run.model),
        "test_clips": budget.test_clips,
        "audio_clips": budget.audio_clips,
    }


def _marks(entrant: Entrant, run: RunFolder, options: StudyOptions) -> Marks:
    path, facts = run.path / MARKS_FILE, _facts(run, options)
    known = Marks.load(path, facts)
    if known is not None:
        return known
    budget, inverter = BUDGETS[options.budget], load_inverter(run.model)
    found = mark(
        inverter,
        test_clips(entrant.config, inverter, budget.test_clips),
        num_sounds=0 if entrant.is_control else budget.audio_clips,
        device=devices.pick_device(options.device),
    )
    found.save(path, facts)
    return found


# The table


def conclude(
    folder: Path, contest: Sequence[tuple[Entrant, Entrant]], options: StudyOptions
) -> dict[str, Any]:
    """Writes the tables and the page of all models that are finished."""
    standings, unfinished = [], []
    for model, control in contest:
        standing = _standing(model, control, folder, options)
        if standing is None:
            unfinished.append(model.name)
        else:
            standings.append(standing)
    heard = _audibility(contest, folder, options) if standings else {}
    knobs = [row for standing in standings for row in knob_rows(standing, heard)]
    result: dict[str, Any] = {
        "budget": options.budget,
        "overrides": list(options.overrides),
        "models": [model_row(standing, heard) for standing in standings],
        "audible": heard,
        "unfinished": unfinished,
        "hardware": devices.describe(),
    }
    write_text(folder / "table.csv", rows_csv(result["models"]))
    write_text(folder / "knobs.csv", rows_csv(knobs))
    write_text(folder / "report.md", report_page(result, knobs))
    write_json(folder / "study.json", result)
    return result


def _standing(model: Entrant, control: Entrant, folder: Path, options: StudyOptions) -> Standing | None:
    """What a model and its control got; nothing as long as one of them is not finished."""
    marks = []
    for entrant in (model, control):
        run = RunFolder(folder / "runs" / entrant.name)
        path = run.path / MARKS_FILE
        found = Marks.load(path, _facts(run, options)) if path.is_file() and run.model.is_file() else None
        if found is None:
            return None
        marks.append(found)
    return Standing(model, RunFolder(folder / "runs" / model.name), *marks)


def _audibility(
    contest: Sequence[tuple[Entrant, Entrant]], folder: Path, options: StudyOptions
) -> dict[str, float]:
    """The share of held-out clips in which each knob can be heard."""
    first = contest[0][0]
    inverter = load_inverter(_first_model(contest, folder))
    count = min(AUDIBILITY_CLIPS, BUDGETS[options.budget].test_clips)
    heard = heard_in(inverter, test_clips(first.config, inverter, count), count)
    names = [each.name for each in inverter.space.searched]
    return dict(zip(names, heard.double().mean(dim=0).tolist(), strict=True))


def _first_model(contest: Sequence[tuple[Entrant, Entrant]], folder: Path) -> Path:
    runs = [RunFolder(folder / "runs" / model.name) for model, _ in contest]
    return next(run.model for run in runs if run.model.is_file())
