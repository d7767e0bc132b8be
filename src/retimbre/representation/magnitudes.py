"""Log-magnitudes without phase, and what every phaseless representation needs to become sound again.

Half of the numbers of a spectrogram are phases. They look like noise, and a network finds them hard to learn, so most
models hear magnitudes alone. From there to sound is an estimate in up to three steps, each undoing one of encoding:

    mfcc    a few cosine coefficients of the mel decibels    -> the smoothed spectrum that they still tell
    mel     bands of power                                   -> the non-negative spectrum whose bands are closest
    mag     magnitudes of the short-time transform           -> phases that fit them (`dsp.phase`)

`phase` chooses how: "pghi" reads the phases off the magnitudes and polishes them with a few projections; "griffin-lim"
iterates from random phases. The first needs a window like a Gaussian and is better on notes with a fraction of the
work. Both use the window of the analysis. None of these is exact: a mel or cepstral sound has lost its fine spectrum
for good, and with DC or Nyquist bins dropped (`edges`) what was there is silent.

References:
    Prusa, Balazs and Sondergaard (2017), "A noniterative method for reconstruction of phase from STFT magnitude",
    https://doi.org/10.1109/TASLP.2017.2678166
"""

import dataclasses
import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError, UserError
from retimbre.dsp.phase import GriffinLim, PhaseGradients, PhaseMethod
from retimbre.dsp.phase_gradient import gaussian_equivalent
from retimbre.representation.base import Representation
from retimbre.representation.coordinates import LOUDEST, Cartesian
from retimbre.representation.spectral import Spectral

# Keeps the slope of the square root finite at silence; far below the last bit of any recording.
_SMALLEST_POWER = 1e-30


@final
@dataclasses.dataclass(frozen=True)
class Magnitude(Representation):
    """Log-magnitudes of the short-time Fourier transform, `[batch, 1, bins, frames]`: log(|X| + floor).

    Attributes:
        n_fft: Points of the Fourier transform.
        hop_length: Samples from one frame to the next.
        window: A name in `dsp.stft.WINDOWS`; "gaussian" suits "pghi" best.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What the ends are padded with if `center`: "constant" (silence) or "reflect".
        edges: Whether all bins are kept ("both"), or the first ("no-dc") or the last ("no-nyquist") is dropped, which
            makes n_fft / 2 of them and loses what lay there.
        floor: Added to magnitudes, so that silence has a logarithm.
        phase: How decoding finds phases: "pghi" or "griffin-lim".
        projections: After "pghi".
        iterations: Of "griffin-lim".
        seed: Of random phases.

    Raises:
        ConfigError: Settings that define no transform, or from which no sound can be found; the message says why.
    """

    n_fft: int = 1024
    hop_length: int = 256
    window: str = "gaussian"
    center: bool = True
    pad_mode: str = "constant"
    edges: str = "both"
    floor: float = 1e-6
    phase: str = "pghi"
    projections: int = 1
    iterations: int = 32
    seed: int = 0

    formula: ClassVar[str] = "log(|X[k, t]| + floor), X the short-time Fourier transform"
    reference: ClassVar[str] = (
        'Prusa, Balazs and Sondergaard (2017), "A noniterative method for reconstruction of phase from STFT '
        'magnitude", https://doi.org/10.1109/TASLP.2017.2678166'
    )

    def __post_init__(self) -> None:
        """Refuses what cannot be decoded."""
        check_floor(self.floor)
        check_method(self.recovery, self.spectral)

    @property
    def exact(self) -> bool:
        """Never: the phase is estimated."""
        return False

    @property
    def spectral(self) -> Spectral:
        """The complex spectrogram whose magnitudes these are."""
        return Spectral(
            self.n_fft, self.hop_length, 0, self.window, self.center, self.pad_mode, self.edges, Cartesian()
        )

    @property
    def recovery(self) -> PhaseMethod:
        """How decoding finds phases."""
        return phase_method(self.phase, self.projections, self.iterations, self.seed)

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 bins frames"]:
        """Audio to log-magnitudes."""
        return torch.log(power_of(self.spectral, audio).sqrt() + self.floor)

    def decode(
        self, features: Float[Tensor, "batch channels bins frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sound whose magnitudes are about these, its sign unknown.

        Raises:
            UserError: The features have another number of bins.
        """
        check_bins(features, self.spectral.num_bins)
        # A network may ask for any number; what no sound has would overflow.
        magnitudes = (features[:, 0].clamp_max(math.log(LOUDEST)).exp() - self.floor).clamp_min(0.0)
        return sound_from(self.spectral, self.recovery, magnitudes, num_samples)


def power_of(
    spectral: Spectral, audio: Float[Tensor, "batch samples"]
) -> Float[Tensor, "batch 1 bins frames"]:
    """Squared magnitudes; never quite zero, so that their root has a slope."""
    return spectral.encode(audio).square().sum(dim=1, keepdim=True).clamp_min(_SMALLEST_POWER)


def sound_from(
    spectral: Spectral, method: PhaseMethod, magnitudes: Float[Tensor, "batch bins frames"], num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Sound from magnitudes; bins that were dropped are silent."""
    before, after = int(spectral.edges == "no-dc"), int(spectral.edges == "no-nyquist")
    magnitudes = functional.pad(magnitudes, (0, 0, before, after))
    return method.recover(magnitudes, spectral.stft_settings, num_samples=num_samples)


def phase_method(phase: str, projections: int, iterations: int, seed: int) -> PhaseMethod:
    """How phases are found, by name.

    Raises:
        ConfigError: An unknown name, or a negative count.
    """
    if phase == "pghi":
        return PhaseGradients(projections, seed=seed)
    if phase == "griffin-lim":
        return GriffinLim(iterations, seed=seed)
    raise ConfigError(f"phase must be 'pghi' or 'griffin-lim', got {phase!r}")


def check_method(method: PhaseMethod, spectral: Spectral) -> None:
    """Refuses a transform from which the method finds no sound.

    Raises:
        ConfigError: Says why.
    """
    if spectral.edges == "packed":
        raise ConfigError("edges 'packed' keeps the bins at 0 Hz and Nyquist as one phase, and here is none")
    if isinstance(method, PhaseGradients):
        gaussian_equivalent(spectral.stft_settings)


def check_floor(floor: float) -> None:
    """Refuses a floor that is no positive number."""
    if not (math.isfinite(floor) and floor > 0.0):
        raise ConfigError(f"floor must be a positive number, got {floor}")


def check_bins(features: Float[Tensor, "batch channels bins frames"], num_bins: int) -> None:
    """Refuses features of another shape, with a UserError."""
    if features.shape[1:3] != (1, num_bins):
        raise UserError(
            f"features of 1 channel and {num_bins} bins are needed, got {features.shape[1]} and {features.shape[2]}"
        )
