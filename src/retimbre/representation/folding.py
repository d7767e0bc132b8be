"""From a matrix of complex coefficients to real channels: mirrored or not, folded or not.

A real sound has a mirrored spectrum: what stands below 0 Hz is the conjugate of what stands above, so half of it is
enough. The program of Nistal, Lattner and Richard kept both halves of its constant-Q transform, and could fold them:
the upper half of the rows becomes further channels of the lower half, in reverse order. Row i then holds band i in the
first channels and the mirror image of band i + 1 in the others: neighbours, as the band of 0 Hz has no mirror image.
Its code reversed time as well, which is not done here: a network that convolves over time should see one time in all
channels.

References:
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

import dataclasses

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.representation.coordinates import Coordinates


@dataclasses.dataclass(frozen=True)
class MatrixLayout:
    """How a matrix of complex coefficients becomes real channels.

    Attributes:
        coordinates: How complex numbers are written.
        mirrored: Whether the bands below 0 Hz follow, from the highest to the lowest: conjugates of those above.
        folded: Whether the upper half of the mirrored rows becomes further channels.

    Raises:
        ConfigError: Rows are to be folded that are not mirrored.
    """

    coordinates: Coordinates
    mirrored: bool
    folded: bool

    def __post_init__(self) -> None:
        """Refuses to fold half a spectrum."""
        if self.folded and not self.mirrored:
            raise ConfigError(
                "fold needs mirrored: it lays the upper half of a mirrored spectrum on the lower"
            )

    def shape(self, num_bands: int, num_frames: int) -> tuple[int, int, int]:
        """Channels, bins and frames of the features."""
        bins = 2 * (num_bands - 1) if self.mirrored else num_bands
        channels = self.coordinates.num_channels
        return (2 * channels, bins // 2, num_frames) if self.folded else (channels, bins, num_frames)

    def to_channels(
        self, matrix: Complex[Tensor, "batch bands frames"]
    ) -> Float[Tensor, "batch channels bins frames"]:
        """The channels of a matrix."""
        if self.mirrored:
            matrix = torch.cat([matrix, matrix[:, 1:-1].flip(1).conj()], dim=1)
        channels = self.coordinates.to_channels(matrix)
        return fold(channels) if self.folded else channels

    def to_matrix(
        self, channels: Float[Tensor, "batch channels bins frames"]
    ) -> Complex[Tensor, "batch bands frames"]:
        """Undoes `to_channels`; rows that should be each other's conjugates and are not, are averaged."""
        matrix = self.coordinates.to_spectrum(unfold(channels) if self.folded else channels)
        if not self.mirrored:
            return matrix
        last = matrix.shape[1] // 2
        below = matrix[:, last + 1 :].flip(1).conj()
        return torch.cat(
            [matrix[:, :1], (matrix[:, 1:last] + below) / 2.0, matrix[:, last : last + 1]], dim=1
        )


def fold(
    channels: Float[Tensor, "batch channels bins frames"],
) -> Float[Tensor, "batch channels*2 bins//2 frames"]:
    """Lays the upper half of an even number of rows, in reverse order, on the lower: each channel becomes two."""
    lower, upper = channels.chunk(2, dim=2)
    return torch.stack([lower, upper.flip(2)], dim=2).flatten(1, 2)


def unfold(
    folded: Float[Tensor, "batch channels bins frames"],
) -> Float[Tensor, "batch channels//2 bins*2 frames"]:
    """Undoes `fold`."""
    lower, upper = folded.unflatten(1, (-1, 2)).unbind(2)
    return torch.cat([lower, upper.flip(2)], dim=2)
