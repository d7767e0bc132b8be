"""The models of the comparison: how each is trained, whatever it generates.

    progressive   the progressive GAN of system C: Wasserstein loss with a penalty on slopes between real and generated
                  clips, one critic step for one of the generator, labels guessed by the critic (AC-GAN), grown from a
                  sixteenth of its size
    residual      residual networks without normalisation after R3GAN: a relativistic loss, penalties at real and at
                  generated clips, labels by projection
    frames        a one-dimensional network over frames, with the same game

A model is a part of a run file. What a comparison at equal budgets must not leave to the taste of its author is tuning:
each model has as many *trials*, which differ in the one setting that its training depends on most, the learning rate of
the Wasserstein game or the weight of the penalties of the other. Each contestant tries all of them for a short time and
goes on with the one whose sounds come nearest to held-out ones.

The port keeps its published settings but for its width, which is a quarter, and the scale of its sums: as a mean over
clips its learning rate does not depend on the batch.

References:
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
    Huang et al. (2024), "The GAN is dead; long live the GAN! A modern baseline GAN",
    https://arxiv.org/abs/2501.05441
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.workflows.study.representations.transforms import Size

Table = Mapping[str, Any]

_WAVEFORM = "waveform"
_SCALES = 5
# A waveform is a hundred times as long as a spectrogram and has one axis: it grows by four where those grow by two.
_SPECTRAL_FACTORS = [[2**scale, 2**scale] for scale in reversed(range(_SCALES))]
_WAVEFORM_FACTORS = [[1, 4**scale] for scale in reversed(range(_SCALES))]

_PROGRESSIVE_DEPTHS = {"short": [64, 64, 48, 32, 16], "long": [128, 64, 64, 64, 32]}
_RESIDUAL_CHANNELS = {"short": [96, 64, 48, 32], "long": [192, 128, 96, 64, 48]}
_FRAMES_WIDTH = {"short": 192, "long": 384}


@final
@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the comparison.

    Attributes:
        name: On the command line and in tables.
        says: What it is, in a few words.
        weights: The share of updates at each scale, the smallest first, for one that grows; one number for others.
        trials: Options of the run file that are tried, as `train.learning_rate`; as many for each model.
    """

    name: str
    says: str
    weights: tuple[float, ...]
    trials: tuple[Mapping[str, float], ...]

    @property
    def grows(self) -> bool:
        """Whether its networks grow while they learn."""
        return len(self.weights) > 1

    def task(self, representation: str, size: Size) -> dict[str, Any]:
        """The part of [task] that says which networks play which game."""
        return _TASKS[self.name](representation, size)

    def train(self) -> dict[str, Any]:
        """The part of [train] that is the model's own."""
        return dict(_TRAINS[self.name])


def _progressive(representation: str, size: Size) -> dict[str, Any]:
    factors = _WAVEFORM_FACTORS if representation == _WAVEFORM else _SPECTRAL_FACTORS
    network = {"kind": "progressive", "depths": _PROGRESSIVE_DEPTHS[size], "factors": factors}
    return {
        "generator": {**network, "start": "gansynth"},
        "critics": [{"network": network}],
        "loss": {
            "kind": "wgan",
            "gradient_penalty": 10.0,
            "drift": 0.001,
            "class_weight_critic": 10.0,
            "class_weight_generator": 10.0,
        },
    }


def _residual(representation: str, size: Size) -> dict[str, Any]:
    channels = _RESIDUAL_CHANNELS[size]
    return {
        "generator": {"kind": "residual", "channels": channels},
        "critics": [{"network": {"kind": "residual", "channels": channels[::-1]}}],
        "loss": dict(_RELATIVISTIC),
    }


def _frames(representation: str, size: Size) -> dict[str, Any]:
    width = _FRAMES_WIDTH[size]
    return {
        "generator": {"kind": "frames", "width": width},
        "critics": [{"network": {"kind": "frames", "width": width}}],
        "loss": dict(_RELATIVISTIC),
    }


# Penalties at every eighth step, weighed so many times as much, cost a twentieth instead of as much again.
_RELATIVISTIC: Table = {"kind": "relativistic", "r1": 5.0, "r2": 5.0, "penalty_every": 8}
_TASKS = {"progressive": _progressive, "residual": _residual, "frames": _frames}

_ADAM: Table = {"optimizer": "adam", "betas": [0.0, 0.99], "clip_norm": 0.0, "precision": "bf16"}
_PORTED: Table = {
    **_ADAM,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "ema_decay": 0.999,
}
_MODERN: Table = {
    **_ADAM,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "final_fraction": 0.25,
    "ema_decay": 0.995,
}
_TRAINS = {"progressive": _PORTED, "residual": _MODERN, "frames": _MODERN}

_RATES = tuple({"train.learning_rate": rate} for rate in (1e-3, 3e-3, 3e-4))
_GAMMAS = tuple({"task.loss.r1": gamma, "task.loss.r2": gamma} for gamma in (5.0, 0.5, 50.0))

_ALL = (
    # System C makes 48,000 updates at its smallest scale, 96,000 at each of the others and 200,000 at the last.
    Model(
        "progressive",
        "progressive GAN with Wasserstein loss (system C)",
        (1.0, 2.0, 2.0, 2.0, 4.0),
        _RATES,
    ),
    Model("residual", "residual networks with relativistic loss (R3GAN)", (1.0,), _GAMMAS),
    Model("frames", "one-dimensional network over frames, relativistic loss", (1.0,), _GAMMAS),
)

MODELS: dict[str, Model] = {each.name: each for each in _ALL}
"""In the order of the tables."""


def chosen_models(names: Sequence[str]) -> list[Model]:
    """The models of these names, each once; all of the study for none.

    Raises:
        ConfigError: One is not part of the study.
    """
    for name in names:
        if name not in MODELS:
            raise ConfigError(f"the study has no model {name!r}; {near_miss(name, MODELS)}")
    return [MODELS[name] for name in dict.fromkeys(names or MODELS)]
