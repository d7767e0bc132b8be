"""Envelopes: the strokes of a note in time.

An envelope is a few *stages* between *corners*: attack to 1, decay to the sustain level, hold until the key
comes up, release to 0. Two kinds of stroke are here: straight ones (`linear_adsr`, what the InverSynth paper
and the earlier systems use) and the exponential ones of analogue instruments (`analog_adsr`), which sound
even to the ear. Both start their release from wherever they are when the key comes up, so a note shorter than
its attack never jumps; a stage of no length is a jump and not a division by zero.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth.clock import Blockwise, Clock

SHORTEST_S = 1e-5  # a stage of no length: under a tenth of a sample period at any usual rate
Stroke = Callable[[Tensor], Tensor]  # how far a stage has come, from how much of its time is over
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


def linear_adsr(settings: Adsr, clock: Clock) -> Float[Tensor, "batch samples"]:
    """An envelope of straight strokes, at every sample."""
    return clock.sample(lambda time_s: _strokes(settings, time_s, _straight), settings.corners_s)


def analog_adsr(settings: Adsr, clock: Clock) -> Float[Tensor, "batch samples"]:
    """An envelope of exponential strokes, at every sample."""
    between = None if torch.compiler.is_compiling() else _exponentials(settings, clock)
    return clock.sample(lambda time_s: analog_at(settings, time_s), settings.corners_s, between)


def _exponentials(settings: Adsr, clock: Clock) -> Blockwise:
    """The envelope in blocks that lie within one stage: a level plus an exponential.

    An exponential of time is a product of one of the block's start and one of the offset.
    """
    start_s = clock.block_s[None]
    stages = [
        (stage.double()[:, None]) for stage in (settings.attack_s, settings.decay_s, settings.release_s)
    ]
    attack, decay, release = (stage.clamp(min=SHORTEST_S) for stage in stages)
    sustain, gate = settings.sustain.double()[:, None], settings.gate_s.double()[:, None]
    at_key_up = _held(settings, gate, _bent)
    arrived = 1.0 - math.exp(-CURVATURE)
    held, rising = start_s < gate, start_s < stages[0]
    falling = held & ~rising & (start_s < stages[0] + stages[1])
    dying = ~held & (start_s < gate + stages[2])
    swings = [  # how far the exponential of each stage is from the level it ends short of
        (held & rising) * -_fade(start_s, attack) / arrived,
        falling * (1.0 - sustain) * _fade(start_s - stages[0], decay) / arrived,
        dying * at_key_up * _fade(start_s - gate, release) / arrived,
    ]
    level = (
        (held & rising) / arrived
        + falling * (1.0 - (1.0 - sustain) / arrived)
        + (held & ~rising & ~falling) * sustain
        + dying * at_key_up * (1.0 - 1.0 / arrived)
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


def analog_at(settings: Adsr, time_s: Float[Tensor, "batch_or_1 n"]) -> Float[Tensor, "batch n"]:
    """An envelope of exponential strokes at given times, for controls that run slower than the audio."""
    return _strokes(settings, time_s, _bent)


def _straight(progress: Tensor) -> Tensor:
    return progress


def _bent(progress: Tensor) -> Tensor:
    """0 to 1 as 1 - exp(-c p), scaled to arrive at 1."""
    return (1.0 - torch.exp(-CURVATURE * progress)) / (1.0 - math.exp(-CURVATURE))


def _strokes(settings: Adsr, time_s: Tensor, bend: Stroke) -> Tensor:
    held = _held(settings, time_s, bend)
    gate = settings.gate_s[:, None]
    at_key_up = _held(settings, gate.to(time_s.dtype), bend)
    released = bend(_progress(time_s - gate, settings.release_s))
    return torch.where(time_s < gate, held, at_key_up * (1.0 - released))


def _held(settings: Adsr, time_s: Tensor, bend: Stroke) -> Tensor:
    """The envelope while the key is down."""
    attack = bend(_progress(time_s, settings.attack_s))
    decay = bend(_progress(time_s - settings.attack_s[:, None], settings.decay_s))
    return attack * (1.0 - decay * (1.0 - settings.sustain[:, None]))


def _progress(elapsed_s: Tensor, stage_s: Tensor) -> Tensor:
    """How much of a stage is over, 0 to 1."""
    stage = stage_s[:, None]
    progress = (elapsed_s / stage.clamp(min=SHORTEST_S)).clamp(0.0, 1.0)
    return torch.where(stage > SHORTEST_S, progress, (elapsed_s >= 0.0).to(progress.dtype))
