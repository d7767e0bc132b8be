"""Mel bands and cepstra: the spectrum as coarsely as the ear hears it, and sounds that have it.

A mel spectrogram sums the power of a spectrum under triangles spaced as the ear spaces frequencies (`dsp.filterbank`).
Mel-frequency cepstral coefficients are the cosine transform of its decibels, of which the first few tell the envelope:
the timbre, hardly the pitch. Going back, the coefficients that were dropped count as zero; from bands to bins there
are many spectra with the same bands, and the non-negative one nearest to the pseudo-inverse is taken; the phase is
found last, as in `representation.magnitudes`.

References:
    Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic word recognition",
    https://doi.org/10.1109/TASSP.1980.1163420
"""

import dataclasses
import functools
import math
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.filterbank import dct_matrix, mel_filterbank
from retimbre.dsp.phase import PhaseMethod
from retimbre.representation.base import Representation
from retimbre.representation.coordinates import LOUDEST
from retimbre.representation.magnitudes import (
    check_bins,
    check_floor,
    check_method,
    phase_method,
    power_of,
    sound_from,
)
from retimbre.representation.spectral import Spectral

# No root is taken of less: its slope would be infinite.
_SMALLEST_POWER = 1e-30
# In units of the loudest band: a bin of which bands ask less stays as it is, instead of being divided by nothing.
_SMALLEST_SHARE = 1e-20
# A network may ask for any number: bands of no sound, and cepstra of no bands, that would overflow.
_MOST_POWER = LOUDEST**2
_MOST_DB = 200.0
_MOST_CEPSTRUM = 1e6
# Steps towards the non-negative spectrum; the bands are then within some percent of those given.
_NON_NEGATIVE_STEPS = 30
# Power of 1 is 0 dB. librosa's floor, and its range below the loudest cell of a clip.
_LEAST_POWER = 1e-10
_RANGE_DB = 80.0


@final
@dataclasses.dataclass(frozen=True)
class Mel(Representation):
    """Power in mel bands, `[batch, 1, bands, frames]`, or its logarithm log(power + floor).

    Attributes:
        sample_rate: Of the audio, in Hz; the bands reach up to half of it.
        n_fft: Points of the Fourier transform.
        hop_length: Samples from one frame to the next.
        n_mels: Number of bands, Slaney's triangles of unit area.
        window: A name in `dsp.stft.WINDOWS`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What the ends are padded with if `center`: "constant" (silence) or "reflect".
        log: Whether the features are logarithms.
        floor: Added to the power before its logarithm is taken.
        phase: How decoding finds phases: "pghi" or "griffin-lim".
        projections: After "pghi".
        iterations: Of "griffin-lim".
        seed: Of random phases.

    Raises:
        ConfigError: Settings that define no transform, or from which no sound can be found; the message says why.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 128
    window: str = "hann"
    center: bool = True
    pad_mode: str = "constant"
    log: bool = True
    floor: float = 1e-8
    phase: str = "pghi"
    projections: int = 1
    iterations: int = 32
    seed: int = 0

    formula: ClassVar[str] = "log(sum over k of M[b, k] |X[k, t]|^2 + floor), M mel triangles"
    reference: ClassVar[str] = (
        'Slaney (1998), "Auditory Toolbox", https://engineering.purdue.edu/~malcolm/interval/1998-010/'
    )

    def __post_init__(self) -> None:
        """Refuses what cannot be decoded."""
        check_floor(self.floor)
        check_method(self.recovery, self.spectral)
        mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, like=torch.zeros(()))

    @property
    def exact(self) -> bool:
        """Never: many bins share a band, and the phase is estimated."""
        return False

    @property
    def spectral(self) -> Spectral:
        """The complex spectrogram whose power is summed."""
        return Spectral(self.n_fft, self.hop_length, 0, self.window, self.center, self.pad_mode)

    @property
    def recovery(self) -> PhaseMethod:
        """How decoding finds phases."""
        return phase_method(self.phase, self.projections, self.iterations, self.seed)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same frames in samples, with bands up to half of another rate."""
        return {"sample_rate": sample_rate}

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 bands frames"]:
        """Audio to bands."""
        bands = mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, like=audio)
        power = torch.einsum("bk,nckt->ncbt", bands, power_of(self.spectral, audio))
        return torch.log(power + self.floor) if self.log else power

    def decode(
        self, features: Float[Tensor, "batch channels bands frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """A sound whose bands are about these.

        Raises:
            UserError: The features have another number of bands.
        """
        check_bins(features, self.n_mels)
        power = features.clamp_max(math.log(_MOST_POWER)).exp() - self.floor if self.log else features
        bands = mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, like=features)
        magnitudes = _root(spread_bands(power[:, 0].clamp(0.0, _MOST_POWER), bands))
        return sound_from(self.spectral, self.recovery, magnitudes, num_samples)


@final
@dataclasses.dataclass(frozen=True)
class Mfcc(Representation):
    """Mel-frequency cepstral coefficients, `[batch, 1, coefficients, frames]`: librosa's.

    They are the orthonormal cosine transform of mel decibels, which reach 80 dB below the loudest cell of the clip and
    no lower than -100 dB.

    Attributes:
        sample_rate: Of the audio, in Hz; the bands reach up to half of it.
        n_fft: Points of the Fourier transform.
        hop_length: Samples from one frame to the next.
        n_mels: Number of mel bands.
        n_mfcc: Coefficients that are kept, at most `n_mels`.
        window: A name in `dsp.stft.WINDOWS`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What the ends are padded with if `center`: "constant" (silence) or "reflect".
        phase: How decoding finds phases: "pghi" or "griffin-lim".
        projections: After "pghi".
        iterations: Of "griffin-lim".
        seed: Of random phases.

    Raises:
        ConfigError: Settings that define no transform, or from which no sound can be found; the message says why.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 128
    n_mfcc: int = 20
    window: str = "hann"
    center: bool = True
    pad_mode: str = "constant"
    phase: str = "pghi"
    projections: int = 1
    iterations: int = 32
    seed: int = 0

    formula: ClassVar[str] = "DCT-II over b of 10 log10(sum over k of M[b, k] |X[k, t]|^2), M mel triangles"
    reference: ClassVar[str] = (
        'Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic word '
        'recognition", https://doi.org/10.1109/TASSP.1980.1163420'
    )

    def __post_init__(self) -> None:
        """Refuses what cannot be decoded."""
        dct_matrix(self.n_mfcc, self.n_mels, like=torch.zeros(()))
        _ = self.mel

    @property
    def exact(self) -> bool:
        """Never: most of the spectrum's detail is dropped, and the phase is estimated."""
        return False

    @property
    def mel(self) -> Mel:
        """The bands that the coefficients describe, as power."""
        return Mel(
            self.sample_rate,
            self.n_fft,
            self.hop_length,
            self.n_mels,
            self.window,
            self.center,
            self.pad_mode,
            log=False,
            phase=self.phase,
            projections=self.projections,
            iterations=self.iterations,
            seed=self.seed,
        )

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same frames in samples, with bands up to half of another rate."""
        return {"sample_rate": sample_rate}

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 coefficients frames"]:
        """Audio to cepstra."""
        decibels = 10.0 * torch.log10(self.mel.encode(audio).clamp_min(_LEAST_POWER))
        loudest = decibels.amax(dim=(1, 2, 3), keepdim=True)
        decibels = torch.maximum(decibels, loudest - _RANGE_DB)
        return torch.einsum("cb,nkbt->nkct", dct_matrix(self.n_mfcc, self.n_mels, like=audio), decibels)

    def decode(
        self, features: Float[Tensor, "batch channels coefficients frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """A sound with about these cepstra; coefficients that are not kept count as zero.

        Raises:
            UserError: The features have another number of coefficients.
        """
        check_bins(features, self.n_mfcc)
        matrix = dct_matrix(self.n_mfcc, self.n_mels, like=features)
        within = features.clamp(-_MOST_CEPSTRUM, _MOST_CEPSTRUM)
        decibels = torch.einsum("cb,nkct->nkbt", matrix, within).clamp_max(_MOST_DB)
        power = torch.pow(10.0, decibels / 10.0) - _LEAST_POWER
        return self.mel.decode(power.clamp_min(0.0), num_samples=num_samples)


def spread_bands(
    bands: Float[Tensor, "batch bands frames"], matrix: Float[Tensor, "bands bins"]
) -> Float[Tensor, "batch bins frames"]:
    """The non-negative spectrum whose bands are closest to the given ones in mean square, about.

    Multiplicative updates from the pseudo-inverse without its negative parts, which come from neighbouring triangles
    and would leave holes between partials. The loudest band of the clip is the unit, so that products neither overflow
    nor vanish; since twice the bands give twice the spectrum, the unit has no gradient of its own.

    References:
        Lee and Seung (2001), "Algorithms for non-negative matrix factorization", equation 4,
        https://papers.nips.cc/paper/1861-algorithms-for-non-negative-matrix-factorization
    """
    loudest = bands.detach().amax(dim=(1, 2), keepdim=True).clamp_min(_SMALLEST_POWER)
    bands = bands / loudest
    spectrum = (_pseudo_inverse(matrix) @ bands).clamp_min(0.0)
    # Where the pseudo-inverse is negative the updates need something to multiply: a little of the plain transpose.
    spectrum = spectrum + 1e-3 * (matrix.T @ bands) / matrix.square().sum(dim=0).clamp_min(1e-12)[:, None]
    gram, wanted = matrix.T @ matrix, matrix.T @ bands
    for _ in range(_NON_NEGATIVE_STEPS):
        spectrum = spectrum * (wanted / (gram @ spectrum).clamp_min(_SMALLEST_SHARE))
    return spectrum * loudest


def _root(power: Float[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
    """Magnitudes, whose slope is zero where there is nothing."""
    return torch.where(power > _SMALLEST_POWER, power.clamp_min(_SMALLEST_POWER).sqrt(), 0.0)


@functools.lru_cache(maxsize=32)
def _cached_pseudo_inverse(matrix: Tensor) -> Tensor:
    with torch.inference_mode(False):
        return torch.linalg.pinv(matrix.double()).to(matrix)


def _pseudo_inverse(matrix: Float[Tensor, "bands bins"]) -> Float[Tensor, "bins bands"]:
    # The filterbanks are cached themselves, so one matrix is one key.
    return _cached_pseudo_inverse(matrix)
