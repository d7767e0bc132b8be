"""A note as a sample that a sampler can hold: where it is played again and again, and that nobody hears it.

A sampler holds a note by going back, at one sample of the file, to an earlier one. It changes nothing on the way, so
whatever makes the turn inaudible must be in the file. Which stretch is repeated is found as for MIDI files
(`generate/sustain.py`); two things are then written into the samples.

*The seam.* Of several places near the end of the note's body, the turn ends where it is most like its start. Over the
last 25 ms of the turn, what leads up to its first sample is faded in, so that the last sample is followed by the first
as it was in the recording.

*The level.* A note that grows softer by a decibel over the turn would be louder by a decibel each time it goes back,
which is heard as a pulse. Within the turn the fall is taken out, so the held note keeps the level that it has where the
loop begins. This is for notes that hardly fall. A plucked string must go on dying away, which no loop does: a note that
falls by more than `STEADY_DB_PER_S` gets none, and the file holds all of it, continued by turns of its own that do fall
where the clip is too short.

Some samples of the turn's beginning follow its end, because samplers read a little ahead to find the values between
samples.
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.level import active_region, fade_out
from retimbre.workflows.generate.sustain import HeldClip, Loop, find_loop

STEADY_DB_PER_S = 6.0
"""Notes that fall faster than this are not looped. Wind and bowed notes waver by less, plucked ones fall by more."""

# Where loops may end, as shares of the body.
_ENDS = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)
# After the loop, for samplers that look ahead; SoundFont asks for 8 at least.
_AHEAD_SAMPLES = 64
# Silence before the note is a key that answers late.
_ONSET_DB = -50.0
# The end of a note that dies away, where it is this soft.
_DEAD_DB = -70.0
# A note that is cut before it is dead fades over this much of it.
_CUT_S = 0.02


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """What a file of an instrument holds.

    Attributes:
        samples: At `sample_rate`.
        loop_start: The first sample of the turn.
        loop_stop: The one after its last; 0 for a note without a loop.
        alike: How alike the passages before both are, -1 to 1; 0 without a loop.
        falls_db_per_s: How fast the note dies away while it is held; 0 for one that grows.
    """

    samples: Float[Tensor, " samples"]
    sample_rate: int
    loop_start: int = 0
    loop_stop: int = 0
    alike: float = 0.0
    falls_db_per_s: float = 0.0

    @property
    def is_looped(self) -> bool:
        """Whether it is played in turns while the key is held."""
        return self.loop_stop > 0

    def held(self, num_samples: int) -> Float[Tensor, " held"]:
        """What a sampler plays at the sample's own key while it is held; shorter where the note ends before."""
        if not self.is_looped:
            return self.samples[:num_samples]
        turn = self.samples[self.loop_start : self.loop_stop]
        turns = max(0, -(-(num_samples - self.loop_stop) // len(turn)))
        return torch.cat([self.samples[: self.loop_stop], turn.repeat(turns)])[:num_samples]


def sample_of(
    clip: Float[Tensor, " samples"], sample_rate: int, *, seconds: float, may_loop: bool = True
) -> Sample:
    """A note as a sample, from its first sound on.

    Args:
        clip: The note, held for as long as it is.
        sample_rate: Hz.
        seconds: Length at most of a note that is not looped.
        may_loop: Whether there may be a loop.
    """
    onset, _ = active_region(clip, sample_rate, floor_db=_ONSET_DB)
    held = HeldClip(clip[onset:], sample_rate)
    loop = _best_loop(held)
    if loop is None:
        return Sample(_ended(held, seconds), sample_rate)
    turn_s = (loop.stop - loop.start) / sample_rate
    falls_db_per_s = max(0.0, -20.0 * math.log10(max(loop.turn_gain, 1e-6))) / turn_s
    if not may_loop or falls_db_per_s > STEADY_DB_PER_S:
        return Sample(_ended(held, seconds), sample_rate, falls_db_per_s=falls_db_per_s)
    samples = _seamless(held.samples, loop)
    return Sample(samples, sample_rate, loop.start, loop.stop, loop.alike, falls_db_per_s)


def seam(sample: Sample) -> float:
    """How sharp the bend of the waveform is where a loop goes back, over the sharpest within the turn.

    The bend is the second difference of three neighbouring samples. A click is a bend far above 1; at 1 or below, the
    seam is no sharper than the sound itself. 0 without a loop.
    """
    if not sample.is_looped:
        return 0.0
    turn = sample.samples[sample.loop_start : sample.loop_stop].double()
    inside = turn.diff(n=2).abs().amax()
    across = torch.cat([turn[-3:], turn[:3]]).diff(n=2).abs().amax()
    return float(across / inside) if float(inside) > 0.0 else 0.0


def _best_loop(held: HeldClip) -> Loop | None:
    """Of loops that end at various places near the end of the body, the one whose ends are most alike.

    Where voices beat, or a vibrato swings, the body's last moment need not be like any other.
    """
    ends = [round(share * held.body_end) for share in _ENDS]
    found = [loop for end in ends if (loop := find_loop(held.samples[:end], held.sample_rate)) is not None]
    return max(found, key=lambda loop: loop.alike, default=None)


def _seamless(clip: Float[Tensor, " samples"], loop: Loop) -> Float[Tensor, " looped"]:
    """A clip up to the end of its loop, whose level stays and whose end leads to its start, and what is read ahead."""
    blend, start, stop = loop.blend, loop.start, loop.stop
    place = torch.arange(start - blend, stop, dtype=torch.float64)
    steady = clip[start - blend : stop].double() * loop.turn_gain ** ((start - place) / (stop - start))
    rise = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(blend, dtype=torch.float64) + 0.5) / blend)
    power = rise.square() + (1.0 - rise).square() + 2.0 * max(loop.alike, 0.0) * rise * (1.0 - rise)
    turn = steady[blend:].clone()
    turn[-blend:] = (turn[-blend:] * (1.0 - rise) + steady[:blend] * rise) / power.sqrt()
    return torch.cat([clip[:start].double(), turn, turn[:_AHEAD_SAMPLES]]).to(clip.dtype)


def _ended(held: HeldClip, seconds: float) -> Float[Tensor, " ended"]:
    """A note without a loop, as long as it can be heard, and `seconds` at most."""
    rate = held.sample_rate
    most, cut = round(seconds * rate), round(_CUT_S * rate)
    note = held.note(max(0, most - cut), cut)
    _, stop = active_region(note, rate, floor_db=_DEAD_DB)
    kept = note[: max(stop, 1)]
    return fade_out(kept, fraction=min(1.0, cut / len(kept)))
