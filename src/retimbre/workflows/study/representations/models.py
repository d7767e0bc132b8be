"""The models of the comparison: how each is trained, whatever it generates.

    progressive   the progressive GAN of system C: Wasserstein loss with a penalty on slopes between real and generated
                  clips, one critic step for one of the generator, labels guessed by the critic (AC-GAN), grown from a
                  sixteenth of its size
    residual      residual networks without normalisation after R3GAN: a relativistic loss, penalties at real and at
                  generated clips, labels by projection
    frames        a one-dimensional network over frames, with the same game

A model is a part of a run file. What a comparison at equal budgets must not leave to the taste of its author is tuning:
each model has as many *trials*, which differ in what its training depends on most, its learning rate and the weight of
its penalties. The first is the model as it is. Each contestant tries all of them for a short time and goes on with the
one whose sounds come nearest to held-out ones.

The port has the settings that users of its program agreed on (learning rate, batches, shares of the scales, fades), at
a fraction of their width on short clips, and the mean over clips where the program takes the sum, so that no rate
depends on a batch. Its class losses were means already, of weight 10, beside sums over 12 clips; beside means they
weigh a twelfth of that. Of both games, matrix products are in bfloat16, and what is heard is the average of the weights
over the last twentieth of a training: a decay by update, as published, would be as long as the whole of a short one.

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
_RESIDUAL_CHANNELS = {"short": [128, 96, 64, 32], "long": [256, 192, 128, 64]}
_FRAMES_WIDTH = {"short": 192, "long": 384}

_PORTED_BATCH = 12
# That of the program, whose other losses are sums over a batch.
_PORTED_CLASS_WEIGHT = 10.0 / _PORTED_BATCH


@final
@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the comparison.

    Attributes:
        name: On the command line and in tables.
        says: What it is, in a few words.
        weights: The share of updates at each scale, the smallest first, for one that grows; one number for others.
        trials: Options of the run file that are tried, as `train.learning_rate`; as many for each model, first none.
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
            "class_weight_critic": _PORTED_CLASS_WEIGHT,
            "class_weight_generator": _PORTED_CLASS_WEIGHT,
        },
    }


def _residual(representation: str, size: Size) -> dict[str, Any]:
    channels = _RESIDUAL_CHANNELS[size]
    # Where the partials of a pitch lie is nothing that a convolution could know: both networks have learned spectra.
    generator = {"kind": "residual", "channels": channels, "template": ["pitch"]}
    critic = {"kind": "residual", "channels": channels[::-1], "template": ["pitch"], "template_frames": "all"}
    return {"generator": generator, "critics": [{"network": critic}], "loss": dict(_RELATIVISTIC)}


def _frames(representation: str, size: Size) -> dict[str, Any]:
    width = _FRAMES_WIDTH[size]
    return {
        "generator": {"kind": "frames", "width": width},
        "critics": [{"network": {"kind": "frames", "width": width}}],
        "loss": dict(_RELATIVISTIC),
    }


# At every eighth step and eight times as heavy, they make a training a tenth longer instead of nearly twice as long.
_RELATIVISTIC: Table = {"kind": "relativistic", "r1": 5.0, "r2": 5.0, "penalty_every": 8}
_TASKS = {"progressive": _progressive, "residual": _residual, "frames": _frames}

_ADAM: Table = {"optimizer": "adam", "betas": [0.0, 0.99], "clip_norm": 0.0, "precision": "bf16"}
_PORTED: Table = {**_ADAM, "batch_size": _PORTED_BATCH, "learning_rate": 8e-4, "schedule": "constant"}
_MODERN: Table = {**_ADAM, "batch_size": 32, "learning_rate": 2e-3, "final_fraction": 0.05}
_TRAINS = {"progressive": _PORTED, "residual": _MODERN, "frames": _MODERN}

_PORTED_TRIALS = ({}, {"train.learning_rate": 2e-3}, {"train.learning_rate": 3e-4})
_MODERN_TRIALS = ({}, {"train.learning_rate": 1e-3}, {"task.loss.r1": 50.0, "task.loss.r2": 50.0})

_ALL = (
    Model(
        "progressive",
        "progressive GAN with Wasserstein loss (system C)",
        (2.0, 2.0, 2.0, 3.0, 3.0),
        _PORTED_TRIALS,
    ),
    Model("residual", "residual networks with relativistic loss (R3GAN)", (1.0,), _MODERN_TRIALS),
    Model("frames", "one-dimensional network over frames, relativistic loss", (1.0,), _MODERN_TRIALS),
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
