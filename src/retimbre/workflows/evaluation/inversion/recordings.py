"""How near models come to real sounds: recordings without labels, which no figure about knobs can judge.

Each recording is read as `retimbre match` reads it, each model names its patch, and the patch is rendered, levelled and
compared with the recording as a match is: at 44.1 kHz, band-limited to the recording's own rate. Two answers are
measured. `likeliest` is the likeliest class of every knob, without any search: what the network alone knows. `match` is
the best candidate of `retimbre match --budget 0`, which picks among a hundred and more proposals by ear.

Models stand beside the first by paired differences: the same recordings for both, so that easy and hard ones cancel.
Recordings that any of the models heard in training, which a model remembers by their content, are left out for all.
One recording says nothing about others, so its figures stand without an interval.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor

import retimbre
from retimbre.core import random
from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.files import csv_text, free_files, sha256_of, write_json, write_text
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.matching.audition import Budget
from retimbre.matching.inverter import Inverter, read_inverter
from retimbre.matching.propose import with_notes
from retimbre.matching.target import Target, read_target
from retimbre.matching.verdict import Bench
from retimbre.metrics.bootstrap import Bootstrap, Interval, bootstrap, paired_difference
from retimbre.synth.base import Note
from retimbre.synth.catalog import find_synth
from retimbre.training.devices import pick_device
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.evaluation.inversion.judge import SUITE_MEASURES, Progress
from retimbre.workflows.evaluation.inversion.recordings_page import page
from retimbre.workflows.match.sound import MatchOptions, match_sound, one_torch_thread
from retimbre.workflows.training.sounds import fingerprint_of, matches

SCORES_FILE, ROWS_FILE, PAGE_FILE = "scores.json", "recordings.csv", "report.md"

Reading = Literal["likeliest", "match"]


@final
@dataclasses.dataclass(frozen=True)
class RecordingsOptions:
    """On what recordings models are measured, and how.

    Attributes:
        only: Patterns of file names, one of which a recording has to match; empty takes all.
        candidates: How many candidates the search-free match judges at full rate; 0 measures the likeliest patch alone.
        seed: Of the proposals and of the intervals.
        device: Where networks listen and the search-free match compares: `auto`, `cpu` or `cuda`. The last judgement is
            the CPU's, as in a match.
    """

    only: tuple[str, ...] = ()
    candidates: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses more candidates than a match gives, and a device that is not there."""
        pick_device(self.device)
        if not 0 <= self.candidates <= 64:
            raise ConfigError(f"candidates is {self.candidates}, but takes 0 to 64")

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What is measured of each model."""
        return ("likeliest", "match") if self.candidates else ("likeliest",)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Heard:
    """The recordings that can be used.

    Attributes:
        names: Their paths below the folder.
        learned_from: How many others some model heard in training.
        passed_over: What is wrong with each of the rest, one line.
    """

    targets: tuple[Target, ...]
    names: tuple[str, ...]
    learned_from: int
    passed_over: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Model:
    """A model to be measured, as it was named, with what was saved with it."""

    name: str
    inverter: Inverter
    facts: dict[str, Any]

    @property
    def learned_from(self) -> set[str]:
        """The fingerprints of the recordings that it heard in training."""
        return set(self.facts.get("sounds", {}).get("heard", []))


def evaluate_recordings(
    models: str | Path | Iterable[str | Path],
    real: str | Path,
    out: str | Path = "",
    options: RecordingsOptions | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda models: None,
) -> dict[str, Any]:
    """Measures how near models come to recordings.

    Args:
        models: A run folder, a checkpoint file or a shipped name, or several; the first is what others stand beside.
        real: A folder of recordings, or one.
        out: The folder for the tables; nothing is written if it is empty.
        options: Which recordings and how; the defaults if left out.
        force: Whether tables that are there already are replaced.
        progress: Called with the number of models, or the share of one, done since the last call.

    Returns:
        The headline of the first model (`value`, `low`, `high`: mean MSS of its likeliest patch with the 95 % interval
        over recordings, None for a single one; `n`, `settings`) and under `models`, for each, every measure of every
        reading, and its difference to the first model.

    Raises:
        AudioError: There is no recording, or none that can be used.
        CheckpointError: A model is missing, damaged or foreign.
        ConfigError: A model is named twice, or every recording was learned from.
        ExistsError: There are tables already, or `out` is a file.
    """
    options = options or RecordingsOptions()
    files = free_files(out, SCORES_FILE, ROWS_FILE, PAGE_FILE, force=force)
    named = _load([models] if isinstance(models, str | Path) else list(models))
    with one_torch_thread():
        heard = _listen(Path(real), named, options)
        scores = {each.name: _measure(each, heard, options, progress) for each in named}
    result = _result(named, heard, scores, Path(real), options)
    if files:
        write_text(files[ROWS_FILE], _rows(heard, scores))
        write_text(files[PAGE_FILE], page(result))
        write_json(files[SCORES_FILE], result)
    return result


def _load(paths: Sequence[str | Path]) -> list[_Model]:
    if not paths:
        raise ConfigError("there is no model to evaluate; name a run folder, a checkpoint or a shipped model")
    names = [str(path) for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"the model {name!r} is named twice")
    return [_Model(name, *read_inverter(name)) for name in names]


def _listen(real: Path, named: Sequence[_Model], options: RecordingsOptions) -> Heard:
    """Reads the recordings that no model has learned from."""
    learned_from = set[str]().union(*(each.learned_from for each in named))
    targets: list[Target] = []
    names: list[str] = []
    passed_over: list[str] = []
    num_learned = 0
    for path in audiofile.find_sounds([real]):
        name = path.relative_to(real).as_posix() if path != real else path.name
        if options.only and not matches(name, options.only):
            continue
        try:
            if learned_from and fingerprint_of(path) in learned_from:
                num_learned += 1
                continue
            targets.append(read_target(path))
            names.append(name)
        except AudioError as error:
            passed_over.append(str(error))
        except OSError as error:
            passed_over.append(f"{path}: cannot be read: {error.strerror}")
    if not targets:
        counts = f"{num_learned} were learned from, {len(passed_over)} cannot be used"
        first = f"; the first: {passed_over[0]}" if passed_over else ""
        raise AudioError(f"{real}: no recording is left to measure on: {counts}{first}")
    return Heard(tuple(targets), tuple(names), num_learned, tuple(passed_over))


Scores = dict[Reading, dict[str, Tensor]]


def _measure(model: _Model, heard: Heard, options: RecordingsOptions, progress: Progress) -> Scores:
    """The measures of each recording, by reading and measure."""
    kept: dict[Reading, list[dict[str, float]]] = {reading: [] for reading in options.readings}
    device = pick_device(options.device)
    model.inverter.eval().to(device)
    for target in heard.targets:
        kept["likeliest"].append(_likeliest(model.inverter, target, device))
        if options.candidates:
            kept["match"].append(_matched(model, target, options))
        progress(1 / len(heard.targets))
    return {
        reading: {
            name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in SUITE_MEASURES
        }
        for reading, rows in kept.items()
    }


def _likeliest(inverter: Inverter, target: Target, device: torch.device) -> dict[str, float]:
    """How near the likeliest patch is, as it would be written."""
    rate = inverter.config.sample_rate
    clip = fit_length(resample(target.samples, target.sample_rate, rate), inverter.num_samples)
    # The first proposal is the likeliest one; chance takes no part in it.
    hint, chance = target.hint, random.generator(0, "likeliest")
    note = Note.of(1, pitch_hz=hint.pitch_hz, gate_s=hint.gate_s, device=device)
    unit = inverter.propose(clip[None].to(device), note, 1, generator=chance)
    proposal = with_notes(inverter.config.synth, inverter.space, unit, hint, chance)
    synth = find_synth(inverter.config.synth)
    (candidate,) = Bench.of(target).candidates(synth, inverter.space, proposal, torch.zeros(1))
    return candidate.scores


def _matched(model: _Model, target: Target, options: RecordingsOptions) -> dict[str, float]:
    """How near the best candidate of a match without search is."""
    found = match_sound(
        target.path,
        MatchOptions(
            synth=model.inverter.config.synth,
            models=(model.name,),
            candidates=options.candidates,
            budget=Budget(evaluations=0),
            seed=options.seed,
            device=options.device,
        ),
    )
    return found.best.candidates[0].scores


def _result(
    named: Sequence[_Model],
    heard: Heard,
    scores: dict[str, Scores],
    real: Path,
    options: RecordingsOptions,
) -> dict[str, Any]:
    how = Bootstrap(seed=options.seed)
    first = scores[named[0].name]
    models = []
    for each in named:
        own = scores[each.name]
        table: dict[str, Any] = {
            "model": each.name,
            "sha256": sha256_of(find_checkpoint(each.name)),
            "readings": {
                reading: {name: _figure(bootstrap(values, how)) for name, values in by_measure.items()}
                for reading, by_measure in own.items()
            },
        }
        if each is not named[0]:
            table["difference"] = {
                reading: {
                    name: _figure(paired_difference(first[reading][name], values, how))
                    for name, values in by_measure.items()
                }
                for reading, by_measure in own.items()
            }
        models.append(table)
    settings = {
        "measure": "mss",
        "reading": "likeliest",
        "real": str(real),
        **dump(options),
        "device": pick_device(options.device).type,
        "learned_from": heard.learned_from,
        "passed_over": list(heard.passed_over),
        "bootstrap": {"resamples": how.resamples, "confidence": how.confidence, "seed": how.seed},
        "versions": {"retimbre": retimbre.__version__, "torch": torch.__version__},
    }
    return {**models[0]["readings"]["likeliest"]["mss"], "settings": settings, "models": models}


def _figure(interval: Interval) -> dict[str, Any]:
    """A figure as JSON; a single recording drawn again and again is always itself, which is no interval."""
    figure = dataclasses.asdict(interval)
    return figure if interval.n > 1 else figure | {"low": None, "high": None}


def _rows(heard: Heard, scores: dict[str, Scores]) -> str:
    """A line for each recording, model and reading."""
    rows = [["recording", "pitch_hz", "gate_s", "model", "reading", *SUITE_MEASURES]]
    for index, (name, target) in enumerate(zip(heard.names, heard.targets, strict=True)):
        note = [f"{target.hint.pitch_hz:.2f}", f"{target.hint.gate_s:.3f}"]
        for model, readings in scores.items():
            for reading, by_measure in readings.items():
                values = [f"{float(by_measure[measure][index]):.5f}" for measure in SUITE_MEASURES]
                rows.append([name, *note, model, reading, *values])
    return csv_text(rows)
