"""How far a note is from the key it should have, in cents: hundredths of a semitone, 1200 to the octave.

The pitch is estimated without any network (`dsp.pitch`), since a network that a generator was trained against can be
fooled by it. Pitch estimates err in two ways, by a little or by whole octaves, and so do generators. The two are kept
apart: an error is folded to the nearest octave first, where the remainder is 50 cents at most and a whole number of
octaves was taken out, it is an octave error.

A sound without a pitch has no error. It is counted, and it does not have the right pitch.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.pitch import note_pitch
from retimbre.metrics.notes.readings import Readings

LEAST_CONFIDENCE = 0.3
"""Below this, less than a third of the loud sound repeats at one pitch: snares and noise; notes mostly have 0.9."""

IN_TUNE_CENTS = 50.0
"""Within this a note has the right key: nearer to it than to any other."""


@final
@dataclass(frozen=True, eq=False)
class PitchErrors:
    """Clips against the keys they should have.

    Attributes:
        cents: Signed error of the clips that have a pitch.
        in_tune: 1 for a clip within 50 cents of its key, 0 for any other, also without a pitch. Measured for all.
        octave: 1 for a clip that is within 50 cents of its key one or more octaves away, else 0. Measured for all.
        unpitched: 1 for a clip without a pitch, else 0. Measured for all.
    """

    cents: Readings
    in_tune: Readings
    octave: Readings
    unpitched: Readings


def fundamentals(audio: Float[Tensor, "clips samples"], sample_rate: int) -> Readings:
    """The fundamental frequency of each clip in Hz; not measured where less than a third of the sound repeats."""
    found = [note_pitch(samples, sample_rate) for samples in audio.float()]
    pitch_hz = torch.tensor([each.pitch_hz for each in found], dtype=torch.float64)
    sure = torch.tensor([each.confidence >= LEAST_CONFIDENCE for each in found], dtype=torch.bool)
    return Readings.of(pitch_hz, sure & (pitch_hz > 0))


def pitch_errors(fundamental_hz: Readings, midi: Float[Tensor, " clips"]) -> PitchErrors:
    """How far fundamentals are from the MIDI numbers of their keys (69 is 440 Hz).

    Raises:
        ValueError: There is not one key per clip.
    """
    if len(midi) != len(fundamental_hz.values):
        raise ValueError(f"{len(midi)} keys for {len(fundamental_hz.values)} clips")
    pitched = fundamental_hz.measured
    heard = 69.0 + 12.0 * (fundamental_hz.values.clamp_min(1e-9) / 440.0).log2()
    cents = 100.0 * (heard - midi.double())
    octaves = (cents / 1_200.0).round()
    folded = cents - 1_200.0 * octaves
    everywhere = torch.ones_like(pitched)
    octave = pitched & (octaves != 0) & (folded.abs() <= IN_TUNE_CENTS)
    return PitchErrors(
        cents=Readings.of(cents, pitched),
        in_tune=Readings.of((pitched & (cents.abs() <= IN_TUNE_CENTS)).double(), everywhere),
        octave=Readings.of(octave.double(), everywhere),
        unpitched=Readings.of((~pitched).double(), everywhere),
    )
