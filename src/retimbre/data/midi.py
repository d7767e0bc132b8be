"""MIDI files as notes: when each key goes down, for how long, which key, and how hard.

A MIDI file does not hold notes. It holds tracks of events, each a number of *ticks* after the one before: this key
goes down, that key comes up, the pedal is pressed, the tempo changes. To make notes of them, all tracks are merged
into one course of events, ticks become seconds at the tempo of the moment, and every key-down is paired with what
ends it:

- a key-down of velocity 0 is a key-up, and how fast a key comes up (its release velocity) says nothing;
- where a key goes down twice before it comes up, the first key-up ends the older note;
- while the sustain pedal is down (controller 64 at 64 or more, for its channel in all tracks), notes ring on until
  the pedal comes up or the same key is struck again; all other controllers are left aside;
- what is still down when the file ends, ends with it.

Tempo events count from where they stand, in whichever track they stand. Files that count in film frames (SMPTE) have
no tempo: their ticks are fractions of a second.

Channel 10 is for drums in nearly all files (General MIDI): there a key names an instrument, not a pitch. Its notes
are read, and `MidiScore.melodic` leaves them out.

Where the movements themselves are wanted and not the notes (which keys are down at this moment, how far is the
pedal?), `read_movements` gives them, in seconds, without pairing anything.

References:
    The Complete MIDI 1.0 Detailed Specification, with Standard MIDI Files 1.0, MIDI Manufacturers Association, 1996.
"""

import dataclasses
import io
from collections import defaultdict, deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import mido
from mido.midifiles.meta import KeySignatureError

from retimbre.core.errors import MidiError

DRUM_CHANNEL = 10
SUSTAIN_PEDAL = 64  # the controller's number
PEDAL_DOWN = 64  # the least value at which it counts as pressed

_MAGIC = b"MThd"  # how a MIDI file begins
_DEFAULT_TEMPO_US = 500_000  # microseconds per quarter note until a tempo is given: 120 beats a minute
_SHORTEST_BEAT_US = 10_000  # music has tempos of up to some hundreds of beats a minute; this is 6,000
_DROP_FRAMES = 29  # the code of 30 drop frame, which is 29.97 frames a second
_CONCURRENT_TYPES = (
    0,
    1,
)  # one track, or several that run at the same time; type 2 is a set of unrelated patterns

# What mido raises where a file breaks the rules: it checks some of them itself and trips over the others.
_BREACHES = (OSError, EOFError, ValueError, LookupError, TypeError, KeySignatureError)

_Key = tuple[int, int, int]  # track, channel, number: one key of one keyboard
_Event = Any  # a message of mido, which gives its attributes at run time
_Struck = tuple[Fraction, int]  # when, in seconds, and with which velocity


@final
@dataclasses.dataclass(frozen=True, order=True)
class MidiNote:
    """One note. Notes sort by time, then by key.

    Attributes:
        onset_s: When the key goes down, from the start of the file.
        number: Which key, 0 to 127; 60 is middle C.
        seconds: How long it sounds until key or pedal comes up; 0 where both are one tick.
        velocity: How hard, 1 to 127.
        channel: 1 to 16.
    """

    onset_s: float
    number: int
    seconds: float
    velocity: int
    channel: int

    @property
    def pitch_hz(self) -> float:
        """The fundamental frequency of the key, in equal temperament with A4 (69) at 440 Hz."""
        return 440.0 * 2.0 ** ((self.number - 69) / 12)


@final
@dataclasses.dataclass(frozen=True)
class MidiScore:
    """The notes of a file.

    Attributes:
        notes: In order of time; one at least.
        seconds: When the last event of the file is.
    """

    path: Path
    notes: tuple[MidiNote, ...]
    seconds: float

    @property
    def melodic(self) -> tuple[MidiNote, ...]:
        """The notes that have a pitch: those of all channels but the drums'."""
        return tuple(note for note in self.notes if note.channel != DRUM_CHANNEL)


@final
@dataclasses.dataclass(frozen=True)
class Movement:
    """A key or the sustain pedal moves.

    Attributes:
        at_s: When, from the start of the file, exactly.
        key: Which key, 0 to 127; None is the pedal.
        value: 0 where a key comes up, else how hard it goes down, 1 to 127; for the pedal how far, 0 to 127.
        channel: 1 to 16.
    """

    at_s: Fraction
    key: int | None
    value: int
    channel: int


def read_midi(path: str | Path) -> MidiScore:
    """Reads the notes of a MIDI file.

    Times are worked out as fractions and rounded once, to float64, so they do not drift however long the file.

    Raises:
        MidiError: The file cannot be read, is not MIDI, is damaged, is of unrelated patterns, has a tempo that
            no music has, or holds no notes.
    """
    path = Path(path)
    keyboard = _Keyboard()
    now_s = Fraction(0)
    for now_s, track, message in _in_time(_opened(path)):
        keyboard.hear(now_s, track, message)
    keyboard.close(now_s)
    if not keyboard.notes:
        raise MidiError(f"{path}: a MIDI file without notes")
    return MidiScore(path, tuple(sorted(keyboard.notes)), float(now_s))


def read_movements(path: str | Path) -> tuple[Movement, ...]:
    """Reads what the keys and the sustain pedal do, in order of time, over all tracks and channels.

    Controllers other than the pedal (64) are left out. A key-down of velocity 0 is a key-up, and a key-up has the
    value 0 whatever its release velocity.

    Raises:
        MidiError: The file cannot be read, is not MIDI, is damaged, is of unrelated patterns, has a tempo that
            no music has, or no key goes down.
    """
    path = Path(path)
    movements = tuple(
        Movement(now_s, getattr(message, "note", None), _value(message), message.channel + 1)
        for now_s, _, message in _in_time(_opened(path))
        if message.type in ("note_on", "note_off") or _is_pedal(message)
    )
    if not any(movement.value for movement in movements if movement.key is not None):
        raise MidiError(f"{path}: a MIDI file without notes")
    return movements


def _is_pedal(message: _Event) -> bool:
    return message.type == "control_change" and message.control == SUSTAIN_PEDAL


def _value(message: _Event) -> int:
    if _is_pedal(message):
        return message.value
    return message.velocity if message.type == "note_on" else 0


def _opened(path: Path) -> mido.MidiFile:
    file = _parsed(path, _content(path))
    _check(path, file)
    return file


def _content(path: Path) -> bytes:
    """The bytes of the file, if it begins as MIDI does; of any other, however large, only the beginning is read."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
            if not magic:
                raise MidiError(f"{path}: an empty file, not MIDI")
            if magic != _MAGIC:
                raise MidiError(f"{path}: not a MIDI file: it begins with {magic!r}, not {_MAGIC!r}")
            return magic + file.read()
    except OSError as error:
        raise MidiError(f"{path}: cannot be read: {error.strerror}") from error


def _parsed(path: Path, content: bytes) -> mido.MidiFile:
    try:
        return mido.MidiFile(file=io.BytesIO(content))
    except EOFError as error:
        raise MidiError(f"{path}: a MIDI file that is cut short") from error
    except _BREACHES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MidiError(f"{path}: a damaged MIDI file: {reason}") from error


def _check(path: Path, file: mido.MidiFile) -> None:
    """Refuses files whose events have no time in common."""
    if file.type not in _CONCURRENT_TYPES:
        raise MidiError(
            f"{path}: a MIDI file of type {file.type}, whose tracks have no common time; takes 0 or 1"
        )
    frames_without_ticks = file.ticks_per_beat < 0 and not file.ticks_per_beat & 0xFF
    if file.ticks_per_beat == 0 or frames_without_ticks:
        raise MidiError(f"{path}: a damaged MIDI file: its ticks have no length")
    tempos = (message.tempo for track in file.tracks for message in track if message.type == "set_tempo")
    for tempo_us in tempos if file.ticks_per_beat > 0 else ():
        if tempo_us < _SHORTEST_BEAT_US:
            raise MidiError(
                f"{path}: a MIDI file with a tempo of {tempo_us} microseconds a beat; takes {_SHORTEST_BEAT_US:,} or "
                f"more, which is {60_000_000 // _SHORTEST_BEAT_US:,} beats a minute"
            )


def _tick_seconds(division: int, tempo_us: int) -> Fraction:
    """How long a tick is.

    Args:
        division: Ticks per quarter note; if negative SMPTE, where the high byte is minus the frames per second and
            the low byte the ticks per frame, and the tempo has no say.
        tempo_us: Microseconds per quarter note.
    """
    if division > 0:
        return Fraction(tempo_us, 1_000_000 * division)
    frames, ticks = -(division >> 8), division & 0xFF
    per_second = Fraction(30_000, 1_001) if frames == _DROP_FRAMES else Fraction(frames)
    return 1 / (per_second * ticks)


def _in_time(file: mido.MidiFile) -> Iterator[tuple[Fraction, int, _Event]]:
    """The events of all tracks in order of time, each with its time in seconds and its track.

    Events at one tick come in the order of their tracks, and within a track in the order of the file.
    """
    events: list[tuple[int, int, _Event]] = []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            tick += message.time
            events.append((tick, number, message))
    events.sort(key=lambda event: event[0])
    tick_s = _tick_seconds(file.ticks_per_beat, _DEFAULT_TEMPO_US)
    now_s, last_tick = Fraction(0), 0
    for tick, number, message in events:
        now_s += (tick - last_tick) * tick_s
        last_tick = tick
        if message.type == "set_tempo":
            tick_s = _tick_seconds(file.ticks_per_beat, message.tempo)
        yield now_s, number, message


@final
class _Keyboard:
    """Pairs key-downs with what ends them, event by event."""

    def __init__(self) -> None:
        self.notes: list[MidiNote] = []
        self._down: dict[_Key, deque[_Struck]] = defaultdict(deque)
        self._sustained: dict[_Key, list[_Struck]] = defaultdict(list)
        self._pedals: set[int] = set()

    def hear(self, now_s: Fraction, track: int, message: _Event) -> None:
        """Takes the next event."""
        if message.type == "note_on" and message.velocity > 0:
            key = (track, message.channel, message.note)
            self._end(key, self._sustained.pop(key, []), now_s)
            self._down[key].append((now_s, message.velocity))
        elif message.type in ("note_on", "note_off"):
            self._lift((track, message.channel, message.note), now_s)
        elif _is_pedal(message):
            self._tread(message.channel, message.value >= PEDAL_DOWN, now_s)

    def close(self, now_s: Fraction) -> None:
        """Ends all that still sounds."""
        for sounding in (self._down, self._sustained):
            for key, struck in sounding.items():
                self._end(key, list(struck), now_s)

    def _lift(self, key: _Key, now_s: Fraction) -> None:
        struck = self._down[key]
        if not struck:  # a key-up without a key-down
            return
        oldest = struck.popleft()
        if key[1] in self._pedals:
            self._sustained[key].append(oldest)
        else:
            self._end(key, [oldest], now_s)

    def _tread(self, channel: int, down: bool, now_s: Fraction) -> None:
        if down:
            self._pedals.add(channel)
            return
        self._pedals.discard(channel)
        for key in [key for key in self._sustained if key[1] == channel]:
            self._end(key, self._sustained.pop(key), now_s)

    def _end(self, key: _Key, struck: list[_Struck], now_s: Fraction) -> None:
        _, channel, number = key
        self.notes += [
            MidiNote(float(onset_s), number, float(now_s - onset_s), velocity, channel + 1)
            for onset_s, velocity in struck
        ]
