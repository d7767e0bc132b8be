"""Which pitch sounds when a key is pressed: the tuning of a patch.

A key of 440 Hz does not always sound at 440 Hz. In the voices whose oscillator frequencies are knobs it sounds
wherever the knobs put it; in the others an oscillator may stand an octave off. But in all of them the sound follows
the key: twice the key's frequency, twice the pitch. So one ratio, that of key to pitch, tells which key to press for a
wanted pitch, and it is found once, at the patch's own key:

- where the oscillators' frequencies are knobs, the pitch is that of the loudest one, exactly, or a whole fraction of
  it if the rendering repeats that slowly (an oscillator may play an overtone of the others);
- in the other voices the pitch is what YIN hears in the rendering, if it is sure; where the pitch wavers (vibrato,
  bends, beating) that tells the semitone but not the cents, so it counts in whole semitones from the key;
- a pitch that the user gives decides on the octave, and holds where nothing near it is heard;
- of a patch without clear pitch that was found for a recording, the recording's pitch is taken;
- drums, noise and chords have none of this: their keys are played as they are.
"""

import dataclasses
import math
from typing import final

from retimbre.dsp.pitch import note_pitch
from retimbre.matching.propose import OSCILLATORS, SURE_OF_PITCH, loudest_oscillator_hz
from retimbre.synth.base import REFERENCE_PITCH_HZ
from retimbre.synth.patches import Patch, patch_knobs, render_patch, synth_at_rate

# A key and a pitch this near are one: less than ears tell apart, and about what YIN errs by.
_SAME_CENTS = 2.0

# From this confidence of YIN on, a pitch stands still enough to be told in cents; plain notes have 0.9 and more.
_STEADY = 0.9

# How long a patch is listened to at least: a dozen of YIN's frames of a low note.
_LISTENED_S = 0.5

# How far apart two readings of one pitch may be, up to octaves or overtones.
_NEAR_CENTS = 50.0

# The loudest oscillator is at most this overtone of the pitch. Deep frequency modulation repeats at the rate of its
# modulator, far below anything that is heard as the pitch.
_HIGHEST_OVERTONE = 4


@final
@dataclasses.dataclass(frozen=True)
class Tuning:
    """How the keys of a patch and the pitches that sound go together.

    Attributes:
        pitch_hz: What sounds at the patch's own key; that key where no pitch is known.
        cents: How far it is above the key.
        known: Whether there is a pitch; if not, keys are played as they are.
    """

    pitch_hz: float
    cents: float
    known: bool

    @property
    def key_over_pitch(self) -> float:
        """What to multiply a wanted pitch by to get the key that sounds at it."""
        return 2.0 ** (-self.cents / 1_200)


def measure_tuning(patch: Patch, *, given_hz: float = 0.0, detected_hz: float = 0.0) -> Tuning:
    """The tuning of a patch, from its knobs and from its sound at its own key.

    Args:
        given_hz: The pitch that the user says it sounds at there; 0 for none.
        detected_hz: The pitch of the recording it was found for; 0 if there is none or it is not sure.

    Raises:
        PatchError: The patch does not fit its synthesizer.
    """
    key_hz = patch.note.pitch_hz
    heard_hz = _heard_hz(patch)
    oscillator_hz = _oscillator_hz(patch)
    pitch_hz = _fundamental_of(oscillator_hz, heard_hz) if oscillator_hz else heard_hz
    if given_hz:
        pitch_hz = _in_octave_of(given_hz, pitch_hz)
    pitch_hz = pitch_hz or detected_hz
    if not pitch_hz:
        return Tuning(key_hz, 0.0, known=False)
    cents = _cents(pitch_hz, key_hz)
    if abs(cents) <= _SAME_CENTS and not oscillator_hz:
        return Tuning(key_hz, 0.0, known=True)
    return Tuning(pitch_hz, cents, known=True)


def _heard_hz(patch: Patch) -> float:
    """What YIN hears in the patch's rendering, to the semitone if it wavers; 0 if it is not sure."""
    rendered = render_patch(dataclasses.replace(patch, seconds=max(patch.seconds, _LISTENED_S)))
    estimate = note_pitch(rendered, patch.sample_rate)
    if estimate.confidence < SURE_OF_PITCH:
        return 0.0
    if estimate.confidence >= _STEADY:
        return estimate.pitch_hz
    semitones = round(_cents(estimate.pitch_hz, patch.note.pitch_hz) / 100)
    return patch.note.pitch_hz * 2.0 ** (semitones / 12)


def _oscillator_hz(patch: Patch) -> float:
    """The loudest oscillator at the patch's key; 0 for voices whose pitch is no knob. Of a curve its middle counts."""
    oscillators = OSCILLATORS.get(patch.synth)
    if oscillators is None:
        return 0.0
    knobs = {
        name: knob[:, knob.shape[1] // 2] if name in dict(oscillators) and knob.ndim == 2 else knob
        for name, knob in patch_knobs(patch, synth_at_rate(patch.synth, patch.sample_rate)).items()
    }
    at_reference = float(loudest_oscillator_hz(knobs, oscillators)[0])
    return at_reference * patch.note.pitch_hz / REFERENCE_PITCH_HZ


def _fundamental_of(oscillator_hz: float, heard_hz: float) -> float:
    """The whole fraction of an oscillator's frequency that is heard, or the frequency itself."""
    overtone = round(oscillator_hz / heard_hz) if heard_hz else 1
    if not 1 <= overtone <= _HIGHEST_OVERTONE:
        return oscillator_hz
    fundamental_hz = oscillator_hz / overtone
    return (
        fundamental_hz if heard_hz and abs(_cents(fundamental_hz, heard_hz)) <= _NEAR_CENTS else oscillator_hz
    )


def _in_octave_of(given_hz: float, pitch_hz: float) -> float:
    """A pitch moved by octaves to the one that was given; that one itself if this leads nowhere near."""
    if not pitch_hz:
        return given_hz
    moved_hz = pitch_hz * 2.0 ** round(math.log2(given_hz / pitch_hz))
    return moved_hz if abs(_cents(moved_hz, given_hz)) <= _NEAR_CENTS else given_hz


def _cents(pitch_hz: float, reference_hz: float) -> float:
    return 1_200 * math.log2(pitch_hz / reference_hz)
