"""The knobs of the note voice: what tells one instrument of the corpus from another.

The voice is a bank of eight layers. A layer is a periodic waveform that is band-limited for the note's pitch, with a
frequency ratio and an envelope of its own. That is enough for what the ear tells families apart by: how the partials
fall off and which are missing (spectral knobs), whether they are harmonic (stiffness, modes), how each register of the
spectrum comes and goes (envelope knobs), how pitch and level waver (motion knobs), and what noise comes along.

An instrument is one draw of all knobs, each from a range that belongs to its family. A range has two ends; a draw lies
between them evenly, or evenly in the logarithm for what is heard by ratio (times and frequencies).

References:
    N. H. Fletcher and T. D. Rossing, The Physics of Musical Instruments, 2nd edition, Springer, 1998
    J. M. Grey, Multidimensional perceptual scaling of musical timbres, J. Acoust. Soc. Am. 61(5), 1977,
    https://doi.org/10.1121/1.381428
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.corpora.notes.exact import exp2, log2


@final
@dataclasses.dataclass(frozen=True)
class Range:
    """Where a knob of a family lies: from `low` to `high`, evenly in the logarithm if `logarithmic`."""

    low: float
    high: float
    logarithmic: bool = False


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Knobs:
    """Instruments, one a row: every field is float64 `[rows]`.

    Attributes:
        level_db: RMS of the loudest velocity at its onset, against full scale.
        velocity_db: How much softer velocity 0 would be than 127.
        tuning_cents: Off concert pitch.
        tilt_db: Slope of the partials, per octave above the lowest.
        velocity_tilt_db: What is added to the slope as velocity falls to 0.
        even_db: Level of the even harmonics; a closed cylindrical tube has hardly any.
        pluck: Where a string is plucked, as a share of its length; harmonics with a node there are missing. 0: nowhere.
        drawbars: How far only harmonics 1, 2, 3, 4, 5, 6 and 8 sound, 0 to 1.
        ragged_db: How far single partials stray from the slope, either way.
        body_hz: The lowest resonance of the body.
        body_width: Bandwidth of a resonance as a share of its frequency.
        body_db: How far what lies off the resonances is held down; 0: no body.
        vowel: The first vowel of a voice, 0 to 1 along a, o, u, i, e. Heard where the family sings.
        other_vowel: The vowel it moves towards.
        tract: Size of the vocal tract: factor on the formants, 0.85 for a bass, 1.2 for a child.
        stiffness: Partial n of a string sounds at n sqrt(1 + stiffness n^2) times the note.
        modes: Which set of bar or bell modes, 0 to 1. Heard where the family is struck bars.
        detune_cents: Between the two ranks of a family that has ranks.
        attack_s: From nothing to full.
        attack_spread: How much longer the highest layer takes, as a share of the attack.
        decay_s: Half-life of the first decay, at middle C.
        aftersound: Share of the amplitude that takes the slow decay.
        aftersound_s: Half-life of the slow decay; beyond 100 s it does not decay.
        decay_spread: How much faster the highest layer decays, as a share of the rate.
        decay_follow: By how many octaves the decay gets faster per octave of pitch.
        darken_db: How much less of the highest layer is left in the aftersound.
        release_s: Half-life after the key comes up.
        vibrato_cents: Peak deviation of the pitch.
        vibrato_hz: Its rate, and that of the tremolo.
        vibrato_delay_s: Until the vibrato and the tremolo are full.
        tremolo: Peak deviation of the amplitude, as a share.
        scoop_cents: How far off the pitch begins.
        scoop_s: Half-life of that.
        noise_db: Level of the breath or bow noise, against the tone.
        strike_db: Level of the hammer, pick or tongue noise, against the tone.
        strike_s: Its half-life.
        noise_octaves: The middle of the noise, above 1 kHz.
    """

    level_db: Float[Tensor, " rows"]
    velocity_db: Float[Tensor, " rows"]
    tuning_cents: Float[Tensor, " rows"]
    tilt_db: Float[Tensor, " rows"]
    velocity_tilt_db: Float[Tensor, " rows"]
    even_db: Float[Tensor, " rows"]
    pluck: Float[Tensor, " rows"]
    drawbars: Float[Tensor, " rows"]
    ragged_db: Float[Tensor, " rows"]
    body_hz: Float[Tensor, " rows"]
    body_width: Float[Tensor, " rows"]
    body_db: Float[Tensor, " rows"]
    vowel: Float[Tensor, " rows"]
    other_vowel: Float[Tensor, " rows"]
    tract: Float[Tensor, " rows"]
    stiffness: Float[Tensor, " rows"]
    modes: Float[Tensor, " rows"]
    detune_cents: Float[Tensor, " rows"]
    attack_s: Float[Tensor, " rows"]
    attack_spread: Float[Tensor, " rows"]
    decay_s: Float[Tensor, " rows"]
    aftersound: Float[Tensor, " rows"]
    aftersound_s: Float[Tensor, " rows"]
    decay_spread: Float[Tensor, " rows"]
    decay_follow: Float[Tensor, " rows"]
    darken_db: Float[Tensor, " rows"]
    release_s: Float[Tensor, " rows"]
    vibrato_cents: Float[Tensor, " rows"]
    vibrato_hz: Float[Tensor, " rows"]
    vibrato_delay_s: Float[Tensor, " rows"]
    tremolo: Float[Tensor, " rows"]
    scoop_cents: Float[Tensor, " rows"]
    scoop_s: Float[Tensor, " rows"]
    noise_db: Float[Tensor, " rows"]
    strike_db: Float[Tensor, " rows"]
    strike_s: Float[Tensor, " rows"]
    noise_octaves: Float[Tensor, " rows"]


KNOBS = tuple(field.name for field in dataclasses.fields(Knobs))


def draw(ranges: Float[Tensor, "rows knobs 3"], unit: Float[Tensor, "rows knobs"]) -> Knobs:
    """The instruments at points of the unit cube.

    Args:
        ranges: Of each knob, as `as_rows` lays them out, for each row.
        unit: Float64 in [0, 1).
    """
    start, width, logarithmic = ranges.unbind(-1)
    value = start + width * unit
    value = torch.where(logarithmic > 0, exp2(value), value)
    return Knobs(*value.unbind(-1))


def as_rows(ranges: dict[str, Range]) -> Float[Tensor, "knobs 3"]:
    """Start, width and whether they are logarithms, of every knob in the order of `KNOBS`.

    Raises:
        KeyError: A knob has no range.
    """
    rows = []
    for name in KNOBS:
        each = ranges[name]
        low, high = (log2(end) if each.logarithmic else end for end in (each.low, each.high))
        rows.append((low, high - low, float(each.logarithmic)))
    return torch.tensor(rows, dtype=torch.float64)
