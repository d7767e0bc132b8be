"""A MIDI file as notes that a generator knows: classes of pitch and velocity, onsets in samples, levels, timbres.

A generator that learned keys 36 to 84 cannot play key 20, and one that heard five velocities knows no others. So each
note of a file is brought to what there is:

- a key outside of the generator's is moved by octaves to the nearest one that it knows, which keeps the harmony; where
  it knows none of that name, the note is left out; a strict reading refuses both;
- a velocity becomes the nearest class, which decides the timbre, while the level follows the file's own number, since
  generators make all notes at one level: amplitude (velocity / 127)^2, the curve that synthesizers of sampled sounds
  agree on, 40 log10 in decibels;
- drums, which have no pitch, are left out, and keys held for more than a minute come up then.

Every change is told.

The timbre is one latent for the whole file, or moves: from one random latent to the next within so many notes. Notes
that begin together have each their place on the way.

References:
    SoundFont technical specification 2.04, E-mu Systems, 2006, section 8.4.1 (velocity to attenuation).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, final

from retimbre.core.errors import ConfigError, MidiError
from retimbre.data.midi import MidiNote, MidiScore
from retimbre.gan.sounds import choice_of

HIGHEST_VELOCITY = 127
LONGEST_GATE_S = 60.0

# 2^29 samples are 9.3 hours at 16 kHz, and 2 GiB in a file of floats, half of what a WAV file can hold.
MOST_SAMPLES = 1 << 29

_OCTAVE = 12


@final
@dataclasses.dataclass(frozen=True)
class PlayOptions:
    """How a MIDI file is played.

    Attributes:
        timbre: `fixed`: one latent. `walk`: from latent to latent.
        path: The way of a walk.
        leg: How many notes a walk takes from one latent to the next.
        release_s: How long a note fades after its key came up.
        strict: Whether a file with keys that the generator does not know is refused.
    """

    timbre: Literal["fixed", "walk"] = "fixed"
    path: Literal["linear", "spherical"] = "spherical"
    leg: int = 50
    release_s: float = 0.1
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuses walks without steps and endless releases."""
        if self.leg < 1:
            raise ConfigError(f"leg is {self.leg}, but takes 1 note or more")
        if not 0.0 <= self.release_s <= 10.0:
            raise ConfigError(f"release is {self.release_s:g} s, but takes 0 to 10")


@final
@dataclasses.dataclass(frozen=True)
class PlannedNote:
    """A note that a generator can play.

    Attributes:
        number: Its place among the notes of the file that are played.
        onset: The sample at which it begins.
        gate_samples: How long its key is held.
        classes: Of the attributes that the file decides: the pitch, and the velocity where the generator knows it.
        gain: The amplitude of its velocity.
    """

    number: int
    onset: int
    gate_samples: int
    classes: tuple[tuple[str, str], ...]
    gain: float


@final
@dataclasses.dataclass(frozen=True)
class Score:
    """What of a file is played.

    Attributes:
        notes: In the order of their onsets; one at least.
        remarks: What was moved or left out, one clause each.
    """

    notes: tuple[PlannedNote, ...]
    remarks: tuple[str, ...]


def plan_score(
    score: MidiScore, classes: Mapping[str, Sequence[str]], sample_rate: int, options: PlayOptions
) -> Score:
    """The notes of a file as a generator of these classes can play them.

    Raises:
        MidiError: Nothing can be played, the piece is too long, or `strict` finds a key that there is not.
    """
    keys = [int(name) for name in classes["pitch"]]
    takes = f"it {choice_of('pitch', classes['pitch'], None)}"
    velocities = [int(name) for name in classes.get("velocity", ())]
    planned: list[PlannedNote] = []
    for note in score.melodic:
        key = nearest_octave(note.number, keys)
        if options.strict and key != note.number:
            raise MidiError(
                f"{score.path}: the note {note.number} at {note.onset_s:.2f} s is none that the model"
                f" plays: {takes}"
            )
        if key is not None:
            planned.append(_planned(note, len(planned), key, velocities, sample_rate))
    counts = {
        "on channel 10, which is for drums": len(score.notes) - len(score.melodic),
        f"of keys that the model knows in no octave ({takes})": len(score.melodic) - len(planned),
    }
    left_out = [f"{counted_notes(count)} {where}" for where, count in counts.items() if count]
    if not planned:
        raise MidiError(f"{score.path}: nothing to play: {' and '.join(left_out)}")
    _check_length(score, planned, sample_rate, options)
    moved = sum(nearest_octave(note.number, keys) not in (note.number, None) for note in score.melodic)
    held = sum(note.seconds > LONGEST_GATE_S for note in score.melodic)
    remarks = [f"left out: {clause}" for clause in left_out]
    if moved:
        remarks.append(f"{counted_notes(moved)} moved by octaves to keys that the model knows ({takes})")
    if held:
        remarks.append(f"{counted_notes(held)} held for more than {LONGEST_GATE_S:g} s, released after that")
    return Score(tuple(planned), tuple(remarks))


def nearest_octave(number: int, keys: Sequence[int]) -> int | None:
    """The key nearest to a number that is whole octaves away from it, the lower one of two; None if there is none."""
    same_name = [key for key in keys if (key - number) % _OCTAVE == 0]
    return min(same_name, key=lambda key: (abs(key - number), key), default=None)


def velocity_gain(velocity: int) -> float:
    """The amplitude of a MIDI velocity, 1 at 127."""
    return (velocity / HIGHEST_VELOCITY) ** 2


def counted_notes(count: int) -> str:
    """So many notes, as a remark says it."""
    return f"{count} note{'' if count == 1 else 's'}"


def _planned(
    note: MidiNote, number: int, key: int, velocities: Sequence[int], sample_rate: int
) -> PlannedNote:
    classes = [("pitch", str(key))]
    if velocities:
        nearest = min(velocities, key=lambda velocity: (abs(velocity - note.velocity), velocity))
        classes.append(("velocity", str(nearest)))
    return PlannedNote(
        number=number,
        onset=round(note.onset_s * sample_rate),
        gate_samples=round(min(note.seconds, LONGEST_GATE_S) * sample_rate),
        classes=tuple(classes),
        gain=velocity_gain(note.velocity),
    )


def _check_length(
    score: MidiScore, planned: Sequence[PlannedNote], sample_rate: int, options: PlayOptions
) -> None:
    last = max(note.onset + note.gate_samples for note in planned) + round(options.release_s * sample_rate)
    if last > MOST_SAMPLES:
        raise MidiError(
            f"{score.path}: lasts {last / sample_rate / 3600:.1f} hours, but at {sample_rate} Hz takes at most"
            f" {MOST_SAMPLES / sample_rate / 3600:.1f}"
        )
