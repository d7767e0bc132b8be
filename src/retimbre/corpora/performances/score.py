"""Pieces for the piano, drawn by chance: keys, harmony, hands, touch and pedal, as MIDI movements.

A network that is to follow MIDI needs hours of MIDI with its sound, and there are free recordings of neither. So pieces
are drawn. They are no music to listen to, but they have what pianos are played with: one to six notes at a time over
five octaves and more, runs, broken and struck chords, a melody above a bass, loud and soft passages, notes that are
held by the finger or by the pedal, and no two strokes alike.

A piece is a row of phrases of two bars. Each has a harmony on a degree of the piece's scale, a texture for the left
hand and one for the right, and a loudness between which the piece moves slowly. Every note is a little early or late,
softer or harder than its neighbours. The pedal, where a phrase has it, comes up at the bar and goes down a moment
later, as pianists change it.

Piece `i` is a function of the seed and `i` alone.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import final

import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.data.midi import Movement

LOWEST, HIGHEST = 28, 98  # of the keys that are used: E1 to D7
TICKS_PER_SECOND = 960

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_CHORD_STEPS = (0, 2, 4)  # thirds, in steps of the scale
_BEATS = 8  # of a phrase
_TEMPO_BPM = (60.0, 150.0)
_TIMING_S = 0.008  # deviation of a stroke from its place
_LOUDNESS = (0.3, 0.9)  # of a phrase, as a part of the highest velocity
_TOUCH = 0.06  # deviation of a stroke from it
_PEDALLED = 0.6  # of the phrases
_REPEDAL_S = 0.09
_TEXTURES = {"left": ("bass", "broken", "chords", "octaves"), "right": ("melody", "run", "chords", "broken")}
_FULL = 127
_CHANNEL = 1
_SHORTEST_S = 0.04


@final
@dataclasses.dataclass(frozen=True)
class Stroke:
    """A key that goes down and up.

    Attributes:
        at_s: When it goes down.
        held_s: For how long.
        velocity: 1 to 127.
    """

    at_s: float
    key: int
    held_s: float
    velocity: int


@final
class Pianist:
    """What is decided by chance for one piece."""

    def __init__(self, seed: int, number: int) -> None:
        self._source = random.generator(seed, "performance", number)
        self.beat_s = 60.0 / self.between(*_TEMPO_BPM)
        self.tonic = self.below(12)
        self.scale = _SCALES["major" if self.chance() < 0.5 else "minor"]
        self.loudness = self.between(*_LOUDNESS)

    def chance(self) -> float:
        """Evenly from 0 to 1."""
        return float(torch.rand((), generator=self._source))

    def between(self, low: float, high: float) -> float:
        """Evenly between two numbers."""
        return low + (high - low) * self.chance()

    def below(self, count: int) -> int:
        """A whole number from 0 to one below."""
        return min(count - 1, int(self.chance() * count))

    def key(self, step: int, octave: int) -> int:
        """The key of a step of the scale, counted from the tonic of an octave; brought into range by octaves."""
        octaves, place = divmod(step, len(self.scale))
        key = 12 * (octave + octaves + 1) + self.tonic + self.scale[place]
        while key > HIGHEST:
            key -= 12
        while key < LOWEST:
            key += 12
        return key

    def stroke(self, at_s: float, key: int, held_s: float, accent: float = 0.0) -> Stroke:
        """A stroke about there, about as loud as the phrase."""
        late_s = _TIMING_S * 2.0 * (self.chance() + self.chance() - 1.0)
        loud = self.loudness + accent + _TOUCH * 2.0 * (self.chance() + self.chance() - 1.0)
        velocity = min(_FULL, max(8, round(_FULL * loud)))
        return Stroke(max(0.0, at_s + late_s), key, max(_SHORTEST_S, held_s), velocity)


def draw_piece(seed: int, number: int, seconds: float) -> tuple[Movement, ...]:
    """The movements of keys and pedal of a piece, in order of time, all keys and the pedal up at its end.

    Args:
        seconds: How long; the last strokes end there.

    Raises:
        ConfigError: It is shorter than a second.
    """
    if not seconds >= 1.0:
        raise ConfigError(f"a piece lasts {seconds:g} s, but takes 1 or more")
    pianist = Pianist(seed, number)
    strokes: list[Stroke] = []
    pedal: list[tuple[float, int]] = []
    begin_s = 0.25 * pianist.chance()
    degree = 0
    while begin_s < seconds:
        strokes += _phrase(pianist, begin_s, degree)
        pedal += _pedal(pianist, begin_s)
        begin_s += _BEATS * pianist.beat_s
        degree = (degree + (3, 4, 5, 1)[pianist.below(4)]) % 7
        pianist.loudness = min(
            _LOUDNESS[1], max(_LOUDNESS[0], pianist.loudness + pianist.between(-0.15, 0.15))
        )
    return tuple(sorted(_movements(strokes, pedal, seconds), key=_in_time))


def _phrase(pianist: Pianist, begin_s: float, degree: int) -> Iterator[Stroke]:
    """The strokes of both hands; sometimes one of them rests."""
    hands = {"left": 1 + pianist.below(2), "right": 3 + pianist.below(2)}
    rests = ("left", "right", "", "", "", "")[pianist.below(6)]
    for hand, octave in hands.items():
        texture = _TEXTURES[hand][pianist.below(4)]
        if hand != rests:
            yield from _hand(pianist, begin_s, degree, (texture, octave))


def _hand(pianist: Pianist, begin_s: float, degree: int, how: tuple[str, int]) -> Iterator[Stroke]:
    """The strokes of one hand in a phrase.

    Args:
        how: Its texture, and the octave that it plays in.
    """
    texture, octave = how
    per_beat = {"bass": 0.5, "chords": 1.0, "octaves": 1.0, "melody": 2.0, "broken": 2.0, "run": 4.0}[texture]
    legato = pianist.between(0.4, 1.05)
    each_s = pianist.beat_s / per_beat
    step, direction = degree, 1
    for place in range(round(_BEATS * per_beat)):
        at_s = begin_s + place * each_s
        accent = 0.06 if place % max(1, round(4 * per_beat)) == 0 else 0.0
        if texture == "melody" and pianist.chance() < 0.25:
            continue
        if texture in ("melody", "run"):
            step, direction = _next_step(pianist, texture, step, direction)
        for key in _keys(pianist, texture, (degree, step, place), octave):
            yield pianist.stroke(at_s, key, legato * each_s, accent)


def _next_step(pianist: Pianist, texture: str, step: int, direction: int) -> tuple[int, int]:
    """Where a line goes next, and whether upwards: runs turn seldom, melodies leap now and then."""
    if texture == "melody":
        return min(12, max(-2, step + pianist.below(7) - 3)), direction
    if pianist.chance() < 0.1 or not -3 <= step + direction <= 12:
        direction = -direction
    return step + direction, direction


def _keys(pianist: Pianist, texture: str, places: tuple[int, int, int], octave: int) -> list[int]:
    """The keys that are struck together: of a chord on a degree, or at a step of a line."""
    degree, step, place = places
    if texture in ("melody", "run"):
        return [pianist.key(step, octave)]
    if texture == "broken":
        return [pianist.key(degree + (*_CHORD_STEPS, 7)[place % 4], octave)]
    if texture == "bass":
        return [pianist.key(degree, octave)]
    if texture == "octaves":
        return sorted({pianist.key(degree, octave), pianist.key(degree + 7, octave)})
    return sorted({pianist.key(degree + each, octave) for each in _CHORD_STEPS})


def _pedal(pianist: Pianist, begin_s: float) -> list[tuple[float, int]]:
    """Down and up in the two bars of a phrase, or not at all."""
    if pianist.chance() > _PEDALLED:
        return []
    bar_s = 0.5 * _BEATS * pianist.beat_s
    depth = 90 + pianist.below(38)
    found: list[tuple[float, int]] = []
    for bar in range(2):
        found.append((begin_s + bar * bar_s + _REPEDAL_S, depth))
        found.append((begin_s + (bar + 1) * bar_s, 0))
    return found


def _movements(strokes: list[Stroke], pedal: list[tuple[float, int]], seconds: float) -> Iterator[Movement]:
    """Down and up of every key: a key that is struck again comes up before, and all is up at the end."""
    by_key: dict[int, list[Stroke]] = {}
    for stroke in sorted(strokes, key=lambda stroke: stroke.at_s):
        if stroke.at_s + _SHORTEST_S < seconds:
            by_key.setdefault(stroke.key, []).append(stroke)
    for key, row in by_key.items():
        apart = [row[0]] + [
            now for before, now in itertools.pairwise(row) if now.at_s - before.at_s > _SHORTEST_S
        ]
        ends = [each.at_s for each in apart[1:]] + [seconds]
        for stroke, next_s in zip(apart, ends, strict=True):
            up_s = min(stroke.at_s + stroke.held_s, next_s - 2.0 / TICKS_PER_SECOND, seconds)
            yield Movement(_ticks(stroke.at_s), key, stroke.velocity, _CHANNEL)
            yield Movement(_ticks(max(up_s, stroke.at_s + 1.0 / TICKS_PER_SECOND)), key, 0, _CHANNEL)
    for at_s, value in pedal:
        yield Movement(_ticks(min(at_s, seconds)), None, value if at_s < seconds else 0, _CHANNEL)


def _ticks(at_s: float) -> Fraction:
    """A time as a MIDI file can hold it."""
    return Fraction(round(at_s * TICKS_PER_SECOND), TICKS_PER_SECOND)


def _in_time(movement: Movement) -> tuple[Fraction, bool, int]:
    """Of what is at one time, keys and the pedal come up before others go down."""
    return movement.at_s, movement.value > 0, -1 if movement.key is None else movement.key
