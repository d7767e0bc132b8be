"""What each network is sized for by default: the clips of its paper, or of the experiments it was written for.

The settings of a network fit a certain picture. How many weights it then has is what it is chosen by and what papers
state, so `retimbre list models` tells the number for that picture; for another one it is another.
"""

import dataclasses
from typing import Any, final

from retimbre.gan.base import CriticConfig, Form, GeneratorConfig
from retimbre.gan.networks.catalog import CRITICS, GENERATORS

_PITCHES = {"pitch": tuple(str(pitch) for pitch in range(44, 71))}


@final
@dataclasses.dataclass(frozen=True)
class Sized:
    """What a kind of network is sized for.

    Attributes:
        representation: Whose features it makes or takes, a name in the catalog of representations.
        form: Their shape, what it is told and from how many random numbers a clip is made.
    """

    representation: str
    form: Form


_SAMPLES = Sized("waveform", Form((1, 16_384), {}, 64))
_MAGNITUDES = Sized("interns2020-mag", Form((1, 256, 128), {}, 64))
_GROWN = Sized("sony2020-mag-if", Form((2, 512, 64), _PITCHES, 64))
_NOTES = Sized("mag-if-gated", Form((2, 512, 64), _PITCHES, 64))

_STATES = {"midi": (1_024, 89)}
_PICTURE = (2, 256, 128)

SIZES: dict[str, Sized] = {
    "dense": Sized("waveform", Form((1, 64), {}, 8)),
    "wavegan": _SAMPLES,
    "specgan": _MAGNITUDES,
    "gan-tts": _SAMPLES,
    "progressive": _GROWN,
    "style": _GROWN,
    "residual": _NOTES,
    "frames": _NOTES,
    "harmonic": Sized("waveform", Form((1, 16_000), _PITCHES, 64)),
    "history-wave": Sized("waveform", Form((1, 16_384), {}, 64, {"history": (1, 8_192)})),
    "history-spec": Sized("interns2020-stft", Form(_PICTURE, {}, 64, {"history": (2, 256, 64)})),
    "midi-wave": Sized("waveform", Form((1, 16_384), {}, 64, _STATES)),
    "midi-spec": Sized("interns2020-mag", Form((1, 256, 128), {}, 64, _STATES)),
    "midi-stft": Sized("interns2020-stft", Form(_PICTURE, {}, 64, _STATES)),
    "midi-harmonic": Sized("waveform", Form((1, 16_384), {}, 16, _STATES)),
    "midi-spectra": Sized("mag", Form((1, 1_025, 33), {}, 16, _STATES)),
    "envelope": Sized("waveform", Form((1, 2_048), {}, 1, {"sound": (1, 2_048), "envelope": (2_048,)})),
    "told-frames": Sized("mag-if-gated", Form((2, 512, 64), {}, 64, {"history": (2, 512, 32)})),
}
"""Of every kind in the catalogs of generators and critics."""


def rows() -> list[dict[str, Any]]:
    """Every generator and critic with its task, its weights at the size above and what it is."""
    networks: list[tuple[str, str, type[GeneratorConfig] | type[CriticConfig]]] = [
        *((kind, "generator", config) for kind, config in GENERATORS.items()),
        *((kind, "critic", config) for kind, config in CRITICS.items()),
    ]
    return [
        {
            "name": kind,
            "task": task,
            "parameters": num_weights(config(), SIZES[kind].form),
            "representation": SIZES[kind].representation,
            "description": (config.__doc__ or "").partition("\n")[0],
        }
        for kind, task, config in networks
    ]


def num_weights(config: GeneratorConfig | CriticConfig, form: Form) -> int:
    """Trainable weights of a network."""
    network = config.build(form)
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)
