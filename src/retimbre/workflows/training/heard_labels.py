"""Labels for sounds that have none: what an inverter takes each stretch of a recording for.

Recordings are cut into windows of the inverter's length, side by side; a shorter one is padded, and a window in which
there is nothing to hear is passed over. Each window is heard with the pitch and the gate that are found in it, and its
label is the likeliest class of every knob. That is an opinion, not the truth; but opinions about real sounds are not
spread evenly over all patches, and how they are spread is what a label autoencoder can learn.

Windows of one recording are alike, so recordings are parted, not windows. Where there are too few recordings for that,
the last tenth of each is held out, in time.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.data.folder import Cutting, cut_file
from retimbre.data.manifest import Fractions
from retimbre.data.splits import split_by_name
from retimbre.dsp import audiofile
from retimbre.dsp.level import is_silent
from retimbre.dsp.onsets import gate_seconds
from retimbre.dsp.pitch import note_pitch
from retimbre.matching.inverter import Inverter, load_inverter
from retimbre.synth.base import Note
from retimbre.synth.parameters import ParameterSpace

HELD_OUT_SHARE = 0.1

# Fewer recordings leave less than one for a tenth.
_FEWEST_RECORDINGS = 10

# A sound without any pitch is played at middle C, as `retimbre match` plays it.
_UNPITCHED_HZ = 261.63


@final
@dataclasses.dataclass(frozen=True, eq=False)
class HeardLabels:
    """The labels that an inverter gives to recordings.

    Attributes:
        synth: The inverter's synthesizer.
        space: Its searched knobs.
        told: How many windows and recordings there were, and what was passed over, one line each.
    """

    synth: str
    space: ParameterSpace
    train: Int[Tensor, "examples searched"]
    validation: Int[Tensor, "others searched"]
    told: dict[str, Any]


@functools.lru_cache(maxsize=2)
def heard_labels(model: str, folder: Path) -> HeardLabels:
    """Hears every window of every recording in a folder, or of one file; once in a session.

    Raises:
        CheckpointError: There is no such inverter.
        AudioError: There are no recordings, or too little in them to hold some of it out.
    """
    inverter = load_inverter(model)
    paths = audiofile.find_sounds([folder])
    windows: dict[Path, Tensor] = {}
    passed_over: list[str] = []
    for path in paths:
        try:
            windows[path] = _audible_windows(path, inverter)
        except AudioError as error:
            passed_over.append(str(error))
    labels = {path: _labels(inverter, audio) for path, audio in windows.items() if len(audio)}
    passed_over += [f"{path}: silent" for path, audio in windows.items() if not len(audio)]
    train, validation = _parted(labels)
    if not len(train) or not len(validation):
        first = f"; the first that was passed over: {passed_over[0]}" if passed_over else ""
        raise AudioError(f"{folder}: takes two windows of sound or more, to hold one out{first}")
    told = {"recordings": len(labels), "windows": len(train) + len(validation), "passed_over": passed_over}
    return HeardLabels(inverter.config.synth, inverter.space, train, validation, told)


def _audible_windows(path: Path, inverter: Inverter) -> Float[Tensor, "windows samples"]:
    seconds = inverter.num_samples / inverter.config.sample_rate
    cutting = Cutting(sample_rate=inverter.config.sample_rate, seconds=seconds, long="window", hop_s=seconds)
    audio = cut_file(path, cutting).audio
    heard = [index for index, window in enumerate(audio) if not is_silent(window)]
    return audio[heard]


@torch.no_grad()
def _labels(inverter: Inverter, windows: Float[Tensor, "windows samples"]) -> Int[Tensor, "windows searched"]:
    notes = [_note(window, inverter.config.sample_rate) for window in windows]
    answers = [
        inverter.log_probabilities(window[None], note).argmax(dim=2)
        for window, note in zip(windows, notes, strict=True)
    ]
    return torch.cat(answers)


def _note(window: Float[Tensor, " samples"], sample_rate: int) -> Note:
    """The key press that a window sounds like."""
    heard_hz = note_pitch(window, sample_rate).pitch_hz
    return Note.of(1, pitch_hz=heard_hz or _UNPITCHED_HZ, gate_s=gate_seconds(window, sample_rate))


def _parted(labels: dict[Path, Tensor]) -> tuple[Tensor, Tensor]:
    """Training and held-out vectors."""
    kept: dict[str, list[Tensor]] = {"train": [], "validation": []}
    for part, vectors in _parts(labels):
        kept[part].append(vectors)
    nothing = torch.empty(0, 0, dtype=torch.int64)
    train, validation = (torch.cat(each) if each else nothing for each in kept.values())
    return train, validation


def _parts(labels: dict[Path, Tensor]) -> Iterator[tuple[str, Tensor]]:
    if len(labels) >= _FEWEST_RECORDINGS:
        names = [path.name for path in labels]
        fractions = Fractions(validation=HELD_OUT_SHARE, test=0.0)
        yield from zip(split_by_name(names, [""] * len(names), fractions), labels.values(), strict=True)
        return
    for vectors in labels.values():
        num_last = max(1, round(HELD_OUT_SHARE * len(vectors))) if len(vectors) > 1 else 0
        yield "train", vectors[: len(vectors) - num_last]
        yield "validation", vectors[len(vectors) - num_last :]
