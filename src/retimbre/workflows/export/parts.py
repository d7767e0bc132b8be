"""What of a checkpoint becomes a file that other programs run: one module, its inputs and outputs, and their meaning.

An inverter is one part: a clip goes in (and the note, where its network is told the note), probabilities come out. A
label autoencoder is three: the whole, and encoder and decoder alone. A generator is one again (`generators`).

To export another kind of model, write the function that makes its parts and add a line to `PARTS`.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.core.files import sha256_of
from retimbre.core.random import generator
from retimbre.listening.base import ExternalEmbedder, FittedEmbedder
from retimbre.matching import autoencoder, inverter
from retimbre.matching.autoencoder import load_autoencoder
from retimbre.matching.inverter import Inverter
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note
from retimbre.synth.knobs import Parameter
from retimbre.training.run_checkpoints import kind_of_model
from retimbre.training.shipped import MODEL_FILE, find_checkpoint
from retimbre.workflows.export import generators
from retimbre.workflows.export.part import Part

# The notes of the trial clips, an octave apart, and how long their keys are held.
_TRIAL_PITCHES_HZ = (440.0, 220.0, 880.0)
_TRIAL_GATES_S = (0.75, 0.3, 1.5)


def parts_of(model: str | Path, *, network_only: bool) -> list[Part]:
    """The parts of a run folder, a checkpoint file or a shipped checkpoint.

    Args:
        model: Which.
        network_only: Whether an inverter takes features in place of audio, and a generator makes them.

    Raises:
        CheckpointError: There is none, it is damaged, or of a kind that has no parts.
    """
    path = find_checkpoint(model)
    kind = kind_of_model(path)
    if kind not in PARTS:
        raise CheckpointError(f"{path}: a checkpoint of kind {kind!r}; takes {' or '.join(sorted(PARTS))}")
    parts = PARTS[kind](path, model_name(path), network_only)
    source = {"file": path.name, "sha256": sha256_of(path)}
    return [dataclasses.replace(part, about={**part.about, "checkpoint": source}) for part in parts]


def model_name(path: Path) -> str:
    """What a checkpoint is called: its run folder's name, or its own without the ending."""
    path = path.resolve()
    return path.parent.name if path.name == MODEL_FILE else path.stem


def inverter_parts(path: Path, name: str, network_only: bool) -> list[Part]:
    """An inverter as one part."""
    model = inverter.load_inverter(path)
    part = inverter_part(model, name, network_only=network_only)
    if isinstance(model.front_end, FittedEmbedder) and not network_only:
        part = dataclasses.replace(part, core=inverter_part(model, name, network_only=True))
    return [part]


def inverter_part(model: Inverter, name: str, *, network_only: bool = False) -> Part:
    """An inverter as a part, from its clip, or from what its front end makes of it, to its probabilities.

    Raises:
        ConfigError: It hears through a network whose weights are not its own, and its features are not asked for.
    """
    if isinstance(model.front_end, ExternalEmbedder) and not network_only:
        raise ConfigError(
            f"{name}: hears through {model.config.representation!r}, which resamples outside torch and has its weights "
            "in a file of its own; --network-only exports what follows it"
        )
    clips = trial_clips(model)
    with torch.no_grad():
        heard = {what: model.front_end(clip) for what, clip in clips.items()} if network_only else clips
    entrance = "features" if network_only else "audio"
    meanings = {
        "audio": "one clip per row, mono, from its onset on; sample_rate and num_samples say how long it must be",
        "features": "one clip per row, as the representation encodes it",
    }
    return Part(
        name=name,
        module=InverterGraph(model, network_only=network_only).eval(),
        inputs={
            entrance: meanings[entrance],
            "pitch_hz": "the key that is thought to have been played, in hertz",
            "gate_s": "how long it is thought to have been held, in seconds",
        },
        outputs={
            "probabilities": "for each clip and each of `knobs`, in their order, how likely each of its values is; "
            "each row sums to 1, with zeros past a knob's last value",
            "log_probabilities": "their natural logarithms; minus infinity past a knob's last value",
        },
        about=_about(model),
        trials={what: (sound, *trial_notes(len(sound))) for what, sound in heard.items()},
    )


@final
class InverterGraph(nn.Module):
    """An inverter as a function of tensors alone."""

    def __init__(self, model: Inverter, *, network_only: bool) -> None:
        super().__init__()
        self.model = model
        self.network_only = network_only

    def forward(
        self,
        sound: Float[Tensor, "batch ..."],
        pitch_hz: Float[Tensor, " batch"],
        gate_s: Float[Tensor, " batch"],
    ) -> tuple[Float[Tensor, "batch searched most"], Float[Tensor, "batch searched most"]]:
        """Audio or features, and the note, to probabilities and their logarithms."""
        # Of a note, networks are told the pitch and the length alone.
        note = Note(
            pitch_hz, torch.ones_like(pitch_hz), gate_s, torch.zeros_like(pitch_hz, dtype=torch.int64)
        )
        outputs_of = self.model.outputs_of if self.network_only else self.model.outputs
        logarithms = self.model.head.log_probabilities(outputs_of(sound, note))
        return logarithms.exp(), logarithms


def trial_clips(model: Inverter) -> dict[str, Float[Tensor, "batch samples"]]:
    """What an inverter is tried with: noise, a tone, its synthesizer at its defaults, silence; together and alone."""
    source = generator(0, "export trials")
    time_s = torch.arange(model.num_samples) / model.config.sample_rate
    defaults = {knob.name: knob.default for knob in model.space.parameters} | dict(model.space.fixed)
    knobs = model.space.from_values(defaults)
    alone = {
        "noise": 0.1 * torch.randn(1, model.num_samples, generator=source),
        "tone": 0.5 * torch.sin(2.0 * math.pi * REFERENCE_PITCH_HZ * time_s)[None],
        "patch": model.synth.render(knobs, Note.of(1), num_samples=model.num_samples),
    }
    return {"batch": torch.cat(list(alone.values())), **alone, "silence": torch.zeros(1, model.num_samples)}


def trial_notes(count: int) -> tuple[Float[Tensor, " count"], Float[Tensor, " count"]]:
    """Pitches and lengths of up to three notes."""
    return torch.tensor(_TRIAL_PITCHES_HZ[:count]), torch.tensor(_TRIAL_GATES_S[:count])


def autoencoder_parts(path: Path, name: str, network_only: bool) -> list[Part]:
    """A label autoencoder as three parts; it has no front end that could be left out."""
    model = load_autoencoder(path)
    about = {
        "kind": autoencoder.KIND,
        "synth": model.config.synth,
        "knobs": [_knob(parameter) for parameter in model.space.searched],
        "fixed": dict(model.config.fixed),
    }
    labels = {
        "labels": "for each of `knobs`, in their order, 1 for its class and 0 for its others, one after the other"
    }
    codes = {"codes": "some numbers that stand for a patch, none of them negative"}
    probabilities = {"probabilities": "laid out as the labels: how likely each class is, by itself"}
    source = generator(0, "export trials")
    uniform = torch.rand(3, len(model.space.searched), generator=source)
    some_labels = model.space.to_one_hot(model.space.draw_classes(uniform))
    with torch.no_grad():
        some_codes = model.encoder(some_labels)
    return [
        Part(name, model, labels, probabilities, about, _rows(some_labels)),
        Part(f"{name}-encoder", model.encoder, labels, codes, about, _rows(some_labels)),
        Part(f"{name}-decoder", model.decoder, codes, probabilities, about, _rows(some_codes)),
    ]


def _rows(batch: Tensor) -> dict[str, tuple[Tensor, ...]]:
    return {"batch": (batch,), "one": (batch[:1],)}


def _about(model: Inverter) -> dict[str, Any]:
    config = model.config
    return {
        "kind": inverter.KIND,
        "synth": config.synth,
        "model": config.model,
        "head": config.head,
        "representation": config.representation,
        "sample_rate": config.sample_rate,
        "num_samples": model.num_samples,
        "default_note": {"pitch_hz": REFERENCE_PITCH_HZ, "gate_s": model.synth.default_gate_s},
        "knobs": [_knob(parameter) for parameter in model.space.searched],
        "fixed": dict(config.fixed),
    }


def _knob(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "kind": type(parameter).__name__.lower(),
        "unit": parameter.unit,
        "values": list(parameter.class_values()),
    }


# From a checkpoint's path, its name and `network_only` to its parts, by the kind of checkpoint.
PARTS: dict[str, Callable[[Path, str, bool], list[Part]]] = {
    inverter.KIND: inverter_parts,
    autoencoder.KIND: autoencoder_parts,
    generators.KIND: generators.generator_parts,
}
