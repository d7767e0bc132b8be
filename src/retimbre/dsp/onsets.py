"""Where notes begin, and how long a key was held.

An onset is where new energy enters a spectrum. Spectral flux adds up, over all frequencies, how much the level has
risen since a moment ago; a note that starts raises many frequencies at once, a note that rings raises none. Comparing
with the loudest neighbouring band, rather than with the same one, keeps a vibrato from counting as new notes (Böck
and Widmer's SuperFlux). Onsets are where the flux peaks well above its surroundings.

This is what an analysis needs before it may treat a file as one note: `segment_note` picks the note to look at in a
file with several, and `gate_seconds` reads from its envelope when the key was let go.

References:
    S. Böck and G. Widmer, Maximum filter vibrato suppression for onset detection, DAFx 2013,
    https://dafx13.nuim.ie/papers/09.dafx2013_submission_12.pdf
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.level import active_region, is_silent
from retimbre.dsp.stft import LogMagnitude, StftSettings, power

# Level is followed every 10 ms, and spectra cover about 46 ms: short beside a note, long beside a bass period.
_HOP_S = 0.01
_WINDOW_S = 0.046

# The spectrum is heard in 30 mel bands up to 8 kHz, so that a bass note and a cymbal raise a like share of them.
_NUM_BANDS = 30
_HIGHEST_BAND_HZ = 8_000.0

# Levels more than 50 dB below the sound's loudest are taken as equal: hiss rises and falls there all the time.
_FLUX_FLOOR_DB = -50.0

# A rise counts over 20 ms, so that a soft attack still shows, and beyond the neighbouring band on either side.
_FLUX_LAG = 2
_NEIGHBOURS = 1

# An onset raises the mean band level by this much more than its surroundings of half a second do, and by this share
# of what the strongest onset does. On sequences of recorded notes, 0.15 to 0.9 s apart, this finds 88 % of the
# onsets and 2 % of what it finds are none; 7 % of single notes and drum hits are split.
_ONSET_RISE_DB = 1.0
_ONSET_SHARE = 0.1

# An onset is the largest rise within this time on either side, and leads to a level this near to the loudest.
_ONSET_GAP_S = 0.06
_ONSET_FLOOR_DB = -24.0

# A sound is a phrase from this many onsets on, if they are this far apart on average.
_PHRASE_ONSETS = 3
_PHRASE_GAP_S = 0.3

# The release is looked for down to 45 dB below the envelope's peak: below that, rooms and hiss sound.
_ENVELOPE_FLOOR_DB = -45.0

# The final decay must fall this much faster than what comes before, and by this many decibels in all. Decays that a
# listener takes for one slope differ by less; a key let go falls by 60 dB within a second.
_RELEASE_STEEPER = 2.5
_RELEASE_DROP_DB = 12.0

# A line goes through 40 ms of envelope at least.
_SHORTEST_LINE = 4

# The release starts where the envelope last was within 1.5 dB of the line before it: the least change well heard.
_RELEASE_TOLERANCE_DB = 1.5


@final
@dataclass(frozen=True)
class NoteSegment:
    """The stretch of a sound that holds the note to look at: `samples[start:stop]`.

    Attributes:
        num_onsets: Onsets found in the whole sound; 0 for silence.
        reason: Why this stretch, as a sentence for a report.
    """

    start: int
    stop: int
    num_onsets: int
    reason: str


@torch.no_grad()
def find_onsets(samples: Float[Tensor, " samples"], sample_rate: int) -> Int[Tensor, " onsets"]:
    """Samples at which notes begin, ascending, to within 10 to 20 ms. A sound that is not silent has one at least."""
    if is_silent(samples):
        return torch.zeros(0, dtype=torch.int64)
    hop = _hop(sample_rate)
    flux, level_db = _spectral_flux(samples, sample_rate)
    gap = max(1, round(_ONSET_GAP_S / _HOP_S))
    largest = functional.max_pool1d(flux[None], 2 * gap + 1, stride=1, padding=gap)[0]
    around = functional.avg_pool1d(flux[None], 8 * gap + 1, 1, 4 * gap, count_include_pad=False)[0]
    reached = functional.max_pool1d(functional.pad(level_db[None], (0, gap), value=-math.inf), gap + 1, 1)[0]
    bar = torch.maximum(around + _ONSET_RISE_DB, _ONSET_SHARE * flux.max())
    strong = (flux == largest) & (flux >= bar) & (reached >= level_db.max() + _ONSET_FLOOR_DB)
    onsets = torch.nonzero(strong).flatten() * hop
    if len(onsets) == 0:
        return torch.tensor([active_region(samples, sample_rate)[0]])
    return onsets


def segment_note(samples: Float[Tensor, " samples"], sample_rate: int, *, max_seconds: float) -> NoteSegment:
    """Chooses the one note to look at, `max_seconds` long at most.

    A sound that fits is kept whole, without the silence around it, unless it is a phrase: three onsets or more, 0.3 s
    apart or more on average (closer ones are one gesture: a roll, a strum). Of a phrase, or of several onsets in a
    sound that is too long, the note with the most energy is taken, from its onset to the next.

    Raises:
        ValueError: `max_seconds` is not positive.
    """
    if not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}; it takes a positive number")
    if is_silent(samples):
        return NoteSegment(0, 0, 0, "silence: nothing rises above -80 dB")
    limit = max(1, round(max_seconds * sample_rate))
    start, stop = active_region(samples, sample_rate)
    onsets = find_onsets(samples, sample_rate).tolist()
    sound = f"{len(onsets)} onset{'s' if len(onsets) > 1 else ''} in {(stop - start) / sample_rate:.2f} s"
    too_long = stop - start > limit
    phrase = len(onsets) >= _PHRASE_ONSETS and stop - start >= len(onsets) * _PHRASE_GAP_S * sample_rate
    if len(onsets) == 1 and too_long:
        return NoteSegment(start, start + limit, 1, f"{sound}; the first {max_seconds:g} s are taken")
    if not (too_long or phrase):
        return NoteSegment(start, stop, len(onsets), f"{sound}, taken whole")
    first, last = _loudest_note(samples, [start, *onsets[1:]], stop, limit)
    reason = f"{sound}; the note at {first / sample_rate:.2f} s is taken, which has the most energy"
    return NoteSegment(first, last, len(onsets), reason)


@torch.no_grad()
def gate_seconds(samples: Float[Tensor, " samples"], sample_rate: int) -> float:
    """How long the key was held: from the start of the sound to the start of its release.

    The envelope in decibels, from its peak to where it has fallen by 45 dB, is fitted with two lines. If the second
    is much steeper, it is a release, and the gate ends where the envelope leaves the first line. If not (a pluck or a
    drum, whose one decay is its own) nothing says that the key was let go: the gate is the whole sound. Silence gives
    0.
    """
    start, stop = active_region(samples, sample_rate, floor_db=_ENVELOPE_FLOOR_DB)
    if stop == start:
        return 0.0
    level_db = _envelope_db(samples[start:stop], sample_rate).cpu()
    loudest = int(level_db.argmax())
    knee = _release_frame(level_db[loudest:])
    return (
        (stop - start) / sample_rate if knee is None else (loudest + knee) * _hop(sample_rate) / sample_rate
    )


def _loudest_note(
    samples: Float[Tensor, " samples"], starts: list[int], stop: int, limit: int
) -> tuple[int, int]:
    """Of the notes that begin at `starts` and end at the next start or `limit` samples later, the most energetic."""
    ends = [
        min(start + limit, following) for start, following in zip(starts, [*starts[1:], stop], strict=True)
    ]
    notes = list(zip(starts, ends, strict=True))
    return max(notes, key=lambda note: float(samples[note[0] : note[1]].double().square().sum()))


def _hop(sample_rate: int) -> int:
    return max(1, round(_HOP_S * sample_rate))


def _spectral_flux(
    samples: Float[Tensor, " samples"], sample_rate: int
) -> tuple[Float[Tensor, " frames"], Float[Tensor, " frames"]]:
    """The mean rise over all bands and the level, both in decibels; frames are centred on hops."""
    hop = _hop(sample_rate)
    # Silence is put before the sound, so that one which starts at once has something to rise from.
    padded = functional.pad(samples, (_FLUX_LAG * hop, 0)).unsqueeze(0)
    n_fft = 2 ** round(math.log2(_WINDOW_S * sample_rate))
    settings = StftSettings(n_fft=n_fft, hop_length=hop)
    spectrum = power(padded, settings)[0]
    highest_hz = min(_HIGHEST_BAND_HZ, sample_rate / 2)
    bands = mel_filterbank(sample_rate, n_fft, _NUM_BANDS, 0.0, highest_hz, like=spectrum) @ spectrum
    loudness_db = LogMagnitude(floor_db=_FLUX_FLOOR_DB).of_power(bands / bands.max())
    width = 2 * _NEIGHBOURS + 1
    loudest_near = functional.max_pool1d(loudness_db.T, width, stride=1, padding=_NEIGHBOURS).T
    rise = (loudness_db[:, _FLUX_LAG:] - loudest_near[:, :-_FLUX_LAG]).clamp_min(0)
    flux = rise.mean(dim=0)
    # Where a window runs over the end, a sound that is cut off there seems to click; no note begins so late.
    flux[max(0, len(samples) - n_fft // 2) // hop :] = 0
    level = bands[:, _FLUX_LAG:].sum(dim=0)
    return flux, 10 * level.clamp_min(torch.finfo(level.dtype).tiny).log10()


def _envelope_db(samples: Float[Tensor, " samples"], sample_rate: int) -> Float[Tensor, " frames"]:
    """The level every 10 ms, RMS over 46 ms, in decibels relative to its peak and no lower than the floor."""
    hop = _hop(sample_rate)
    width = max(hop, round(_WINDOW_S * sample_rate))
    padded = functional.pad(samples.square(), (width // 2, width))
    smoothed = functional.avg_pool1d(padded[None, None], width, stride=hop)[0, 0, : -(-len(samples) // hop)]
    return 10 * (smoothed / smoothed.max()).clamp_min(10 ** (_ENVELOPE_FLOOR_DB / 10)).log10()


def _release_frame(level_db: Float[Tensor, " frames"]) -> int | None:
    """Where the release starts in an envelope that begins at its peak; None if it has no release."""
    num_frames = len(level_db)
    knees = torch.arange(_SHORTEST_LINE, max(_SHORTEST_LINE, num_frames - _SHORTEST_LINE))
    if len(knees) == 0:
        return None
    before = _line_fits(level_db)
    after = _line_fits(level_db.flip(0))
    error = before.error[knees - 1] + after.error.flip(0)[knees]
    knee = int(knees[error.argmin()])
    slope_before, slope_after = float(before.slope[knee - 1]), -float(after.slope.flip(0)[knee])
    drop_db = -slope_after * (num_frames - knee)
    if slope_after >= _RELEASE_STEEPER * min(slope_before, 0.0) or drop_db < _RELEASE_DROP_DB:
        return None
    line_db = before.level[knee - 1] + slope_before * torch.arange(knee + 1)
    still_held = torch.nonzero(level_db[: knee + 1] >= line_db - _RELEASE_TOLERANCE_DB).flatten()
    return int(still_held[-1]) if len(still_held) else knee


@final
@dataclass(frozen=True, eq=False)
class _LineFits:
    """Least-squares lines through the first 1, 2, 3 ... values of a sequence: level at 0, slope, squared error."""

    level: Float[Tensor, " values"]
    slope: Float[Tensor, " values"]
    error: Float[Tensor, " values"]


def _line_fits(values: Float[Tensor, " values"]) -> _LineFits:
    """All lines at once, from running sums in float64."""
    y = values.double()
    x = torch.arange(len(y), dtype=torch.float64)
    count = x + 1
    sum_x, sum_y, sum_xx, sum_xy, sum_yy = (term.cumsum(dim=0) for term in (x, y, x * x, x * y, y * y))
    spread = sum_xx - sum_x * sum_x / count
    shared = sum_xy - sum_x * sum_y / count
    slope = torch.where(spread > 0, shared / spread.clamp_min(1e-9), 0.0)
    error = (sum_yy - sum_y * sum_y / count - slope * shared).clamp_min(0)
    return _LineFits((sum_y - slope * sum_x) / count, slope, error)
