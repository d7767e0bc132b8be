"""Lapped transforms as representations: real, exact, and as many numbers as samples.

A complex spectrogram makes a network say everything about twice, magnitude and phase of overlapping frames, and most of
what it may say is no sound's spectrogram. The coefficients of a lapped transform are an orthonormal basis: any values
are some sound's, an error in them is an error of the same energy in the sound, and there are no more of them than
samples. Their price is that they have no phase: a steady tone flickers from frame to frame.

`Mdct` has many bands and few frames, an image. `Pqmf` has few bands and many frames, a waveform of several channels at
a lower rate, as RAVE and multi-band MelGAN take it. The transforms themselves are in `dsp.lapped`.
"""

import dataclasses
import math
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.lapped import Ends, LappedSettings, inverse_lapped, lapped
from retimbre.representation.base import Representation, check_finite


@dataclasses.dataclass(frozen=True)
class Mdct(Representation):
    """The modified discrete cosine transform: `[batch, 1, bands, frames]`, orthonormal.

    Attributes:
        num_bands: Coefficients per frame, even; a frame has twice as many samples and the next starts this many on.
        window: "sine", or "kbd" (Kaiser-Bessel derived), which rejects far bands more.
        beta: Of the Kaiser window in "kbd".
        ends: "silence" beyond the clip, for one frame more; "wrap": ceil(samples / bands) frames, the last of which
            also hears the clip's start.
    """

    formula: ClassVar[str] = "X[k, t] = √(2/N) Σ_n w[n] x[tN + n] cos(π/N (n + (N + 1)/2)(k + 1/2))"
    reference: ClassVar[str] = (
        "Princen & Bradley (1986), Analysis/synthesis filter bank design based on time domain aliasing cancellation, "
        "https://doi.org/10.1109/TASSP.1986.1164954"
    )

    num_bands: int = 256
    window: Literal["sine", "kbd"] = "sine"
    beta: float = 4.0 * math.pi
    ends: Ends = "silence"

    def __post_init__(self) -> None:
        """Refuses settings that cannot be undone."""
        _ = self.transform

    @property
    def exact(self) -> bool:
        """The transform is orthonormal."""
        return True

    @property
    def transform(self) -> LappedSettings:
        """The settings of the transform."""
        return LappedSettings(self.num_bands, window=self.window, beta=self.beta, ends=self.ends)

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 bands frames"]:
        """Audio to coefficients."""
        check_finite(audio)
        return lapped(audio, self.transform)[:, None]

    def decode(
        self, features: Float[Tensor, "batch 1 bands frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Coefficients to audio."""
        return inverse_lapped(features[:, 0], self.transform, num_samples=num_samples)


@dataclasses.dataclass(frozen=True)
class Pqmf(Representation):
    """Sub-bands of equal width, each at the lowest rate that holds it: `[batch, bands, time]`, orthonormal.

    The prototype is a Kaiser window times a sinc, moved onto the condition of perfect reconstruction. With the defaults
    it rejects what is more than one band away by 53 dB. The bare Kaiser prototype of the usual PQMF gives the
    sound back with 55 dB.

    Attributes:
        num_bands: Sub-bands, even; each has one sample for every `num_bands` of the audio.
        overlap: Half of the filters' length in units of `num_bands` samples; longer filters separate the bands better.
        beta: Of the Kaiser window; larger rejects far bands more and neighbours less.
        ends: "silence" beyond the clip, for 2 * overlap - 1 frames more; "wrap": ceil(samples / bands) of them.
    """

    formula: ClassVar[str] = (
        "X[k, t] = √(2/N) Σ_n p[n] x[tN + n] cos(π/N (n + (N + 1)/2)(k + 1/2)), 0 ≤ n < 2KN"
    )
    reference: ClassVar[str] = (
        "Malvar (1992), Extended lapped transforms: properties, applications, and fast algorithms, "
        "https://doi.org/10.1109/78.165664; Lin & Vaidyanathan (1998), A Kaiser window approach for the design of "
        "prototype filters of cosine modulated filterbanks, https://doi.org/10.1109/97.681427"
    )

    num_bands: int = 16
    overlap: int = 8
    beta: float = 12.0
    ends: Ends = "silence"

    def __post_init__(self) -> None:
        """Refuses settings that cannot be undone."""
        _ = self.transform

    @property
    def exact(self) -> bool:
        """The transform is orthonormal."""
        return True

    @property
    def transform(self) -> LappedSettings:
        """The settings of the transform."""
        return LappedSettings(self.num_bands, self.overlap, "kaiser", self.beta, self.ends)

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bands time"]:
        """Audio to sub-bands."""
        check_finite(audio)
        return lapped(audio, self.transform)

    def decode(
        self, features: Float[Tensor, "batch bands time"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Sub-bands to audio."""
        return inverse_lapped(features, self.transform, num_samples=num_samples)
