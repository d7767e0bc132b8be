"""What the first InverSynth program did with its environment variables, done by this one.

A training set with labels becomes a data set and trains the architecture on it, with the settings of that program:
Adam at its defaults, binary cross-entropy over all outputs, sixteen clips at a time, a fifth of the clips held out,
none of which is trained on. A data set of this program brings its own labels.

Without labels there is nothing to be right about but the sound itself. That program filled in random numbers; here
the network learns from patches that it renders, and at the same time from the clips, by playing what it hears through
the synthesizer and comparing the sounds (`matching.self_supervised`).

Afterwards the weights go where `SAVED_MODELS_PATH` says, and a patch for `AUDIO_WAV_INPUT` is predicted, printed and
played into `AUDIO_WAV_OUTPUT`: as the sound of the patch.
"""

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from retimbre.core.config import apply_overrides, build, dump
from retimbre.core.errors import DatasetError, ExistsError
from retimbre.core.files import whole_file, write_json
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import read_header
from retimbre.matching.audition import Budget
from retimbre.synth.knobs import Continuous
from retimbre.workflows.dataset.plan import plan_from_header
from retimbre.workflows.legacy.arrays import (
    SAMPLE_RATE,
    import_labelled,
    read_clips,
    unpack_unlabelled,
)
from retimbre.workflows.legacy.environment import LegacySettings
from retimbre.workflows.match.batch import MatchOptions, match
from retimbre.workflows.training.fit import run_session
from retimbre.workflows.training.inversion import inverter_config
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.matching_run import MatchingRun

# That program's settings.
BATCH_SIZE = 16
LEARNING_RATE = 1e-3
HELD_OUT_SHARE = 0.2
UNLABELLED_SYNTH = "inversynth"

RUN = "run"  # the run folder in the session's

Table = dict[str, Any]


def run_file_of(settings: LegacySettings, out: Path) -> MatchingRun:
    """The run that the variables describe; imports the training set into the run folder.

    Raises:
        DatasetError: The training set or its labels cannot be used.
    """
    if settings.training_set.is_dir() or settings.labels is not None:
        table = _labelled(settings, out)
    else:
        table = _unlabelled(settings, out)
    config = build(MatchingRun, table, "")
    return config.resolved()


def train_from_environment(
    settings: LegacySettings, session: Session, *, overrides: Iterable[str] = (), force: bool = False
) -> dict[str, Any]:
    """Trains, saves and predicts as the variables say.

    Args:
        settings: What the variables say.
        session: Where and on what; its folder gets the imported training set, the run and the match.
        overrides: Options of the run set over the variables, as `train.batch_size=32`.
        force: Whether an output file that is there is replaced.

    Returns:
        The run's manifest; with `prediction` if a sound was matched, and `saved` if weights were saved.

    Raises:
        UserError: Something cannot be used; nothing is trained then.
    """
    if settings.wav_output is not None and settings.wav_output.exists() and not force:
        raise ExistsError(f"AUDIO_WAV_OUTPUT: {settings.wav_output} is there already; --force replaces it")
    config = build(MatchingRun, apply_overrides(dump(run_file_of(settings, session.out)), overrides), "")
    result = run_session(config, dataclasses.replace(session, out=session.out / RUN))
    if settings.saved_models is not None:
        result["saved"] = _save(config, result, settings.saved_models)
    if settings.experimentation and result["finished"]:
        result["prediction"] = _predict(settings, config, session)
    return result


def _labelled(settings: LegacySettings, out: Path) -> Table:
    folder = settings.training_set
    if settings.labels is not None:
        folder = out / "data"
        import_labelled(settings.training_set, settings.labels, folder)
    if read_header(folder).kind != "rendered":
        raise DatasetError(f"{folder}: holds recordings without labels; as TRAINING_SET, give their .npy")
    data = RenderedSet.open(folder)
    space = plan_from_header(data.header).space
    num_train, num_held_out = len(data.split("train")), len(data.split("validation"))
    if not num_train or not num_held_out:
        raise DatasetError(f"{settings.training_set}: {len(data)} clips are too few to hold a fifth out")
    table = _table(settings, data.header.options["synth"], num_train)
    table["task"] |= {
        "sample_rate": data.header.sample_rate,
        "seconds": data.header.num_samples / data.header.sample_rate,
        "fixed": dict(space.fixed),
        "levels": {
            each.name: list(each.class_values()) for each in space.searched if isinstance(each, Continuous)
        },
    }
    table["data"] = {"folder": str(folder), "validation_clips": num_held_out}
    return table


def _unlabelled(settings: LegacySettings, out: Path) -> Table:
    num_clips, num_samples = read_clips(settings.training_set).shape
    folder = out / "sounds"
    unpack_unlabelled(settings.training_set, folder)
    table = _table(settings, UNLABELLED_SYNTH, num_clips)
    table["task"] |= {"seconds": num_samples / SAMPLE_RATE, "sample_rate": SAMPLE_RATE}
    table["sounds"] = {"folder": str(folder), "validation": HELD_OUT_SHARE}
    return table


def _table(settings: LegacySettings, synth: str, num_train: int) -> Table:
    steps_each = -(-num_train // BATCH_SIZE)
    return {
        "task": {"kind": "inversion", "synth": synth, "model": settings.architecture, "head": "sigmoid"},
        "train": {
            "steps": settings.epochs * steps_each,
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "schedule": "constant",
            "optimizer": "adam",
            "clip_norm": 0.0,
            "ema_decay": 0.0,
            "log_every": steps_each,
            "validate_every": steps_each,
            "checkpoint_every": steps_each,
        },
    }


def _save(config: MatchingRun, manifest: dict[str, Any], folder: Path) -> list[str]:
    """The weights and the architecture, under one name: that of the weights' content."""
    digest = manifest["model_sha256"][:12]
    weights, architecture = (
        folder / f"model_weights_{digest}.safetensors",
        folder / f"model_arch_{digest}.json",
    )
    with whole_file(weights) as aside:
        shutil.copyfile(manifest["model"], aside)
    write_json(architecture, dump(config.task) | {"parameters": manifest["parameters"]})
    return [str(weights), str(architecture)]


def _predict(settings: LegacySettings, config: MatchingRun, session: Session) -> dict[str, Any]:
    sound, folder = str(settings.wav_input), session.out / "match"
    options = MatchOptions(
        synth=inverter_config(config).synth,
        models=(str(session.out / RUN),),
        candidates=1,
        budget=Budget(seconds=0.0),
        device=session.device,
    )
    (found,) = match([sound], folder, options, workers=1, force=True).results
    if found.failure:
        raise DatasetError(f"AUDIO_WAV_INPUT: {found.failure}")
    played = found.folder / "01.wav"
    if settings.wav_output is not None:
        with whole_file(settings.wav_output) as aside:
            shutil.copyfile(played, aside)
        played = settings.wav_output
    return {"sound": sound, "played": str(played), "parameters": found.table["candidates"][0]["parameters"]}
