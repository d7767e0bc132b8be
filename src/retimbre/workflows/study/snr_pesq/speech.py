"""The speech of the study: recordings as PESQ takes them, and vowels made for trying it out.

PESQ knows two rates. A recording at 16 kHz or more is heard wide-band at 16 kHz, one from 8 kHz up to that narrow-band
at 8 kHz; whatever is at another rate is resampled at the door, and the study says so. A slower one is refused: its
speech lacks what even a telephone lets through.

The vowels stand in where no recording is given, so that the study can be tried. They are a buzz of harmonics, falling
in pitch as a sentence does, under the resonances of the mouth (formants). They are not speech, and the page says so.

References:
    Peterson & Barney (1952), "Control methods used in a study of the vowels", https://doi.org/10.1121/1.1906875
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp.audiofile import find_sounds, probe, read
from retimbre.dsp.level import fade_out
from retimbre.metrics.speech import BANDS, Band, check_clip, pesq_of_pair

# The first three formants in Hz of an adult's vowels, after the means of Peterson and Barney for men.
_VOWELS_HZ = (
    (730.0, 1090.0, 2440.0),
    (270.0, 2290.0, 3010.0),
    (300.0, 870.0, 2240.0),
    (530.0, 1840.0, 2480.0),
)
_FORMANT_WIDTH_HZ = 90.0
_VOWEL_S, _PAUSE_S = 0.5, 0.25
# The pitch at the start of the sentence, and how far it falls with each vowel.
_PITCH_HZ, _FALL_HZ = 132.0, 8.0


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Speech:
    """A sound of the study.

    Attributes:
        name: Of the sound, unique within the study; a path below a folder for its results.
        samples: At most the study's excerpt.
        sample_rate: 16,000 or 8,000 Hz.
        remarks: What happened to it at the door, one clause each.
        made: Whether it is made instead of recorded.
    """

    name: str
    samples: Float[Tensor, " samples"]
    sample_rate: int
    remarks: tuple[str, ...] = ()
    made: bool = False

    @property
    def band(self) -> Band:
        """The version of PESQ that it is heard by."""
        return BANDS[self.sample_rate]

    @property
    def digest(self) -> str:
        """Sixteen digits that name its samples."""
        # The sum makes a negative zero, which no file need keep, a plain one.
        return hashlib.sha256((self.samples + 0.0).numpy().tobytes()).hexdigest()[:16]


def read_speech(path: Path, name: str, seconds: float) -> Speech:
    """The first seconds of a recording, at the rate of its version of PESQ.

    Raises:
        AudioError: It cannot be read, its rate is below 8 kHz, or PESQ cannot judge it; the message names it.
    """
    own_rate = probe(path).sample_rate
    if own_rate < min(BANDS):
        raise AudioError(f"{path}: is at {own_rate} Hz; narrow-band speech takes {min(BANDS)} Hz or more")
    rate = max(each for each in BANDS if each <= own_rate)
    sound = read(path, sample_rate=rate, max_seconds=seconds)
    try:
        check_clip(sound.samples, rate, "it")
        pesq_of_pair(sound.samples, sound.samples, rate)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    resampled = () if own_rate == rate else (f"resampled from {own_rate} to {rate} Hz",)
    return Speech(name, sound.samples, rate, (*resampled, *sound.remarks))


def read_all(paths: Iterable[Path], seconds: float) -> tuple[list[Speech], list[str]]:
    """All recordings among files and folders, and a line for each that was refused.

    Raises:
        AudioError: There are none, or none can be used.
    """
    sounds, refused = [], []
    found = find_sounds(paths)
    for path, name in zip(found, _names(found), strict=True):
        try:
            sounds.append(read_speech(path, name, seconds))
        except AudioError as error:
            refused.append(str(error))
    if not sounds:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise AudioError(f"{refused[0]}{more}")
    return sounds, refused


def _names(paths: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart, without their endings."""
    bare = [path.with_suffix("") if path.suffix else path for path in paths]
    for depth in range(1, max(len(path.parts) for path in bare) + 1):
        names = ["-".join(path.parts[-depth:]) for path in bare]
        if len(set(names)) == len(names):
            return names
    return ["-".join(path.parts).strip("/") for path in paths]


def vowels(sample_rate: int, seconds: float) -> Speech:
    """Four vowels with pauses between them, again and again, up to the given time; no recording."""
    num_samples = round(seconds * sample_rate)
    pieces: list[Tensor] = []
    while sum(map(len, pieces)) < num_samples:
        count = len(pieces) // 2
        pitch_hz = _PITCH_HZ - _FALL_HZ * (count % len(_VOWELS_HZ))
        pieces.append(_vowel(_VOWELS_HZ[count % len(_VOWELS_HZ)], pitch_hz, sample_rate))
        pieces.append(torch.zeros(round(_PAUSE_S * sample_rate)))
    name = f"vowels-{sample_rate}"
    return Speech(name, torch.cat(pieces)[:num_samples], sample_rate, ("made, not recorded",), made=True)


def _vowel(formants_hz: tuple[float, ...], pitch_hz: float, sample_rate: int) -> Float[Tensor, " samples"]:
    """Harmonics that fall by 6 dB an octave (a buzz of 12, and the lips' 6 back) under the formants' resonances."""
    time_s = torch.arange(round(_VOWEL_S * sample_rate)) / sample_rate
    frequency_hz = pitch_hz * torch.arange(1, int(0.45 * sample_rate / pitch_hz) + 1)
    resonances = [
        1.0 / (1.0 + ((frequency_hz - formant) / _FORMANT_WIDTH_HZ).square()) for formant in formants_hz
    ]
    amplitude = torch.stack(resonances).sum(dim=0) * pitch_hz / frequency_hz
    # Phases that spread the energy of a period, as a mouth's do; in phase it would be a train of clicks.
    phase = math.pi * torch.arange(len(frequency_hz)).square() / len(frequency_hz)
    voiced = (
        amplitude[:, None] * torch.sin(2.0 * math.pi * frequency_hz[:, None] * time_s + phase[:, None])
    ).sum(dim=0)
    faded = fade_out(fade_out(voiced, fraction=0.2).flip(0), fraction=0.1).flip(0)
    return 0.3 * faded / faded.abs().max()
