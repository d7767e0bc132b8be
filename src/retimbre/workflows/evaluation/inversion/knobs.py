"""Evaluation: the verb that says how good an inverter is, and everything that the figure depends on.

Held-out clips (`held_out`) are given to each model (`judge_inverter`), and the judgement becomes tables
(`tables`, `summary`, `page`). Several models are measured one after another and stand side by side.
Those that were trained in the same manner hear the same clips; what each heard is in its settings. The first clips
can be kept as sounds: the original, a re-rendering of its label, and every model's answer (`triples`).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch

import retimbre
from retimbre.core.errors import ConfigError
from retimbre.core.files import free_files, sha256_of, write_json, write_text
from retimbre.matching.inverter import Inverter, read_inverter
from retimbre.matching.networks.catalog import num_trainable
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.synth.audibility import DIFFERENCE_FLOOR_DB
from retimbre.training import devices
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.evaluation.inversion import paper, summary, tables, triples
from retimbre.workflows.evaluation.inversion.contenders import Contender, Measured, labels_of, side_by_side
from retimbre.workflows.evaluation.inversion.held_out import (
    HeldOutClips,
    HeldOutSplit,
    endless_clips,
    stored_clips,
    trained_on,
)
from retimbre.workflows.evaluation.inversion.judge import Progress, judge
from retimbre.workflows.evaluation.inversion.page import page

SCORES_FILE, PARAMETERS_FILE, PREDICTIONS_FILE, SUMMARY_FILE, PAGE_FILE = (
    "scores.json",
    "per_parameter.csv",
    "predictions.csv",
    "summary.txt",
    "report.md",
)
_TABLES = (SCORES_FILE, PARAMETERS_FILE, PREDICTIONS_FILE, SUMMARY_FILE, PAGE_FILE, triples.LISTEN_FILE)


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
        save_audio: How many of the clips are kept as sounds to listen to; 0 for none.
        seed: Which clips, and the draws of the intervals.
        device: `auto`, `cpu` or `cuda`.
    """

    clips: int = 2048
    split: HeldOutSplit = "test"
    real: str = ""
    draw: Literal["auto", "classes", "continuous"] = "auto"
    audio_clips: int = 2048
    save_audio: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses too few clips, of which nothing can be said."""
        if self.clips < 2 or self.audio_clips < 0 or self.save_audio < 0:
            raise ConfigError(
                f"clips is {self.clips}, audio_clips {self.audio_clips} and save_audio {self.save_audio}, but they "
                "take 2, 0 and 0 or more"
            )


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
        ConfigError: Models of different synthesizers, one that is named twice, or sounds to keep of models that hear
            different clips or without a folder.
        DatasetError: The data set does not fit a model.
        ExistsError: There are tables already, or `out` is a file.
    """
    options = options or EvaluateOptions()
    paths = [models] if isinstance(models, str | Path) else list(models)
    files = free_files(out, *_TABLES, force=force)
    if options.save_audio and not files:
        raise ConfigError("the sounds are kept beside the tables: name a folder for them with --out")
    contenders = _load(paths, options)
    groups = side_by_side(contenders)
    if options.save_audio:
        triples.check_same_clips(groups)
    measured = {each.name: _measure(each, options, progress) for each in contenders}
    result = _result([each.scores for each in measured.values()])
    if files:
        triples.clear(Path(out))
        sides = [[measured[each.name] for each in group] for group in groups]
        rows = {each.contender.name: tables.prediction_rows(each) for each in measured.values()}
        if options.save_audio:
            device = devices.pick_device(options.device)
            kept = triples.keep_triples(Path(out), sides[0], options.save_audio, device)
            result["triples"] = kept.table
            kept.name_files(sides[0], rows)
        _write(files, result, rows, summary.summary(sides, rows))
    return result


def _load(paths: Sequence[str | Path], options: EvaluateOptions) -> list[Contender]:
    if not paths:
        raise ConfigError("there is no model to evaluate; name a run folder, a checkpoint or a shipped model")
    names = [str(path) for path in paths]
    labels = labels_of(names, taken=(triples.ORIGINAL, triples.RERENDER))
    found: list[Contender] = []
    for name, label in zip(names, labels, strict=True):
        if any(each.name == name for each in found):
            raise ConfigError(f"the model {name!r} is named twice")
        inverter, facts = read_inverter(name)
        synth, first = inverter.config.synth, found[0] if found else None
        if first and synth != first.inverter.config.synth:
            raise ConfigError(
                f"{name} is for {synth!r} and {first.name} for {first.inverter.config.synth!r}; models side by side "
                "take one synthesizer"
            )
        found.append(Contender(name, label, inverter, facts, _clips(name, inverter, facts, options)))
    return found


def _clips(name: str, inverter: Inverter, facts: dict[str, Any], options: EvaluateOptions) -> HeldOutClips:
    data, origin = trained_on(name, facts)
    if options.real:
        return stored_clips(inverter, options.real, options.split, data.held_out())
    if options.draw != "auto":
        data = dataclasses.replace(data, draw=options.draw)
    return endless_clips(
        inverter, data, size=options.clips, split=options.split, seed=options.seed, origin=origin
    )


def _measure(model: Contender, options: EvaluateOptions, progress: Progress) -> Measured:
    device = devices.pick_device(options.device)
    judgement = judge(
        model.inverter, model.clips, audio_clips=options.audio_clips, device=device, progress=progress
    )
    settings = _settings(model, options, device)
    scores = tables.model_scores(model.name, model.inverter, judgement, settings)
    return Measured(model, judgement, scores)


def _settings(model: Contender, options: EvaluateOptions, device: torch.device) -> dict[str, Any]:
    """Everything that the figures depend on, and what is known of the training."""
    config, clips = model.inverter.config, model.clips
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


def _write(
    files: dict[str, Path], result: dict[str, Any], rows: Mapping[str, list[tables.Row]], clip_by_clip: str
) -> None:
    """Writes each file whole; the scores last, so that a folder that has them has everything."""
    texts = {
        PARAMETERS_FILE: tables.per_parameter_csv(result["models"]),
        PREDICTIONS_FILE: tables.predictions_csv([row for own in rows.values() for row in own]),
        SUMMARY_FILE: clip_by_clip,
        PAGE_FILE: page(result),
    }
    for name, text in texts.items():
        write_text(files[name], text)
    write_json(files[SCORES_FILE], result)
