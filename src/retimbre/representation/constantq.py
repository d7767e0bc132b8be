"""Constant-Q and its relatives as features: bands as wide as pitch or the ear wants them, and the sound back exactly.

The transforms are non-stationary Gabor frames (`dsp.gabor`). As a matrix they are an image whose rows are bands, from
0 Hz to half the sample rate, and whose columns are equally spaced times; a note played an octave higher draws the same
picture some rows further up. All rows have the rate of the widest band, so a matrix holds several times as many
numbers as the sound has samples. `ragged.py` has the same bands each at its own rate.

A column of the matrix is not a hop of so many samples: there are as many as the widest band needs for the whole clip,
and `frames` asks for more, a power of two for instance. Features belong to clips of one length.

References:
    Velasco, Holighaus, Doerfler and Grill (2011), "Constructing an invertible constant-Q transform with non-stationary
    Gabor frames", DAFx-11.
"""

import abc
import dataclasses
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, UserError
from retimbre.dsp.gabor import gabor, group_shapes, groups_of_matrix, inverse_gabor, matrix_of
from retimbre.dsp.gabor_frame import GaborSettings
from retimbre.dsp.pieces import in_pieces
from retimbre.dsp.scales import Scale, note_hz
from retimbre.representation.base import Representation, check_finite
from retimbre.representation.coordinates import Cartesian, Coordinates
from retimbre.representation.folding import MatrixLayout

C1_HZ = 32.703195662574829
GABOR_REFERENCE = (
    "Velasco, Holighaus, Dörfler and Grill (2011), Constructing an invertible constant-Q transform with "
    "non-stationary Gabor frames, DAFx-11; Holighaus et al. (2013), https://doi.org/10.1109/TASL.2012.2234114"
)
_FORMULA = "c[k, m] = Σ_j X[centre_k + j] w_k[j] exp(2πi j m / M)"


class _Matrix(Representation):
    """What the matrix forms share: coefficients of all bands at the rate of the widest, in some coordinates."""

    formula: ClassVar[str] = _FORMULA
    reference: ClassVar[str] = GABOR_REFERENCE

    @property
    @abc.abstractmethod
    def transform(self) -> GaborSettings:
        """The settings of the transform."""

    @property
    @abc.abstractmethod
    def layout(self) -> MatrixLayout:
        """How the matrix becomes channels."""

    @property
    def exact(self) -> bool:
        """If the coordinates are."""
        return self.layout.coordinates.exact

    @property
    def centres_hz(self) -> tuple[float, ...]:
        """The frequency of each row of the unfolded half from 0 Hz to half the sample rate."""
        return tuple(band.centre_hz for band in self.transform.bands)

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels bins frames"]:
        """Audio to channels."""
        check_finite(audio)
        transform, layout = self.transform, self.layout
        return in_pieces(
            lambda piece: layout.to_channels(matrix_of(gabor(piece, transform))),
            audio,
            values_per_item=_num_values(group_shapes(transform, audio.shape[-1])),
        )

    def decode(
        self, features: Float[Tensor, "batch channels bins frames"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Channels to the sound that fits them best in least squares, bar the bend of the coordinates.

        Raises:
            UserError: The features have another number of channels, bins or frames than those of a clip this long.
        """
        transform, layout = self.transform, self.layout
        shapes = group_shapes(transform, num_samples)
        wanted = layout.shape(sum(bands for bands, _ in shapes), shapes[0][1])
        if tuple(features.shape[1:]) != wanted:
            raise UserError(
                f"features of {num_samples} samples are (channels, bins, frames) = {wanted}, "
                f"not {tuple(features.shape[1:])}"
            )
        return in_pieces(
            lambda piece: inverse_gabor(
                groups_of_matrix(layout.to_matrix(piece)), transform, num_samples=num_samples
            ),
            features,
            values_per_item=_num_values(shapes),
        )


def _num_values(shapes: tuple[tuple[int, int], ...]) -> int:
    """Real numbers in the coefficients of a clip."""
    return 2 * sum(bands * frames for bands, frames in shapes)


@dataclasses.dataclass(frozen=True)
class Nsgt(_Matrix):
    """A non-stationary Gabor transform as a matrix, a row per band: `[batch, channels, bins, frames]`.

    It is exact, but for the convention of the `nsgt` package. Rows are the band around 0 Hz, the bands of the scale,
    and what it takes to reach half the sample rate. With `f_max_hz` there, these are `bins` + 1 rows.

    Attributes:
        sample_rate: Of the audio, in Hz.
        spacing: What equal steps from row to row are: "log", "octave", "mel", "linear" or "erb".
        bins: Bands from `f_min_hz` to `f_max_hz`, both included; for "octave", bands per octave.
        f_min_hz: Centre of the lowest band above that around 0 Hz.
        f_max_hz: Centre of the highest band; 0 stands for half the sample rate.
        frames: Coefficients per band; 0 stands for as few as the widest band needs. Fewer are refused.
        convention: "amplitude", "tight" or "nsgt"; see `dsp.gabor_frame.GaborSettings`. With "nsgt" a logarithmic
            scale up to half the sample rate is so ill-conditioned at the top that it does not count as exact.
        mirrored: Whether the rows of negative frequencies follow.
        fold: Whether those are laid on the others as further channels.
        coordinates: How complex numbers are written.

    Raises:
        ConfigError: Settings that define no transform, or one that cannot be undone; the message says why.
    """

    sample_rate: int = 16_000
    spacing: str = "log"
    bins: int = 96
    f_min_hz: float = 20.0
    f_max_hz: float = 0.0
    frames: int = 0
    convention: str = "amplitude"
    mirrored: bool = False
    fold: bool = False
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    def __post_init__(self) -> None:
        """Refuses what defines no transform."""
        _ = (self.transform, self.layout)

    @property
    def exact(self) -> bool:
        """If the coordinates are, except in the published form: 108 dB in float32 where 110 are asked for."""
        return self.coordinates.exact and self.convention != "nsgt"

    @property
    def transform(self) -> GaborSettings:
        """The settings of the transform."""
        scale = Scale(self.sample_rate, self.spacing, self.bins, self.f_min_hz, self.f_max_hz)
        return GaborSettings(scale, frames=self.frames, convention=self.convention)

    @property
    def layout(self) -> MatrixLayout:
        """How the matrix becomes channels."""
        return MatrixLayout(self.coordinates, self.mirrored, self.fold)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same bands at another rate, up to half of it if `f_max_hz` is 0."""
        return {"sample_rate": sample_rate}


@dataclasses.dataclass(frozen=True)
class Cqt(_Matrix):
    """The constant-Q transform with exact inverse: `[batch, channels, bins, frames]`.

    Row 0 is all below the lowest note, rows 1 to `bins` are the notes, and the rest reaches up to half the sample rate
    in equal steps. Its rows of notes alone are what is usually called a constant-Q transform.

    Attributes:
        sample_rate: Of the audio, in Hz.
        bins: Notes.
        bins_per_octave: Notes per octave.
        f_min_hz: The lowest note; C1 by default.
        frames: Coefficients per band; 0 stands for as few as the widest band needs. Fewer are refused.
        coordinates: How complex numbers are written.

    Raises:
        ConfigError: Settings that define no transform, such as notes above half the sample rate.
    """

    sample_rate: int = 16_000
    bins: int = 84
    bins_per_octave: int = 12
    f_min_hz: float = C1_HZ
    frames: int = 0
    coordinates: Coordinates = dataclasses.field(default_factory=Cartesian)

    def __post_init__(self) -> None:
        """Refuses what defines no transform."""
        if self.bins_per_octave < 1:
            raise ConfigError(f"bins_per_octave must be at least 1, got {self.bins_per_octave}")
        _ = self.transform

    @property
    def transform(self) -> GaborSettings:
        """The settings of the transform."""
        top_hz = note_hz(self.f_min_hz, self.bins - 1, self.bins_per_octave)
        return GaborSettings(
            Scale(self.sample_rate, "log", self.bins, self.f_min_hz, top_hz), frames=self.frames
        )

    @property
    def layout(self) -> MatrixLayout:
        """How the matrix becomes channels."""
        return MatrixLayout(self.coordinates, mirrored=False, folded=False)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The same notes at another rate."""
        return {"sample_rate": sample_rate}
