"""A melody: the notes of a MIDI file played by a patch, in tune.

The door between three things that do not know each other: the file (`data/midi.py`), the patch that plays each note
(`synth/melody.py`) and the patch's tuning (`matching/tuning.py`), which says at which key a wanted pitch sounds. What
cannot be played is left out and said: drums, which have no pitch, and pitches that the sample rate cannot hold.
"""

import dataclasses
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import MidiError
from retimbre.data.midi import MidiNote, MidiScore, read_midi
from retimbre.matching.tuning import Tuning
from retimbre.synth.melody import LONGEST_GATE_S, MELODY_PEAK, MOST_SAMPLES, KeyPress, render_melody
from retimbre.synth.patches import Patch

_HIGHEST_VELOCITY = 127  # of MIDI; amplitudes are in proportion


@final
@dataclasses.dataclass(frozen=True)
class Melody:
    """What of a MIDI file is played at a sample rate.

    Attributes:
        notes: In order of time; one at least.
        remarks: What was left out or changed, one clause each.
    """

    path: Path
    notes: tuple[MidiNote, ...]
    sample_rate: int
    remarks: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class PlayedMelody:
    """A melody as sound, its peak at 0.7.

    Attributes:
        remarks: What a listener should know, one clause each.
    """

    melody: Melody
    tuning: Tuning
    samples: Float[Tensor, " samples"]
    remarks: tuple[str, ...]


def read_melody(path: str | Path, sample_rate: int) -> Melody:
    """Reads what a patch can play of a MIDI file.

    Raises:
        MidiError: The file cannot be read, or holds nothing that can be played, or is too long.
    """
    score = read_midi(path)
    pitched = score.melodic
    audible = tuple(note for note in pitched if note.pitch_hz < sample_rate / 2)
    counts = {
        "on channel 10, which is for drums": len(score.notes) - len(pitched),
        f"at or above half the sample rate, {sample_rate / 2:g} Hz": len(pitched) - len(audible),
    }
    left_out = [f"{_notes(count)} {where}" for where, count in counts.items() if count]
    if not audible:
        raise MidiError(f"{path}: nothing to play: {' and '.join(left_out)}")
    _check_length(score, audible, sample_rate)
    held = sum(note.seconds > LONGEST_GATE_S for note in audible)
    remarks = [f"left out: {clause}" for clause in left_out]
    if held:
        remarks.append(f"{_notes(held)} held for more than {LONGEST_GATE_S:g} s, released after that")
    return Melody(Path(path), audible, sample_rate, tuple(remarks))


def play(melody: Melody, patch: Patch, tuning: Tuning) -> PlayedMelody:
    """Plays a melody with a patch.

    Raises:
        PatchError: The patch does not fit its synthesizer.
    """
    presses = [_press(note, tuning) for note in melody.notes]
    unclear = () if tuning.known else ("the patch has no clear pitch, so keys are played untuned",)
    return PlayedMelody(melody, tuning, render_melody(patch, presses), (*melody.remarks, *unclear))


def facts(played: PlayedMelody) -> dict[str, Any]:
    """What is known of a played melody, as JSON values."""
    melody = played.melody
    return {
        "path": str(melody.path),
        "notes": len(melody.notes),
        "sample_rate": melody.sample_rate,
        "seconds": round(len(played.samples) / melody.sample_rate, 6),
        "peak": MELODY_PEAK,
        "tuning": {
            "known": played.tuning.known,
            "pitch_hz": round(played.tuning.pitch_hz, 4),
            "cents": round(played.tuning.cents, 2),
        },
        "remarks": list(played.remarks),
    }


def _press(note: MidiNote, tuning: Tuning) -> KeyPress:
    return KeyPress(
        onset_s=note.onset_s,
        gate_s=min(note.seconds, LONGEST_GATE_S),
        pitch_hz=note.pitch_hz * tuning.key_over_pitch,
        velocity=note.velocity / _HIGHEST_VELOCITY,
    )


def _check_length(score: MidiScore, notes: tuple[MidiNote, ...], sample_rate: int) -> None:
    last_s = max(note.onset_s + min(note.seconds, LONGEST_GATE_S) for note in notes)
    if last_s * sample_rate > MOST_SAMPLES:
        raise MidiError(
            f"{score.path}: lasts {last_s / 60:.0f} minutes, but at {sample_rate} Hz takes at most"
            f" {MOST_SAMPLES / sample_rate / 60:.0f}"
        )


def _notes(count: int) -> str:
    return f"{count} note{'s' if count > 1 else ''}"
