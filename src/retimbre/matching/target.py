"""What a real sound asks of a synthesizer: which stretch of it, at which pitch, how long held, how loud.

A recording is not a note. It may begin with silence, hold a whole phrase, clip, or be two channels that cancel.
Before anything is matched, the sound is cut down to one note, and what was cut and why is told (`Target.warnings`),
since a match of the wrong stretch is worthless however near it is.

A sound that holds at most three onsets and is not too long is taken whole, as one note: echoes, flams and claps are
part of a timbre. Of anything longer or busier, the strongest note is taken.
"""

import dataclasses
from pathlib import Path
from typing import Literal, final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile
from retimbre.dsp.decode import loudest_at
from retimbre.dsp.level import active_region, is_silent, rms, to_db
from retimbre.dsp.onsets import NoteSegment, gate_seconds, segment_note
from retimbre.dsp.pitch import HIGHEST_HZ, LOWEST_HZ, note_pitch
from retimbre.dsp.polyphony import POLYPHONIC_ABOVE, polyphony
from retimbre.matching.propose import NoteHint

# Shorter sounds are less than two frames of the finest measure: nothing can be told about their course.
SHORTEST_S = 0.015

# As many onsets belong to one sound: a hit with its echoes. More are a phrase.
MOST_ONSETS = 3

# How much silence after the last audible moment is compared while searching: enough that a release which rings on
# costs something, not so much that silence is most of what is compared.
_TAIL_S = 0.3

# Below this confidence of pitch a sound is noise rather than a chord, whose pitch has a confidence of about a half.
_PITCHED = 0.35

# At most this much of a file is read: a phrase is judged by its first half minute.
_LOOKED_AT_S = 30.0
_LEAD_S = 5.0  # of that, before the loudest moment


@final
@dataclasses.dataclass(frozen=True)
class TargetSettings:
    """How a sound is read.

    Attributes:
        max_seconds: The longest stretch that is matched.
        pitch_hz: The pitch to play, in Hz, or `auto` to detect it.
    """

    max_seconds: float = 6.0
    pitch_hz: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuses lengths and pitches that no note has."""
        if not SHORTEST_S <= self.max_seconds <= _LOOKED_AT_S:
            raise ConfigError(
                f"max_seconds is {self.max_seconds:g}, but takes {SHORTEST_S} to {_LOOKED_AT_S:g}"
            )
        if self.pitch_hz != "auto" and not LOWEST_HZ <= self.pitch_hz <= HIGHEST_HZ:
            raise ConfigError(
                f"pitch is {self.pitch_hz:g} Hz, but takes {LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz, or auto"
            )


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """One note of a real sound.

    Attributes:
        path: The file it is from.
        samples: The stretch to be matched, from its onset, at the file's own rate.
        search_samples: How many of them are compared while searching: the rest is silence.
        start_s: Where in the file it begins, in seconds.
        hint: Pitch, its confidence, gate and length.
        level_db: RMS, in decibels relative to full scale.
        reason: Why this stretch, a sentence.
        warnings: What a listener should know about the source, one clause each.
    """

    path: Path
    samples: Float[Tensor, " samples"]
    sample_rate: int
    search_samples: int
    start_s: float
    hint: NoteHint
    level_db: float
    reason: str
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of the stretch."""
        return len(self.samples) / self.sample_rate

    @property
    def searched(self) -> Float[Tensor, " searched"]:
        """The part that is compared while searching."""
        return self.samples[: self.search_samples]


def read_target(path: str | Path, settings: TargetSettings | None = None) -> Target:
    """Reads a sound file and finds the note in it.

    Raises:
        AudioError: The file cannot be read, or is silent or too short.
    """
    start_s = 0.0
    if audiofile.probe(path).seconds > _LOOKED_AT_S:
        start_s = max(0.0, loudest_at(Path(path)) - _LEAD_S)
    sound = audiofile.read(path, max_seconds=_LOOKED_AT_S, start_s=start_s)
    return find_target(sound, settings or TargetSettings(), start_s)


def find_target(sound: audiofile.Sound, settings: TargetSettings, from_s: float = 0.0) -> Target:
    """Finds the note in a sound, or a stretch of one, that has been read.

    Args:
        from_s: Where in its file the stretch begins, in seconds.

    Raises:
        AudioError: The sound is silent or too short.
    """
    rate = sound.sample_rate
    _check_audible(sound)
    segment = _choose(sound, settings.max_seconds)
    stop = segment.stop
    if stop >= active_region(sound.samples, rate)[1]:  # nothing but silence follows: it belongs to the note
        stop = min(len(sound.samples), segment.start + round(settings.max_seconds * rate))
    samples = sound.samples[segment.start : stop]
    audible = samples[: segment.stop - segment.start]
    if len(audible) < SHORTEST_S * rate:
        raise AudioError(
            f"{sound.path}: too short: {1e3 * len(audible) / rate:.1f} ms of sound, "
            f"but a match takes {1e3 * SHORTEST_S:g} ms or more"
        )
    hint = _hint(audible, rate, settings)
    return Target(
        path=sound.path,
        samples=samples,
        sample_rate=rate,
        search_samples=min(len(samples), len(audible) + round(_TAIL_S * rate)),
        start_s=from_s + segment.start / rate,
        hint=hint,
        level_db=float(to_db(rms(samples))),
        reason=segment.reason,
        warnings=(*_long_file(sound, from_s), *_warnings(sound, segment, audible, hint)),
    )


def _check_audible(sound: audiofile.Sound) -> None:
    if is_silent(sound.samples):
        raise AudioError(f"{sound.path}: silent: nothing in it rises above -80 dB of full scale")


def _choose(sound: audiofile.Sound, max_seconds: float) -> NoteSegment:
    segment = segment_note(sound.samples, sound.sample_rate, max_seconds=max_seconds)
    start, stop = active_region(sound.samples, sound.sample_rate)
    if segment.num_onsets > MOST_ONSETS or stop - start > max_seconds * sound.sample_rate:
        return segment
    seconds = (stop - start) / sound.sample_rate
    onsets = "one onset" if segment.num_onsets == 1 else f"{segment.num_onsets} onsets"
    return NoteSegment(start, stop, segment.num_onsets, f"the whole sound, {seconds:.2f} s with {onsets}")


def _hint(audible: Tensor, rate: int, settings: TargetSettings) -> NoteHint:
    seconds = len(audible) / rate
    gate_s = gate_seconds(audible, rate)
    if settings.pitch_hz != "auto":
        return NoteHint(settings.pitch_hz, 1.0, gate_s, seconds)
    estimate = note_pitch(audible, rate)
    # A sound without any pitch is played at middle C, where a key-tracked filter is as it says.
    heard_hz = estimate.pitch_hz if estimate.pitch_hz > 0 else 261.63
    return NoteHint(heard_hz, estimate.confidence, gate_s, seconds)


def _warnings(
    sound: audiofile.Sound, segment: NoteSegment, audible: Tensor, hint: NoteHint
) -> tuple[str, ...]:
    rate = sound.sample_rate
    seconds = len(audible) / rate
    matched = f"{segment.start / rate:.2f} to {segment.stop / rate:.2f} s"
    clauses = {
        f"{sound.channels} channels, mixed to one": sound.channels > 1 and sound.mix != "loudest",
        f"only {matched} of {sound.seconds:.2f} s is matched: {segment.reason}": _left_out(sound, segment),
        f"{segment.num_onsets} onsets, matched as one note": not _left_out(sound, segment)
        and segment.num_onsets > 1,
        "several pitches seem to sound at once, matched as one note": _is_chord(audible, rate, hint),
        f"only {seconds * 1e3:.0f} ms long: there is little to go by": seconds < 0.05,
    }
    return (*sound.remarks, *(clause for clause, applies in clauses.items() if applies))


def _long_file(sound: audiofile.Sound, from_s: float) -> tuple[str, ...]:
    if from_s == 0.0 and sound.seconds < _LOOKED_AT_S:
        return ()
    to_s = from_s + sound.seconds
    return (f"a long file: only {from_s:.1f} to {to_s:.1f} s, around its loudest moment, was looked at",)


def _is_chord(audible: Tensor, rate: int, hint: NoteHint) -> bool:
    return hint.confidence >= _PITCHED and polyphony(audible, rate) > POLYPHONIC_ABOVE


def _left_out(sound: audiofile.Sound, segment: NoteSegment) -> bool:
    start, stop = active_region(sound.samples, sound.sample_rate)
    return (segment.start, segment.stop) != (start, stop) and segment.stop - segment.start < stop - start
