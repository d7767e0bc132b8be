"""Cross-validation of a run: the same training in K turns, each judged by the K-th part that it did not see.

One split answers how good one training was on one set of clips. In K turns every class vector is in the test part of
exactly one (`data.splits.Folds`), so the mean over turns is about all of them, and the spread says how much a figure
moves with the training and its clips together.

A turn is a run like any other (`DIR/fold_03/`), evaluated on its own test part (`DIR/fold_03/evaluation/`). What is
done is not done again, so a study that was stopped goes on when it is called again.

The interval is Student's over the K figures. The turns share most of their training clips, so they are not independent,
and no interval from one cross-validation is exact; take this one as a scale, not as a test.

References:
    Bengio and Grandvalet (2004), "No unbiased estimator of the variance of K-fold cross-validation",
    https://www.jmlr.org/papers/v5/grandvalet04a.html
"""

import csv
import dataclasses
import io
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, final

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, PartialFailure
from retimbre.core.files import sha256_of, write_json, write_text
from retimbre.matching.inverter import InverterConfig
from retimbre.metrics.student import student_reach
from retimbre.training.loop import Progress
from retimbre.workflows.evaluation.inversion.knobs import SCORES_FILE, EvaluateOptions, evaluate
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.matching_run import MatchingRun
from retimbre.workflows.training.run import RunFolder, read_matching_run

CONFIDENCE = 0.95
TABLE_FILE, RESULT_FILE = "folds.csv", "folds.json"
EVALUATION_FOLDER = "evaluation"


@final
@dataclasses.dataclass(frozen=True)
class FoldsOptions:
    """How a run is cross-validated.

    Attributes:
        folds: How many turns, 3 or more.
        clips: Test clips of each turn where they are rendered; a data set's own part is used whole.
        audio_clips: How many of them are compared as sounds.
        device: `auto`, `cpu` or `cuda`.
    """

    folds: int = 10
    clips: int = 2048
    audio_clips: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses fewer turns than leave something to train on."""
        if self.folds < 3:
            raise ConfigError(f"folds is {self.folds}, but a cross-validation takes 3 or more")


def cross_validate(
    run_file: str | Path,
    out: str | Path,
    options: FoldsOptions | None = None,
    *,
    overrides: Iterable[str] = (),
    progress: Callable[[int, Progress], object] = lambda fold, progress: None,
) -> dict[str, Any]:
    """Trains and evaluates every turn, or goes on with what was begun.

    Args:
        run_file: A run of kind `inversion`; its own `folds` and `fold` are set over.
        out: The folder of the study.
        overrides: Options set over the file's in every turn, as `train.steps=100`.
        progress: Told of every step of every turn.

    Returns:
        `value`, `low`, `high` (the mean over turns of the mean percentile rank, with its interval), `sd`, `n` (how many
        turns) and `settings`; `figures`, the same of every figure; `folds`, the figures of each turn.

    Raises:
        ConfigError: The run file or an override is wrong, or trains no inverter.
        ExistsError: A folder holds another run.
        PartialFailure: A turn was stopped before its last step; what is done is kept, and calling again goes on.
    """
    options = options or FoldsOptions()
    overrides, out = list(overrides), study_folder(out)
    rows = []
    for fold in range(options.folds):
        turn = [*overrides, f"data.folds={options.folds}", f"data.fold={fold}"]
        config = read_matching_run(Path(run_file), turn)
        if not isinstance(config.task, InverterConfig):
            raise ConfigError(f"{run_file}: trains a {config.task.kind}, but folds are for inverters")
        folder = RunFolder(out / f"fold_{fold:02d}")
        if not _is_done(folder, config):
            _train(run_file, folder, turn, options, lambda told, fold=fold: progress(fold, told))
        rows.append({"fold": fold, **_figures(_evaluate(folder, config, options))})
    return _write(out, rows, options, str(run_file), overrides)


def _is_done(folder: RunFolder, config: MatchingRun) -> bool:
    """Whether a turn has made all its steps as this run; its model then stays the very file that was measured."""
    manifest = _known(folder.manifest)
    return bool(manifest) and manifest["finished"] and manifest["config"] == dump(config)


def _train(
    run_file: str | Path,
    folder: RunFolder,
    turn: Sequence[str],
    options: FoldsOptions,
    progress: Callable[[Progress], object],
) -> None:
    manifest = train(run_file, folder.path, overrides=turn, device=options.device, progress=progress)
    if not manifest["finished"]:
        raise PartialFailure(
            f"{folder.path}: stopped after step {manifest['step']} of {manifest['steps']}; run the same command again "
            "to go on"
        )


def _evaluate(folder: RunFolder, config: MatchingRun, options: FoldsOptions) -> dict[str, Any]:
    """The scores of a turn's model on its own test part; earlier ones if they are of this model and these clips."""
    out = folder.path / EVALUATION_FOLDER
    wanted = EvaluateOptions(
        clips=options.clips,
        real=config.data.folder,
        audio_clips=options.audio_clips,
        seed=config.seed,
        device=options.device,
    )
    known = _known(out / SCORES_FILE)
    if known and _is_of(known, folder, wanted):
        return known
    return evaluate(folder.path, out, wanted, force=True)


def _known(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or not what this program wrote
        return {}


def _is_of(known: dict[str, Any], folder: RunFolder, wanted: EvaluateOptions) -> bool:
    settings = known["settings"]
    if settings["sha256"] != sha256_of(folder.model) or settings["bootstrap"]["seed"] != wanted.seed:
        return False
    count = settings["held_out"]["count"]
    # A data set is used whole, so its count is not asked for.
    return (wanted.real != "" or count == wanted.clips) and settings["audio_clips"] == min(
        wanted.audio_clips, count
    )


def _figures(scores: dict[str, Any]) -> dict[str, float]:
    """The figures of a turn that have one value over all knobs and clips."""
    model = scores["models"][0]
    means = model["parameters"]["all_clips"]["mean"]
    figures = {name: value for name, value in means.items() if value is not None}
    figures |= {"perfect": model["parameters"]["perfect"], "ceiling": model["parameters"]["ceiling"]}
    sounds = model["sounds"].get("prediction", {})
    figures |= {measure: table["mean"]["value"] for measure, table in sounds.items()}
    return {**figures, "clips": scores["n"]}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation and Student's interval of the mean; the deviation has one degree less than values.

    Raises:
        ConfigError: Fewer than two values, which have no spread.
    """
    if len(values) < 2:
        raise ConfigError(f"{len(values)} values have no spread; it takes 2 or more")
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    reach = student_reach(CONFIDENCE, len(values) - 1) * deviation / math.sqrt(len(values))
    return {"value": mean, "sd": deviation, "low": mean - reach, "high": mean + reach, "n": len(values)}


def _write(
    out: Path, rows: list[dict[str, Any]], options: FoldsOptions, run_file: str, overrides: list[str]
) -> dict[str, Any]:
    figures = {name: spread([row[name] for row in rows]) for name in rows[0] if name != "fold"}
    settings = {"run_file": run_file, "overrides": overrides, "confidence": CONFIDENCE, **dump(options)}
    result = {**figures["percentile_rank"], "settings": settings, "figures": figures, "folds": rows}
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for name in ("value", "sd", "low", "high"):
        writer.writerow(
            {"fold": name if name != "value" else "mean"} | {key: figures[key][name] for key in figures}
        )
    write_text(out / TABLE_FILE, table.getvalue())
    write_json(out / RESULT_FILE, result)
    return result
