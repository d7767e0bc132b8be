"""A recording that moves, as knobs that move: an inverter listens through a window that slides over the sound.

An inverter hears a clip of fixed length, usually a second, and names one patch for it. A recording of any length is
therefore cut into overlapping windows of that length, and what is named for a window is taken for the state of the
voice at the window's centre. Joined by straight lines, these states are curves:

    recording -> windows -> network: how likely each class of each knob is, per window
              -> candidates per window, held, rendered and compared with the window
              -> the path through them that fits best and jumps least -> curves -> the sound of the curves

Knobs that cannot vary within a clip get one value for the whole sound: the class that all windows together make the
likeliest. Envelopes are no matter of curves: the voice is held open and led by the recording (`matching.held`).
Windows whose middle is silent say nothing; the curves go straight through them. Before the first centre and after the
last the frequencies go on as steeply as in the windows next to them, and other knobs stay.
"""

import dataclasses
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp.level import peak, rms
from retimbre.matching.contour import Contour
from retimbre.matching.held import held, led_by
from retimbre.matching.inverter import Inverter
from retimbre.matching.propose import OSCILLATORS
from retimbre.matching.scout import Scout, Scouting, continuous, nearest_class
from retimbre.matching.trellis import Trellis, cheapest_path
from retimbre.synth.base import Note, Synth
from retimbre.synth.parameters import ParameterSpace

# A window is silent if its middle is more than 50 dB softer than the loudest one, or under -70 dB of full scale.
_SOFTEST_RATIO = 10.0 ** (-50 / 20)
_SOFTEST_RMS = 10.0 ** (-70 / 20)

# The largest peak of a resynthesis: players clip what is beyond 1.
_CEILING = 0.99

# Over how many windows a slope is measured that goes on beyond the ends: half a second of eight windows a second.
_SLOPE_WINDOWS = 4


@final
@dataclasses.dataclass(frozen=True)
class CurveSettings:
    """How curves are found.

    Attributes:
        overlap: How many windows each moment lies in; windows start an `overlap`-th of their length apart.
        scouting: What candidates are looked at and what counts against them.
    """

    overlap: int = 8
    scouting: Scouting = dataclasses.field(default_factory=Scouting)

    def __post_init__(self) -> None:
        """Refuses overlaps that leave the windows' centres off the grid of the curves' points."""
        if self.overlap not in (2, 4, 8, 16, 32):
            raise ConfigError(f"curve overlap is {self.overlap}, but takes 2, 4, 8, 16 or 32")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """A voice's knobs over a recording.

    Attributes:
        synth: The synthesizer's name.
        space: The inverter's knobs.
        moving: Names of the knobs that have curves.
        unit: Their positions at the windows' centres, in the unit interval.
        constants: The settings of all other searched knobs, by name; those that hold the voice open are not among them.
        sounding: Which windows hold sound; the others were bridged.
        key_hz: The note played.
        hop: Samples from one window's centre to the next; the first is half a window from the start.
        first_centre: Where that is, in samples.
    """

    synth: str
    space: ParameterSpace
    moving: tuple[str, ...]
    unit: Float[Tensor, "windows moving"]
    constants: dict[str, float | str]
    sounding: Bool[Tensor, " windows"]
    key_hz: float
    hop: int
    first_centre: int

    def values(self, name: str) -> Float[Tensor, " windows"]:
        """A moving knob in its own unit at the windows' centres."""
        return continuous(self.space, name).to_value(self.unit[:, self.moving.index(name)])

    def classes(self, name: str) -> Int[Tensor, " windows"]:
        """A moving knob as its nearest class."""
        return nearest_class(continuous(self.space, name), self.unit[:, self.moving.index(name)])


def check_length(inverter: Inverter, num_samples: int, settings: CurveSettings) -> None:
    """Refuses a sound that has no room for two windows.

    Raises:
        AudioError: It has not.
    """
    rate = inverter.config.sample_rate
    needed = inverter.num_samples + inverter.num_samples // settings.overlap
    if num_samples < needed:
        raise AudioError(
            f"too short for curves: {num_samples / rate:.3f} s, but two windows take {needed / rate:.3f} s or more"
        )


def find_curves(
    inverter: Inverter,
    samples: Float[Tensor, " samples"],
    key_hz: float,
    contour: Contour,
    settings: CurveSettings,
    *,
    seed: int = 0,
) -> Curves:
    """The curves of a recording.

    Args:
        inverter: What listens; its synthesizer has knobs that vary within a clip.
        samples: The recording at the inverter's rate, two windows long or more.
        key_hz: The note that is told to the network and played.
        contour: The pitch heard in each window.

    Raises:
        AudioError: It is too short or silent.
        ConfigError: The synthesizer has no curves.
    """
    check_length(inverter, len(samples), settings)
    hop = inverter.num_samples // settings.overlap
    windows = samples.unfold(0, inverter.num_samples, hop)
    sounding = _sounding(windows)
    if not bool(sounding.any()):
        raise AudioError("silent: no window of it rises above -70 dB of full scale")
    scout = Scout.of(inverter, key_hz, settings.scouting)
    log_probabilities = scout.hear(windows[sounding])
    votes = log_probabilities.sum(dim=0).nan_to_num(neginf=-1e9).argmax(dim=1)
    pitch_hz = contour.pitch_hz[sounding]
    candidates = scout.candidates(log_probabilities, votes, pitch_hz, random.generator(seed, "curves"))
    cost = scout.cost(windows[sounding], candidates, log_probabilities, pitch_hz)
    place = scout.in_classes(candidates)
    path = cheapest_path(Trellis(place, cost), settings.scouting.costs.per_class)
    chosen = candidates[torch.arange(len(path)), path][:, scout.columns]
    return Curves(
        synth=inverter.synth.name,
        space=inverter.space,
        moving=scout.moving,
        unit=_bridged(chosen, sounding),
        constants=scout.constants(votes),
        sounding=sounding,
        key_hz=key_hz,
        hop=hop,
        first_centre=inverter.num_samples // 2,
    )


def still(curves: Curves) -> Curves:
    """The same voice with every moving knob at the median of its curve, over the windows that hold sound."""
    middle = curves.unit[curves.sounding].median(dim=0).values
    return dataclasses.replace(curves, unit=middle.expand_as(curves.unit))


def resynthesise(
    curves: Curves, synth: Synth, recording: Float[Tensor, " samples"]
) -> Float[Tensor, " samples"]:
    """The sound of curves, as long as the recording and led by its level; softer only where it would clip.

    Args:
        synth: The voice, at the recording's rate.
    """
    voice = held(synth, len(recording) / synth.sample_rate)
    knobs = synth.space.from_values(curves.constants) | {
        name: torch.tensor([value]) for name, value in voice.knobs.items()
    }
    intervals = -(-(len(recording) - 1) // curves.hop)
    for name in curves.moving:
        unit = torch.stack([_over_time(curves, name, intervals)])
        knobs[name] = continuous(curves.space, name).to_value(unit)
    note = Note.of(1, pitch_hz=curves.key_hz, gate_s=len(recording) / synth.sample_rate)
    with torch.no_grad():
        # Whole intervals, so that the points of the curves fall on the windows' centres.
        plain = voice.synth.render(knobs, note, num_samples=intervals * curves.hop + 1)[0, : len(recording)]
    sound = led_by(recording, plain, synth.sample_rate)
    return sound * min(1.0, _CEILING / max(float(peak(sound)), _CEILING))


def _over_time(curves: Curves, name: str, intervals: int) -> Float[Tensor, " points"]:
    """The positions of a knob a hop apart from the first sample on, in the unit interval."""
    unit = curves.unit[:, curves.moving.index(name)]
    before = curves.first_centre // curves.hop
    after = max(0, intervals + 1 - before - len(unit))
    is_frequency = any(name == frequency for frequency, _ in OSCILLATORS[curves.synth])
    rise, fall = (_slope(unit), _slope(unit.flip(0))) if is_frequency else (0.0, 0.0)
    head = unit[0] - rise * torch.arange(before, 0, -1)
    tail = unit[-1] - fall * torch.arange(1, after + 1)
    return torch.cat([head, unit, tail])[: intervals + 1].clamp(0.0, 1.0)


def _slope(unit: Float[Tensor, " windows"]) -> float:
    """The mean rise per window over the first few windows."""
    end = min(_SLOPE_WINDOWS, len(unit) - 1)
    return float(unit[end] - unit[0]) / end if end else 0.0


def _sounding(windows: Float[Tensor, "windows samples"]) -> Bool[Tensor, " windows"]:
    """Whether there is sound in the middle quarter of each window: what is said of a window stands for its centre."""
    length = windows.shape[1]
    level = rms(windows[:, 3 * length // 8 : 5 * length // 8])
    return (level > _SOFTEST_RATIO * level.max()) & (level > _SOFTEST_RMS)


def _bridged(
    known: Float[Tensor, "sounding moving"], sounding: Bool[Tensor, " windows"]
) -> Float[Tensor, "windows moving"]:
    """Straight lines from the last window with sound to the next; beyond the first and the last the value stays."""
    places, every = sounding.nonzero()[:, 0].numpy(), np.arange(len(sounding))
    columns = [np.interp(every, places, column.numpy()) for column in known.unbind(1)]
    return torch.from_numpy(np.stack(columns, axis=1)).to(known.dtype)
