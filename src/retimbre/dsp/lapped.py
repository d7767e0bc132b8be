"""Lapped transforms: as many numbers as samples, in overlapping frames, and the sound back exactly.

A Fourier transform of overlapping frames keeps several numbers per sample. A lapped transform keeps one: each frame
of 2 K N samples gives N cosine coefficients, and the next frame starts N samples on. A single frame cannot be undone,
since what is kept is the sound plus its own mirror image in time (aliasing). But the mirror images of neighbouring
frames have opposite signs, so that they cancel when the frames are windowed again and added. With the windows of
`lapped_windows.py` the whole transform is orthonormal: the inverse is the transpose, and energy is kept.

K = 1 is the modified discrete cosine transform (MDCT) of AAC, Vorbis and Opus: many bands, few frames. K = 8 with few
bands is a pseudo-quadrature mirror filterbank (PQMF), which splits a sound into sub-bands at a low rate. Both are

    X[k, t] = sqrt(2 / N) sum over n of p[n] x[t N + n] cos(pi / N (n + (N + 1) / 2) (k + 1/2)),   0 <= k < N

The cosine changes its sign from one stretch of 2 N samples to the next, so a long frame is first folded to 2 N samples,
these by the symmetries of the cosine to N, and what is left is a cosine transform of type IV, by one FFT of N/2 points.

At the ends, `ends` says what lies beyond: "silence", for which 2 K - 1 frames are added, or "wrap", the sound's other
end as on a tape loop, which needs no further frame: ceil(samples / N) frames, so that shapes can be powers of two.

References:
    Malvar (1992), "Extended lapped transforms: properties, applications, and fast algorithms",
    https://doi.org/10.1109/78.165664
"""

import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.dsp.lapped_windows import kaiser_bessel_derived_window, paraunitary_window, sine_window

Ends = Literal["silence", "wrap"]
LappedWindow = Literal["sine", "kbd", "kaiser"]

# Up to this many bands one matrix product is faster than the FFT with its folding.
_MOST_BANDS_OF_A_MATRIX = 64
# The window of a longer overlap takes many seconds to find, as does that of a longer frame; 2**20 bands are a minute of
# sound per frame.
_MOST_OVERLAP = 32
_MOST_KAISER_SAMPLES = 2**15
_MOST_BANDS = 2**20


@dataclass(frozen=True)
class LappedSettings:
    """What defines a lapped transform.

    Attributes:
        num_bands: N, even, up to 2**20: coefficients per frame, and samples from one frame to the next.
        overlap: K, up to 32: a frame has 2 K N samples; with the window "kaiser" up to 2**15.
        window: "sine" or "kbd" (Kaiser-Bessel derived) for K = 1, "kaiser" for any K.
        beta: Of the Kaiser window in "kbd" and "kaiser": larger rejects far bands more.
        ends: What lies beyond the sound: "silence" or "wrap".

    Raises:
        ConfigError: An odd number of bands, or a window that loses something with this overlap; the message says why.
    """

    num_bands: int
    overlap: int = 1
    window: LappedWindow = "sine"
    beta: float = 4.0 * math.pi
    ends: Ends = "silence"

    def __post_init__(self) -> None:
        """Refuses settings whose transform could not be undone."""
        if self.num_bands < 2 or self.num_bands % 2:
            raise ConfigError(f"the bands of a lapped transform are an even number, got {self.num_bands}")
        if self.num_bands > _MOST_BANDS:
            raise ConfigError(f"a lapped transform has up to {_MOST_BANDS} bands, got {self.num_bands}")
        if self.overlap < 1:
            raise ConfigError(f"overlap must be at least 1, got {self.overlap}")
        if self.overlap > _MOST_OVERLAP:
            raise ConfigError(f"overlap must be at most {_MOST_OVERLAP}, got {self.overlap}")
        if self.overlap > 1 and self.window != "kaiser":
            raise ConfigError(f"the window {self.window!r} has overlap 1 alone, got {self.overlap}")
        if not 0.0 <= self.beta <= 40.0:
            raise ConfigError(f"beta of a Kaiser window lies between 0 and 40, got {self.beta:g}")
        if self.window == "kaiser":
            self._check_kaiser()

    def _check_kaiser(self) -> None:
        """Finds the window, which is kept; there may be none."""
        samples = 2 * self.overlap * self.num_bands
        if samples > _MOST_KAISER_SAMPLES:
            raise ConfigError(
                f"frames with a Kaiser window have up to {_MOST_KAISER_SAMPLES} samples, 2 x overlap x bands; "
                f"got {samples}"
            )
        paraunitary_window(self.num_bands, self.overlap, self.beta)

    @property
    def extra_frames(self) -> int:
        """Frames beyond one per N samples, so that silence on both sides is taken in."""
        return 2 * self.overlap - 1 if self.ends == "silence" else 0

    def num_frames(self, num_samples: int) -> int:
        """Frames that a sound of `num_samples` gives."""
        return max(1, -(-num_samples // self.num_bands)) + self.extra_frames


def lapped(
    audio: Float[Tensor, "batch samples"], settings: LappedSettings
) -> Float[Tensor, "batch bands frames"]:
    """The lapped transform of a sound; orthonormal, so that it keeps the energy."""
    num_frames = settings.num_frames(audio.shape[-1])
    blocks = _blocks(audio, num_frames, settings)
    window = _signed_window(settings, audio)
    # The first and the second N samples of the 2 N that a frame is folded to.
    first, second = blocks[:, :num_frames] * window[0], blocks[:, 1 : num_frames + 1] * window[1]
    for m in range(2, 2 * settings.overlap, 2):
        first = first + blocks[:, m : m + num_frames] * window[m]
        second = second + blocks[:, m + 1 : m + 1 + num_frames] * window[m + 1]
    return _cosine_transform(_fold(first, second)).transpose(1, 2)


def inverse_lapped(
    coefficients: Float[Tensor, "batch bands frames"], settings: LappedSettings, *, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Undoes `lapped`: its transpose. Samples that no frame covers are zero."""
    batch, num_bands, num_frames = coefficients.shape
    halves = _unfold(_cosine_transform(coefficients.transpose(1, 2)))
    window = _signed_window(settings, coefficients)
    reach = 2 * settings.overlap - 1
    blocks = coefficients.new_zeros(batch, num_frames + reach, num_bands)
    for m in range(reach + 1):
        blocks[:, m : m + num_frames] += halves[m % 2] * window[m]
    if settings.ends == "wrap":
        place = torch.arange(num_frames + reach, device=blocks.device) % num_frames
        blocks = blocks.new_zeros(batch, num_frames, num_bands).index_add(1, place, blocks)
    else:
        blocks = blocks[:, reach:]
    audio = blocks.reshape(batch, -1)[:, :num_samples]
    return functional.pad(audio, (0, num_samples - audio.shape[-1]))


def _blocks(
    audio: Float[Tensor, "batch samples"], num_frames: int, settings: LappedSettings
) -> Float[Tensor, "batch blocks bands"]:
    """The sound in blocks of N samples, with what lies beyond its ends; frame t begins with block t."""
    size, reach = settings.num_bands, 2 * settings.overlap - 1
    before = reach if settings.ends == "silence" else 0
    within = num_frames if settings.ends == "wrap" else num_frames + reach
    padded = functional.pad(audio, (before * size, (within - before) * size - audio.shape[-1]))
    blocks = padded.reshape(audio.shape[0], within, size)
    if settings.ends == "silence":
        return blocks
    return blocks[:, torch.arange(num_frames + reach, device=audio.device) % num_frames]


def _signed_window(settings: LappedSettings, like: Tensor) -> Float[Tensor, "rows bands"]:
    return _cached_window(settings, like.device, like.dtype)


@functools.lru_cache(maxsize=64)
def _cached_window(settings: LappedSettings, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The window in rows of N samples; every other pair of rows negative, as the cosine is there."""
    with torch.inference_mode(False):
        if settings.window == "sine":
            window = sine_window(settings.num_bands)
        elif settings.window == "kbd":
            window = kaiser_bessel_derived_window(settings.num_bands, settings.beta)
        else:
            window = paraunitary_window(settings.num_bands, settings.overlap, settings.beta)
        sign = 1.0 - 2.0 * (torch.arange(2 * settings.overlap) // 2 % 2)
        return (window * sign[:, None]).to(device=device, dtype=dtype)


def _fold(
    first: Float[Tensor, "batch frames bands"], second: Float[Tensor, "batch frames bands"]
) -> Float[Tensor, "batch frames bands"]:
    """2 N samples, in quarters (a, b) and (c, d), to the N that the cosine cannot tell from them: (-c' - d, a - b')."""
    a, b = first.chunk(2, dim=-1)
    c, d = second.chunk(2, dim=-1)
    return torch.cat([-c.flip(-1) - d, a - b.flip(-1)], dim=-1)


def _unfold(folded: Float[Tensor, "batch frames bands"]) -> tuple[Tensor, Tensor]:
    """The transpose of `_fold`: the first and the second N samples."""
    u, v = folded.chunk(2, dim=-1)
    return torch.cat([v, -v.flip(-1)], dim=-1), torch.cat([-u.flip(-1), -u], dim=-1)


def _cosine_transform(rows: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch frames bands"]:
    """The orthonormal cosine transform of type IV along the last axis; it undoes itself."""
    size = rows.shape[-1]
    if size <= _MOST_BANDS_OF_A_MATRIX:
        return rows @ _cosine_matrix(size, rows.device, rows.dtype)
    twiddle = _twiddle(size, rows.device, rows.dtype)
    # (2n + 1/2)(2k + 1/2) = 4nk + (n + 1/8) + (k + 1/8): an FFT of half the size between two equal twiddles.
    points = torch.complex(rows[..., ::2].contiguous(), rows.flip(-1)[..., ::2].contiguous()) * twiddle
    turned = torch.fft.fft(points) * twiddle * math.sqrt(2.0 / size)
    return torch.stack([turned.real, -turned.imag.flip(-1)], dim=-1).flatten(-2)


@functools.lru_cache(maxsize=64)
def _cosine_matrix(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        index = torch.arange(size, dtype=torch.float64) + 0.5
        matrix = math.sqrt(2.0 / size) * torch.cos(math.pi / size * torch.outer(index, index))
        return matrix.to(device=device, dtype=dtype)


@functools.lru_cache(maxsize=64)
def _twiddle(size: int, device: torch.device, dtype: torch.dtype) -> Complex[Tensor, " half"]:
    with torch.inference_mode(False):
        angle = -math.pi / size * (torch.arange(size // 2, dtype=torch.float64) + 0.125)
        twiddle = torch.polar(torch.ones_like(angle), angle)
        return twiddle.to(device=device, dtype=_complex(dtype))


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype == torch.float64 else torch.complex64
