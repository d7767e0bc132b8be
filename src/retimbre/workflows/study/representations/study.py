"""The comparison of representations: generators that differ in what they generate, trained for the same time.

    OUT/contestants/MODEL/REPRESENTATION/    what each contestant is made of (`cell.py`)
    OUT/real/                                what real notes get, as they are and through each representation
    OUT/vectors/                             what was heard of each set, kept
    OUT/results.csv  results.json            a row for everything that was judged
    OUT/report.html                          the same for a reader, with sounds

Contestants train one after another, or side by side in processes of their own. Whatever is finished is not done again,
so a study goes on where it stopped, and further models, representations and seeds join those that are there.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, ExistsError, PartialFailure
from retimbre.core.files import write_json, write_text
from retimbre.training.devices import describe, pick_device
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.jobs import Job, run_jobs
from retimbre.workflows.study.representations.baselines import Ceiling, Floor
from retimbre.workflows.study.representations.budgets import Budget, find_budget
from retimbre.workflows.study.representations.cell import Cell
from retimbre.workflows.study.representations.contest import Contestant, contestants
from retimbre.workflows.study.representations.models import chosen_models
from retimbre.workflows.study.representations.page import write_page
from retimbre.workflows.study.representations.standing import standings
from retimbre.workflows.study.representations.table import flat, rows_of
from retimbre.workflows.study.representations.transforms import chosen_transforms
from retimbre.workflows.study.rows import rows_csv

Tell = Callable[[str], object]

_FLOOR_S, _CEILING_S = 30.0, 25.0


@final
@dataclasses.dataclass(frozen=True)
class RepresentationsOptions:
    """What is compared, and for how long.

    Attributes:
        budget: `smoke`, `cpu`, `gpu`, or one of one's own.
        models: Names in `models.MODELS`; empty for those of the budget.
        representations: Names in `transforms.TRANSFORMS`; empty for those of the budget.
        seeds: Trainings of each contestant, from seed 0 on; 0 for as many as the budget has.
        workers: Contestants side by side, a core each.
        minutes: Wall time after which no more is begun and trainings stop, to be continued; 0 for no end.
        device: `auto`, `cpu` or `cuda`.
    """

    budget: str | Budget = "smoke"
    models: tuple[str, ...] = ()
    representations: tuple[str, ...] = ()
    seeds: int = 0
    workers: int = 1
    minutes: float = 0.0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses a study of nothing."""
        if self.seeds < 0 or self.workers < 1 or not self.minutes >= 0.0:
            got = f"{self.seeds}, {self.workers} and {self.minutes:g}"
            raise ConfigError(f"seeds, workers and minutes are {got}, but they take 0, 1 and 0 or more")

    @property
    def chosen_budget(self) -> Budget:
        """The budget, with as many seeds as were asked for."""
        budget = find_budget(self.budget) if isinstance(self.budget, str) else self.budget
        return dataclasses.replace(budget, num_seeds=self.seeds) if self.seeds else budget


@final
@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a study does.

    Attributes:
        budget: How long everyone trains.
        floor: Real notes by real notes.
        ceilings: Real notes through each representation.
        cells: The contestants.
        refused: Contestants that there are not, and why, by name.
    """

    budget: Budget
    floor: Floor
    ceilings: tuple[Ceiling, ...]
    cells: tuple[Cell, ...]
    refused: dict[str, str]

    @property
    def jobs(self) -> list[Job]:
        """All parts; those that train come last."""
        return [self.floor, *self.ceilings, *self.cells]

    @property
    def unfinished(self) -> list[str]:
        """The names of parts that are not done."""
        return [part.name for part in (self.floor, *self.ceilings, *self.cells) if not part.finished]

    def predicted_s(self, workers: int) -> float:
        """About how long all of it takes on idle cores, from the budgets alone."""
        alone_s = _FLOOR_S + _CEILING_S * len(self.ceilings) + self.budget.predicted_s * len(self.cells)
        return alone_s / min(workers, max(1, len(self.cells)))


def plan_of(folder: Path, options: RepresentationsOptions) -> Plan:
    """What a study of these options does; nothing is written.

    Raises:
        ConfigError: A name is unknown, or no model makes any of the representations.
    """
    budget = options.chosen_budget
    pick_device(options.device)
    chosen, refused = contestants(
        chosen_models(options.models or budget.models),
        chosen_transforms(options.representations or budget.representations),
        budget,
    )
    if not chosen:
        raise ConfigError(f"there is nothing to compare: {'; '.join(refused.values())}")
    deadline_s = time.time() + 60.0 * options.minutes if options.minutes else float("inf")
    seeds = tuple(range(budget.num_seeds))
    firsts: dict[str, Contestant] = {}
    for contestant in chosen:
        firsts.setdefault(contestant.transform.name, contestant)
    return Plan(
        budget,
        Floor(chosen[0], folder, options.device, deadline_s),
        tuple(Ceiling(each, folder, options.device, deadline_s) for each in firsts.values()),
        tuple(Cell(each, folder, seeds, options.device, deadline_s) for each in chosen),
        refused,
    )


def study_representations(
    out: str | Path, options: RepresentationsOptions | None = None, *, tell: Tell = lambda line: None
) -> dict[str, Any]:
    """Trains and judges every contestant, or goes on with it.

    Args:
        out: The study's folder.
        options: What is compared; the smoke budget if left out.
        tell: Told a line as each part ends.

    Returns:
        What `results.json` holds: `rows` of everything judged, `places`, `says` (the ranking in words), `refused`
        contestants with the reason, `unfinished` and `failed` parts with the reason, budget and hardware.

    Raises:
        ConfigError: A name is unknown, or a file of the study is something else.
        ExistsError: The folder holds a study of another budget, or is a file.
    """
    folder, options = study_folder(out), options or RepresentationsOptions()
    plan = plan_of(folder, options)
    _claim(folder, plan.budget)
    failed = run_jobs(plan.jobs, options.workers, tell)
    return conclude(folder, plan, failed)


def partial_failure(result: dict[str, Any]) -> PartialFailure | None:
    """The error to end with where parts failed and the rest is done."""
    lines = result["failed"]
    return PartialFailure(f"{len(lines)} parts of the study failed: {lines[0]}") if lines else None


def conclude(folder: Path, plan: Plan, failed: list[str]) -> dict[str, Any]:
    """Writes the tables and the page of all that is done."""
    rows = rows_of(plan.floor, plan.ceilings, plan.cells)
    order = standings(rows)
    result: dict[str, Any] = {
        "budget": dump(plan.budget),
        "rows": rows,
        "places": order.ranking.places,
        "ranked_by": list(order.ranking.by),
        "says": list(order.ranking.says),
        "standings": order.figures,
        "refused": plan.refused,
        "unfinished": plan.unfinished,
        "failed": failed,
        "hardware": describe(),
    }
    write_text(folder / "results.csv", rows_csv(flat(rows)))
    write_json(folder / "results.json", result)
    write_page(folder, result, plan.cells)
    return result


def _claim(folder: Path, budget: Budget) -> None:
    """Makes the folder one of this budget.

    Raises:
        ExistsError: It is one of another.
        ConfigError: What says so cannot be read.
    """
    path = folder / "budget.json"
    # More seeds and other choices of contestants may join what is there.
    own = ("num_seeds", "models", "representations")
    wanted = {name: value for name, value in dump(budget).items() if name not in own}
    if not path.is_file():
        write_json(path, wanted)
        return
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError, TypeError) as error:
        raise ConfigError(f"{path}: not the budget of a study: {error}; delete it") from error
    differing = sorted(name for name in wanted if found.get(name) != wanted[name])
    if differing:
        raise ExistsError(
            f"{folder}: holds a study that differs in {', '.join(differing)}; name another folder with --out"
        )
