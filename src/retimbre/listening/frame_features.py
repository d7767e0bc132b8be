"""Thirty-two numbers for each frame of a clip: what was measured of sounds before networks chose for themselves.

    1-13    mel-frequency cepstral coefficients: the shape of the spectrum, coarse to fine
    14-25   chroma: how the power is shared among the twelve semitones of the octave
    26      level in decibels below the loudest frame
    27      centroid: where the middle of the spectrum is
    28      spread: how far it reaches from there
    29      flatness: 0 for a tone, 1 for noise
    30      roll-off: below which frequency 85 % of the power is
    31      flux: how much the spectrum's shape changed since the frame before
    32      rate at which the wave crosses zero

Frequencies are in octaves and levels relative to the clip's own, so that the numbers are blind to loudness.

How a number moves is told by its first and second differences over 1, 2 and 4 frames to either side, which makes seven
times 32, or 224.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.dsp.filterbank import dct_matrix, mel_filterbank
from retimbre.dsp.stft import StftSettings, frame, power
from retimbre.representation.steps import POWER_FLOOR, decibels_below_maximum, same_padding

NUM_CEPSTRA, NUM_CHROMA, NUM_SHAPES = 13, 12, 7
NUM_FRAME_FEATURES = NUM_CEPSTRA + NUM_CHROMA + NUM_SHAPES
SPANS_FRAMES = (1, 2, 4)
NUM_WITH_DERIVATIVES = NUM_FRAME_FEATURES * (1 + 2 * len(SPANS_FRAMES))

NUM_MELS = 40
ROLL_OFF_SHARE = 0.85
LOWEST_HZ = 32.0  # the paper's lowest note is 440 Hz; musical voices reach down to here


def frame_features(
    audio: Float[Tensor, "batch samples"], sample_rate: int, settings: StftSettings
) -> Float[Tensor, "batch frames features"]:
    """The 32 numbers of each frame; silence gives finite ones.

    Args:
        audio: The clips.
        sample_rate: Of the clips, in Hz.
        settings: The analysis, without `center`: frames follow the 'same' rule.
    """
    loudest = audio.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)  # -120 dB: silence stays silence
    padded = functional.pad(
        audio / loudest, same_padding(audio.shape[-1], settings.n_fft, settings.hop_length)
    )
    spectrum = power(padded, settings)
    parts = [
        cepstra(spectrum, sample_rate, settings.n_fft),
        chroma(spectrum, sample_rate, settings.n_fft),
        shapes(spectrum, sample_rate, settings.n_fft),
        crossings(padded, settings)[:, :, None],
    ]
    return torch.cat(parts, dim=2)


def cepstra(
    spectrum: Float[Tensor, "batch bins frames"], sample_rate: int, n_fft: int
) -> Float[Tensor, "batch frames 13"]:
    """Mel-frequency cepstral coefficients of 40 bands in decibels below the loudest one of the clip."""
    bands = mel_filterbank(sample_rate, n_fft, NUM_MELS, like=spectrum) @ spectrum
    return decibels_below_maximum(bands).transpose(1, 2) @ dct_matrix(NUM_CEPSTRA, NUM_MELS, like=bands).T


def chroma(
    spectrum: Float[Tensor, "batch bins frames"], sample_rate: int, n_fft: int
) -> Float[Tensor, "batch frames 12"]:
    """The share of each semitone class, A first, in the power from 32 Hz up; zeros for silent frames."""
    hz = bin_frequencies(spectrum, sample_rate, n_fft)
    semitone = (12.0 * torch.log2(hz.clamp_min(LOWEST_HZ) / 440.0)).round().long() % NUM_CHROMA
    classes = functional.one_hot(semitone, NUM_CHROMA).to(spectrum.dtype) * (hz >= LOWEST_HZ)[:, None]
    shares = spectrum.transpose(1, 2) @ classes
    return shares / shares.sum(2, keepdim=True).clamp_min(POWER_FLOOR)


def shapes(
    spectrum: Float[Tensor, "batch bins frames"], sample_rate: int, n_fft: int
) -> Float[Tensor, "batch frames 6"]:
    """Level, centroid, spread, flatness, roll-off and flux."""
    octave = torch.log2(bin_frequencies(spectrum, sample_rate, n_fft).clamp_min(LOWEST_HZ) / 440.0)[:, None]
    total = spectrum.sum(1, keepdim=True)
    share = spectrum / total.clamp_min(POWER_FLOOR)
    centroid = (share * octave).sum(1, keepdim=True)
    spread = (share * (octave - centroid).square()).sum(1, keepdim=True).sqrt()
    floored = spectrum.clamp_min(POWER_FLOOR)
    flatness = floored.log().mean(1, keepdim=True).exp() / floored.mean(1, keepdim=True)
    last = (share.cumsum(1) < ROLL_OFF_SHARE).sum(1).clamp_max(spectrum.shape[1] - 1)
    roll_off = octave[last, 0][:, None]
    flux = functional.pad((share[:, :, 1:] - share[:, :, :-1]).abs().sum(1), (1, 0))[:, None]
    level = decibels_below_maximum(total)
    return torch.cat([level, centroid, spread, flatness, roll_off, flux], dim=1).transpose(1, 2)


def crossings(padded: Float[Tensor, "batch padded"], settings: StftSettings) -> Float[Tensor, "batch frames"]:
    """The share of the samples of each frame after which the wave has another sign."""
    crossed = functional.pad((padded[:, 1:] * padded[:, :-1] < 0).to(padded.dtype), (0, 1))
    return frame(crossed, settings.n_fft, settings.hop_length, center=False).mean(2)


def bin_frequencies(spectrum: Tensor, sample_rate: int, n_fft: int) -> Float[Tensor, " bins"]:
    """The frequency of each bin, in Hz."""
    bins = torch.arange(spectrum.shape[1], dtype=spectrum.dtype, device=spectrum.device)
    return bins * (sample_rate / n_fft)


def with_derivatives(
    features: Float[Tensor, "batch frames features"],
) -> Float[Tensor, "batch frames more"]:
    """Each number with its first and second central differences over each span; the ends are held."""
    courses = features.transpose(1, 2)
    parts = [courses]
    for span in SPANS_FRAMES:
        held = functional.pad(courses, (span, span), mode="replicate")
        before, after = held[:, :, : -2 * span], held[:, :, 2 * span :]
        parts += [after - before, after - 2.0 * courses + before]
    return torch.cat(parts, dim=1).transpose(1, 2)
