"""The pitch of a moving sound, window by window, and the key at which a voice can follow it.

In the voices whose pitch is a knob (`propose.OSCILLATORS`) the key transposes: at A4 the frequency knobs go from 440 to
1046.5 Hz, a little more than an octave, and at any other key they go as far from there. A key is chosen once for a
whole sound, such that the middle of the knobs' travel lies in the middle of what was heard, in octaves.
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.pitch import PitchTrack, YinSettings, yin
from retimbre.matching.propose import OSCILLATORS
from retimbre.synth.base import REFERENCE_PITCH_HZ
from retimbre.synth.knobs import Continuous
from retimbre.synth.parameters import ParameterSpace

# A track every 1/64 s between the pitches of which 1/20 s holds two periods and of which a period is four samples.
_HOP_S = 1 / 64
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 4_000.0

# A frame tells a pitch if less than this share of its power does not repeat; as in `dsp.pitch`.
_VOICED_APERIODICITY = 0.3

# Around a window's centre, as much of the window is asked for its pitch as holds two cycles of a slow vibrato (3 Hz),
# if the window is a second long; of these frames at least half must tell one.
_ASKED_SHARE = 0.75
_FEWEST_VOICED = 0.5

# A contour reaches from its 2nd to its 98th percentile: single frames err by octaves.
_OUTLIERS = 0.02

# With fewer windows in tune than this, a sound has no contour that a key could be chosen by.
_FEWEST_IN_TUNE = 0.1


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Contour:
    """The pitch heard around each window's centre, in hertz; 0 where none can be told."""

    pitch_hz: Float[Tensor, " windows"]

    @property
    def is_sure(self) -> bool:
        """Whether enough of the sound has a pitch to choose a key by."""
        return float((self.pitch_hz > 0).double().mean()) >= _FEWEST_IN_TUNE

    @property
    def range_hz(self) -> tuple[float, float]:
        """The lowest and the highest pitch, single outliers left out; only for a contour that is sure."""
        heard = self.pitch_hz[self.pitch_hz > 0].double()
        low, high = heard.quantile(torch.tensor([_OUTLIERS, 1.0 - _OUTLIERS], dtype=torch.float64)).tolist()
        return low, high


def hear_contour(samples: Float[Tensor, " samples"], sample_rate: int, *, window: int, hop: int) -> Contour:
    """The contour of a sound that is cut into windows of `window` samples every `hop` samples."""
    highest_hz = min(_HIGHEST_HZ, sample_rate / 4)
    settings = YinSettings(lowest_hz=_LOWEST_HZ, highest_hz=highest_hz, hop_s=_HOP_S)
    track = yin(samples[None], sample_rate, settings)
    stride = max(1, round(_HOP_S * sample_rate))
    centre = torch.arange(track.f0_hz.shape[1]) * stride + settings.max_lag(sample_rate)
    starts = range(0, len(samples) - window + 1, hop)
    return Contour(
        torch.tensor([_pitch_around(track, centre, start + window / 2, window) for start in starts])
    )


def _pitch_around(track: PitchTrack, centre: Tensor, moment: float, window: int) -> float:
    asked = (centre - moment).abs() <= 0.5 * _ASKED_SHARE * window
    voiced = asked & (track.aperiodicity[0] < _VOICED_APERIODICITY)
    if int(voiced.sum()) < max(1.0, _FEWEST_VOICED * int(asked.sum())):
        return 0.0
    return float(track.f0_hz[0][voiced].median())


def frequency_knob(synth: str, space: ParameterSpace) -> Continuous:
    """The frequency knob of a voice's first oscillator, whose travel the others share."""
    knob = space[OSCILLATORS[synth][0][0]]
    if not isinstance(knob, Continuous):
        raise TypeError(f"{knob.name} of {synth} does not turn smoothly")
    return knob


def key_for(synth: str, space: ParameterSpace, contour: Contour) -> float:
    """The key in hertz at which the middle of the frequency knobs' travel is the middle of a contour.

    A4 if the contour is not sure.
    """
    if not contour.is_sure:
        return REFERENCE_PITCH_HZ
    knob = frequency_knob(synth, space)
    middle_hz = math.sqrt(math.prod(contour.range_hz))
    return middle_hz * REFERENCE_PITCH_HZ / math.sqrt(knob.low * knob.high)


def semitones_beyond(synth: str, space: ParameterSpace, contour: Contour, key_hz: float) -> float:
    """How far a contour goes beyond what the frequency knobs reach at a key, in semitones; 0 if they reach it all."""
    if not contour.is_sure:
        return 0.0
    knob = frequency_knob(synth, space)
    low_hz, high_hz = contour.range_hz
    ratio = key_hz / REFERENCE_PITCH_HZ
    beyond = max(knob.low * ratio / low_hz, high_hz / (knob.high * ratio), 1.0)
    return 12.0 * math.log2(beyond)
