"""Cosines and sines under a window: how much of each is in a sound, and the sound that is a sum of them.

A short wave that begins, swells and ends is the simplest thing with both a place in time and a pitch: a Gabor atom.
Here the waves of one *scale* are N - 1 frequencies, k / (2 N) of the sample rate, each as a cosine and a sine so that
any phase can be had, and the offset (k = 0); they last 2 N samples, and the next set of them begins N samples on. So
there are twice as many waves as samples, and a sound can be made of them in many ways (`pursuit`).

What swells how is the window, and it may be another one in every *zone* of frequencies: a partial of a piano rings for
long in the bass and briefly in the treble. A window of unit energy makes waves of unit energy, all but those whose
period the window is not long against.

`correlate_waves` asks how much of each wave is in a sound; `sum_waves` adds waves up and is its transpose, so that
either is the gradient of the other. Time is a loop: a wave that starts near the end goes on at the beginning, so that
P samples have just P / N frames.

References:
    Gabor (1946), "Theory of communication", https://doi.org/10.1049/ji-3-2.1946.0074
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def correlate_waves(
    audio: Float[Tensor, "batch looped"], windows: Float[Tensor, "zones length"], edges: Sequence[int]
) -> Complex[Tensor, "batch frames bands"]:
    """How much of every wave is in a sound: the cosine as the real part, the sine as the imaginary one, negated.

    Args:
        audio: A whole number of times N samples; the last goes on with the first.
        windows: Of 2 N samples and of unit energy, one for each zone.
        edges: The first band of each zone and, last, N.
    """
    num_bands = windows.shape[-1] // 2
    blocks = audio.unflatten(1, (-1, num_bands))
    frames = torch.cat([blocks, blocks.roll(-1, 1)], dim=-1)
    zones = [
        torch.fft.rfft(frames * window)[..., first:last]
        for window, first, last in zip(windows, edges[:-1], edges[1:], strict=True)
    ]
    return torch.cat(zones, dim=-1) * _heights(num_bands, audio)


def sum_waves(
    amounts: Complex[Tensor, "batch frames bands"],
    windows: Float[Tensor, "zones length"],
    edges: Sequence[int],
) -> Float[Tensor, "batch looped"]:
    """The sum of so much of every wave: the transpose of `correlate_waves`, with the same windows and edges."""
    num_bands = windows.shape[-1] // 2
    # The inverse transform halves all frequencies but the lowest, which is real, and divides by 2 N.
    spectrum = amounts * _heights(num_bands, windows) * num_bands
    spectrum = spectrum * torch.where(torch.arange(num_bands, device=spectrum.device) == 0, 2.0, 1.0).to(
        windows.dtype
    )
    frames = torch.zeros((), dtype=windows.dtype, device=windows.device)
    for window, first, last in zip(windows, edges[:-1], edges[1:], strict=True):
        zone = torch.nn.functional.pad(spectrum[..., first:last], (first, num_bands + 1 - last))
        frames = frames + torch.fft.irfft(zone, n=2 * num_bands) * window
    blocks = frames[..., :num_bands] + frames[..., num_bands:].roll(1, 1)
    return blocks.flatten(1)


def zone_edges(shares: Sequence[float], num_bands: int) -> tuple[int, ...]:
    """The first band of each zone and, last, the number of bands, for zones that end at shares of half the rate."""
    return (0, *(round(share * num_bands) for share in shares), num_bands)


def spectra(functions: Float[Tensor, "functions length"]) -> Float[Tensor, "functions bins"]:
    """The power of short functions at frequencies from 0 to half the rate, half a band apart, in float64."""
    return torch.fft.rfft(functions.double(), n=2 * functions.shape[1]).abs().square()


def outlines(functions: Float[Tensor, "functions length"]) -> Float[Tensor, "functions length"]:
    """How high short functions swing, sample by sample: the magnitude of each with its Hilbert transform."""
    length = functions.shape[1]
    bins = torch.arange(length)
    # Twice the positive frequencies, and no negative ones.
    weight = 1.0 + (bins > 0).double() * (2 * bins < length) - (2 * bins > length).double()
    return torch.fft.ifft(torch.fft.fft(functions.double()) * weight).abs().to(functions.dtype)


def _heights(num_bands: int, like: Tensor) -> Float[Tensor, " bands"]:
    """Half of a wave's energy is lost where it crosses zero, so it is drawn higher; the offset crosses nowhere."""
    heights = torch.full((num_bands,), math.sqrt(2.0), dtype=like.dtype, device=like.device)
    heights[0] = 1.0
    return heights
