"""A clip of fixed length as a note of any length: cut short when the key comes up, carried on while it is held.

A generator makes clips of one length, a second or so, with an attack, a body and sometimes the release of a key that
came up inside the clip. A score asks for notes that last from a tenth of a second to a minute.

*Shorter* is easy: from the moment the key comes up, the clip fades out within a short release.

*Longer* is what samplers have always done, a loop. The body of the clip, before its own release, is played again and
again. Where it is entered anew, it has to agree with what was just heard, or the ear gets a click in every turn. So
the entry is looked for: of all places soon after the attack, the one whose surroundings are most alike (by normalised
cross-correlation) to those of the body's end, which puts a whole number of periods between the two. Around it the end
fades into the entry. With weights a and b of two passages whose correlation is r, the power of the sum is a^2 + b^2 +
2 r a b; dividing by its root keeps the level even, for tones and for noise.

A piano does not stop decaying because its recording ends. The level of the body falls along a line in decibels, and
every turn of the loop is lowered by what it falls over that long, so that a struck note dies away and a blown one
stays.
"""

import dataclasses
import functools
import math
from typing import final

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from retimbre.dsp.level import active_region, fade_out, fit_length, rms
from retimbre.dsp.onsets import gate_seconds

# How much of the passages around end and entry is compared and blended: a period of 40 Hz, so that bass notes agree.
_BLEND_S = 0.025
# A turn of the loop lasts so long at least. A shorter one would be heard as a pitch or a purr of its own.
_SHORTEST_TURN_S = 0.1
# The loop lies in the last part of the body, where the attack is over.
_BODY_FROM = 0.4
# The entry is looked for in so much of it: a whole swing of a vibrato, and eight periods of 40 Hz.
_SEARCHED_S = 0.2
# Of entries that agree about as well as the best one, the longest turn repeats itself least.
_AS_GOOD = 0.01
_BLOCK_S = 0.02


@final
@dataclasses.dataclass(frozen=True)
class Loop:
    """Which samples of a clip are repeated.

    Attributes:
        start: The entry.
        stop: The end, after which the entry follows.
        blend: Samples before both over which the end fades into the entry.
        alike: The correlation of these passages, -1 to 1.
        turn_gain: What the level falls by from one turn to the next, 0 to 1.
    """

    start: int
    stop: int
    blend: int
    alike: float
    turn_gain: float


@final
class HeldClip:
    """A clip that can be held.

    Attributes:
        samples: As generated.
        sample_rate: Hz.
    """

    def __init__(self, samples: Float[Tensor, " samples"], sample_rate: int) -> None:
        self.samples, self.sample_rate = samples, sample_rate

    def note(self, gate_samples: int, release_samples: int) -> Float[Tensor, " note"]:
        """The clip as a note: `gate_samples` until the key comes up, then a fade to silence.

        Notes that end before the clip's own release are its samples; those that are held longer go on in the loop. A
        clip without a body to repeat (silence, a click) is followed by silence.
        """
        wanted = gate_samples + release_samples
        runs_out = wanted > len(self.samples) or gate_samples > self.body_end
        if runs_out and self.loop is not None:
            sound = _turning(self.samples, self.loop, wanted)
        else:
            # What is cut off by the end of the clip would click.
            end = min(release_samples, len(self.samples)) / len(self.samples) if runs_out else 0.0
            sound = fit_length(fade_out(self.samples, fraction=end), wanted)
        return fade_out(sound, fraction=release_samples / wanted) if wanted else sound

    @functools.cached_property
    def body_end(self) -> int:
        """Where the clip's own release begins; its end if it has none."""
        start, _ = active_region(self.samples, self.sample_rate)
        ends = start + round(gate_seconds(self.samples, self.sample_rate) * self.sample_rate)
        # The gate of a sound without release is all of it, as far as it is loud.
        _, stop = active_region(self.samples, self.sample_rate, floor_db=-45.0)
        return len(self.samples) if ends >= stop else ends

    @functools.cached_property
    def loop(self) -> Loop | None:
        """What is repeated; None if the body is too short or silent."""
        return find_loop(self.samples[: self.body_end], self.sample_rate)


def find_loop(body: Float[Tensor, " samples"], sample_rate: int) -> Loop | None:
    """The loop of a body, which ends with its last sample; None if it is too short, or silent there."""
    blend, shortest = round(_BLEND_S * sample_rate), round(_SHORTEST_TURN_S * sample_rate)
    first, stop = int(_BODY_FROM * len(body)), len(body)
    last = min(stop - shortest, first + blend + round(_SEARCHED_S * sample_rate))
    if last - first < blend + 1 or blend < 2 or not bool(body[first:].any()):
        return None
    likeness = _correlation(body[first:last], body[stop - blend :])
    good = torch.nonzero(likeness >= likeness.max() - _AS_GOOD).flatten()
    place = int(good[0])
    start = first + place + blend
    fall_db = _slope_db(body[first:], sample_rate) * (stop - start)
    return Loop(start, stop, blend, float(likeness[place]), min(1.0, 10.0 ** (fall_db / 20.0)))


def _correlation(
    region: Float[Tensor, " region"], passage: Float[Tensor, " passage"]
) -> Float64[Tensor, " places"]:
    """The normalised correlation of a passage with every stretch of a region; 0 with silence."""
    products = functional.conv1d(region[None, None], passage[None, None])[0, 0].double()
    sums = functional.pad(region.double().square().cumsum(dim=0), (1, 0))
    powers = (sums[len(passage) :] - sums[: -len(passage)]).clamp_min(0.0)
    lengths = (powers * passage.double().square().sum()).sqrt()
    return torch.where(lengths > 1e-12, products / lengths.clamp_min(1e-12), 0.0)


def _slope_db(body: Float[Tensor, " samples"], sample_rate: int) -> float:
    """How the level changes, in decibels per sample: the line through the levels of blocks of 20 ms."""
    block = round(_BLOCK_S * sample_rate)
    count = len(body) // block
    if count < 2:
        return 0.0
    levels = rms(body[: count * block].double().reshape(count, block)).clamp_min(1e-6).log10() * 20.0
    place = torch.arange(count, dtype=torch.float64) * block
    place = place - place.mean()
    return float((place @ levels) / (place @ place))


def _turning(clip: Float[Tensor, " samples"], loop: Loop, num_samples: int) -> Float[Tensor, " num_samples"]:
    """The clip up to the loop's end, and then turn after turn."""
    blend, gain = loop.blend, loop.turn_gain
    rise = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(blend, dtype=clip.dtype) + 0.5) / blend)
    power = rise.square() + (1.0 - rise).square() + 2.0 * max(loop.alike, 0.0) * rise * (1.0 - rise)
    ending = clip[loop.stop - blend : loop.stop] * (1.0 - rise)
    entry = gain * clip[loop.start - blend : loop.start] * rise
    turn = torch.cat([(ending + entry) / power.sqrt(), gain * clip[loop.start : loop.stop - blend]])
    before = clip[: loop.stop - blend]
    turns = max(0, -(-(num_samples - len(before)) // len(turn)))
    levels = gain ** torch.arange(turns, dtype=clip.dtype)
    return fit_length(torch.cat([before, (levels[:, None] * turn).flatten()]), num_samples)
