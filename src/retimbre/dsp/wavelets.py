"""The constant-Q transform as most programs have it: windowed complex tones, one per note, moved along in equal hops.

Each note has a kernel, a tone under a Hann window of a fixed number of periods, so low notes have long kernels. Its
product with the sound around every hop-th sample is one coefficient. That is Brown's definition, and librosa's:

    C[k, t] = sqrt(length_k) / sum(h_k) * sum over n of x[t hop + n] h_k[n] exp(-2 pi i f_k n / sample_rate)

librosa computes it octave by octave on the sound resampled to lower and lower rates and leaves out the smallest values
of the kernels' spectra, which for a note of an electric piano makes 2 % of difference. Here every kernel is applied in
full at the full rate.

It forgets. Above the highest note and between hops that are longer than a kernel nothing is heard, and there are fewer
numbers than samples. What comes back is the least sound, in mean square, that has the given coefficients: the solution
of a least-squares problem, by Chebyshev's iteration. That takes a fixed combination of analyses and syntheses, so it is
linear and as differentiable as they are, which conjugate gradients are not. `gabor.py` has the transform that loses
nothing.

References:
    Brown (1991), "Calculation of a constant Q spectral transform", https://doi.org/10.1121/1.400476
    Schoerkhuber and Klapuri (2010), "Constant-Q transform toolbox for music processing", SMC-10.
    Golub and Varga (1961), "Chebyshev semi-iterative methods", https://doi.org/10.1007/BF01386013
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp import scales
from retimbre.dsp.stft import MOST_POINTS

# Directions that the analysis weakens by more than this factor in energy, against the strongest, are not restored.
_CONDITION = 200.0
_POWER_ITERATIONS = 12
# The power iteration approaches the largest eigenvalue from below; the margin keeps the other iteration stable.
_MARGIN = 1.1
# Samples of all kernels together: a gigabyte in float64. With a low note or many notes per octave, kernels get long.
_MOST_KERNEL_SAMPLES = 1 << 26


@dataclass(frozen=True)
class WaveletSettings:
    """What defines a constant-Q transform by windowed tones.

    Attributes:
        sample_rate: Of the sound, in Hz.
        hop_length: Samples from one coefficient of a note to the next; the first is centred on the first sample.
        bins: Notes.
        bins_per_octave: Notes per octave.
        f_min_hz: The lowest note.

    Raises:
        ConfigError: Numbers that make no sense, or notes above half the sample rate.
    """

    sample_rate: int = 16_000
    hop_length: int = 512
    bins: int = 84
    bins_per_octave: int = 12
    f_min_hz: float = 32.703195662574829

    def __post_init__(self) -> None:
        """Refuses settings that define no transform."""
        if min(self.sample_rate, self.hop_length, self.bins, self.bins_per_octave) < 1:
            raise ConfigError(
                "sample_rate, hop_length, bins and bins_per_octave must be at least 1, got "
                f"{self.sample_rate}, {self.hop_length}, {self.bins} and {self.bins_per_octave}"
            )
        if max(self.hop_length, self.bins, self.bins_per_octave) > MOST_POINTS:
            raise ConfigError(
                f"hop_length, bins and bins_per_octave are at most {MOST_POINTS:,}, "
                f"got {self.hop_length:,}, {self.bins:,} and {self.bins_per_octave:,}"
            )
        top_hz = self.note_hz(self.bins - 1)
        if not self.f_min_hz > 0.0 or top_hz >= self.sample_rate / 2.0:
            raise ConfigError(
                f"{self.bins} notes from {self.f_min_hz:g} to {top_hz:g} Hz do not lie between 0 Hz and half the "
                f"sample rate, {self.sample_rate / 2:g} Hz"
            )
        longest = self.length_samples(0)
        if not self.bins * longest <= _MOST_KERNEL_SAMPLES:
            raise ConfigError(
                f"{self.bins:,} notes whose longest kernel has {longest:,.0f} samples are more than can be computed; "
                "take fewer bins or bins_per_octave, or a higher f_min_hz"
            )

    def note_hz(self, index: int) -> float:
        """The frequency of a note."""
        return scales.note_hz(self.f_min_hz, index, self.bins_per_octave)

    def length_samples(self, index: int) -> float:
        """The length of a note's window: so many periods that its neighbours are told apart."""
        ratio = 2.0 ** (2.0 / self.bins_per_octave)
        return (ratio + 1.0) / (ratio - 1.0) * self.sample_rate / self.note_hz(index)

    def num_frames(self, num_samples: int) -> int:
        """Coefficients per note."""
        return 1 + num_samples // self.hop_length


def wavelet_transform(
    audio: Float[Tensor, "batch samples"], settings: WaveletSettings
) -> Complex[Tensor, "batch bins frames"]:
    """The coefficients of a sound, with silence beyond its ends."""
    parts = [frames @ kernels.T for frames, kernels in _framed(audio, settings)]
    pairs = torch.cat([part.unflatten(2, (-1, 2)) for part in parts], dim=2)
    return torch.view_as_complex(pairs.contiguous()).transpose(1, 2)


def inverse_wavelet_transform(
    coefficients: Complex[Tensor, "batch bins frames"],
    settings: WaveletSettings,
    *,
    num_samples: int,
    iterations: int,
) -> Float[Tensor, "batch samples"]:
    """The least sound with these coefficients, or nearly these if no sound has them.

    Args:
        coefficients: What `wavelet_transform` gave, with the same settings.
        settings: The settings of the analysis.
        num_samples: The length of the sound.
        iterations: Of Chebyshev's method; 32 leave 2 % of what can be restored at all, 64 leave 0.02 %.

    Raises:
        ConfigError: The coefficients are not those of a sound this long.
    """
    wanted = (settings.bins, settings.num_frames(num_samples))
    if tuple(coefficients.shape[1:]) != wanted:
        raise ConfigError(
            f"coefficients of (bins, frames) = {tuple(coefficients.shape[1:])} are not those of {num_samples} "
            f"samples, which are {wanted}"
        )
    largest = _largest_eigenvalue(settings, num_samples, coefficients.device)
    middle, radius = largest * (1.0 + 1.0 / _CONDITION) / 2.0, largest * (1.0 - 1.0 / _CONDITION) / 2.0
    residual = _synthesis(coefficients, settings, num_samples)
    step = residual / middle
    audio = step
    previous = radius / middle
    for _ in range(iterations - 1):
        residual = residual - _synthesis(wavelet_transform(step, settings), settings, num_samples)
        ratio = 1.0 / (2.0 * middle / radius - previous)
        step = ratio * previous * step + (2.0 * ratio / radius) * residual
        audio, previous = audio + step, ratio
    return audio


def _synthesis(
    coefficients: Complex[Tensor, "batch bins frames"], settings: WaveletSettings, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """The transpose of the analysis, weighted so that all notes count alike.

    Kernels longer than a hop overlap, and so hear the same energy length / hop times.
    """
    lengths = torch.tensor([settings.length_samples(index) for index in range(settings.bins)])
    weights = (settings.hop_length / lengths).clamp_max(1.0).to(coefficients.real)[:, None]
    pairs = torch.view_as_real((coefficients * weights).transpose(1, 2).contiguous()).flatten(2)
    audio = coefficients.real.new_zeros(len(coefficients), num_samples)
    start = 0
    for kernels in _kernels(settings, audio.dtype, audio.device):
        frames = pairs[..., start : start + len(kernels)] @ kernels
        start += len(kernels)
        half = kernels.shape[1] // 2
        length = num_samples + kernels.shape[1] - 1
        covered = (settings.num_frames(num_samples) - 1) * settings.hop_length + kernels.shape[1]
        summed = functional.fold(
            frames.transpose(1, 2), (1, covered), (1, kernels.shape[1]), stride=(1, settings.hop_length)
        )
        summed = functional.pad(summed[:, 0, 0], (0, max(length - covered, 0)))
        audio = audio + summed[:, half : half + num_samples]
    return audio


def _framed(
    audio: Float[Tensor, "batch samples"], settings: WaveletSettings
) -> Iterator[tuple[Float[Tensor, "batch frames length"], Float[Tensor, "rows length"]]]:
    """For each octave, the sound in frames as long as its longest kernel, and the kernels."""
    for kernels in _kernels(settings, audio.dtype, audio.device):
        length = kernels.shape[1]
        padded = functional.pad(audio, (length // 2, length - 1 - length // 2 + 1))
        yield (
            padded.unfold(-1, length, settings.hop_length)[:, : settings.num_frames(audio.shape[-1])],
            kernels,
        )


@functools.lru_cache(maxsize=16)
def _kernels(settings: WaveletSettings, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Per octave, real and imaginary parts of its kernels in turn, around the middle of as many samples as needed."""
    # Tensors made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False):
        octaves = []
        for start in range(0, settings.bins, settings.bins_per_octave):
            half = math.ceil(settings.length_samples(start) / 2.0) + 1
            notes = range(start, min(start + settings.bins_per_octave, settings.bins))
            rows = [_kernel(settings, note, half) for note in notes]
            octaves.append(torch.cat(rows).to(device, dtype))
        return tuple(octaves)


def _kernel(settings: WaveletSettings, note: int, half: int) -> Float[Tensor, "2 length"]:
    """The two parts of a note's kernel at the samples from -half to half - 1.

    As in librosa, the window is a periodic one of a whole number of samples, so its middle may lie half a sample off.
    """
    length = settings.length_samples(note)
    before, after = math.ceil(length / 2.0), math.floor(length / 2.0)
    window = torch.hann_window(before + after, dtype=torch.float64).flip(0)
    sample = torch.arange(1 - after, before + 1, dtype=torch.float64)
    angle = 2.0 * math.pi * settings.note_hz(note) / settings.sample_rate * sample
    tone = torch.stack([angle.cos(), -angle.sin()]) * window * math.sqrt(length) / window.sum()
    return functional.pad(tone, (half + 1 - after, half - 1 - before))


@functools.lru_cache(maxsize=16)
def _largest_eigenvalue(settings: WaveletSettings, num_samples: int, device: torch.device) -> float:
    """By how much analysis and synthesis in turn amplify what they amplify most, by power iteration; a little more."""
    with torch.no_grad():
        random = generator(0, "power iteration", num_samples)
        audio = torch.randn(1, num_samples, generator=random, dtype=torch.float64).to(device)
        norm = audio.norm()
        for _ in range(_POWER_ITERATIONS):
            audio = _synthesis(wavelet_transform(audio / norm, settings), settings, num_samples)
            norm = audio.norm()
        return _MARGIN * norm.item()
