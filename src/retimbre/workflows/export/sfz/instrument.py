"""An instrument before it is a file: its samples, each tuned and as loud as the others, and the text that maps them.

Notes come at whatever pitch and level they are made. Two things are measured of each and put right, so that a scale on
the instrument sounds like a scale.

*Pitch.* The note is held for two seconds as a sampler would hold it, turn after turn, and its pitch estimated by YIN.
What it is off goes into the opcode `tune`, in whole cents, so up to half a cent remains. A note of which YIN is not
sure, or which is more than a semitone off, is left as it is, with a remark.

*Loudness.* All samples get one loudness (ITU-R BS.1770), by a gain in the file. It is the highest at which none of them
has a peak above -1 dB full scale; a sample with so sharp a peak that the others would become faint stays softer than
they are, and the table says by how much. Layers of velocity are equally loud, too: how loud a stroke is, is the
sampler's own curve (`amp_veltrack`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.errors import AudioError
from retimbre.dsp.level import is_silent
from retimbre.dsp.pitch import note_pitch
from retimbre.workflows.export.sfz.keyboard import Layer, Zone
from retimbre.workflows.export.sfz.looped import Sample, sample_of, seam
from retimbre.workflows.export.sfz.voices import Voice
from retimbre.workflows.study.listening.sounds import PEAK_DB, Meter

LOUDEST_LUFS, FAINTEST_LUFS = -14.0, -30.0
"""Between these lies the loudness of an instrument: at the first it is as loud as music is mastered, at the second
it has to be turned up, so samples that would need less stay softer than the rest."""

# How long a note is held to measure it, and how sure of its pitch YIN must be.
_MEASURED_S = 2.0
_SURE = 0.5
_MOST_CENTS = 100.0


@final
@dataclass(frozen=True)
class Place:
    """Where a sample lies on the keyboard.

    Attributes:
        zone: The keys that play it.
        layer: The velocities that do.
        timbre: Which timbre it is of, from 0 on.
    """

    zone: Zone
    layer: Layer
    timbre: int


@final
@dataclass(frozen=True, eq=False)
class Tuned:
    """A sample that has been measured.

    Attributes:
        place: Where it lies.
        file: The name of its file, below the folder of the instrument.
        sample: At its own level.
        cents: How far above its key it sounds; not a number where nobody can tell.
        meter: Its loudness and peak.
    """

    place: Place
    file: str
    sample: Sample
    cents: float
    meter: Meter

    @property
    def tune_cents(self) -> int:
        """What brings it to its key; 0 where that is not known, or is more than the format allows."""
        known = math.isfinite(self.cents) and abs(self.cents) <= _MOST_CENTS
        return -round(self.cents) if known else 0


def measured(voice: Voice, place: Place, file: str, *, seconds: float, may_loop: bool) -> Tuned:
    """Plays one note of a voice and measures it.

    Raises:
        AudioError: It is silent, or not finite.
    """
    clip = voice.note(place.zone.key, place.layer.velocity, place.timbre, seconds)
    if not bool(clip.isfinite().all()) or is_silent(clip):
        what = "silent" if bool(clip.isfinite().all()) else "not finite"
        raise AudioError(
            f"{voice.name}: key {place.zone.key} at velocity {place.layer.velocity} is {what};"
            " an instrument takes none such: choose --lowest, --highest or another --seed"
        )
    sample = sample_of(clip, voice.sample_rate, seconds=seconds, may_loop=may_loop)
    heard = sample.held(round(_MEASURED_S * voice.sample_rate))
    return Tuned(
        place,
        file,
        sample,
        _cents(heard, voice.sample_rate, place.zone.key),
        Meter.of(heard, voice.sample_rate),
    )


def loudness_of(samples: Sequence[Tuned]) -> float:
    """The loudness in LUFS that all samples of an instrument are brought to."""
    highest = min(PEAK_DB - _peak_db(each) + each.meter.loudness_lufs for each in samples)
    return max(FAINTEST_LUFS, min(LOUDEST_LUFS, highest))


def at_level(tuned: Tuned, wanted_lufs: float) -> tuple[Float[Tensor, " samples"], float, float]:
    """The samples for the file, the gain in decibels that they got, and by how many LU they stay softer."""
    gain_db = wanted_lufs - tuned.meter.loudness_lufs
    allowed_db = min(gain_db, PEAK_DB - _peak_db(tuned))
    return tuned.sample.samples * 10.0 ** (allowed_db / 20.0), allowed_db, gain_db - allowed_db


def entry_of(tuned: Tuned, wanted_lufs: float) -> dict[str, Any]:
    """What the table says of a sample."""
    place, sample = tuned.place, tuned.sample
    _, gain_db, shortfall_lu = at_level(tuned, wanted_lufs)
    known = math.isfinite(tuned.cents)
    return {
        "file": tuned.file,
        "timbre": place.timbre,
        "key": place.zone.key,
        "keys": [place.zone.lowest, place.zone.highest],
        "velocity": place.layer.velocity,
        "velocities": [place.layer.softest, place.layer.hardest],
        "seconds": round(len(sample.samples) / sample.sample_rate, 4),
        "loop": [sample.loop_start, sample.loop_stop - 1] if sample.is_looped else None,
        "alike": round(sample.alike, 4) if sample.is_looped else None,
        "seam": round(seam(sample), 4) if sample.is_looped else None,
        "falls_db_per_s": round(sample.falls_db_per_s, 2),
        "cents": round(tuned.cents, 2) if known else None,
        "tune": tuned.tune_cents,
        "loudness_lufs": round(tuned.meter.loudness_lufs + gain_db, 2),
        "gain_db": round(gain_db, 2),
        "shortfall_lu": round(shortfall_lu, 2),
    }


def remarks_on(voice: Voice, samples: Sequence[Tuned]) -> list[str]:
    """What a player of the instrument should know, a clause each."""
    moved = sorted({key for each in samples for key in each.place.zone.beyond(_FAR)})
    unknown = sum(not math.isfinite(each.cents) for each in samples)
    off = sum(math.isfinite(each.cents) and abs(each.cents) > _MOST_CENTS for each in samples)
    found = {
        f"keys {_stretches(moved)} are more than {_FAR} semitones from the nearest that {voice.name} knows": len(
            moved
        ),
        f"{unknown} of {len(samples)} samples have no clear pitch and are not tuned": unknown,
        f"{off} of {len(samples)} samples sound more than a semitone off their key and are not tuned": off,
    }
    return [remark for remark, count in found.items() if count]


@final
@dataclass(frozen=True)
class Manner:
    """How an instrument answers to hands.

    Attributes:
        release_s: How long a note fades after the key comes up.
        veltrack: How much the velocity decides on the level, in percent: 0 nothing, 100 the format's square law.
        switches: The key that chooses each timbre; empty where there is one.
    """

    release_s: float
    veltrack: float
    switches: tuple[int, ...] = ()


def sfz_text(voice: Voice, samples: Sequence[Tuned], manner: Manner) -> str:
    """The text that maps samples to keys."""
    lines = [f"// {voice.name}, written by retimbre {retimbre.__version__}", "", "<global>"]
    lines += [f"amp_veltrack={manner.veltrack:g}", f"ampeg_release={manner.release_s:g}"]
    if manner.switches:
        lines += [f"sw_lokey={manner.switches[0]}", f"sw_hikey={manner.switches[-1]}"]
        lines += [f"sw_default={manner.switches[0]}"]
    for timbre in range(voice.timbres):
        lines += ["", "<group>"]
        if manner.switches:
            lines += [f"sw_last={manner.switches[timbre]} sw_label=timbre {timbre + 1}"]
        lines += [_region(each) for each in samples if each.place.timbre == timbre]
    return "\n".join(lines) + "\n"


# Semitones from which on a moved sample begins to sound like another instrument.
_FAR = 6


def _region(tuned: Tuned) -> str:
    place, sample = tuned.place, tuned.sample
    opcodes: dict[str, object] = {
        "sample": tuned.file,
        "lokey": place.zone.lowest,
        "hikey": place.zone.highest,
        "lovel": place.layer.softest,
        "hivel": place.layer.hardest,
        "pitch_keycenter": place.zone.key,
        "tune": tuned.tune_cents,
        "loop_mode": "loop_continuous" if sample.is_looped else "no_loop",
    }
    if sample.is_looped:
        opcodes |= {"loop_start": sample.loop_start, "loop_end": sample.loop_stop - 1}
    return "<region> " + " ".join(f"{name}={value}" for name, value in opcodes.items())


def _cents(heard: Float[Tensor, " samples"], sample_rate: int, key: int) -> float:
    """How far above a key a note sounds; not a number where its pitch is not sure."""
    estimate = note_pitch(heard, sample_rate)
    if estimate.confidence < _SURE:
        return math.nan
    return 1_200.0 * math.log2(estimate.pitch_hz / 440.0) - 100.0 * (key - 69)


def _peak_db(tuned: Tuned) -> float:
    """Of all that is in the file, which may be more than what was measured of it."""
    return 20.0 * math.log10(float(tuned.sample.samples.abs().amax()))


def _stretches(keys: Sequence[int]) -> str:
    """Ascending keys as stretches of neighbours, such as `0 to 17, 91 to 127`."""
    first = [key for key in keys if key - 1 not in keys]
    last = [key for key in keys if key + 1 not in keys]
    return ", ".join(f"{low} to {high}" for low, high in zip(first, last, strict=True))
