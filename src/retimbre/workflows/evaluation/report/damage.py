"""Sounds spoiled in known ways, so that a measure can show whether it notices.

A measure that has never been seen to fail has never been tested. Each function here takes good clips and does one
thing to them that an ear would not forgive: it takes the treble away, adds noise, throws the phases away, or puts
everything out of tune. What is done is exact and stated, and nothing else changes: the length, the rate and, but for
the treble that is gone, the level stay.

Chance is addressed by the clip's number, so a clip is spoiled in the same way whatever batch it comes in.
"""

import functools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.dsp.level import fit_length, rms
from retimbre.dsp.phase import GriffinLim, project
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, magnitude

CUTOFF_HZ = 3_500.0
"""Where the low-pass begins: a telephone's, under the brightness of every bowed, blown or struck note."""
NOISE_SNR_DB = 20.0
"""Signal over noise: a hiss that nobody overhears, under sounds that are all still recognised."""

# The low-pass lets everything up to its cutoff through and has let go of all, by 80 dB, this far above it.
_TRANSITION_HZ = 400.0
_STOPBAND_DB = 80.0
# The frames whose magnitudes are kept when phases are not: 64 ms at 16 kHz, with three quarters of overlap.
SCRAMBLED_FRAMES = StftSettings(n_fft=1024, hop_length=256)
# From random phases, so many projections bring the magnitudes back and leave the phases as far off as they are.
_PROJECTIONS = 30
# A semitone as a ratio of whole numbers, true to a thousandth of a cent.
_SEMITONE = (105_946, 100_000)
# How the end that a faster sound leaves empty is filled: faded in over 10 ms, at the best of the lags up to 40 ms
# beyond the gap, a period of the lowest note of a bass guitar.
_SEAM_S, _LAGS_S = 0.010, 0.040


def low_passed(audio: Float[Tensor, "rows samples"], sample_rate: int) -> Float[Tensor, "rows samples"]:
    """Without the treble: unchanged up to `CUTOFF_HZ` and 80 dB down from 400 Hz above it, without delay.

    A finite impulse response from a Kaiser window; a clip counts as silence before and after itself.
    """
    taps = _low_pass_taps(sample_rate).to(audio)
    return functional.conv1d(audio[:, None], taps[None, None], padding=len(taps) // 2)[:, 0]


@functools.lru_cache(maxsize=8)
def _low_pass_taps(sample_rate: int) -> Float[Tensor, " taps"]:
    # Kaiser's own formulas for the number of taps and the window's parameter.
    width = 2.0 * math.pi * _TRANSITION_HZ / sample_rate
    half = math.ceil((_STOPBAND_DB - 8.0) / (2.285 * width) / 2.0)
    beta = 0.1102 * (_STOPBAND_DB - 8.7)
    window = torch.kaiser_window(2 * half + 1, periodic=False, beta=beta, dtype=torch.float64)
    cycles = 2.0 * (CUTOFF_HZ + _TRANSITION_HZ / 2.0) / sample_rate
    taps = cycles * torch.sinc(cycles * torch.arange(-half, half + 1, dtype=torch.float64)) * window
    return taps / taps.sum()


def noisy(
    audio: Float[Tensor, "rows samples"], numbers: Sequence[int], seed: int
) -> Float[Tensor, "rows samples"]:
    """With white Gaussian noise at exactly `NOISE_SNR_DB` under the power of each clip; silence stays silent.

    Args:
        numbers: Of the clips, one a row: a clip's noise depends on its number and the seed alone.
    """
    drawn = [torch.randn(audio.shape[1], generator=random.generator(seed, "noise", row)) for row in numbers]
    noise = torch.stack(drawn).to(audio)
    wanted = rms(audio) * 10.0 ** (-NOISE_SNR_DB / 20.0)
    return audio + noise * (wanted / rms(noise))[:, None]


def phase_scrambled(
    audio: Float[Tensor, "rows samples"], numbers: Sequence[int], seed: int
) -> Float[Tensor, "rows samples"]:
    """With other phases: a sound of about the same magnitudes in every frame, found from random phases.

    Random phases in each cell of a short-time spectrum belong to no sound, and turning them into one changes the
    magnitudes, too. Projections (Griffin and Lim) bring the magnitudes back to within some -25 dB; the phases stay
    unrelated to those of the clip, which is the fault of every generator that knows magnitudes only.

    Args:
        numbers: Of the clips, one a row: a clip's phases depend on its number and the seed alone.
    """
    num_samples = audio.shape[1]
    kept = magnitude(audio, SCRAMBLED_FRAMES)
    drawn = [torch.rand(kept.shape[1:], generator=random.generator(seed, "phases", row)) for row in numbers]
    phases = 2.0 * math.pi * torch.stack(drawn).to(kept)
    how = GriffinLim(_PROJECTIONS)
    return project(kept, phases, SCRAMBLED_FRAMES, method=how, num_samples=num_samples)


def semitone_up(audio: Float[Tensor, "rows samples"], sample_rate: int) -> Float[Tensor, "rows samples"]:
    """A semitone higher, formants and all, and as long as before.

    The clip is played faster by 2^(1/12). What is missing at its end, a twentieth of its length, is made of what
    came just before, faded in where it fits best, so that a note that still sounds goes on sounding. A clip that is
    too short for that ends in silence.
    """
    num_samples = audio.shape[1]
    faster = resample(audio, *_SEMITONE)
    gap = num_samples - faster.shape[1]
    seam, most = round(_SEAM_S * sample_rate), round(_LAGS_S * sample_rate)
    lags = torch.arange(gap, gap + most + 1)
    end = faster.shape[1]
    if end < seam + gap + most:
        return fit_length(faster, num_samples)
    tail = faster[:, end - seam :]
    # Row of candidate i: the `seam` samples that lie lag i before the end.
    earlier = faster.unfold(1, seam, 1)[:, end - seam - lags]
    likeness = torch.einsum("rls,rs->rl", earlier, tail) / earlier.norm(dim=2).clamp_min(1e-9)
    places = torch.arange(end - seam, num_samples) - lags[likeness.argmax(dim=1).cpu()][:, None]
    repeated = faster.gather(1, places.to(faster.device))
    rising = torch.linspace(0.0, 1.0, seam).to(faster)
    joint = tail * (1.0 - rising) + repeated[:, :seam] * rising
    return torch.cat([faster[:, : end - seam], joint, repeated[:, seam:]], dim=1)
