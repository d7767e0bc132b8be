"""The representations that inverters listen through: samples, decibel spectrograms and mel bands.

`DecibelSpectrogram` is the front end of InverSynth: a power spectrogram in decibels below its own loudest cell.
It is therefore blind to the level of the clip, as is `LogMel`, which sums the power into bands spaced as the
ear spaces them.

Frames follow the 'same' rule of TensorFlow and kapre: a clip of n samples has ceil(n / hop) frames, and the
silence that the last frame lacks is split between both ends (the odd sample goes to the right). At 16,384
samples, 512 points and a hop of 256 these are 64 frames, with 128 samples of silence at each end.

A spectrogram can also be computed by convolution with the windowed cosines and sines of the Fourier transform,
and then those kernels can be trained like any weights (`trainable`); they start as the Fourier transform.

References:
    Barkan et al., "InverSynth: Deep estimation of synthesizer parameter configurations from audio signals", IEEE/ACM
    TASLP 2019, https://arxiv.org/abs/1812.06349
    Choi et al., "Kapre", 2017, https://arxiv.org/abs/1706.05781
"""

import dataclasses
import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.stft import StftSettings, analysis_window, power
from retimbre.representation.base import Representation, check_finite, refuse_to_decode

RANGE_DB = 80.0  # how far below the loudest cell a cell may lie; what is softer is raised to that
POWER_FLOOR = 1e-10  # keeps the logarithm of silence finite; -100 dB re a cell of power 1


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """What to add before and after a signal so that strides of a kernel give ceil(length / stride) outputs."""
    outputs = -(-length // stride)
    missing = max((outputs - 1) * stride + kernel - length, 0)
    return missing // 2, missing - missing // 2


def decibels_below_maximum(power: Float[Tensor, "batch bins frames"]) -> Float[Tensor, "batch bins frames"]:
    """Power in decibels relative to the loudest cell of each clip, from -80 to 0; silence is 0 throughout."""
    decibels = 10.0 * torch.log10(power.clamp_min(POWER_FLOOR))
    return (decibels - decibels.amax(dim=(1, 2), keepdim=True)).clamp_min(-RANGE_DB)


@dataclasses.dataclass(frozen=True)
class Waveform(Representation):
    """The samples themselves, as one channel."""

    @property
    def exact(self) -> bool:
        """Nothing is even rounded."""
        return True

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 samples"]:
        """Adds the channel."""
        check_finite(audio)
        return audio[:, None]

    def decode(
        self, features: Float[Tensor, "batch 1 time"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Removes the channel, and cuts or pads with silence to the length."""
        audio = features[:, 0, :num_samples]
        return functional.pad(audio, (0, num_samples - audio.shape[-1]))


@dataclasses.dataclass(frozen=True)
class DecibelSpectrogram(Representation):
    """Decibels below the loudest cell of the clip, -80 to 0: `[batch, 1, frames, bins]`, time first as in the paper.

    Attributes:
        n_fft: Points of the Fourier transform, and of its periodic Hann window.
        hop_length: Samples from one frame to the next.
        trainable: Whether `front_end` computes it with kernels that training may change.
    """

    formula: ClassVar[str] = "D[t, k] = max(10 log10(max(|X[k, t]|², 1e-10)) - that of the loudest cell, -80)"
    reference: ClassVar[str] = (
        "Barkan et al. (2019), InverSynth: Deep estimation of synthesizer parameter configurations from audio signals, "
        "https://arxiv.org/abs/1812.06349"
    )

    n_fft: int = 512
    hop_length: int = 256
    trainable: bool = False

    def __post_init__(self) -> None:
        """Refuses settings that define no transform."""
        _ = self.stft_settings

    @property
    def exact(self) -> bool:
        """It keeps neither phase nor level."""
        return False

    @property
    def invertible(self) -> bool:
        """A sound of unknown level is not estimated."""
        return False

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 frames bins"]:
        """Audio to decibels, with the Fourier transform itself whatever `trainable` says."""
        check_finite(audio)
        padding = same_padding(audio.shape[-1], self.n_fft, self.hop_length)
        spectrum = power(functional.pad(audio, padding), self.stft_settings)
        return decibels_below_maximum(spectrum).transpose(1, 2)[:, None]

    def decode(
        self, features: Float[Tensor, "batch 1 frames bins"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Not possible: there is no phase."""
        raise refuse_to_decode("db-spectrogram", "phase")

    def front_end(self) -> nn.Module:
        """A module with trainable kernels if `trainable`, without weights otherwise."""
        return SpectrogramKernels(self) if self.trainable else super().front_end()

    @property
    def stft_settings(self) -> StftSettings:
        """The transform of a clip that has been padded."""
        return StftSettings(n_fft=self.n_fft, hop_length=self.hop_length, center=False)


class SpectrogramKernels(nn.Module):
    """A decibel spectrogram by convolution, whose kernels start as windowed cosines and sines and can be trained."""

    def __init__(self, settings: DecibelSpectrogram) -> None:
        super().__init__()
        self.settings = settings
        kernels = fourier_kernels(settings.stft_settings)
        self.kernels = nn.Parameter(kernels, requires_grad=settings.trainable)

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 frames bins"]:
        """Audio to decibels."""
        n_fft, hop_length = self.settings.n_fft, self.settings.hop_length
        padded = functional.pad(audio, same_padding(audio.shape[-1], n_fft, hop_length))
        real, imaginary = functional.conv1d(padded[:, None], self.kernels, stride=hop_length).chunk(2, dim=1)
        return decibels_below_maximum(real.square() + imaginary.square()).transpose(1, 2)[:, None]


def fourier_kernels(settings: StftSettings) -> Float[Tensor, "kernels 1 n_fft"]:
    """The windowed cosines of all bins, then the windowed sines, as kernels of a convolution."""
    window = analysis_window(settings, torch.empty(0, dtype=torch.float64))
    sample = torch.arange(settings.n_fft, dtype=torch.float64)
    angle = 2.0 * math.pi / settings.n_fft * torch.outer(torch.arange(settings.num_bins).double(), sample)
    return torch.cat([angle.cos() * window, -angle.sin() * window])[:, None].float()


@dataclasses.dataclass(frozen=True)
class LogMel(Representation):
    """Mel bands in decibels below the loudest one of the clip, -80 to 0: `[batch, 1, bands, frames]`.

    The defaults are a window of 62.5 ms, which tells the partials of notes from 32 Hz up apart, and a frame
    every 15.6 ms, which follows an attack; `at_rate` keeps these times.

    Attributes:
        sample_rate: Of the audio, in Hz.
        n_fft: Points of the Fourier transform, and of its periodic Hann window.
        hop_length: Samples from one frame to the next.
        n_mels: Number of bands, from 0 Hz to half the sample rate.
    """

    formula: ClassVar[str] = (
        "max(10 log10(max(Σ_k M[b, k] |X[k, t]|², 1e-10)) - that of the loudest cell, -80)"
    )
    reference: ClassVar[str] = (
        "Slaney (1998), Auditory Toolbox, Technical Report 1998-010, Interval Research Corporation"
    )

    sample_rate: int = 16_384
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 128

    def __post_init__(self) -> None:
        """Refuses settings that define no transform, and bands that are none or too many."""
        _ = self.stft_settings
        mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, like=torch.zeros(()))

    @property
    def exact(self) -> bool:
        """It keeps neither phase nor level."""
        return False

    @property
    def invertible(self) -> bool:
        """A sound of unknown level is not estimated."""
        return False

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same window and hop in seconds at another sample rate."""
        factor = sample_rate / self.sample_rate
        return {
            "sample_rate": sample_rate,
            "n_fft": 2 * round(self.n_fft * factor / 2),
            "hop_length": round(self.hop_length * factor),
        }

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 bands frames"]:
        """Audio to decibels."""
        check_finite(audio)
        padding = same_padding(audio.shape[-1], self.n_fft, self.hop_length)
        spectrum = power(functional.pad(audio, padding), self.stft_settings)
        bands = mel_filterbank(self.sample_rate, self.n_fft, self.n_mels, like=audio)
        return decibels_below_maximum(bands @ spectrum)[:, None]

    def decode(
        self, features: Float[Tensor, "batch 1 bands frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Not possible: there is no phase."""
        raise refuse_to_decode("log-mel", "phase")

    @property
    def stft_settings(self) -> StftSettings:
        """The transform of a clip that has been padded."""
        return StftSettings(n_fft=self.n_fft, hop_length=self.hop_length, center=False)
