"""Constant-Q and its relatives with each band at its own rate, packed into one sequence.

A band one octave higher is twice as wide and needs twice the rate. A matrix gives all bands the highest rate, and is
mostly interpolation; ragged bands hold little more than the sound does. They make no picture, so they suit models that
look at each band by itself, or storage. The lengths of the bands are rounded up to powers of two and three quarters of
them, so that many bands are transformed together, which makes this the fast form too.
"""

import dataclasses
import itertools
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, UserError
from retimbre.dsp.gabor import gabor, group_shapes, inverse_gabor
from retimbre.dsp.gabor_frame import GaborSettings
from retimbre.dsp.scales import Scale
from retimbre.representation.base import Representation, check_finite
from retimbre.representation.constantq import GABOR_REFERENCE
from retimbre.representation.coordinates import Cartesian, Coordinates, InstantaneousFrequency


@dataclasses.dataclass(frozen=True)
class RaggedNsgt(Representation):
    """A non-stationary Gabor transform with bands at their own rates, packed: `[batch, 2, time]`, exact.

    Bands follow one another from 0 Hz up, each with its coefficients in order of time; `band_slices` says where each
    is. There is little more than one complex coefficient per sample, a fifth of the matrix.

    Attributes:
        sample_rate: Of the audio, in Hz.
        spacing: What equal steps from band to band are: "log", "octave", "mel", "linear" or "erb".
        bins: Bands from `f_min_hz` to `f_max_hz`, both included; for "octave", bands per octave.
        f_min_hz: Centre of the lowest band above that around 0 Hz.
        f_max_hz: Centre of the highest band; 0 stands for half the sample rate.
        convention: "amplitude" or "tight"; see `dsp.gabor_frame.GaborSettings`.
        coordinates: How complex numbers are written; a phase difference is one within a band.

    Raises:
        ConfigError: Settings that define no transform, or one that cannot be undone; the message says why.
    """

    formula: ClassVar[str] = "c[k, m] = Σ_j X[centre_k + j] w_k[j] exp(2πi j m / M_k), all k in one row"
    reference: ClassVar[str] = GABOR_REFERENCE

    sample_rate: int = 16_000
    spacing: str = "log"
    bins: int = 96
    f_min_hz: float = 20.0
    f_max_hz: float = 0.0
    convention: str = "amplitude"
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    def __post_init__(self) -> None:
        """Refuses what defines no transform, and what takes all bands at once."""
        if isinstance(self.coordinates, InstantaneousFrequency) and self.coordinates.gate_db:
            raise ConfigError(
                "ragged bands have no gate: it is relative to the loudest cell of a whole matrix"
            )
        if self.convention == "nsgt":
            raise ConfigError(
                "ragged bands have lengths of their own, so convention 'nsgt' is for the matrix only"
            )
        _ = self.transform

    @property
    def exact(self) -> bool:
        """If the coordinates are."""
        return self.coordinates.exact

    @property
    def transform(self) -> GaborSettings:
        """The settings of the transform."""
        scale = Scale(self.sample_rate, self.spacing, self.bins, self.f_min_hz, self.f_max_hz)
        return GaborSettings(scale, ragged=True, convention=self.convention)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same bands at another rate, up to half of it if `f_max_hz` is 0."""
        return {"sample_rate": sample_rate}

    def band_slices(self, num_samples: int) -> tuple[tuple[float, slice], ...]:
        """For clips of that length, the centre of each band in Hz and where in the sequence it is."""
        lengths = [
            frames for bands, frames in group_shapes(self.transform, num_samples) for _ in range(bands)
        ]
        ends = list(itertools.accumulate(lengths, initial=0))
        centres = (band.centre_hz for band in self.transform.bands)
        return tuple(zip(centres, itertools.starmap(slice, itertools.pairwise(ends)), strict=True))

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 2 time"]:
        """Audio to channels."""
        check_finite(audio)
        groups = gabor(audio, self.transform)
        return torch.cat([self.coordinates.to_channels(group).flatten(2) for group in groups], dim=2)

    def decode(
        self, features: Float[Tensor, "batch 2 time"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Channels to the sound that fits them best in least squares, bar the bend of the coordinates.

        Raises:
            UserError: The features have another number of channels or coefficients than those of a clip this long.
        """
        transform = self.transform
        shapes = group_shapes(transform, num_samples)
        wanted = (self.coordinates.num_channels, sum(bands * frames for bands, frames in shapes))
        if tuple(features.shape[1:]) != wanted:
            raise UserError(
                f"features of {num_samples} samples are (channels, time) = {wanted}, "
                f"not {tuple(features.shape[1:])}"
            )
        parts = features.split([bands * frames for bands, frames in shapes], dim=2)
        groups = tuple(
            self.coordinates.to_spectrum(part.unflatten(2, shape))
            for part, shape in zip(parts, shapes, strict=True)
        )
        return inverse_gabor(groups, transform, num_samples=num_samples)
