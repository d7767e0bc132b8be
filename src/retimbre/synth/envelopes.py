"""Envelopes: the strokes of a note in time.

An envelope is a few *stages* between *corners*: attack to 1, decay to the sustain level, hold until the key
comes up, release to 0. Two kinds of stroke are here: straight ones (`linear_adsr`, what the InverSynth paper
and the earlier systems use) and the exponential ones of analogue instruments (`analog_adsr`), which sound
even to the ear. Both start their release from wherever they are when the key comes up, so a note shorter than
its attack never jumps; a stage of no length is a jump and not a division by zero.
"""

import dataclasses
import math

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth.clock import Blockwise, Clock
from retimbre.synth.fusing import fusible

SHORTEST_S = 1e-5  # a stage of no length: under a tenth of a sample period at any usual rate
CURVATURE = 5.0  # an analogue stage ends exp(-5), 0.7 %, short of its target, and is scaled to reach it


@dataclasses.dataclass(frozen=True)
class Adsr:
    """The settings of an envelope, per item of a batch: times in seconds, sustain as a level in [0, 1]."""

    attack_s: Float[Tensor, " batch"]
    decay_s: Float[Tensor, " batch"]
    sustain: Float[Tensor, " batch"]
    release_s: Float[Tensor, " batch"]
    gate_s: Float[Tensor, " batch"]

    @property
    def corners_s(self) -> Float[Tensor, "batch corners"]:
        """Where the envelope bends."""
        return torch.stack(
            [self.attack_s, self.attack_s + self.decay_s, self.gate_s, self.gate_s + self.release_s], dim=1
        )


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage, ready to be evaluated: all three are columns, one row per item of a batch."""

    start_s: Float[Tensor, "batch 1"]
    per_s: Float[Tensor, "batch 1"]
    jump: Float[Tensor, "batch 1"]

    @classmethod
    def of(cls, start_s: Float[Tensor, " batch"], length_s: Float[Tensor, " batch"]) -> "Stage":
        """A stage from where it starts and how long it lasts; 0 s is a jump at its start."""
        no_length = (length_s <= SHORTEST_S).to(length_s.dtype)
        return cls(start_s[:, None], 1.0 / length_s.clamp(min=SHORTEST_S)[:, None], no_length[:, None])

    def progress(self, time_s: Tensor) -> Tensor:
        """How much of the stage is over, 0 to 1."""
        return ((time_s - self.start_s) * self.per_s + self.jump).clamp(0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Envelope:
    """An envelope, ready to be evaluated: what is the same for all samples is worked out once.

    Attributes:
        key_up: The level from which it is released.
        curved: Whether its strokes are exponential.
    """

    settings: Adsr
    attack: Stage
    decay: Stage
    release: Stage
    key_up: Float[Tensor, "batch 1"]
    curved: bool

    @classmethod
    def of(cls, settings: Adsr, *, curved: bool) -> "Envelope":
        """The envelope of some settings."""
        stages, key_up = _prepared(settings, curved)
        return cls(settings, *stages, key_up, curved)

    def at(self, time_s: Float[Tensor, "batch_or_1 n"]) -> Float[Tensor, "batch n"]:
        """The level at given times, in seconds."""
        released = _stroke(self.release.progress(time_s), self.curved)
        return torch.where(time_s < self.release.start_s, self.held(time_s), self.key_up * (1.0 - released))

    def held(self, time_s: Float[Tensor, "batch_or_1 n"]) -> Float[Tensor, "batch n"]:
        """The level at given times if the key were never released."""
        return _held(self.attack, self.decay, self.settings.sustain, time_s, self.curved)

    def sample(self, clock: Clock) -> Float[Tensor, "batch samples"]:
        """The level at every sample."""
        between = _exponentials(self, clock) if self.curved and not torch.compiler.is_compiling() else None
        return clock.sample(self.at, self.settings.corners_s, between)


@fusible
def _prepared(settings: Adsr, curved: bool) -> tuple[tuple[Stage, Stage, Stage], Float[Tensor, "batch 1"]]:
    """The stages of some settings, and the level at which the key comes up."""
    attack = Stage.of(torch.zeros_like(settings.attack_s), settings.attack_s)
    decay = Stage.of(settings.attack_s, settings.decay_s)
    release = Stage.of(settings.gate_s, settings.release_s)
    return (attack, decay, release), _held(attack, decay, settings.sustain, settings.gate_s[:, None], curved)


def _held(attack: Stage, decay: Stage, sustain: Tensor, time_s: Tensor, curved: bool) -> Tensor:
    fallen = _stroke(decay.progress(time_s), curved) * (1.0 - sustain[:, None])
    return _stroke(attack.progress(time_s), curved) * (1.0 - fallen)


def _stroke(progress: Tensor, curved: bool) -> Tensor:
    """How far a stage has come: as straight as its time, or as 1 - exp(-c p), scaled to arrive at 1."""
    if not curved:
        return progress
    return (1.0 - torch.exp(-CURVATURE * progress)) / (1.0 - math.exp(-CURVATURE))


def linear_adsr(settings: Adsr) -> Envelope:
    """An envelope of straight strokes."""
    return Envelope.of(settings, curved=False)


def analog_adsr(settings: Adsr) -> Envelope:
    """An envelope of exponential strokes."""
    return Envelope.of(settings, curved=True)


def _exponentials(envelope: Envelope, clock: Clock) -> Blockwise:
    """The envelope in blocks that lie within one stage: a level plus an exponential.

    An exponential of time is a product of one of the block's start and one of the offset.
    """
    settings, start_s = envelope.settings, clock.block_s[None]
    stages = [
        (stage.double()[:, None]) for stage in (settings.attack_s, settings.decay_s, settings.release_s)
    ]
    attack, decay, release = (stage.clamp(min=SHORTEST_S) for stage in stages)
    sustain, gate = settings.sustain.double()[:, None], settings.gate_s.double()[:, None]
    arrived = 1.0 - math.exp(-CURVATURE)
    held, rising = start_s < gate, start_s < stages[0]
    falling = held & ~rising & (start_s < stages[0] + stages[1])
    dying = ~held & (start_s < gate + stages[2])
    swings = [  # how far the exponential of each stage is from the level it ends short of
        (held & rising) * -_fade(start_s, attack) / arrived,
        falling * (1.0 - sustain) * _fade(start_s - stages[0], decay) / arrived,
        dying * envelope.key_up * _fade(start_s - gate, release) / arrived,
    ]
    level = (
        (held & rising) / arrived
        + falling * (1.0 - (1.0 - sustain) / arrived)
        + (held & ~rising & ~falling) * sustain
        + dying * envelope.key_up * (1.0 - 1.0 / arrived)
    )
    offset_s = clock.offset_s[None]
    right = [
        torch.ones_like(attack) * torch.ones_like(offset_s),
        *(_fade(offset_s, stage) for stage in (attack, decay, release)),
    ]
    return Blockwise(torch.stack([level, *swings], dim=2).float(), torch.stack(right, dim=1).float())


def _fade(elapsed_s: Tensor, stage_s: Tensor) -> Tensor:
    """The exponential of a stage; 1 before it begins, which keeps gradients finite where it does not count."""
    return torch.exp(-CURVATURE * elapsed_s.clamp(min=0.0) / stage_s)
