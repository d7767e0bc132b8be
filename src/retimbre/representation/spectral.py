"""The short-time Fourier transform as features: its spectrum in the coordinates and the shape that a network wants.

Three choices make one of the spectrograms of the literature. The transform itself (window, hop, padding: `dsp.stft`)
says what is heard when. The coordinates (`representation.coordinates`) say how a complex number becomes two real ones.
And the edges of the spectrum have to be dealt with, because a transform of n_fft samples has n_fft / 2 + 1 bins, one
more than the power of two that networks halve and double. The first bin (DC) and the last one (Nyquist) are real, so
together they hold as much as one complex bin:

    both          all n_fft / 2 + 1 bins
    packed        n_fft / 2 bins, the first of which is DC + i Nyquist: a power of two, and nothing is lost
    no-dc         n_fft / 2 bins; what lies within half a bin of 0 Hz is lost, which is seldom audible
    no-nyquist    n_fft / 2 bins; what lies within half a bin of half the sample rate is lost

Decoding is the least-squares inverse, so with all of the spectrum it is exact wherever the windows cover the sound.
Settings that leave samples uncovered are refused. Where only the end of a clip would lie under the foot of the last
window, one frame more is made.

References:
    Griffin & Lim (1984), "Signal estimation from modified short-time Fourier transform",
    https://doi.org/10.1109/TASSP.1984.1164317
"""

import dataclasses
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError, UserError, near_miss
from retimbre.dsp.pieces import in_pieces
from retimbre.dsp.stft import StftSettings, istft, least_coverage, reach, stft
from retimbre.representation.base import Representation, check_finite
from retimbre.representation.coordinates import Cartesian, Coordinates

EDGES = ("both", "packed", "no-dc", "no-nyquist")
# Rounding errors grow by the root of one over these: 4.5 at most; and 14 in the first samples without `center`, where a
# Hamming window begins at 0.08 of its height.
_LEAST_COVERAGE = 5e-2
_LEAST_COVERAGE_AT_START = 5e-3


@dataclasses.dataclass(frozen=True)
class Spectral(Representation):
    """The short-time Fourier transform, its complex numbers in two real channels: `[batch, 2, bins, frames]`.

    Attributes:
        n_fft: Points of the Fourier transform.
        hop_length: Samples from one frame to the next.
        win_length: Samples of the window, centred in the n_fft points; 0 stands for n_fft.
        window: A name in `dsp.stft.WINDOWS`, periodic.
        center: Whether frame t is centred on sample t * hop_length, or starts there. Without, frames begin up to the
            last sample and the end is padded with silence.
        pad_mode: What the ends are padded with if `center`: "constant" (silence) or "reflect".
        edges: What becomes of the bins at 0 Hz and at half the sample rate, one of `EDGES`.
        coordinates: How complex numbers are written.

    Raises:
        ConfigError: Settings that define no transform, or one that cannot be undone; the message says why.
    """

    n_fft: int = 1024
    hop_length: int = 256
    win_length: int = 0
    window: str = "hann"
    center: bool = True
    pad_mode: str = "constant"
    edges: str = "both"
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    formula: ClassVar[str] = "X[k, t] = sum over n of w[n] x[t hop + n - n_fft / 2] exp(-2 pi i k n / n_fft)"
    reference: ClassVar[str] = (
        'Griffin and Lim (1984), "Signal estimation from modified short-time Fourier transform", '
        "https://doi.org/10.1109/TASSP.1984.1164317"
    )

    def __post_init__(self) -> None:
        """Refuses what cannot be undone."""
        if self.edges not in EDGES:
            raise ConfigError(f"unknown edges {self.edges!r}; {near_miss(self.edges, EDGES)}")
        if self.edges in {"packed", "no-nyquist"} and self.n_fft % 2:
            raise ConfigError(
                f"edges {self.edges!r} needs an even n_fft, which has a Nyquist bin: {self.n_fft}"
            )
        if self.edges != "both" and self.n_fft < 2:
            raise ConfigError(f"edges {self.edges!r} leaves no bin of n_fft = {self.n_fft}")
        self._check_coverage()

    @property
    def exact(self) -> bool:
        """If the coordinates are and no bin is dropped."""
        return self.coordinates.exact and self.edges in {"both", "packed"}

    @property
    def stft_settings(self) -> StftSettings:
        """The transform, of a clip that has been padded if not `center`."""
        return StftSettings(
            self.n_fft, self.hop_length, self.win_length, self.window, self.center, self.pad_mode
        )

    @property
    def num_bins(self) -> int:
        """Bins of the features."""
        return self.n_fft // 2 + 1 - (self.edges != "both")

    def num_frames(self, num_samples: int) -> int:
        """Frames of a clip."""
        return self.stft_settings.num_frames(self._padded_samples(num_samples))

    def frame_exact_samples(self, num_frames: int) -> int:
        """The longest clip that has exactly `num_frames` frames: `num_frames * hop_length - 1` if `center`.

        Somewhat less if windows overlap so little that the end of such a clip needs a frame more.

        Raises:
            ConfigError: No clip has so few frames, since a reflection needs half a frame of sound.
        """
        if self.num_frames(1) > num_frames:
            raise ConfigError(
                f"every clip has at least {self.num_frames(1)} frames, so none has {num_frames}"
            )
        samples = num_frames * self.hop_length
        while self.num_frames(samples) > num_frames:
            samples -= 1
        return samples

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bins frames"]:
        """Audio to channels; their memory is laid out frame by frame."""
        check_finite(audio)
        num_samples = audio.shape[-1]
        missing = self._padded_samples(num_samples) - num_samples
        padded = functional.pad(audio, (0, missing)) if missing else audio  # padding with nothing would copy
        return in_pieces(self._encode, padded, values_per_item=self.n_fft * self.num_frames(num_samples))

    def decode(
        self, features: Float[Tensor, "batch channels bins frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sound whose transform is closest to the features in mean square.

        Raises:
            UserError: The features have another number of channels or bins.
        """
        if features.shape[1:3] != (self.coordinates.num_channels, self.num_bins):
            raise UserError(
                f"features of {self.coordinates.num_channels} channels and {self.num_bins} bins are needed, "
                f"got {features.shape[1]} and {features.shape[2]}"
            )
        settings = self.stft_settings
        return in_pieces(
            lambda piece: istft(
                self._restore_edges(self.coordinates.to_spectrum(piece)), settings, num_samples=num_samples
            ),
            features,
            values_per_item=self.n_fft * features.shape[-1],
        )

    def _encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bins frames"]:
        return self.coordinates.to_channels(self._drop_edges(stft(audio, self.stft_settings)))

    def _drop_edges(
        self, spectrum: Complex[Tensor, "batch all_bins frames"]
    ) -> Complex[Tensor, "batch bins frames"]:
        if self.edges == "no-dc":
            return spectrum[:, 1:]
        if self.edges == "no-nyquist":
            return spectrum[:, :-1]
        if self.edges == "packed":
            by_frame = spectrum.mT  # the order in memory, which joining bins keeps this way
            both = torch.complex(by_frame[..., :1].real, by_frame[..., -1:].real)
            return torch.cat([both, by_frame[..., 1:-1]], dim=-1).mT
        return spectrum

    def _restore_edges(
        self, spectrum: Complex[Tensor, "batch bins frames"]
    ) -> Complex[Tensor, "batch all_bins frames"]:
        by_frame = spectrum.mT
        if self.edges == "no-dc":
            by_frame = functional.pad(by_frame, (1, 0))
        if self.edges == "no-nyquist":
            by_frame = functional.pad(by_frame, (0, 1))
        if self.edges == "packed":
            dc, nyquist = by_frame[..., :1].real, by_frame[..., :1].imag
            by_frame = torch.cat([_as_complex(dc), by_frame[..., 1:], _as_complex(nyquist)], dim=-1)
        return by_frame.mT

    def _padded_samples(self, num_samples: int) -> int:
        """Samples with the silence at the end that gives the last ones frames enough."""
        settings, hop_length = self.stft_settings, self.hop_length
        if not self.center:
            return max(0, num_samples - 1) // hop_length * hop_length + self.n_fft
        frames = settings.num_frames(num_samples)
        if num_samples - 1 <= (frames - 1) * hop_length + reach(settings, _LEAST_COVERAGE):
            return num_samples
        return frames * hop_length + self.n_fft % 2

    def _check_coverage(self) -> None:
        window = f"{self.window} windows of {self.win_length or self.n_fft} samples every {self.hop_length}"
        if least_coverage(dataclasses.replace(self.stft_settings, center=True)) < _LEAST_COVERAGE:
            raise ConfigError(
                f"{window} leave samples all but uncovered, so they cannot be undone; take a smaller hop_length"
            )
        if least_coverage(self.stft_settings) < _LEAST_COVERAGE_AT_START:
            raise ConfigError(
                f"without center, {window} lose the first samples, which only the foot of one window covers; "
                "take center = true, or hamming windows of n_fft samples"
            )


def _as_complex(real: Float[Tensor, "*shape"]) -> Complex[Tensor, "*shape"]:
    return torch.complex(real, torch.zeros_like(real))
