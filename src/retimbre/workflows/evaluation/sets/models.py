"""Whose sounds are judged: a model that makes some, or a folder that holds some already.

A model is a run folder, a checkpoint file or a shipped name, and what kind it is stands in the file. `SOUND_MODELS`
says for each kind how it comes to sounds: to add a kind of generator, write a function from its name and the real clips
to a set, and add a line. A model that answers real sounds has none without them; one that makes sounds of its own takes
from the real ones what it is asked for, and can do without.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch

from retimbre.core.errors import AudioError, CheckpointError
from retimbre.dsp.decode import SUFFIXES
from retimbre.gan.sounds import KIND as GENERATOR
from retimbre.matching.inverter import KIND as INVERTER
from retimbre.training.run_checkpoints import kind_of_model
from retimbre.training.shipped import find_checkpoint, model_in
from retimbre.workflows.evaluation.sets.answers import inverter_answers
from retimbre.workflows.evaluation.sets.clips import ClipOptions, Clips, open_clips
from retimbre.workflows.evaluation.sets.embed import CPU, Progress, ignore
from retimbre.workflows.evaluation.sets.generated import generator_alone, generator_sounds


@final
@dataclasses.dataclass(frozen=True)
class SoundModel:
    """A kind of model that makes sounds.

    Attributes:
        make: From a model's name, the real clips, a device and a progress to the model's sounds, at the rate and length
            of the real clips.
        answers: Whether it hears the real clips, so that its sounds must not be compared with those.
        alone: The same without real clips, from how sets are read; None for a model that has no sounds without them.
    """

    make: Callable[[str, Clips, torch.device, Progress], Clips]
    answers: bool
    alone: Callable[[str, ClipOptions, torch.device, Progress], Clips] | None = None


SOUND_MODELS: dict[str, SoundModel] = {
    INVERTER: SoundModel(inverter_answers, answers=True),
    GENERATOR: SoundModel(generator_sounds, answers=False, alone=generator_alone),
}


def sounds_of(
    model: str | Path,
    real: Clips | None,
    options: ClipOptions,
    progress: Progress = ignore,
    *,
    device: torch.device = CPU,
) -> Clips:
    """The sounds that a model is judged by.

    Args:
        model: A run folder, a checkpoint file, a shipped name, or a folder of sounds (of any program).
        real: What a model answers or is asked for the labels of; folders of sounds and generators need none.
        options: How a folder is read, and of a model without real clips the rate, length and number of its sounds.
        progress: Told how many sounds are made.
        device: Where models run.

    Raises:
        AudioError: A folder without sounds, or a model that answers real clips where there are none.
        CheckpointError: There is no such model, or it makes no sounds.
    """
    if is_sound_folder(model):
        return open_clips(model, options)
    entry = _entry_of(model)
    if real is not None:
        return entry.make(str(model), real, device, progress)
    if entry.alone is None:
        raise AudioError(f"{model}: a model of this kind needs real clips: --real DIR")
    return entry.alone(str(model), options, device, progress)


def answers_real(model: str | Path) -> bool:
    """Whether the sounds of a model are its answers to the real clips; those of a folder are not.

    Raises:
        CheckpointError: There is no such model, or it makes no sounds.
    """
    return not is_sound_folder(model) and _entry_of(model).answers


def _entry_of(model: str | Path) -> SoundModel:
    kind = kind_of_model(find_checkpoint(model))
    if kind not in SOUND_MODELS:
        raise CheckpointError(
            f"{model}: is a model of the kind {kind!r}, which makes no sounds; those that do: {', '.join(SOUND_MODELS)}"
        )
    return SOUND_MODELS[kind]


def is_sound_folder(model: str | Path) -> bool:
    """Whether a name is that of a folder (or file) of sounds rather than of a model."""
    path = Path(model)
    if path.is_dir():
        return model_in(path) is None
    return path.is_file() and path.suffix.lower() in SUFFIXES
