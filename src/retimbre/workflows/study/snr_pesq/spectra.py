"""The spectra of the study: what a noisy spectrogram turns into when it is made audible.

All start from one short-time Fourier transform with a Hamming window, and differ in what they keep of a coefficient:
its real and imaginary part, its magnitude, magnitude and phase, or magnitude and the turn of the phase from frame to
frame (instantaneous frequency, in radians per hop). Magnitudes are linear, not logarithmic, so that an SNR means the
same for all. With `mel`, every frame is multiplied by as many mel bands as half the points of the transform, and comes
back by the pseudo-inverse of that matrix; since bands are wider than bins at high frequencies, that loses detail.

A magnitude alone says nothing of the phase, which Griffin and Lim's iteration estimates, with the window of the
analysis: another one would cost quality before any noise is added.

These are the representations of an earlier study by interns of Google (2020), with three deviations: the bin at half
the sample rate is kept, frames are centred with silence at both ends, and the phase is unwrapped along time. They are
not entries of the catalog, which holds the logarithmic forms that networks learn better.
"""

import dataclasses
import functools
import math
from typing import Literal, final

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.phase import GriffinLim
from retimbre.dsp.stft import StftSettings, istft, stft
from retimbre.representation.base import Representation, check_finite

Coordinates = Literal["complex", "magnitude", "phase", "frequency"]

CHANNELS: dict[Coordinates, tuple[str, ...]] = {
    "complex": ("real", "imaginary"),
    "magnitude": ("magnitude",),
    "phase": ("magnitude", "phase"),
    "frequency": ("magnitude", "frequency"),
}
"""What each of the coordinates keeps of a coefficient."""

# Singular values below this share of the largest count as zero. A band that barely touches a bin has one of 2e-5, and
# undoing it would raise noise by 94 dB; all others end above a tenth.
_RANK_TOLERANCE = 1e-3


@final
@dataclasses.dataclass(frozen=True)
class LinearSpectrum(Representation):
    """A short-time spectrum with linear magnitudes: `[batch, channels, bins or bands, frames]`.

    Attributes:
        settings: Of the transform, analysis and synthesis alike.
        coordinates: A name in `CHANNELS`.
        mel: Whether bins are gathered in n_fft / 2 mel bands.
        sample_rate: In Hz; places the mel bands.
        iterations: Of Griffin and Lim's, where the phase is not kept.
    """

    settings: StftSettings
    coordinates: Coordinates = "complex"
    mel: bool = False
    sample_rate: int = 16_000
    iterations: int = 32

    @property
    def exact(self) -> bool:
        """Where phase and all bins are kept."""
        return self.coordinates != "magnitude" and not self.mel

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bands frames"]:
        """Audio to spectra."""
        check_finite(audio)
        channels = self._channels(stft(audio, self.settings))
        return self._bands(channels) @ channels if self.mel else channels

    def decode(
        self, features: Float[Tensor, "batch channels bands frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Spectra to audio. A magnitude below zero turns a kept phase by half; without one it counts as zero."""
        if self.mel:
            features = self._bins(features) @ features
        if self.coordinates == "magnitude":
            return self._guess_phase(features[:, 0].clamp_min(0.0), num_samples)
        return istft(self._spectrum(features), self.settings, num_samples=num_samples)

    def _channels(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Float[Tensor, "batch channels bins frames"]:
        if self.coordinates == "complex":
            return torch.stack([spectrum.real, spectrum.imag], dim=1)
        if self.coordinates == "magnitude":
            return spectrum.abs()[:, None]
        angle = spectrum.angle()
        if self.coordinates == "frequency":
            turn = angle.diff(dim=-1)
            # Into [-pi, pi): what remains is the least turn that leads from one frame's phase to the next one's.
            turn = (turn + math.pi).remainder(2.0 * math.pi) - math.pi
            angle = torch.cat([angle[..., :1], turn], dim=-1)
        return torch.stack([spectrum.abs(), angle], dim=1)

    def _spectrum(
        self, channels: Float[Tensor, "batch channels bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        first, second = channels.unbind(dim=1)
        if self.coordinates == "complex":
            return torch.complex(first, second)
        # Summed in float64: the noise of a minute's frames adds up, the rounding of a minute's frames should not.
        angle = second.double().cumsum(dim=-1).to(second) if self.coordinates == "frequency" else second
        return torch.complex(first * angle.cos(), first * angle.sin())

    def _guess_phase(
        self, magnitude: Float[Tensor, "batch bins frames"], num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        method = GriffinLim(self.iterations)
        return method.recover(magnitude, self.settings, num_samples=num_samples)

    def _bands(self, like: Tensor) -> Float[Tensor, "bands bins"]:
        return mel_filterbank(self.sample_rate, self.settings.n_fft, self.settings.n_fft // 2, like=like)

    def _bins(self, like: Tensor) -> Float[Tensor, "bins bands"]:
        return _pseudo_inverse(self.sample_rate, self.settings.n_fft).to(like)


@functools.lru_cache(maxsize=16)
def _pseudo_inverse(sample_rate: int, n_fft: int) -> Float[Tensor, "bins bands"]:
    """What brings mel bands back to bins with the least error."""
    bands = mel_filterbank(sample_rate, n_fft, n_fft // 2, like=torch.empty(0, dtype=torch.float64))
    return torch.linalg.pinv(bands, rtol=_RANK_TOLERANCE)
