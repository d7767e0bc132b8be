"""`modelConfig` of an earlier program: networks, losses and growth, as tables of a run file.

The table mixes three things that are apart here: what the networks look like, what they try for, and how long they stay
at each scale. Most options have a value per scale; pairs among `depthScales` are for generator and critic.

Two options can be set against each other without anybody noticing: a scale's `maxIterAtScale`, and how long its fade
takes, `alphaNJumps` times `alphaSizeJumps`. The README's own example trains 50 iterations at each scale, with fades of
600 times 32. `Growth.remarks` says so when training begins.

References:
    https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.representation.aliases import AliasWarning

Table = dict[str, Any]

LOSSES = {"WGANGP": "wgan", "MSE": "lsgan", "DCGAN": "non-saturating", "Logistic": "logistic"}
STARTS = {"default": "linear", "gansynth": "gansynth"}
# Options that the program reads and does nothing with.
IDLE = (
    *("GDPP", "GDPP_weigth", "mix_true_fake", "mix_true_fake_scale", "mix_true_fake_split"),
    *("iter_D_G_ratio", "imagefolderDataset"),
)
_ADAM_BETAS = [0.0, 0.99]
_EMA_DECAY = 0.999


@final
@dataclasses.dataclass(frozen=True)
class ModelTable:
    """`modelConfig` with the program's names and defaults."""

    # ruff: noqa: N815  (the names are the program's)
    downSamplingFactor: tuple[tuple[int, int], ...] = ()
    maxIterAtScale: tuple[int, ...] = (48_000, *[96_000] * 7, 200_000)
    alphaJumpMode: str = "linear"
    alphaNJumps: tuple[int, ...] = (0, *[600] * 8)
    alphaSizeJumps: tuple[int, ...] = (0, *[32] * 9)
    iterAlphaJump: tuple[tuple[int, ...], ...] = ()
    alphaJumpVals: tuple[tuple[float, ...], ...] = ()
    depthScales: tuple[int | tuple[int, int], ...] = (512, 512, 512, 512, 256, 128, 64, 32, 16)
    miniBatchSize: int | tuple[int, ...] = 16
    dimLatentVector: int = 512
    baseLearningRate: float | tuple[float, float] = 0.001
    lossMode: str = "WGANGP"
    lambdaGP: float = 10.0
    epsilonD: float = 0.001
    leakyness: float = 0.2
    perChannelNormalization: bool = True
    miniBatchStdDev: bool = True
    initBiasToZero: bool = True
    ac_gan: bool = False
    weightConditionG: float = 0.0
    weightConditionD: float = 0.0
    skipAttDfake: tuple[str, ...] = ()
    attribKeysOrder: dict[str, int] = dataclasses.field(default_factory=dict)
    dimOutput: int = 0
    formatLayerType: str = "default"
    generationActivation: str | None = None
    startScale: int = 0
    transposed: bool = False
    soft_labels: bool = False
    GDPP: bool = False
    GDPP_weigth: float = 0.0
    mix_true_fake: bool = False
    mix_true_fake_scale: int = 0
    mix_true_fake_split: float = 0.0
    iter_D_G_ratio: float = 1.0
    imagefolderDataset: bool = False

    @property
    def num_scales(self) -> int:
        """How many sizes there are."""
        return len(self.depthScales)

    def depths(self, place: int) -> list[int]:
        """Channels at each scale of the generator (0) or the critic (1)."""
        return [each if isinstance(each, int) else each[place] for each in self.depthScales]

    def per_scale(self, name: str) -> list[Any]:
        """The values of an option for the scales that there are. Raises ConfigError if they are too few."""
        values = list(getattr(self, name))
        if len(values) < self.num_scales:
            raise ConfigError(
                f"[modelConfig] {name} has {len(values)} values, but depthScales has {self.num_scales} scales"
            )
        return values[: self.num_scales]


def translate_model(model: ModelTable, class_skip: Sequence[str]) -> Table:
    """The tables [task], [train] and [growth] of a run.

    Args:
        model: What the file says.
        class_skip: Our names of the attributes in `skipAttDfake`.

    Raises:
        ConfigError: An option asks for what there is not, or lists do not fit together.

    Warns:
        AliasWarning: Names the options that make no difference.
    """
    _check(model)
    idle = [name for name in IDLE if getattr(model, name) != type(model).__dataclass_fields__[name].default]
    if idle:
        message = f"[modelConfig] options that make no difference: {', '.join(idle)}"
        warnings.warn(message, AliasWarning, stacklevel=3)
    growth = _growth(model)
    rates = model.baseLearningRate
    of_generator, of_critic = rates if isinstance(rates, tuple) else (rates, 0.0)
    steps = sum(growth["steps"][model.startScale :])
    batch_sizes = growth.get("batch_sizes", [model.miniBatchSize])
    batch_size = batch_sizes[model.startScale if len(batch_sizes) > 1 else 0]
    return {
        "task": {
            "kind": "gan",
            "latent_dim": model.dimLatentVector,
            **_networks(model),
            "loss": _loss(model, batch_size) | {"class_skip": list(class_skip)},
            "critic_learning_rate": of_critic,
        },
        "train": {
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": of_generator,
            "schedule": "constant",
            "optimizer": "adam",
            "betas": _ADAM_BETAS,
            "clip_norm": 0.0,
            "ema_decay": _EMA_DECAY,
            **_bookkeeping(steps),
        },
        "growth": growth,
    }


def _check(model: ModelTable) -> None:
    for name, known in {"lossMode": LOSSES, "formatLayerType": STARTS}.items():
        if getattr(model, name) not in known:
            raise ConfigError(
                f"[modelConfig] has no {name} {getattr(model, name)!r}; {near_miss(getattr(model, name), known)}"
            )
    if model.alphaJumpMode not in {"linear", "custom"}:
        raise ConfigError(f"[modelConfig] alphaJumpMode is {model.alphaJumpMode!r}; takes linear or custom")
    if model.generationActivation not in {None, "tanh"}:
        raise ConfigError(
            f"[modelConfig] generationActivation is {model.generationActivation!r}; takes null or 'tanh'"
        )
    if model.transposed:
        raise ConfigError("[modelConfig] transposed is true; takes false: bins by frames")
    if not model.downSamplingFactor:
        raise ConfigError(
            "[modelConfig] needs the option 'downSamplingFactor'; that program's default, [1, 2] at every scale, never "
            "comes to the full size"
        )
    _check_batches(model.miniBatchSize)
    if not 0 <= model.startScale < model.num_scales:
        raise ConfigError(
            f"[modelConfig] startScale is {model.startScale}; takes 0 to {model.num_scales - 1}"
        )


def _check_batches(sizes: int | tuple[int, ...]) -> None:
    """Refuses empty batches."""
    listed = [sizes] if isinstance(sizes, int) else list(sizes)
    if min(listed, default=1) < 1:
        got = sizes if isinstance(sizes, int) else listed
        raise ConfigError(f"[modelConfig] miniBatchSize is {got}; takes 1 or more clips at each scale")


def _networks(model: ModelTable) -> Table:
    shared = {
        "kind": "progressive",
        "factors": [list(each) for each in model.per_scale("downSamplingFactor")],
        "leak": model.leakyness,
        "zero_bias": model.initBiasToZero,
    }
    generator = {
        "depths": model.depths(0),
        "start": STARTS[model.formatLayerType],
        "pixel_norm": model.perChannelNormalization,
        "output": model.generationActivation or "linear",
    }
    critic = {"depths": model.depths(1), "minibatch_group": 4 if model.miniBatchStdDev else 0}
    return {"generator": shared | generator, "critics": [{"network": shared | critic}]}


def _loss(model: ModelTable, batch_size: int) -> Table:
    """The game; the program sums scores over a batch, but takes the mean of class losses, and here all are means.

    So a weight of class losses is one over the clips of a batch. There is one weight for all scales, that of the first:
    at a scale of another batch size the balance is another one than there.
    """
    return {
        "kind": LOSSES[model.lossMode],
        "gradient_penalty": model.lambdaGP,
        "drift": model.epsilonD,
        "class_weight_generator": model.weightConditionG / batch_size if model.ac_gan else 0.0,
        "class_weight_critic": model.weightConditionD / batch_size if model.ac_gan else 0.0,
        "soft_labels": model.ac_gan and model.soft_labels,
    }


def _growth(model: ModelTable) -> Table:
    growth: Table = {"steps": model.per_scale("maxIterAtScale"), "start_scale": model.startScale}
    if isinstance(model.miniBatchSize, tuple):
        growth["batch_sizes"] = model.per_scale("miniBatchSize")
    if model.alphaJumpMode == "custom":
        steps, values = model.per_scale("iterAlphaJump"), model.per_scale("alphaJumpVals")
        return growth | {
            "fade": "custom",
            "fade_steps": [list(each) for each in steps],
            "fade_values": [list(each) for each in values],
        }
    return growth | {
        "fade_jumps": model.per_scale("alphaNJumps"),
        "fade_jump_steps": model.per_scale("alphaSizeJumps"),
    }


def _bookkeeping(steps: int) -> Table:
    """How often a run is logged, saved and validated: for the program's run lengths, or for a short one five times."""
    usual = {"log_every": 50, "checkpoint_every": 1000, "validate_every": 5000}
    return {name: max(1, min(every, steps // 5)) for name, every in usual.items()}
