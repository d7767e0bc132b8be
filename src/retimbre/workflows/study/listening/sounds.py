"""The sounds of a listening test: the start of each, all at one rate, all equally loud, and anchors made of them.

Of two sounds, listeners prefer the louder one, so all are brought to the same loudness (ITU-R BS.1770, LUFS). A peak
beyond full scale would be clipped, so the level of the whole pack is lowered until every peak fits, and where a sound
has so sharp a peak that this would make the others inaudible, that one alone stays softer, and the manifest says by
how much.

An anchor is a known sound in the set. The hidden real sound shows what listeners give to what cannot be better. The
real sound through Griffin-Lim (magnitudes kept, phases found again) shows what a vocoder costs, and through any other
representation, encoded and decoded, what its own features cost a generator. The real sound without what is above 3.5
kHz is BS.1534's low anchor: who finds it good is not listening.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fade_out, is_silent, peak
from retimbre.dsp.loudness import loudness_lufs
from retimbre.dsp.phase import GriffinLim
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.representation.catalog import representation
from retimbre.workflows.evaluation.report.damage import CUTOFF_HZ, low_passed

GRIFFIN_LIM = "real-griffin-lim"
THROUGH = "real-through-"
"""Begins the name of the real sounds through a representation; the rest is the representation's."""
LOW_PASS = "real-lowpass"
GRIFFIN_LIM_ITERATIONS = 32
_FRAMES = StftSettings(n_fft=1024, hop_length=256)

LOUDNESS_LUFS = -23.0
"""The loudness aimed at: that of European broadcasts."""
QUIETEST_LUFS = -33.0
"""How far the whole pack is lowered for peaks; sounds that would need more stay softer than the rest."""
PEAK_DB = -1.0
"""No sample is beyond this: headroom for what a sound card adds between the samples."""
# Any rate tells whether a representation can be turned back; and a frame of the longest is no longer than this.
_ANY_RATE_HZ, _LEAST_SAMPLES = 16_000, 16_384
# A sound that is cut gets this long a fade, lest the cut be heard as a click.
_FADE_S = 0.05


@final
@dataclass(frozen=True, eq=False)
class Excerpt:
    """The start of a sound, as it was found.

    Attributes:
        samples: At `sample_rate`, at their own level.
        remarks: What a listener should know of the file.
    """

    samples: Float[Tensor, " samples"]
    sample_rate: int
    remarks: tuple[str, ...]

    @property
    def silent(self) -> bool:
        """Whether there is nothing to hear, and so nothing to make louder."""
        return is_silent(self.samples) or math.isinf(loudness_lufs(self.samples, self.sample_rate))


@final
@dataclass(frozen=True)
class Level:
    """What brings a sound to the level of the pack.

    Attributes:
        gain_db: It is raised by this.
        shortfall_lu: It is still softer than the rest by this, because its peak allows no more; mostly 0.
    """

    gain_db: float
    shortfall_lu: float


@final
@dataclass(frozen=True)
class Meter:
    """What has been measured of a sound before its level is set."""

    loudness_lufs: float
    peak_db: float

    @staticmethod
    def of(samples: Float[Tensor, " samples"], sample_rate: int) -> "Meter":
        """Measures a sound that is not silent."""
        return Meter(loudness_lufs(samples, sample_rate), 20.0 * math.log10(float(peak(samples))))

    def level(self, wanted_lufs: float) -> Level:
        """What brings it to a loudness, or as near as its peak allows."""
        gain_db = wanted_lufs - self.loudness_lufs
        allowed_db = min(gain_db, PEAK_DB - self.peak_db)
        return Level(allowed_db, gain_db - allowed_db)


def excerpt_of(path: Path, seconds: float) -> Excerpt:
    """The first `seconds` of a file.

    Raises:
        AudioError: It cannot be read.
    """
    sound = audiofile.read(path, max_seconds=seconds + _FADE_S)
    return cut_to(sound.samples, sound.sample_rate, seconds, sound.remarks)


def cut_to(
    samples: Float[Tensor, " samples"], sample_rate: int, seconds: float, remarks: tuple[str, ...] = ()
) -> Excerpt:
    """The first `seconds` of samples, faded out if there are more."""
    kept = samples[: max(1, round(seconds * sample_rate))]
    if len(kept) < len(samples):
        kept = fade_out(kept, fraction=min(1.0, _FADE_S * sample_rate / len(kept)))
    return Excerpt(kept, sample_rate, remarks)


def pack_loudness_lufs(meters: Sequence[Meter]) -> float:
    """The loudness that all sounds of a pack get: as wanted, or lower where peaks need it."""
    highest = min((PEAK_DB - each.peak_db + each.loudness_lufs for each in meters), default=LOUDNESS_LUFS)
    return max(QUIETEST_LUFS, min(LOUDNESS_LUFS, highest))


def through_griffin_lim(samples: Float[Tensor, " samples"], seed: int) -> Float[Tensor, " samples"]:
    """The sound that Griffin-Lim finds from the magnitudes of another: see `ANCHOR_SETTINGS`."""
    padded = torch.nn.functional.pad(samples[None], (0, max(0, _FRAMES.n_fft - len(samples))))
    method = GriffinLim(GRIFFIN_LIM_ITERATIONS, seed=seed)
    found = method.recover(magnitude(padded, _FRAMES), _FRAMES, num_samples=padded.shape[1])
    return found[0, : len(samples)]


def through_representation(
    samples: Float[Tensor, " samples"], name: str, sample_rate: int
) -> Float[Tensor, " samples"]:
    """The sound after a representation has encoded and decoded it."""
    chosen = representation(name, sample_rate)
    padded = torch.nn.functional.pad(samples[None], (0, max(0, _LEAST_SAMPLES - len(samples))))
    return chosen.decode(chosen.encode(padded), num_samples=padded.shape[1])[0, : len(samples)]


def check_through(names: Sequence[str]) -> None:
    """Refuses representations that no sound comes back from.

    Raises:
        ConfigError: One is not in the catalog, cannot be turned back to sound, or is named twice.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"--through {name} is given twice")
        if not representation(name, _ANY_RATE_HZ).invertible:
            raise ConfigError(f"--through {name}: cannot be turned back to sound; takes one that can")


def without_treble(samples: Float[Tensor, " samples"], sample_rate: int) -> Float[Tensor, " samples"]:
    """The sound up to 3.5 kHz, the low anchor of BS.1534."""
    return low_passed(samples[None], sample_rate)[0]


LOW_PASS_MIN_RATE = 2 * round(CUTOFF_HZ) + 2_000
"""Sounds at a lower rate have nothing that the low anchor could take away."""

ANCHOR_SETTINGS: dict[str, dict[str, float | str]] = {
    GRIFFIN_LIM: {
        "method": "fast Griffin-Lim, momentum 0.99",
        "iterations": GRIFFIN_LIM_ITERATIONS,
        "n_fft": _FRAMES.n_fft,
        "hop_length": _FRAMES.hop_length,
        "window": _FRAMES.window,
    },
    LOW_PASS: {"method": "low-pass, linear phase", "passband_hz": CUTOFF_HZ},
}
