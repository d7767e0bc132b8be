"""Sounds inside a page: brought to one level, so that the ear compares timbre, and packed into data URIs.

Of two sounds that differ in level alone, the louder one is taken for the better one. A fair comparison therefore plays
all sounds at the level of the target: each gets the gain that makes its RMS the target's. One more gain, the same for
all, brings the largest peak of the whole set just under full scale, so that nothing clips and differences stay.

The sounds travel as 16-bit FLAC, which every current browser decodes, is lossless, and halves the size of most notes.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.audiofile import encode_flac
from retimbre.dsp.level import is_silent, match_level, peak, to_db

# The largest peak of a set, 1 dB below full scale: headroom for what a sound card adds between the samples.
_CEILING = 0.891
# A soft set is raised by at most 40 dB: beyond that one would listen to the noise of its recording.
_MOST_RAISED = 100.0
# How far a candidate's peak may rise above the target's peak, 12 dB. A lone click has so little power that matching its
# RMS would push the whole set under the threshold of hearing.
_MOST_PEAK_RATIO = 4.0
MOST_SECONDS = 10.0
"""How much of each sound a page carries, from its start: nine sounds of this length fit into a mail."""


@final
@dataclass(frozen=True, eq=False)
class Playback:
    """A sound as the page plays it.

    Attributes:
        samples: at the level of the set.
        gain_db: what brought the sound to the target's level, without the gain that all share.
        shortfall_db: how much softer than the target it still is, because its peaks allow no more; mostly 0.
    """

    samples: Float[Tensor, " samples"]
    gain_db: float
    shortfall_db: float


def level_matched(target: Tensor, candidates: Sequence[Tensor]) -> list[Playback]:
    """The target and then the candidates, all at the RMS of the target and with one shared headroom.

    A silent sound stays silent; if the target is silent, the candidates keep their own levels.
    """
    matched = [Playback(target, 0.0, 0.0), *(_matched(target, candidate) for candidate in candidates)]
    loudest = max((float(peak(play.samples)) for play in matched if play.samples.numel()), default=0.0)
    shared = min(_CEILING / loudest, _MOST_RAISED) if loudest > 0 else 1.0
    return [Playback(play.samples * shared, play.gain_db, play.shortfall_db) for play in matched]


def data_uri(media_type: str, content: bytes) -> str:
    """Content written into an address, so that a page needs no second file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def sound_uri(samples: Float[Tensor, " samples"], sample_rate: int) -> str:
    """A sound as the address of a 16-bit FLAC file. An empty sound becomes one sample of silence."""
    held = samples if samples.numel() else torch.zeros(1)
    return data_uri("audio/flac", encode_flac(held, sample_rate))


def _matched(target: Tensor, candidate: Tensor) -> Playback:
    if is_silent(target) or is_silent(candidate):
        return Playback(candidate, 0.0, 0.0)
    wanted = match_level(target, candidate)
    allowed = _MOST_PEAK_RATIO * peak(target) / peak(candidate)
    gain = torch.minimum(wanted, allowed)
    return Playback(candidate * gain, float(to_db(gain)), float(to_db(wanted) - to_db(gain)))
