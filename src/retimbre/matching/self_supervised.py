"""Learning from recordings that nobody labelled: the patch is unknown, but how far it sounds off can be heard.

A network that was trained on rendered pairs knows its synthesizer, and has never heard a real instrument. A recording
has no knobs to compare with. It has a sound, and since the synthesizer is differentiable, that is enough:

    recording -> inverter -> probabilities -> patch -> synthesizer -> sound
        ^                                                               |
        '--------------- spectral distance, whose gradient goes back ---'

Two things stand between probabilities and a patch. Knobs are read as classes, and taking the likeliest one has no
gradient; so the forward pass plays the class chosen and the backward pass sees the mean over all classes, each at its
place in the travel (*straight-through*). And spectra say little about which way a frequency should move, unless one
asks how far energy has to be carried. So the distance is a sum of two measures of `metrics.suite`: `mss`, which hears
timbre and course in decibels of mel bands, and `sot`, which hears frequency.

References:
    Bengio, Leonard and Courville (2013), "Estimating or propagating gradients through stochastic neurons for
    conditional computation", https://arxiv.org/abs/1308.3432 (straight-through).
    Jang, Gu and Poole (2017), "Categorical reparameterization with Gumbel-softmax", https://arxiv.org/abs/1611.01144
    Masuda and Saito (2021), "Synthesizer sound matching with differentiable DSP", ISMIR (sounds outside the domain).
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, TypeVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.dsp.level import match_level
from retimbre.matching.inverter import Inverter
from retimbre.matching.propose import OSCILLATORS, loudest_oscillator_hz
from retimbre.metrics.suite import SuiteReference
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note
from retimbre.synth.knobs import Choice, Continuous, Parameter
from retimbre.synth.parameters import Knobs

MEASURES = ("mss", "sot")

Number = TypeVar("Number", float, Tensor)

PatchName = Literal["likeliest", "sampled", "expected"]

# Uniform numbers are kept this far from 0 and 1, whose Gumbel noise would be infinite.
_EDGE = 1e-6

# Samples of the clip that tells whether a synthesizer has a gradient.
_TRIAL_SAMPLES = 256


@final
@dataclasses.dataclass(frozen=True)
class SoundLossConfig:
    """How the distance to a recording is made a loss.

    Attributes:
        weight: What the distance counts in the loss of an update.
        parameter_weight: What the loss of rendered pairs counts beside it; 0 for sounds alone.
        batch_size: Recordings in each update.
        mss: Weight of the multi-scale spectral distance, which is in decibels.
        sot: Weight of the spectral optimal transport, which is in shares of half the sample rate.
        patch: Which patch is played: the `likeliest` class of each knob, one `sampled` in proportion to likelihood, or
            the `expected` position, which is what the backward pass sees in any case.
        temperature: Of the probabilities in the backward pass; above 1 lets unlikely classes take part.
        slope_limit: The longest gradient that one recording may send to the class weights of one knob, in loss per
            share of a class; 0 for any. Without it the knobs that move a pitch, which are ten to a thousand times as
            steep as others and say little, drown the rest.
    """

    weight: float = 0.3
    parameter_weight: float = 1.0
    batch_size: int = 16
    mss: float = 1.0
    sot: float = 20.0
    patch: PatchName = "likeliest"
    temperature: float = 1.0
    slope_limit: float = 5.0

    def __post_init__(self) -> None:
        """Refuses weights that teach nothing, or the opposite."""
        weights = (self.weight, self.parameter_weight, self.mss, self.sot, self.slope_limit)
        if min(weights) < 0.0 or self.temperature <= 0.0 or self.batch_size < 1:
            raise ConfigError(
                "[sounds.loss] weights and slope_limit take 0 or more, temperature above 0, batch_size 1 or more"
            )
        if self.weight * (self.mss + self.sot) == 0.0:
            raise ConfigError(
                "[sounds.loss] weight, or both of mss and sot, are 0, so nothing is learned from sounds"
            )


@final
@dataclasses.dataclass(frozen=True, eq=False)
class SoundBatch:
    """Recordings, and the key presses that they are heard as.

    Attributes:
        rows: Which address each has in the training: what is drawn for it depends on this alone.
    """

    audio: Float[Tensor, "batch samples"]
    note: Note
    rows: Int[Tensor, " batch"]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Sounds:
    """Recordings at an inverter's rate and length, with the pitch and the gate that were read from them.

    Attributes:
        seed: Of the order of each pass.
    """

    audio: Float[Tensor, "sounds samples"]
    pitch_hz: Float[Tensor, " sounds"]
    gate_s: Float[Tensor, " sounds"]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.audio)

    def at(self, rows: Int[Tensor, " batch"]) -> SoundBatch:
        """The recordings heard at these places of the training; every pass over all of them has its own order."""
        laps = torch.div(rows, len(self), rounding_mode="floor")
        chosen = torch.empty_like(rows)
        for lap in laps.unique().tolist():
            here = laps == lap
            order = torch.randperm(
                len(self), generator=random.generator(self.seed, "order of the sounds", lap)
            )
            chosen[here] = order.to(rows.device)[rows[here] % len(self)]
        return self._picked(chosen, rows)

    def in_turn(self, size: int, device: torch.device) -> list[SoundBatch]:
        """All recordings once, in their own order."""
        return [
            self._picked(rows, rows) for rows in torch.arange(len(self), device=device).split(max(size, 1))
        ]

    def _picked(self, chosen: Tensor, rows: Tensor) -> SoundBatch:
        stored = chosen.to(self.audio.device)
        pitch_hz, gate_s = (each[stored].to(rows.device) for each in (self.pitch_hz, self.gate_s))
        note = Note(pitch_hz, torch.ones_like(pitch_hz), gate_s, torch.zeros_like(rows))
        return SoundBatch(self.audio[stored].to(rows.device), note, rows)


@final
class Listening:
    """What a task is given so that it also learns from recordings.

    Args:
        train: The recordings it learns from.
        validation: Those by which the best weights are chosen, one or more.
    """

    def __init__(self, config: SoundLossConfig, train: Sounds, validation: Sounds) -> None:
        self.config = config
        self.train = train
        self.validation = validation

    def batch(self, step: int, rows: slice, device: torch.device) -> SoundBatch:
        """The recordings of a step, 1 for the first; `rows` is the share of a process in the batch."""
        first = (step - 1) * self.config.batch_size
        return self.train.at(torch.arange(first, first + self.config.batch_size, device=device)[rows])

    def held_out(self, device: torch.device) -> list[SoundBatch]:
        """The recordings kept for validation."""
        return self.validation.in_turn(self.config.batch_size, device)

    def beside(self, parameter_loss: Number, distance: Number) -> dict[str, Number]:
        """What is reported of an update: the loss that it is moved against, and the two that it is made of."""
        loss = self.config.parameter_weight * parameter_loss + self.config.weight * distance
        return {"loss": loss, "parameter_loss": parameter_loss, "sound_distance": distance}

    def distance(
        self, inverter: Inverter, outputs: Float[Tensor, "batch outputs"], batch: SoundBatch
    ) -> Float[Tensor, " batch"]:
        """How far from each recording the patch sounds that the outputs speak for, with a gradient.

        While the inverter is being validated the patch is the likeliest, which is what it is used for.
        """
        how: PatchName = self.config.patch if inverter.training else "likeliest"
        scores = inverter.head.log_probabilities(outputs)
        if how == "sampled":
            scores = scores + gumbel_noise(self.train.seed, batch.rows, scores.shape[1:]).to(scores.dtype)
        weights = class_weights(scores, self.config.temperature, straight_through=how != "expected")
        if not weights.requires_grad:
            return self._measured(inverter, weights, batch)
        return _with_limited_slope(
            weights, lambda played: self._measured(inverter, played, batch), self.config.slope_limit
        )

    def _measured(self, inverter: Inverter, weights: Tensor, batch: SoundBatch) -> Float[Tensor, " batch"]:
        scores = sound_scores(inverter, weights, batch)
        return self.config.mss * scores["mss"] + self.config.sot * scores["sot"]


def _with_limited_slope(
    weights: Float[Tensor, "batch searched most"],
    distance_of: Callable[[Tensor], Float[Tensor, " batch"]],
    limit: float,
) -> Float[Tensor, " batch"]:
    """The distances, with a gradient to each knob of each row that is no longer than a limit; 0 for any.

    The slope is taken here and then carried on by a product, so that the limit is that of one recording, whatever the
    loss makes of the distances.
    """
    played = weights.detach().requires_grad_()
    distances = distance_of(played)
    (slope,) = torch.autograd.grad(distances.sum(), played)
    if limit > 0.0:
        length = torch.linalg.vector_norm(slope, dim=2, keepdim=True)
        slope = slope * (limit / length.clamp_min(limit))
    carried = (weights * slope).sum(dim=(1, 2))
    return distances.detach() + (carried - carried.detach())


def class_weights(
    scores: Float[Tensor, "batch searched most"], temperature: float, *, straight_through: bool
) -> Float[Tensor, "batch searched most"]:
    """How much of each class a patch has, knob by knob.

    Args:
        scores: Logarithms of probabilities; minus infinity where a knob has no such class.
        temperature: Of the probabilities that the gradient is taken through.
        straight_through: Whether the value is the likeliest class alone, as a patch can be played, with the gradient
            of the probabilities; else value and gradient are those of the probabilities.
    """
    soft = (scores / temperature).softmax(2)
    if not straight_through:
        return soft
    hard = functional.one_hot(scores.argmax(2), scores.shape[2]).to(soft.dtype)
    return hard + (soft - soft.detach())


def gumbel_noise(seed: int, rows: Int[Tensor, " batch"], shape: torch.Size) -> Float[Tensor, "batch *shape"]:
    """What added to logarithms of probabilities makes their maximum a draw: a function of the seed and of each row."""
    uniform = random.uniform(seed, "patches of the sounds", rows, shape.numel()).clamp(_EDGE, 1.0 - _EDGE)
    return -torch.log(-torch.log(uniform)).reshape(-1, *shape)


def played_knobs(inverter: Inverter, weights: Float[Tensor, "batch searched most"]) -> Knobs:
    """Weights of classes as knobs: an ordered knob stands at their centre of gravity, a choice is mixed by them.

    Between two classes of a continuous knob the centre is taken in its travel, as one turns it; of a stepped one, in
    its own unit, since its travel has no gradient.
    """
    space = inverter.space
    knobs = space.from_unit(weights.new_zeros(len(weights), space.width))
    for parameter, share in zip(space.searched, weights.unbind(1), strict=True):
        knobs[parameter.name] = _centre(parameter, share[:, : len(parameter.class_values())])
    return knobs


def _centre(parameter: Parameter, share: Float[Tensor, "batch classes"]) -> Tensor:
    if isinstance(parameter, Choice):
        return share
    values = torch.tensor(parameter.class_values(), dtype=share.dtype, device=share.device)
    if isinstance(parameter, Continuous):
        return parameter.to_value(share @ parameter.to_unit(values))
    return share @ values


def sound_scores(
    inverter: Inverter, weights: Float[Tensor, "batch searched most"], batch: SoundBatch
) -> dict[str, Float[Tensor, " batch"]]:
    """The measures of each patch against its recording, at the recording's level and at the inverter's rate."""
    knobs = played_knobs(inverter, weights)
    note = _key_for(inverter, knobs, batch.note)
    audio = inverter.synth.render(knobs, note, num_samples=inverter.num_samples)
    # The gain is no knob, so no gradient goes through it: the measures hear level only where something is silent.
    levelled = audio * match_level(batch.audio, audio.detach())[:, None]
    return SuiteReference.of(batch.audio, inverter.config.sample_rate).score(levelled, MEASURES)


def _key_for(inverter: Inverter, knobs: Knobs, heard: Note) -> Note:
    """The key that plays a patch at the pitch heard: that pitch, but for voices whose pitch is a knob."""
    oscillators = OSCILLATORS.get(inverter.config.synth)
    if oscillators is None:
        return heard
    # The key makes up for the knob, so a gradient through it would say that the knob does nothing.
    loudest_hz = loudest_oscillator_hz(knobs, oscillators).detach()
    return dataclasses.replace(heard, pitch_hz=heard.pitch_hz * REFERENCE_PITCH_HZ / loudest_hz)


def check_gradient(inverter: Inverter) -> None:
    """Makes sure that sound can teach an inverter anything.

    Raises:
        ConfigError: Every searched knob is a named choice, or its synthesizer's rendering has no gradient.
    """
    name = inverter.config.synth
    if all(isinstance(parameter, Choice) for parameter in inverter.space.searched):
        raise ConfigError(
            f"[sounds] {name} searches named choices alone, which have no gradient to learn from"
        )
    num_cells = inverter.head.layout.valid.shape
    weights = torch.full((1, *num_cells), 0.5, requires_grad=True)
    with torch.enable_grad():
        audio = inverter.synth.render(played_knobs(inverter, weights), Note.of(1), num_samples=_TRIAL_SAMPLES)
    if not audio.requires_grad:
        raise ConfigError(
            f"[sounds] the rendering of {name} has no gradient, so sounds cannot teach its knobs"
        )
