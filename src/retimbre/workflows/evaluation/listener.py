"""How well a listener hears: its answers beside the labels of notes that it never heard.

A number that a listener had a part in is worth as much as the listener. So each attribute is measured on labelled
notes: the share of right answers, for pitch also the share within a semitone and how often it is an octave off, which
is how pitches are mistaken; for families, which is taken for which. Of notes whose label is no class of the listener,
none can be right, and in silent clips there is nothing to hear; both are counted apart and left out of the shares.

    scores.json     everything, headline first
    confusion.csv   a row for each true family, a column for each answer
    clips.csv       a row for each clip: its labels and the answers
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, final

import torch
from torch import Tensor

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.core.files import csv_text, free_files, write_json, write_text
from retimbre.dsp.level import is_silent
from retimbre.listening.listener import Listener, load_listener
from retimbre.training import devices
from retimbre.training.checkpoint import read_header
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.evaluation.listener_scores import (
    CONFIDENCE,
    Answers,
    attribute_scores,
    confusion,
    headline,
    pitch_scores,
)
from retimbre.workflows.evaluation.sets.clips import ClipOptions, Clips, HeldClips, open_clips
from retimbre.workflows.evaluation.sets.labels import ClipLabels
from retimbre.workflows.training.listener_run import CORPORA, Corpus, ListenerDataConfig
from retimbre.workflows.training.note_pool import PoolSettings, render_pool

SCORES_FILE, CONFUSION_FILE, CLIPS_FILE = "scores.json", "confusion.csv", "clips.csv"
# Of a corpus, where nothing is said.
CORPUS_CLIPS, CORPUS_SECONDS = 1000, 1.0

_ROWS_AT_ONCE = 32

Progress = Callable[[int, int], object]


@final
@dataclasses.dataclass(frozen=True)
class ListenerOptions:
    """What a listener is asked about.

    Attributes:
        real: A folder of labelled notes, as NSynth is laid out or named; empty for `corpus`.
        corpus: `notes` or `soundfont`: the test part of what listeners are trained on; empty for `real`.
        clips: How many notes: of a folder drawn evenly, of a corpus its first, which are a fair sample of it; 0 for
            all of a folder.
        seconds: Length that notes are cut or padded to; 0 for that of the longest.
        seed: Of the draw from a folder; of a corpus nothing is drawn.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ConfigError: Not just one of `real` and `corpus`, no such corpus, or a seed for one.
    """

    real: str = ""
    corpus: str = ""
    clips: int = 0
    seconds: float = 0.0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if bool(self.real) == bool(self.corpus):
            raise ConfigError(
                "a listener is asked about --real DIR or about --corpus NAME; name one of the two"
            )
        if self.corpus and self.corpus not in CORPORA:
            raise ConfigError(
                f"there is no corpus {self.corpus!r} for listeners; takes {' or '.join(CORPORA)}"
            )
        if self.corpus and self.seed:
            raise ConfigError(
                f"--seed {self.seed} draws from the notes of --real; of --corpus {self.corpus} the first ones are taken"
            )


def evaluate_listener(
    model: str | Path,
    options: ListenerOptions,
    out: str | Path = "",
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Asks a listener about labelled notes, and writes tables if a folder is named.

    Args:
        model: A run folder, a checkpoint file or the name of a shipped listener.
        out: A folder for the tables; empty writes nothing.
        force: Whether tables that are there are replaced.
        progress: Told how many clips are done, of how many.

    Returns:
        What `scores.json` holds. The headline `value` is the share of pitches within a semitone, or of right answers to
        the listener's first attribute if it tells no pitch.

    Raises:
        CheckpointError: There is no such listener.
        AudioError, DatasetError: There are no notes, or none of their labels is an attribute of the listener.
        ExistsError: There are tables already, or `out` is a file.
    """
    files = free_files(out, SCORES_FILE, CONFUSION_FILE, CLIPS_FILE, force=force)
    device = devices.pick_device(options.device)
    listener = load_listener(model).to(device)
    clips = notes_of(model, listener, options)
    answers = ask(listener, clips, device, progress)
    result = {"metric": "listener", **headline(answers)}
    result |= {
        "listener": str(model),
        "settings": _settings(model, listener, clips, options),
        "silent": int(answers.silent.sum()),
        "remarks": [*clips.remarks, *_remarks(answers)],
        "passed_over": list(clips.passed_over),
        "attributes": {each: attribute_scores(answers, each) for each in answers.given},
        "pitch": pitch_scores(answers, clips.labels) if "pitch" in answers.given else {},
        "confusion": confusion(listener, answers) if "family" in answers.given else {},
    }
    if files:
        write_text(files[CONFUSION_FILE], _confusion_csv(result["confusion"]))
        write_text(files[CLIPS_FILE], _clips_csv(listener, clips, answers))
        write_json(files[SCORES_FILE], result)
    return result


def notes_of(model: str | Path, listener: Listener, options: ListenerOptions) -> Clips:
    """The labelled notes that a listener is asked about.

    Of a corpus it is the test part of the settings that the listener was trained with, so that it heard none of them.

    Raises:
        AudioError, DatasetError: There are none.
        MissingExtra: The soundfont is asked for, and there is no FluidSynth.
    """
    rate = listener.sample_rate
    if options.real:
        return open_clips(options.real, ClipOptions(rate, options.seconds, options.clips, options.seed))
    facts = _facts(model)
    seconds = options.seconds or CORPUS_SECONDS
    data = ListenerDataConfig(
        corpora=(cast(Corpus, options.corpus),),
        instruments=facts.get("data", {}).get("instruments", ListenerDataConfig.instruments),
        seconds=seconds,
        clip_s=(seconds,),
    )
    most = options.clips or CORPUS_CLIPS
    pool = render_pool(
        PoolSettings.of_listener(data, listener.config, facts.get("seed", 0)), "test", most=most
    )
    labels = ClipLabels(pitch=pool.pitch, velocity=pool.velocity, family=pool.family)
    return HeldClips(options.corpus, pool.audio(torch.arange(len(pool))), rate, labels)


@torch.no_grad()
def ask(listener: Listener, clips: Clips, device: torch.device, progress: Progress) -> Answers:
    """The answers to the attributes that the clips have labels for.

    Raises:
        DatasetError: They have none for any.
    """
    known = clips.labels.known()
    if "pitch" in known:
        known["register"] = known["pitch"]
    right = {
        name: listener.config.targets(name, known[name])
        for name in listener.config.attributes
        if name in known
    }
    if not right:
        raise DatasetError(f"{clips.name}: its notes have no labels of {', '.join(listener.classes)}")
    given: dict[str, list[Tensor]] = {name: [] for name in right}
    silent: list[bool] = []
    for first in range(0, len(clips), _ROWS_AT_ONCE):
        rows = range(first, min(first + _ROWS_AT_ONCE, len(clips)))
        audio = clips.audio(rows)
        silent += [is_silent(clip) for clip in audio]
        heard = listener(audio.to(device))
        for name, answers in given.items():
            answers.append(heard.logits[name].argmax(dim=1).cpu())
        progress(rows.stop, len(clips))
    return Answers({name: torch.cat(answers) for name, answers in given.items()}, right, torch.tensor(silent))


def _facts(model: str | Path) -> dict[str, Any]:
    return read_header(find_checkpoint(model)).metadata.get("facts", {})


def _settings(
    model: str | Path, listener: Listener, clips: Clips, options: ListenerOptions
) -> dict[str, Any]:
    return {
        "listener": listener.identity(),
        "set": clips.name,
        "set_key": clips.key,
        "clips": len(clips),
        "sample_rate": clips.sample_rate,
        "seconds": clips.num_samples / clips.sample_rate,
        "drawn_by_seed": options.seed if options.real and options.clips else None,
        "corpus_seed": _facts(model).get("seed", 0) if options.corpus else None,
        "interval": {"method": "Wilson", "confidence": CONFIDENCE},
    }


def _remarks(answers: Answers) -> list[str]:
    strange = {name: int(((right < 0) & ~answers.silent).sum()) for name, right in answers.right.items()}
    told = [
        f"the {name} of {count} clips is no class of the listener" for name, count in strange.items() if count
    ]
    if silent := int(answers.silent.sum()):
        told.append(f"{silent} of {len(answers.silent)} clips are silent and count for no share")
    return told


def _confusion_csv(counted: dict[str, dict[str, int]]) -> str:
    columns = list(next(iter(counted.values()), {}))
    return csv_text([["family", *columns], *([true, *counts.values()] for true, counts in counted.items())])


def _clips_csv(listener: Listener, clips: Clips, answers: Answers) -> str:
    classes = listener.classes
    columns = list(answers.given)
    titles = [title for name in columns for title in (name, f"heard_{name}")]
    rows: list[list[str]] = [["clip", *titles]]
    for row, clip in enumerate(clips.names):
        cells = [clip]
        for name in columns:
            right = int(answers.right[name][row])
            cells += [
                classes[name][right] if right >= 0 else "",
                "" if answers.silent[row] else classes[name][int(answers.given[name][row])],
            ]
        rows.append(cells)
    return csv_text(rows)
