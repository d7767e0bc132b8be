"""Fourier transforms as sums of products, out of operators that every runtime has.

ONNX has operators for Fourier transforms, and they are not used here. onnxruntime 1.31 computes the short-time one well
for frames of 256, 512, 1024 samples, but for frames of 1,000, which are those of mel bands at 16 kHz, a band 80 dB
below the loudest is wrong by up to 0.3 dB, a hundred times what rounding does. And the small runtimes of browsers,
phones and plug-ins lack them, and complex numbers too. Every one of them has convolutions and matrix products, and a
Fourier transform of frames is one, whose weights are cosines and sines.

Written out these weights are large (36 MB for frames of 3,000 samples), but an angle only matters modulo a whole turn,
so all of them are made of as many different cosines as there are points, and as many sines. The file holds those, and
the graph looks the weights up in them, which a runtime does once, when it loads the file.

A complex number is handed in, and back, as its real and its imaginary part.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

Parts = tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]
"""Real and imaginary parts."""


def stft_by_convolution(
    audio: Float[Tensor, "batch samples"], n_fft: int, hop_length: int, window: Float[Tensor, " n_fft"]
) -> Complex[Tensor, "batch bins frames"]:
    """What `torch.stft` gives without centring, to the rounding of sums of n_fft products.

    Args:
        audio: Sounds of n_fft samples or more.
        n_fft: Points of the transform.
        hop_length: Samples from one frame to the next.
        window: What each frame is multiplied by.
    """
    cosines, sines = _waves(n_fft, n_fft // 2 + 1, audio)
    kernels = torch.cat([cosines, -sines]) * window
    real, imaginary = functional.conv1d(audio[:, None], kernels[:, None], stride=hop_length).chunk(2, dim=1)
    return torch.complex(real, imaginary)


def irfft_by_product(
    real: Float[Tensor, "*axes bins"], imaginary: Float[Tensor, "*axes bins"], n_fft: int, scale: float
) -> Float[Tensor, "*axes n_fft"]:
    """What `torch.fft.irfft` gives of `n_fft // 2 + 1` bins.

    Args:
        real: Of each bin.
        imaginary: Of each bin; that of bins at 0 Hz and at half the sample rate says nothing.
        n_fft: Points of the transform.
        scale: What the sum is multiplied by: 1 / n_fft, or its root for the orthonormal transform.
    """
    cosines, sines = _waves(n_fft, n_fft // 2 + 1, real)
    # Every bin stands for its mirror image below 0 Hz as well, but for the two that have none.
    mirrored, last = [2.0 * scale] * ((n_fft - 1) // 2), [scale] * (n_fft % 2 == 0)
    weight = torch.tensor([scale, *mirrored, *last], dtype=real.dtype, device=real.device)
    return (real * weight) @ cosines - (imaginary * weight) @ sines


def fft_by_product(real: Float[Tensor, "*axes bins"], imaginary: Float[Tensor, "*axes bins"]) -> Parts:
    """What `torch.fft.fft` gives along the last axis."""
    cosines, sines = _waves(real.shape[-1], real.shape[-1], real)
    return real @ cosines + imaginary @ sines, imaginary @ cosines - real @ sines


def _waves(
    n_fft: int, num_bins: int, like: Tensor
) -> tuple[Float[Tensor, "bins n_fft"], Float[Tensor, "bins n_fft"]]:
    """Cosines and sines of the first bins over n_fft samples, looked up in one turn of each."""
    turn = [2.0 * math.pi * step / n_fft for step in range(n_fft)]
    waves = torch.tensor(
        [[math.cos(angle) for angle in turn], [math.sin(angle) for angle in turn]],
        dtype=like.dtype,
        device=like.device,
    )
    step = (
        torch.arange(num_bins, device=like.device)[:, None] * torch.arange(n_fft, device=like.device) % n_fft
    )
    return waves[0][step], waves[1][step]
