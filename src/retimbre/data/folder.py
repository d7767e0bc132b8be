"""Recordings to clips of one length and rate: what becomes of sounds that are too short, too long or unreadable.

Every rule that loses or adds samples is explicit. A recording of n samples becomes clips of w samples like this:

    n < w             --short pad: one clip, padded with zeros at its end. --short drop: none.
    n >= w, trim      one clip, the first w samples.
    n >= w, window    1 + floor((n - w) / hop) clips that are full, one every hop samples. If samples remain after the
                      last of them, one more clip begins a hop later (where that is still inside the recording):
                      padded with --short pad, left out with --short drop.

The recording is mixed to one channel and resampled first, so w and hop count samples at the set's rate, and loudness
does not depend on the recording's own rate.
"""

import dataclasses
from pathlib import Path
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fade_out, fit_length, is_silent, normalise_peak

# The part of a clip that a fade takes, as in the earlier note-synthesis system.
FADE_FRACTION = 0.3

# What is read beyond a trimmed clip, so that the resampler's filter does not ring at the clip's end.
_MARGIN_S = 0.1


@final
@dataclasses.dataclass(frozen=True)
class Cutting:
    """How recordings become clips.

    Attributes:
        seconds: Length of a clip.
        hop_s: Distance of windows; as long as a clip, they do not overlap.
        normalise: Whether each clip is scaled to a peak of 1.
        fade: Whether the last 30 % of each clip fade out.
    """

    sample_rate: int = 16384
    seconds: float = 1.0
    short: Literal["pad", "drop"] = "pad"
    long: Literal["trim", "window"] = "trim"
    hop_s: float = 1.0
    normalise: bool = False
    fade: bool = False

    def __post_init__(self) -> None:
        if not (self.num_samples >= 1 and self.seconds <= 600):
            raise ConfigError(f"a clip is one sample to 600 s long, not {self.seconds:g} s")
        if self.long == "window" and self.hop_samples < 1:
            raise ConfigError(f"the hop of windows is at least one sample, not {self.hop_s:g} s")

    @property
    def num_samples(self) -> int:
        """Length of a clip."""
        return round(self.seconds * self.sample_rate)

    @property
    def hop_samples(self) -> int:
        """Distance of windows."""
        return round(self.hop_s * self.sample_rate)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """The clips of one recording.

    Attributes:
        starts: Where each begins, in samples at the set's rate.
        lengths: How many samples of each are recording and not padding.
    """

    audio: Float[Tensor, "clips samples"]
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    source_rate: int
    remarks: tuple[str, ...]


def window_starts(num_samples: int, cutting: Cutting) -> tuple[int, ...]:
    """Where the clips of a recording begin: the rule at the top of this page."""
    window, hop = cutting.num_samples, cutting.hop_samples
    if num_samples < window:
        return (0,) if cutting.short == "pad" and num_samples > 0 else ()
    if cutting.long == "trim":
        return (0,)
    num_full = 1 + (num_samples - window) // hop
    starts = [index * hop for index in range(num_full)]
    samples_remain = starts[-1] + window < num_samples
    if samples_remain and cutting.short == "pad" and num_full * hop < num_samples:
        starts.append(num_full * hop)
    return tuple(starts)


def cut_file(path: Path, cutting: Cutting) -> Cut:
    """Reads a recording and cuts it.

    Raises:
        AudioError: The file cannot be used; the message says why.
    """
    enough_s = cutting.seconds + _MARGIN_S if cutting.long == "trim" else None
    sound = audiofile.read(path, sample_rate=cutting.sample_rate, max_seconds=enough_s)
    starts = window_starts(len(sound.samples), cutting)
    pieces = [sound.samples[start : start + cutting.num_samples] for start in starts]
    clips = [fit_length(piece, cutting.num_samples) for piece in pieces]
    audio = torch.stack(clips) if clips else torch.empty(0, cutting.num_samples)
    if cutting.fade:
        audio = fade_out(audio, fraction=FADE_FRACTION)
    if cutting.normalise:
        audio = normalise_peak(audio)
    remarks = (*sound.remarks, "silent") if is_silent(sound.samples) else sound.remarks
    return Cut(audio, starts, tuple(len(piece) for piece in pieces), sound.source_rate, remarks)
