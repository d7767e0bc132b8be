"""Plain comparisons of two sounds: correlations and distances of their spectra.

These are the measures of the InverSynth study, which asks of a resynthesis: are its spectrogram and its global
spectrum like the target's? A Pearson correlation looks at shape alone, so a constant offset in decibels (a level) does
not count; the Frobenius and MFCC distances count it.

Conventions, as the paper leaves them open: Hann windows of 1/32 s every 1/64 s (512 and 256 samples at 16384 Hz, the
paper's sizes), centred frames, ends padded with silence; magnitudes relative to a full-scale sine, in decibels, with a
soft floor at -80 dB. A correlation with something constant is undefined; here it is 1 if both are constant (two silent
clips are alike) and 0 if one is.

References:
    Barkan, Tsiris, Koenigstein & Katz (2019), "InverSynth: deep estimation of synthesizer parameter configurations
    from audio signals", https://arxiv.org/abs/1812.06349
"""

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp.stft import LogMagnitude, StftSettings, analysis_window, power
from retimbre.metrics.features import mfcc

_LOG_MAGNITUDE = LogMagnitude(floor_db=-80.0)
# A spread under this share of the largest value is rounding, not shape.
_ROUNDING = 1e-6


def log_spectrogram(
    audio: Float[Tensor, "batch samples"], sample_rate: int
) -> Float[Tensor, "batch bins frames"]:
    """The log-STFT of this module: decibels relative to a full-scale sine, -80 for silence."""
    hop_length = max(round(sample_rate / 64), 1)
    settings = StftSettings(n_fft=2 * hop_length, hop_length=hop_length)
    full_scale = analysis_window(settings, audio).sum() / 2.0
    return _LOG_MAGNITUDE.of_power(power(audio, settings) / full_scale.square())


def pearson(
    first: Float[Tensor, "batch values"], second: Float[Tensor, "batch values"]
) -> Float[Tensor, " batch"]:
    """Correlation coefficient in -1..1 of paired rows, accumulated in float64; see the module on constant rows."""
    centred = [(row - row.mean(dim=-1, keepdim=True)) for row in (first.double(), second.double())]
    norms = [torch.linalg.vector_norm(row, dim=-1) for row in centred]
    sizes = [torch.linalg.vector_norm(row.double(), dim=-1) for row in (first, second)]
    constant = [norm <= _ROUNDING * size for norm, size in zip(norms, sizes, strict=True)]
    either, both = constant[0] | constant[1], constant[0] & constant[1]
    scale = torch.where(either, 1.0, norms[0] * norms[1])
    correlation = ((centred[0] * centred[1]).sum(dim=-1) / scale).clamp(-1.0, 1.0)
    return torch.where(either, both.double(), correlation).to(first.dtype)


def _same_length(reference: Tensor, estimate: Tensor) -> None:
    if reference.shape[-1] != estimate.shape[-1] or reference.shape[-1] == 0:
        lengths = f"{reference.shape[-1]} and {estimate.shape[-1]} samples"
        raise AudioError(f"spectra are compared for sounds of one length, at least one sample; got {lengths}")


def stft_correlation(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """Pearson correlation of the flattened log-STFTs, in -1..1, higher is better (the paper prints 100 times this).

    Raises:
        AudioError: Lengths differ, or there is no sample. The same holds for the other measures of this module.
    """
    _same_length(reference, estimate)
    first, second = (log_spectrogram(audio, sample_rate).flatten(1) for audio in (reference, estimate))
    return pearson(first.expand_as(second), second)


def ft_correlation(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """Pearson correlation of the magnitudes of one Fourier transform over the whole clip, in -1..1, higher is better.

    Strict: a pitch error of one bin, 1 Hz for a clip of 1 s, already separates the peaks. The sample rate has no
    influence.
    """
    _same_length(reference, estimate)
    first, second = (torch.fft.rfft(audio).abs() for audio in (reference, estimate))
    return pearson(first.expand_as(second), second)


def log_spectral_frobenius(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """Frobenius norm of the difference of the log-STFTs in decibels, lower is better.

    A sum over cells, so it grows with the square root of the duration: compare clips of one length only.
    """
    _same_length(reference, estimate)
    difference = log_spectrogram(reference, sample_rate) - log_spectrogram(estimate, sample_rate)
    return torch.linalg.vector_norm(difference, dim=(1, 2))


def mfcc_distance(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """Mean absolute difference of 13 MFCCs (1024 points every 256 samples, 128 bands), lower is better."""
    _same_length(reference, estimate)
    settings = StftSettings(n_fft=1024, hop_length=256)
    first, second = (mfcc(audio, settings, 13, sample_rate) for audio in (reference, estimate))
    return (first - second).abs().mean(dim=(1, 2))
