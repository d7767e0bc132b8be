"""How a note moves: its envelopes and its pitch, at control points every 32 samples.

Between control points the renderer goes in straight lines, so that the slow exponentials here are computed once for 32
samples. At 16 kHz that is every two milliseconds, half of the shortest attack. Float32 is precise enough for them.

An envelope rises smoothly, then falls in two stages (struck strings have a fast decay and an aftersound; a steady tone
has an aftersound that does not decay), and falls away when the key comes up. High layers may rise later and decay
faster. The clip's last ten milliseconds fade to nothing whatever is still sounding.

References:
    G. Weinreich, Coupled piano strings, J. Acoust. Soc. Am. 62(6), 1977, https://doi.org/10.1121/1.381677
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.corpora.notes.exact import DB_PER_OCTAVE, SINE_SCALE, SINE_STEPS, exp2, from_db, sine
from retimbre.corpora.notes.families import GROUPINGS
from retimbre.corpora.notes.knobs import KNOBS, Knobs
from retimbre.corpora.notes.spectra import grouping_table, half, register

CONTROL_SAMPLES = 32

_FADE_S = 0.01
_STRIKE_RISE_S = 0.001
_SOFT_ATTACK = 0.5  # by what share the attack takes longer as velocity falls to 0
_SLOW_SPREAD = 0.3  # the part of `decay_spread` that the aftersound shows
_MIDDLE_C = 60

# Below -240 dB there is nothing: it keeps products of envelopes away from denormal numbers, which are slow.
_NOTHING = 1e-12

# A change of pitch by c cents is a factor 2^(c/1200); for the few cents of a vibrato the straight line is as good.
_SHARE_PER_CENT = round(math.log(2) / 1_200 * 2**32) / 2**32


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Motion:
    """The moving parts of notes, at control points.

    Attributes:
        layers: Amplitude of each layer, at most 1 but for the tremolo.
        noise: Amplitude of the noise, against the tone at its onset.
        pitch: Factor on the frequency.
    """

    layers: Float[Tensor, "rows layers controls"]
    noise: Float[Tensor, "rows controls"]
    pitch: Float[Tensor, "rows controls"]


@final
@dataclasses.dataclass(frozen=True)
class Timing:
    """Length of the clip, and of the part of it during which the key is down."""

    num_samples: int
    sample_rate: int
    held_s: float

    @property
    def num_controls(self) -> int:
        """Control points: one before the first sample of every stretch, and one after the last."""
        return -(-self.num_samples // CONTROL_SAMPLES) + 1

    @property
    def times_s(self) -> Float[Tensor, " controls"]:
        """Times of the control points."""
        return torch.arange(self.num_controls).mul(CONTROL_SAMPLES).float() / self.sample_rate


def motion_of(
    knobs: Knobs,
    grouping: Int[Tensor, " rows"],
    pitch: Int[Tensor, " rows"],
    velocity: Float[Tensor, " rows"],
    chance: Float[Tensor, " rows"],
    timing: Timing,
) -> Motion:
    """The envelopes and the pitch of notes.

    Args:
        velocity: From 0 to 1.
        chance: From 0 to 1: where in its cycle the vibrato begins.
    """
    knobs = Knobs(*(getattr(knobs, name).float() for name in KNOBS))
    velocity, chance = velocity.float(), chance.float()
    time_s = timing.times_s
    swing = _swing(knobs, chance, time_s)
    end = ((timing.num_samples / timing.sample_rate - time_s) / _FADE_S).clamp(0, 1)
    release = exp2(-(time_s - timing.held_s).clamp(min=0) / knobs.release_s[:, None]) * end
    slower = knobs.attack_s * (1 + _SOFT_ATTACK * (1 - velocity))
    height = grouping_table(register)[grouping].float()
    attack_s = slower[:, None] * (1 + knobs.attack_spread[:, None] * height)
    rise = _smooth_step(time_s / attack_s[..., None])
    since_s = (time_s - attack_s[..., None]).clamp(min=0)
    follow = exp2(knobs.decay_follow * (pitch.float() - _MIDDLE_C) / 12)
    fall = _fall(knobs, height, follow, since_s)
    wobble = 1 + knobs.tremolo[:, None] * swing
    layers = rise * fall * (release * wobble)[:, None]
    layers = layers * _crossfade(grouping, time_s / timing.held_s)
    bend = knobs.vibrato_cents[:, None] * swing
    bend = bend + knobs.scoop_cents[:, None] * exp2(-time_s / knobs.scoop_s[:, None])
    return Motion(
        layers=torch.where(layers > _NOTHING, layers, 0.0),
        noise=_noise(knobs, time_s, rise[:, 0] * release, velocity) * end,
        pitch=1 + bend * _SHARE_PER_CENT,
    )


def _swing(
    knobs: Knobs, chance: Float[Tensor, " rows"], time_s: Float[Tensor, " controls"]
) -> Float[Tensor, "rows controls"]:
    """The sine of vibrato and tremolo, growing from nothing."""
    turns = time_s * knobs.vibrato_hz[:, None] + chance[:, None]
    growth = _smooth_step(time_s / knobs.vibrato_delay_s[:, None])
    return sine((turns * SINE_STEPS).round().long()) / SINE_SCALE * growth


def _fall(
    knobs: Knobs,
    height: Float[Tensor, "rows layers"],
    follow: Float[Tensor, " rows"],
    since_s: Float[Tensor, "rows layers controls"],
) -> Float[Tensor, "rows layers controls"]:
    """The decay from 1 at the end of the attack, in two stages."""
    spread = knobs.decay_spread[:, None] * height
    fast = (follow / knobs.decay_s)[:, None] * (1 + spread)
    slow = (follow / knobs.aftersound_s)[:, None] * (1 + _SLOW_SPREAD * spread)
    left = knobs.aftersound[:, None] * exp2(-knobs.darken_db[:, None] * height / DB_PER_OCTAVE)
    stages = (1 - left)[..., None] * exp2(-since_s * fast[..., None])
    return stages + left[..., None] * exp2(-since_s * slow[..., None])


def _crossfade(
    grouping: Int[Tensor, " rows"], progress: Float[Tensor, " controls"]
) -> Float[Tensor, "rows layers controls"]:
    """From the first vowel to the second over the time the key is held; 1 where nothing is sung."""
    towards = _smooth_step(progress)
    second = grouping_table(half)[grouping].float()[..., None]
    sings = (grouping == GROUPINGS.index("vowels"))[:, None, None]
    return torch.where(sings, second * towards + (1 - second) * (1 - towards), 1.0)


def _noise(
    knobs: Knobs,
    time_s: Float[Tensor, " controls"],
    tone: Float[Tensor, "rows controls"],
    velocity: Float[Tensor, " rows"],
) -> Float[Tensor, "rows controls"]:
    """Breath or bow for as long as the tone, and a stroke at its start, softer for soft notes."""
    strike = exp2(-time_s / knobs.strike_s[:, None]) * (time_s / _STRIKE_RISE_S).clamp(max=1)
    strike = strike * (from_db(knobs.strike_db) * (0.5 + 0.5 * velocity))[:, None]
    noise = tone * from_db(knobs.noise_db)[:, None] + strike
    return torch.where(noise > _NOTHING, noise, 0.0)


def _smooth_step(progress: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """From 0 to 1 without a corner."""
    progress = progress.clamp(0, 1)
    return progress * progress * (3 - 2 * progress)
