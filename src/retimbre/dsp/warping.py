"""Warping the frequency axis of complex spectra to the mel scale, and back by the pseudo-inverse.

The ear resolves low notes finely and high ones coarsely; bins of a Fourier transform are all equally wide. A warped
spectrum has bands at equal distances in mel instead. Each band is a weighted mean of bins, under a triangle between
the centres of its neighbours, so the map is linear, a matrix, and its pseudo-inverse is the best way back: exact for
bins that have bands enough, and the smoothest guess where many bins share one.

Means of complex numbers cancel where their phases disagree, and in a Fourier transform neighbouring bins of one tone
do: a frame's phases are those at its start, half a frame away from what the frame is about, so they turn by half a
revolution from bin to bin. Taken at the middle of the frame instead, all bins under a tone's peak have the same phase.
Warping then keeps 22 dB more of a note (`centre_phase`; the sign of every other bin).

Two kinds of bands:

    smooth        Triangles never narrower than two bins, so that no band is empty and low bands interpolate between
                  bins; the first is centred on 0 Hz and the last on half the sample rate, so that nothing is left out.
    tensorflow    TensorFlow's `linear_to_mel_weight_matrix` over all bins but the last: HTK's mel scale, triangles in
                  mel. Bands narrower than a bin may be empty, and 0 Hz belongs to none.

References:
    Engel et al. (2019), "GANSynth: Adversarial neural audio synthesis", https://arxiv.org/abs/1902.08710
    TensorFlow, https://www.tensorflow.org/api_docs/python/tf/signal/linear_to_mel_weight_matrix
"""

import functools
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.filterbank import hz_to_mel, mel_to_hz

Bands = Literal["smooth", "tensorflow"]

# Singular values below this share of the largest are taken for zero in the way back. What was weakened a hundredfold
# would come back with a hundred times a network's error; TensorFlow's own choice is ten times its float32 rounding.
_SMALLEST_SHARE = {"smooth": 1e-2, "tensorflow": 10 * 256 * torch.finfo(torch.float32).eps}

# The pseudo-inverse of a square matrix of so many weights takes a minute; its time grows by their power of 1.5.
_MOST_WEIGHTS = 1 << 24

# HTK's scale: mel = 1127 ln(1 + Hz / 700).
_HTK_MEL = 1127.0
_HTK_HZ = 700.0


@dataclass(frozen=True)
class Warping:
    """A map from the bins of a Fourier transform to mel bands.

    Attributes:
        sample_rate: Of the sound, in Hz; bands reach up to half of it.
        n_fft: Points of the Fourier transform, even.
        n_mels: Number of bands.
        bands: Which kind.
    """

    sample_rate: int
    n_fft: int
    n_mels: int
    bands: Bands = "smooth"

    def __post_init__(self) -> None:
        """Refuses what gives no bands, or more than can be computed."""
        if self.n_mels < 2 or self.n_fft < 2 or self.n_fft % 2 or self.sample_rate < 1:
            raise ConfigError(
                "mel bands take n_mels from 2 up, an even n_fft and a positive sample rate, "
                f"got {self.n_mels}, {self.n_fft} and {self.sample_rate}"
            )
        if self.n_mels * self.num_bins > _MOST_WEIGHTS:
            raise ConfigError(
                f"{self.n_mels:,} mel bands of {self.num_bins:,} bins are more than {_MOST_WEIGHTS:,} weights, whose "
                "inverse is not computed; take fewer, or a smaller n_fft"
            )

    @property
    def num_bins(self) -> int:
        """Bins of a spectrum, with the one at half the sample rate."""
        return self.n_fft // 2 + 1

    @property
    def exact(self) -> bool:
        """Whether the way back undoes the way there: there are bands enough around every single bin."""
        return self.n_mels >= self.num_bins and _rank(self) == self.num_bins

    def warp(self, spectrum: Complex[Tensor, "batch bins frames"]) -> Complex[Tensor, "batch bands frames"]:
        """Bins to bands."""
        matrix = _matrix(self, spectrum.device, spectrum.real.dtype)
        return _times(matrix, spectrum)

    def unwarp(self, bands: Complex[Tensor, "batch bands frames"]) -> Complex[Tensor, "batch bins frames"]:
        """Bands back to bins, by the pseudo-inverse."""
        matrix = _inverse(self, bands.device, bands.real.dtype)
        return _times(matrix, bands)


def centre_phase(spectrum: Complex[Tensor, "batch bins frames"]) -> Complex[Tensor, "batch bins frames"]:
    """Phases at the start of each frame to those at its middle, or back: every other bin changes its sign."""
    index = torch.arange(spectrum.shape[1], device=spectrum.device)
    sign = (1 - 2 * (index % 2)).to(spectrum.real.dtype)
    return spectrum * sign[:, None]


def mel_warp_matrix(warping: Warping) -> Float[Tensor, "bands bins"]:
    """The weights of every bin in every band, in float64."""
    return _smooth_bands(warping) if warping.bands == "smooth" else _tensorflow_bands(warping)


def _smooth_bands(warping: Warping) -> Float[Tensor, "bands bins"]:
    """Triangles around equally spaced mels from 0 Hz to half the rate, two bins wide at least; rows sum to 1."""
    edges_hz = torch.tensor([0.0, warping.sample_rate / 2], dtype=torch.float64)
    low, high = hz_to_mel(edges_hz).tolist()
    centres_hz = mel_to_hz(torch.linspace(low, high, warping.n_mels, dtype=torch.float64))
    bin_hz = warping.sample_rate / warping.n_fft
    gaps_hz = centres_hz.diff().clamp_min(bin_hz)
    distance_hz = torch.arange(warping.num_bins, dtype=torch.float64) * bin_hz - centres_hz[:, None]
    rising = 1.0 + distance_hz / torch.cat([gaps_hz[:1], gaps_hz])[:, None]
    falling = 1.0 - distance_hz / torch.cat([gaps_hz, gaps_hz[-1:]])[:, None]
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    return triangles / triangles.sum(dim=1, keepdim=True)


def _tensorflow_bands(warping: Warping) -> Float[Tensor, "bands bins"]:
    """TensorFlow's weights, which take the bins but the last for equally spaced up to half the rate; then a zero."""
    bins_hz = torch.linspace(0.0, warping.sample_rate / 2, warping.num_bins - 1, dtype=torch.float64)
    top_mel = _htk_mel(bins_hz[-1:]).item()
    corners = torch.linspace(0.0, top_mel, warping.n_mels + 2, dtype=torch.float64)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    bins_mel = _htk_mel(bins_hz)
    rising, falling = (bins_mel - left) / (middle - left), (right - bins_mel) / (right - middle)
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    triangles[:, 0] = 0.0
    return torch.nn.functional.pad(triangles, (0, 1))


def _htk_mel(frequency_hz: Float[Tensor, " bins"]) -> Float[Tensor, " bins"]:
    return _HTK_MEL * torch.log1p(frequency_hz / _HTK_HZ)


def _times(
    matrix: Float[Tensor, "rows columns"], spectrum: Complex[Tensor, "batch columns frames"]
) -> Complex[Tensor, "batch rows frames"]:
    # A real matrix times a complex one is two real products, half the work of a complex one. Spectra lie in memory
    # frame by frame.
    by_frame = spectrum.mT
    return torch.complex(by_frame.real @ matrix.T, by_frame.imag @ matrix.T).mT


@functools.lru_cache(maxsize=32)
def _rank(warping: Warping) -> int:
    return int(torch.linalg.matrix_rank(mel_warp_matrix(warping), rtol=_SMALLEST_SHARE[warping.bands]))


@functools.lru_cache(maxsize=32)
def _matrix(warping: Warping, device: torch.device, dtype: torch.dtype) -> Tensor:
    # Tensors made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False):
        return mel_warp_matrix(warping).to(device=device, dtype=dtype)


@functools.lru_cache(maxsize=32)
def _inverse(warping: Warping, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        inverse = torch.linalg.pinv(mel_warp_matrix(warping), rtol=_SMALLEST_SHARE[warping.bands])
        return inverse.to(device=device, dtype=dtype)
