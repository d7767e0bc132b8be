"""Filterbanks over the frequency axis: mel bands, and the cosine transform that turns them into cepstra.

The ear resolves low frequencies more finely than high ones. The mel scale models that: equal steps in mel are about
equal steps in perceived pitch. A mel spectrogram sums the power of a spectrum under triangles that are evenly spaced in
mel. Slaney's version, which librosa uses by default and which the published figures rest on, is linear below 1 kHz
and logarithmic above, and scales each triangle to unit area in Hz, so that white noise gives a flat result.

Mel-frequency cepstral coefficients (MFCCs) are the cosine transform of mel decibels. The first few describe the
spectral envelope, that is the timbre, and say little about pitch.

Matrices are computed once in float64, then kept per device and dtype. They are shared: never change one in place.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError

# Slaney's scale: 3 mel per 200 Hz up to 1 kHz (15 mel), then 27 mel per factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0
# Half a gigabyte in float64, and its making takes four times that.
_MOST_WEIGHTS = 1 << 26


def hz_to_mel(frequency_hz: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Slaney's mel scale: linear up to 1 kHz, logarithmic above.

    References:
        Slaney (1998), "Auditory Toolbox", Technical Report 1998-010, Interval Research Corporation.
    """
    logarithmic = _BREAK_MEL + torch.log(frequency_hz.clamp_min(_BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return torch.where(frequency_hz >= _BREAK_HZ, logarithmic, frequency_hz / _HZ_PER_MEL)


def mel_to_hz(mel: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Undoes `hz_to_mel`."""
    exponential = _BREAK_HZ * torch.exp(_LOG_STEP * (mel.clamp_min(_BREAK_MEL) - _BREAK_MEL))
    return torch.where(mel >= _BREAK_MEL, exponential, mel * _HZ_PER_MEL)


def mel_filterbank(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min_hz: float = 0.0,
    f_max_hz: float = 0.0,
    *,
    like: Tensor,
) -> Float[Tensor, "n_mels bins"]:
    """Triangular mel bands of unit area in Hz, to multiply a power spectrogram [bins, frames] from the left.

    Bands narrower than a bin may contain none and are then zero, as in librosa.

    Args:
        sample_rate: Of the sound, in Hz.
        n_fft: Points of the Fourier transform.
        n_mels: Number of bands.
        f_min_hz: Lower edge of the first band.
        f_max_hz: Upper edge of the last band; 0 stands for half the sample rate.
        like: A tensor on the device and of the dtype wanted.

    Raises:
        ConfigError: No band, too many, or edges that are not in order within half the sample rate.
    """
    f_max_hz = f_max_hz or sample_rate / 2.0
    if n_mels < 1 or n_fft < 1:
        raise ConfigError(f"n_mels and n_fft must be at least 1, got {n_mels} and {n_fft}")
    if n_mels * (n_fft // 2 + 1) > _MOST_WEIGHTS:
        raise ConfigError(
            f"{n_mels:,} mel bands of {n_fft // 2 + 1:,} bins are more than {_MOST_WEIGHTS:,} weights; "
            "take fewer, or a smaller n_fft"
        )
    if not 0.0 <= f_min_hz < f_max_hz <= sample_rate / 2.0:
        raise ConfigError(
            f"mel bands must lie within 0..{sample_rate / 2:g} Hz, got {f_min_hz:g}..{f_max_hz:g} Hz"
        )
    return _cached_mel(sample_rate, n_fft, n_mels, (f_min_hz, f_max_hz), like.device, like.dtype)


@functools.lru_cache(maxsize=128)
def _cached_mel(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    edges_hz: tuple[float, float],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    # Tensors made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False):
        low, high = hz_to_mel(torch.tensor(edges_hz, dtype=torch.float64)).tolist()
        corners_hz = mel_to_hz(torch.linspace(low, high, n_mels + 2, dtype=torch.float64))
        bins_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
        left, middle, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
        rising = (bins_hz - left) / (middle - left)
        falling = (right - bins_hz) / (right - middle)
        triangles = torch.minimum(rising, falling).clamp_min(0.0) * (2.0 / (right - left))
        return triangles.to(device=device, dtype=dtype)


def dct_matrix(
    num_coefficients: int, num_inputs: int, *, like: Tensor
) -> Float[Tensor, "coefficients inputs"]:
    """The first rows of the orthonormal cosine transform of type II, on the device and in the dtype of `like`.

    Raises:
        ConfigError: Fewer than one coefficient, more than there are inputs, or more than can be computed.
    """
    if num_coefficients * num_inputs > _MOST_WEIGHTS:
        raise ConfigError(
            f"{num_coefficients:,} cosine coefficients of {num_inputs:,} values are more than {_MOST_WEIGHTS:,} "
            "weights; take fewer"
        )
    if not 1 <= num_coefficients <= num_inputs:
        raise ConfigError(
            f"a cosine transform of {num_inputs} values has 1..{num_inputs} coefficients, got {num_coefficients}"
        )
    return _cached_dct(num_coefficients, num_inputs, like.device, like.dtype)


@functools.lru_cache(maxsize=64)
def _cached_dct(num_coefficients: int, num_inputs: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        row = torch.arange(num_coefficients, dtype=torch.float64)[:, None]
        column = torch.arange(num_inputs, dtype=torch.float64)
        matrix = torch.cos(math.pi / num_inputs * (column + 0.5) * row) * math.sqrt(2.0 / num_inputs)
        matrix[0] /= math.sqrt(2.0)
        return matrix.to(device=device, dtype=dtype)
