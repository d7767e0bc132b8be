"""Sound from harmonics, partials and noise: a synthesizer that a generator can play, and learn through.

Two thirds of what a spectrogram of a note says follows from its pitch alone: where the harmonics lie and how their
phases turn. A network that makes the spectrogram has to learn all of it and is heard to be wrong at every slip. Here it
is built in. The network only says how loud each component is from one frame to the next, and three plain synthesizers
make the sound:

- the harmonics, multiples of one frequency that may waver, are added up to one cycle of the wave per frame, a table,
  which is then read at the pitch, from one frame's table over to the next one's;
- partials that are no harmonics, those of bars and bells, are sinusoids of fixed frequency;
- noise is a fixed tape of random spectra, each frame of which is weighed by bands.

All of it has gradients. Frames overlap: each is heard one hop before and one hop after its moment, rising and falling
in a straight line (of noise: so that its power stays level), so levels are joined without clicks.

References:
    McAulay and Quatieri (1986), Speech analysis/synthesis based on a sinusoidal representation,
    https://doi.org/10.1109/TASSP.1986.1164910
    Serra and Smith (1990), Spectral modeling synthesis, https://doi.org/10.2307/3680788 (sinusoids and noise)
    Engel et al. (2020), DDSP: Differentiable digital signal processing, https://arxiv.org/abs/2001.04643
"""

import functools
import math

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.core.random import generator

NOISE_FRAMES = 2_048
"""Length of the tape of noise."""

_POINTS_PER_HARMONIC = 4  # of a table; with more, the straight lines between points would be closer


def harmonics_of(
    amplitude: Float[Tensor, "batch frames harmonics"],
    phase: Float[Tensor, "batch samples"],
    hop_length: int,
) -> Float[Tensor, "batch samples"]:
    """A tone of harmonics.

    Args:
        amplitude: Of each harmonic at each frame, the first frame at sample 0. Which of them lie below half the sample
            rate is the caller's to mind. There must be a frame at or after the last sample.
        phase: Of the fundamental, in cycles.
        hop_length: Samples from one frame to the next.
    """
    count, num_samples = amplitude.shape[2], phase.shape[1]
    size = 1 << math.ceil(math.log2(_POINTS_PER_HARMONIC * count))
    spectrum = _start_phases(count, amplitude.device) * amplitude * (0.5 * size)
    tables = torch.fft.irfft(functional.pad(spectrum, (1, size // 2 - count)), n=size).flatten(1)
    sample = torch.arange(num_samples, device=phase.device)
    place = (phase - phase.detach().floor()) * size
    # A phase that is NaN is heard as NaN; as a place of the table it would be out of its range, and end the program.
    left = place.detach().long().clamp(0, size - 1)
    right = (left + 1) % size
    row = sample // hop_length * size
    # One look-up for the four points that a sample lies between: two of this frame's table, two of the next one's.
    points = tables.gather(
        1, torch.cat([row + left, row + right, row + size + left, row + size + right], dim=1)
    )
    now_left, now_right, next_left, next_right = points.chunk(4, dim=1)
    between, passed = place - left, (sample % hop_length / hop_length).to(place.dtype)
    now, after = torch.lerp(now_left, now_right, between), torch.lerp(next_left, next_right, between)
    return torch.lerp(now, after, passed.expand_as(now))


def partials_of(
    amplitude: Float[Tensor, "batch frames partials"],
    step: Float[Tensor, "batch partials"],
    hop_length: int,
) -> Float[Tensor, "batch samples"]:
    """Sinusoids of fixed frequency, which all begin at phase 0.

    Args:
        amplitude: Of each at each frame.
        step: Their frequencies, in radians per sample.
        hop_length: Samples from one frame to the next; there are a hop fewer samples than frames have.
    """
    moment = torch.arange(amplitude.shape[1], device=amplitude.device)[:, None] * hop_length
    start = moment * step[:, None]
    offset = torch.arange(-hop_length, hop_length, device=amplitude.device)
    within = step[:, :, None] * offset
    # sin(start + within) = sin(start) cos(within) + cos(start) sin(within), so that it is one matrix product.
    weights = torch.cat([amplitude * start.sin(), amplitude * start.cos()], dim=2)
    waves = torch.cat([within.cos(), within.sin()], dim=1)
    return _overlapped(weights @ (waves * (1.0 - offset.abs() / hop_length)))


def noise_of(
    gain: Float[Tensor, "batch frames bins"], start: Int[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Coloured noise.

    Args:
        gain: Of evenly spaced bins from 0 to half the sample rate; there is one more than a hop has samples.
        start: From which frame on each row hears the tape.
    """
    num_frames, hop_length = gain.shape[1], gain.shape[2] - 1
    size = 2 * hop_length
    tape = _noise_tape(hop_length + 1, gain.device)
    frame = torch.arange(num_frames, device=gain.device)
    white = tape[(start[:, None] + frame) % NOISE_FRAMES]
    pieces = torch.fft.irfft(white * gain, n=size, norm="ortho")
    window = torch.sin(math.pi / size * (torch.arange(size, device=gain.device) + 0.5))
    return _overlapped(pieces * window)


def _overlapped(pieces: Float[Tensor, "batch frames twice"]) -> Float[Tensor, "batch samples"]:
    """Pieces of two hops, each centred on its frame, added up from the first frame's moment to the last one's."""
    before, after = pieces.chunk(2, dim=2)
    return (after[:, :-1] + before[:, 1:]).flatten(1)


@functools.cache
def _start_phases(count: int, device: torch.device) -> Complex[Tensor, " harmonics"]:
    """Where in its cycle each harmonic begins. At random: harmonics in step would make one sharp peak per cycle."""
    with torch.inference_mode(False):  # what is kept for later may be needed for learning then
        turn = torch.rand(count, generator=generator(0, "phases of harmonics"))
        return torch.polar(torch.ones(count), 2.0 * math.pi * turn).to(device)


@functools.cache
def _noise_tape(num_bins: int, device: torch.device) -> Complex[Tensor, "frames bins"]:
    """Random spectra of power 1."""
    shape, source = (NOISE_FRAMES, num_bins), generator(0, "noise of generators")
    with torch.inference_mode(False):
        return torch.randn(shape, dtype=torch.complex64, generator=source).to(device)
