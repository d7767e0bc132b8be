"""Evaluation: the verb that says how good an inverter is, and everything that the figure depends on.

Held-out clips (`held_out`) are given to each model (`judge_inverter`), and the judgement becomes tables
(`tables`, `page`). Several models are measured one after another and stand side by side.
Those that were trained in the same manner hear the same clips; what each heard is in its settings.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch

import retimbre
from retimbre.core.errors import ConfigError, ExistsError
from retimbre.core.files import sha256_of, write_json, write_text
from retimbre.matching.inverter import Inverter, find_checkpoint, read_inverter
from retimbre.matching.networks.catalog import num_trainable
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.synth.audibility import DIFFERENCE_FLOOR_DB
from retimbre.training import devices
from retimbre.workflows.evaluation import paper, tables
from retimbre.workflows.evaluation.held_out import (
    HeldOutClips,
    HeldOutSplit,
    endless_clips,
    stored_clips,
    trained_on,
)
from retimbre.workflows.evaluation.judge import Judgement, Progress, judge
from retimbre.workflows.evaluation.page import page

SCORES_FILE, PARAMETERS_FILE, PREDICTIONS_FILE, PAGE_FILE = (
    "scores.json",
    "per_parameter.csv",
    "predictions.csv",
    "report.md",
)


@final
@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """On what inverters are measured.

    Attributes:
        clips: How many clips are rendered, 2 or more.
        split: `test`, or `validation`, by which the weights of a run were chosen.
        real: The folder of a rendered data set, whose whole split is used instead; empty renders clips.
        draw: `classes` renders knobs at their levels, as the paper does, `continuous` anywhere in their travel, `auto`
            as the model was trained.
        audio_clips: How many of the clips are also compared as sounds; 0 for none.
        seed: Which clips, and the draws of the intervals.
        device: `auto`, `cpu` or `cuda`.
    """

    clips: int = 2048
    split: HeldOutSplit = "test"
    real: str = ""
    draw: Literal["auto", "classes", "continuous"] = "auto"
    audio_clips: int = 2048
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses too few clips, of which nothing can be said."""
        if self.clips < 2 or self.audio_clips < 0:
            raise ConfigError(
                f"clips is {self.clips} and audio_clips {self.audio_clips}, but they take 2 and 0 or more"
            )


@final
@dataclasses.dataclass(frozen=True, eq=False)
class NamedInverter:
    """A model to be measured.

    Attributes:
        name: As it was asked for.
        facts: What was saved with it.
    """

    name: str
    inverter: Inverter
    facts: dict[str, Any]


def evaluate(
    models: str | Path | Iterable[str | Path],
    out: str | Path = "",
    options: EvaluateOptions | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda models: None,
) -> dict[str, Any]:
    """Measures inverters on held-out clips.

        evaluate("out/inversynth")["value"]     # the mean percentile rank

    Args:
        models: A run folder, a checkpoint file or a shipped name, or several, of one synthesizer.
        out: The folder for the tables; nothing is written if it is empty.
        options: On what; the defaults if left out.
        force: Whether tables that are there already are replaced.
        progress: Called with the number of models, or the share of one, done since the last call.

    Returns:
        The headline of the first model (`value`, `low`, `high`: mean percentile rank with its 95 % interval over clips;
        `n`, `settings`) and under `models` all figures of each, as JSON can hold them.

    Raises:
        CheckpointError: A model is missing, damaged or foreign.
        ConfigError: Models of different synthesizers, or one that is named twice.
        DatasetError: The data set does not fit a model.
        ExistsError: There are tables already.
    """
    options = options or EvaluateOptions()
    paths = [models] if isinstance(models, str | Path) else list(models)
    files = _free_files(out, force=force)
    named = _load(paths)
    judged = [_judge(each, options, progress) for each in named]
    result = _result([scores for _, scores in judged])
    if files:
        rows = [
            row
            for each, (judgement, _) in zip(named, judged, strict=True)
            for row in tables.prediction_rows(each.name, each.inverter, judgement)
        ]
        _write(files, result, rows)
    return result


def _free_files(out: str | Path, *, force: bool) -> dict[str, Path]:
    if not str(out):
        return {}
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ExistsError(f"{folder} is a file, but the tables need a folder")
    files = {name: folder / name for name in (SCORES_FILE, PARAMETERS_FILE, PREDICTIONS_FILE, PAGE_FILE)}
    there = [name for name, path in files.items() if path.exists()]
    if there and not force:
        raise ExistsError(f"{folder} holds {', '.join(there)} already; --force replaces them")
    return files


def _load(paths: Sequence[str | Path]) -> list[NamedInverter]:
    if not paths:
        raise ConfigError("there is no model to evaluate; name a run folder, a checkpoint or a shipped model")
    named: list[NamedInverter] = []
    for path in paths:
        if any(each.name == str(path) for each in named):
            raise ConfigError(f"the model {str(path)!r} is named twice")
        named.append(NamedInverter(str(path), *read_inverter(path)))
    first = named[0]
    for each in named[1:]:
        if each.inverter.config.synth != first.inverter.config.synth:
            raise ConfigError(
                f"{each.name} is for {each.inverter.config.synth!r} and {first.name} for "
                f"{first.inverter.config.synth!r}; models side by side take one synthesizer"
            )
    return named


def _judge(
    model: NamedInverter, options: EvaluateOptions, progress: Progress
) -> tuple[Judgement, dict[str, Any]]:
    device = devices.pick_device(options.device)
    clips = _clips(model, options)
    judgement = judge(
        model.inverter, clips, audio_clips=options.audio_clips, device=device, progress=progress
    )
    settings = _settings(model, clips, options, device)
    return judgement, tables.model_scores(model.name, model.inverter, judgement, settings)


def _clips(model: NamedInverter, options: EvaluateOptions) -> HeldOutClips:
    if options.real:
        return stored_clips(model.inverter, options.real, options.split)
    data, origin = trained_on(model.name, model.facts)
    if options.draw != "auto":
        data = dataclasses.replace(data, draw=options.draw)
    return endless_clips(
        model.inverter, data, size=options.clips, split=options.split, seed=options.seed, origin=origin
    )


def _settings(
    model: NamedInverter, clips: HeldOutClips, options: EvaluateOptions, device: torch.device
) -> dict[str, Any]:
    """Everything that the figures depend on, and what is known of the training."""
    config = model.inverter.config
    return {
        "measure": "percentile_rank",
        "model": model.name,
        "sha256": sha256_of(find_checkpoint(model.name)),
        "synth": config.synth,
        "network": config.model,
        "parameters": num_trainable(model.inverter),
        "head": config.head,
        "representation": config.representation,
        "sample_rate": config.sample_rate,
        "seconds": config.seconds,
        "fixed": config.fixed,
        "training": {
            name: fact for name, fact in model.facts.items() if name in {"seed", "step", "clips_seen"}
        },
        "held_out": clips.settings | {"count": clips.count},
        "audio_clips": min(options.audio_clips, clips.count),
        "audible_floor_db": DIFFERENCE_FLOOR_DB,
        "bootstrap": {
            "resamples": tables.RESAMPLES,
            "confidence": Bootstrap().confidence,
            "seed": options.seed,
        },
        "device": device.type,
        "versions": {"retimbre": retimbre.__version__, "torch": torch.__version__},
    }


def _result(models: list[dict[str, Any]]) -> dict[str, Any]:
    first = models[0]
    headline = {name: first[name] for name in ("value", "low", "high", "n", "settings")}
    beside = {"paper": paper.as_table()} if first["settings"]["synth"] == paper.SYNTH else {}
    return {**headline, "models": models, **beside}


def _write(files: dict[str, Path], result: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Writes each file whole; the scores last, so that a folder that has them has everything."""
    texts: dict[str, Callable[[], str]] = {
        PARAMETERS_FILE: lambda: tables.per_parameter_csv(result["models"]),
        PREDICTIONS_FILE: lambda: tables.predictions_csv(rows),
        PAGE_FILE: lambda: page(result),
    }
    for name, text in texts.items():
        write_text(files[name], text())
    write_json(files[SCORES_FILE], result)
