"""Complex spectrograms on the mel scale: fewer bins where the ear resolves less, more where it resolves more.

An image whose rows are equal steps of pitch suits a network better than one whose upper half is the top octave alone.
So the complex spectrogram is warped to mel bands (`dsp.warping`) before it is written as real channels, whichever the
coordinates: real and imaginary part (`mel-stft`), or log-magnitude and instantaneous frequency (`mel-if`).

The way back is the pseudo-inverse of the warping. Where many bins share one band it is lossy: a note, whose high
partials are weak, comes back with some 60 dB, white noise with 16. With bands enough it is exact. Magnitudes are those
of the warped complex spectrum. GANSynth warps the power and the unwrapped phase instead, each by itself; the same notes
then come back with 25 dB less, since a mean of phases is not the phase of a mean.
"""

import dataclasses
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import UserError
from retimbre.dsp.warping import Bands, Warping, centre_phase
from retimbre.representation.base import Representation
from retimbre.representation.coordinates import Cartesian, Coordinates
from retimbre.representation.spectral import Spectral


@dataclasses.dataclass(frozen=True)
class MelWarped(Representation):
    """A complex spectrogram warped to mel bands: `[batch, channels, bands, frames]`; lossy unless there are many bands.

    Attributes:
        sample_rate: Of the audio, in Hz; the bands reach up to half of it.
        n_fft: Points of the Fourier transform and of its periodic window, even.
        hop_length: Samples from one frame to the next.
        window: A name in `dsp.stft.WINDOWS`.
        center: Whether frame t is centred on sample t * hop_length. Otherwise it starts there, silence follows the
            clip, and there are ceil(samples / hop_length) frames.
        n_mels: Number of bands.
        bands: "smooth" or, as in TensorFlow, "tensorflow".
        coordinates: How complex numbers become real channels.
    """

    formula: ClassVar[str] = (
        "Y = M · STFT(x), back by the pseudo-inverse M⁺; the channels are Y in its coordinates"
    )
    reference: ClassVar[str] = (
        "Engel et al. (2019), GANSynth: Adversarial neural audio synthesis, https://arxiv.org/abs/1902.08710"
    )

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 256
    window: str = "hann"
    center: bool = True
    n_mels: int = 512
    bands: Bands = "smooth"
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    def __post_init__(self) -> None:
        """Refuses settings that define no transform."""
        _ = (self.spectral, self.warping)

    @property
    def exact(self) -> bool:
        """If there are bands enough around every bin."""
        return self.coordinates.exact and self.warping.exact

    @property
    def warping(self) -> Warping:
        """The map from bins to bands."""
        return Warping(self.sample_rate, self.n_fft, self.n_mels, self.bands)

    @property
    def spectral(self) -> Spectral:
        """The complex spectrogram before the warping."""
        return Spectral(self.n_fft, self.hop_length, window=self.window, center=self.center)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same frames in samples, with bands up to half of another rate."""
        return {"sample_rate": sample_rate}

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bands frames"]:
        """Audio to channels."""
        spectrum = Cartesian().to_spectrum(self.spectral.encode(audio))
        if self.bands == "smooth":
            spectrum = centre_phase(spectrum)
        return self.coordinates.to_channels(self.warping.warp(spectrum))

    def decode(
        self, features: Float[Tensor, "batch channels bands frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Channels to audio, by the pseudo-inverse.

        Raises:
            UserError: The features have another number of channels or bands.
        """
        expected = (self.coordinates.num_channels, self.n_mels)
        if features.shape[1:3] != expected:
            raise UserError(
                f"features of {expected[0]} channels and {expected[1]} bands are needed, "
                f"got {features.shape[1]} and {features.shape[2]}"
            )
        spectrum = self.warping.unwarp(self.coordinates.to_spectrum(features))
        if self.bands == "smooth":
            spectrum = centre_phase(spectrum)
        return self.spectral.decode(Cartesian().to_channels(spectrum), num_samples=num_samples)
