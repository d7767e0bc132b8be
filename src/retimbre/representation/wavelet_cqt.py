"""The constant-Q transform of librosa as features, for comparison with what was made by it.

Each coefficient is the product of the sound with a windowed tone (`dsp.wavelets`), one per note and hop, as in Brown's
definition. It is what the program of Nistal, Lattner and Richard calls `cqt`. Nothing is heard above the highest note
or between the short kernels of the high notes, so the sound comes back as the least-squares estimate; `Cqt` has the
notes and everything else.
"""

import dataclasses
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, UserError
from retimbre.dsp.pieces import in_pieces
from retimbre.dsp.wavelets import WaveletSettings, inverse_wavelet_transform, wavelet_transform
from retimbre.representation.base import Representation, check_finite
from retimbre.representation.coordinates import Cartesian, Coordinates


@dataclasses.dataclass(frozen=True)
class WaveletCqt(Representation):
    """Windowed tones at equal hops, librosa's constant-Q transform: `[batch, 2, bins, frames]`; lossy.

    Coefficients are those of librosa 0.11 at the full rate; `librosa.cqt` itself resamples per octave, which makes a
    difference of some per cent. Version 0.7.2, which the program of 2020 used, had windows 3 % shorter and mirrored
    ends.

    Attributes:
        sample_rate: Of the audio, in Hz.
        hop_length: Samples from one frame to the next; frame 0 is centred on the first sample.
        bins: Notes.
        bins_per_octave: Notes per octave.
        f_min_hz: The lowest note; C1 by default.
        iterations: Of the inverse; 64 leave nothing to gain that 16-bit files could hold.
        coordinates: How complex numbers are written.

    Raises:
        ConfigError: Settings that define no transform, such as notes above half the sample rate.
    """

    formula: ClassVar[str] = "c[k, t] = √L_k / Σ h_k · Σ_n x[t hop + n] h_k[n] exp(-2πi f_k n / rate)"
    reference: ClassVar[str] = (
        "Brown (1991), Calculation of a constant Q spectral transform, https://doi.org/10.1121/1.400476; "
        "librosa 0.11, https://librosa.org/doc/0.11.0/generated/librosa.cqt.html"
    )

    sample_rate: int = 16_000
    hop_length: int = 512
    bins: int = 84
    bins_per_octave: int = 12
    f_min_hz: float = 32.703195662574829
    iterations: int = 64
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    def __post_init__(self) -> None:
        """Refuses what defines no transform."""
        if self.iterations < 1:
            raise ConfigError(f"iterations must be at least 1, got {self.iterations}")
        _ = self.transform

    @property
    def exact(self) -> bool:
        """There are fewer numbers than samples."""
        return False

    @property
    def transform(self) -> WaveletSettings:
        """The settings of the transform."""
        return WaveletSettings(
            self.sample_rate, self.hop_length, self.bins, self.bins_per_octave, self.f_min_hz
        )

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same notes and hop in samples at another rate."""
        return {"sample_rate": sample_rate}

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bins frames"]:
        """Audio to channels."""
        check_finite(audio)
        transform = self.transform
        return in_pieces(
            lambda piece: self.coordinates.to_channels(wavelet_transform(piece, transform)),
            audio,
            values_per_item=self._num_values(audio.shape[-1]),
        )

    def decode(
        self, features: Float[Tensor, "batch channels bins frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Channels to the least sound that has such coefficients.

        Raises:
            UserError: The features have another number of channels, bins or frames than those of a clip this long.
        """
        wanted = (self.coordinates.num_channels, self.bins, self.transform.num_frames(num_samples))
        if tuple(features.shape[1:]) != wanted:
            raise UserError(
                f"features of {num_samples} samples are (channels, bins, frames) = {wanted}, "
                f"not {tuple(features.shape[1:])}"
            )
        return in_pieces(
            lambda piece: inverse_wavelet_transform(
                self.coordinates.to_spectrum(piece),
                self.transform,
                num_samples=num_samples,
                iterations=self.iterations,
            ),
            features,
            values_per_item=self._num_values(num_samples),
        )

    def _num_values(self, num_samples: int) -> int:
        """Samples in the frames of the lowest octave, the longest ones."""
        return round(self.transform.length_samples(0)) * self.transform.num_frames(num_samples)
