"""What a match leaves behind: one folder per sound, which appears whole or not at all.

    DIR/<stem>/01.wav  01.json    the nearest candidate over all models: its sound, and its patch
               02.wav  02.json    the next, and so on
               melody.wav         the nearest candidate playing a MIDI file, where one was given
               curves.*           the knobs that follow the whole recording, where they were asked for
               match.json         everything that is known, for programs
               report.html        the same for ears and eyes, in one file that needs no network
    DIR/index.html                one line for each sound and model, where there are several

Folders are named after the files, made safe for every file system; two files of one name get `name` and `name-2`. A
folder is made under a name of its own and renamed when it is complete. With `force` it replaces an earlier one, but
only one that a match has made.
"""

import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import retimbre
from retimbre.core.errors import ExistsError
from retimbre.core.files import write_json
from retimbre.dsp import audiofile
from retimbre.matching.verdict import SCORE_RATE_HZ, Candidate
from retimbre.synth.knobs import Choice, Parameter, Value
from retimbre.synth.parameters import ParameterSpace
from retimbre.synth.patches import save_patch
from retimbre.workflows.match.curves import curves_entry
from retimbre.workflows.match.melody import melody_entry
from retimbre.workflows.match.sound import Match, ModelMatch

FORMAT = "retimbre match"
VERSION = 1
REPORT_FILE, TABLE_FILE, INDEX_FILE = "report.html", "match.json", "index.html"

# What some file system or shell cannot have in a name, and how many bytes a name may have before anything is added.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]+')
_LONGEST_NAME_BYTES = 120


def plan_folders(sounds: Iterable[Path], out: Path) -> dict[Path, Path]:
    """A folder for each sound, no two the same on any file system, named after the sound."""
    taken: set[str] = set()
    folders: dict[Path, Path] = {}
    for sound in sounds:
        stem = safe_name(sound.stem)
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        folders[sound] = out / name
    return folders


def safe_name(stem: str) -> str:
    """A stem as a folder name that every file system takes."""
    name = _UNSAFE.sub("_", stem).strip(" .").encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")
    return name or "sound"


def refuse_to_overwrite(folders: Iterable[Path], *, force: bool) -> None:
    """Stops before any work if something would be lost.

    Raises:
        ExistsError: A folder is there and `force` is not given, or it is not one that a match has made.
    """
    for folder in folders:
        if not folder.exists():
            continue
        if not force:
            raise ExistsError(f"{folder} is already there; --force overwrites it")
        if not (folder / TABLE_FILE).is_file():
            raise ExistsError(f"{folder} is there but holds no {TABLE_FILE}, so it is not overwritten")


def ranked(match: Match) -> list[tuple[ModelMatch, int, Candidate]]:
    """The candidates of all models, the nearest first, each with its model and its place in that model's list."""
    every = [
        (found, place, candidate)
        for found in match.models
        for place, candidate in enumerate(found.candidates)
    ]
    return sorted(every, key=lambda entry: entry[2].loss)


def write_candidates(folder: Path, match: Match) -> None:
    """Writes the sounds and patches of all candidates, and the table of the match."""
    for number, (_, _, candidate) in enumerate(ranked(match), start=1):
        audiofile.write(folder / f"{number:02}.wav", candidate.samples, candidate.patch.sample_rate)
        save_patch(folder / f"{number:02}.json", candidate.patch)


def write_table(folder: Path, match: Match) -> None:
    """Writes `match.json`."""
    write_json(folder / TABLE_FILE, match_table(match))


def match_table(match: Match) -> dict[str, Any]:
    """Everything that is known of a match, as JSON values."""
    target, options = match.target, match.options
    return {
        "format": FORMAT,
        "version": VERSION,
        "synth": options.synth,
        "sound": {
            "path": str(target.path),
            "sample_rate": target.sample_rate,
            "start_s": round(target.start_s, 6),
            "seconds": round(target.seconds, 6),
            "compared_seconds": round(target.search_samples / target.sample_rate, 6),
            "level_db": round(target.level_db, 3),
            "matched": target.reason,
        },
        "pitch": {
            "pitch_hz": round(target.hint.pitch_hz, 4),
            "confidence": round(target.hint.confidence, 4),
            "given": options.target.pitch_hz != "auto",
        },
        "gate_s": round(target.hint.gate_s, 4),
        "warnings": list(match.warnings),
        "confidence": {"value": round(match.confidence.value, 3), "words": match.confidence.words},
        "settings": _settings(match),
        "models": [_model_row(found) for found in match.models],
        "candidates": [
            _candidate_row(number, found, place)
            for number, (found, place, _) in enumerate(ranked(match), start=1)
        ],
        **melody_entry(match),
        **curves_entry(match),
        "seconds": {stage: round(seconds, 3) for stage, seconds in match.seconds.items()},
        "interrupted": match.interrupted,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """What made the match."""
    return {
        "retimbre": retimbre.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def parameter_rows(
    space: ParameterSpace, candidate: Candidate, heard: Sequence[bool]
) -> list[dict[str, Any]]:
    """Each knob of a candidate: what it is, how it is set, whether it is heard and whether it was fixed."""
    searched = [parameter.name for parameter in space.searched]
    knobs = space.from_unit(candidate.proposal.unit)
    classes = space.to_classes(knobs)[0].tolist()
    rows = []
    for parameter in space.parameters:
        place = searched.index(parameter.name) if parameter.name in searched else -1
        rows.append(
            {
                "group": parameter.group,
                "name": parameter.name,
                "class": classes[place] if place >= 0 else None,
                "value": candidate.patch.knobs[parameter.name],
                "unit": parameter.unit,
                "position": _position(parameter, candidate.patch.knobs[parameter.name]),
                "heard": heard[place] if place >= 0 else None,
                "fixed": place < 0,
            }
        )
    return rows


def _position(parameter: Parameter, value: Value | tuple[float, ...]) -> float | None:
    if isinstance(parameter, Choice) or isinstance(value, str | tuple):
        return None
    return round(float(parameter.to_unit(torch.tensor([float(value)]))[0]), 4)


def _settings(match: Match) -> dict[str, Any]:
    options = match.options
    seconds, evaluations = options.budget.seconds, options.budget.evaluations
    return {
        "candidates": options.candidates,
        "budget_s": seconds if seconds != float("inf") else None,
        "budget_evaluations": evaluations if evaluations != float("inf") else None,
        "pitch": options.target.pitch_hz,
        "max_seconds": options.target.max_seconds,
        "seed": options.seed,
        "threads": options.threads,
        "search_rate": match.search_rate,
        "score_rate": SCORE_RATE_HZ,
    }


def _model_row(found: ModelMatch) -> dict[str, Any]:
    best = found.candidates[0]
    return {
        "model": found.model,
        "evaluations": found.evaluations,
        "refined_s": round(found.seconds, 3),
        "loss_before": round(found.start_loss, 4),
        "loss_after": round(min(candidate.search_loss for candidate in found.candidates), 4),
        "scores": _rounded(best.scores),
    }


def _candidate_row(number: int, found: ModelMatch, place: int) -> dict[str, Any]:
    candidate = found.candidates[place]
    return {
        "rank": number,
        "model": found.model,
        "model_rank": place + 1,
        "files": {"audio": f"{number:02}.wav", "patch": f"{number:02}.json"},
        "loss": round(candidate.loss, 4),
        "search_loss": round(candidate.search_loss, 4),
        "scores": _rounded(candidate.scores),
        "raw_scores": _rounded(candidate.raw_scores),
        "pitch_hz": candidate.patch.note.pitch_hz,
        "gate_s": candidate.patch.note.gate_s,
        "gain_db": candidate.patch.gain_db,
        "parameters": parameter_rows(found.space, candidate, found.heard[place].tolist()),
    }


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 5) for name, score in scores.items()}
