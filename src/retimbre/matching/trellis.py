"""Which of several patches a voice has in each window, if it does not jump about: a trellis and the path through it.

Each window of a recording has a column of candidates: what the network finds likely there and in the windows beside
it, and the likeliest patch tuned to the pitch that was heard. Four things count against a path, all as means over
the knobs that move:

    the network      how improbable it finds a candidate's classes; at most so much, since a network is surest where
                     it is most wrong, on sounds unlike those it was trained on
    the comparison   how far the candidate, held and rendered, is from the window, in decibels
    the pitch        how far the loudest oscillator is from the pitch heard, in semitones, as far as there is one
    the jump         how many classes the knobs move from one window to the next

The cheapest path is found column by column: the best way to a candidate goes through the best way to one of the
column before (Viterbi).

References:
    A. Viterbi, Error bounds for convolutional codes and an asymptotically optimum decoding algorithm, IEEE Trans.
    Information Theory 13(2), 1967, https://doi.org/10.1109/TIT.1967.1054010
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.dsp.stft import StftSettings
from retimbre.metrics.features import decibels_below_peak, mel_power

_MEL_BANDS = 128


@final
@dataclasses.dataclass(frozen=True)
class PathCosts:
    """What counts against a path.

    The weights were set on fifteen sounds of three or four seconds, glides of `fm`, sine sweeps and glides of up to
    twenty harmonics, so that the last, which no network of `fm` has met, keep their pitch and the first lose nothing.

    Attributes:
        most_improbable: The most that the network may hold against a class, in nats.
        per_db: Of distance from the window.
        per_semitone: Off the pitch heard.
        most_semitones: Beyond these, a wrong pitch costs no more.
        per_class: That a knob moves from one window to the next.
    """

    most_improbable: float = 4.0
    per_db: float = 0.7
    per_semitone: float = 0.7
    most_semitones: float = 4.0
    per_class: float = 0.25


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Trellis:
    """Candidates for each window.

    Attributes:
        place: Where their moving knobs are turned to, in classes.
        cost: What counts against each on its own.
    """

    place: Float[Tensor, "windows candidates knobs"]
    cost: Float[Tensor, "windows candidates"]


def cheapest_path(trellis: Trellis, per_class: float) -> Int[Tensor, " windows"]:
    """The candidate of each window on the path that costs least."""
    total, ways = trellis.cost[0], []
    for before, here, cost in zip(trellis.place, trellis.place[1:], trellis.cost[1:], strict=False):
        jump = (here[None] - before[:, None]).abs().mean(dim=2)
        least, way = (total[:, None] + per_class * jump).min(dim=0)
        ways.append(way)
        total = least + cost
    path = [int(total.argmin())]
    for way in reversed(ways):
        path.append(int(way[path[-1]]))
    return torch.tensor(path[::-1])


def sorted_bands(
    audio: Float[Tensor, "batch samples"], sample_rate: int
) -> Float[Tensor, "batch frames bands"]:
    """Mel decibels below the peak, each band sorted by level: which levels occur, not when.

    A window of an eighth of a second tells semitones apart from 130 Hz up.
    """
    settings = StftSettings(n_fft=2 * round(sample_rate / 16), hop_length=round(sample_rate / 32))
    return decibels_below_peak(mel_power(audio, settings, _MEL_BANDS, sample_rate)).sort(dim=1).values


def levels_distance(
    one: Float[Tensor, "#batch frames bands"], other: Float[Tensor, "batch frames bands"]
) -> Float[Tensor, " batch"]:
    """The mean distance of sorted bands in decibels: the Wasserstein-1 distance of the levels that occur.

    A vibrato's phase in a window is arbitrary, so a rendering of the right patch is out of step with it. A comparison
    frame by frame would then prefer a patch without vibrato; this one does not notice the phase.
    """
    return (one - other).abs().mean(dim=(1, 2))
