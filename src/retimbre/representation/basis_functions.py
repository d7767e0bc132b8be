"""Functions that are learned, to build sounds of: which shapes they may take, and what is learned of them.

Fourier's waves and wavelets were found by thinking. A basis can be found by looking as well: choose functions such that
sums of few of them come close to the sounds that there are. What may be learned decides how much has to be heard for
it. Two families stand here:

    free       every sample of every function: convolution kernels, repeated at a stride, as in a convolutional
               autoencoder. Nothing is assumed, so short kernels are all that little material can fill
    windowed   the windows of cosines and sines at several scales (`dsp.windowed_waves`), one per scale and zone of
               frequencies, each drawn through some knots. A few hundred numbers make functions of half a second, at
               every frequency

Both are a dictionary: `combine` adds functions up by their codes, linear in them, and `correlate` is its transpose. The
functions of a dictionary have unit energy. Time is a loop in both; a clip is padded with silence to whole frames.

Codes are flat here, `[batch, size]`; `folded` gives them the shape in which a network sees them, where the last axis is
time and the one before it frequency or the number of the function.

References:
    Olshausen and Field (1996), Emergence of simple-cell receptive field properties by learning a sparse code for
    natural images, https://doi.org/10.1038/381607a0
    Smith and Lewicki (2006), Efficient auditory coding, https://doi.org/10.1038/nature04485
"""

import abc
import dataclasses
import itertools
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.dsp.windowed_waves import correlate_waves, sum_waves, zone_edges

# 2**14 samples are a second; beyond these a clip is shorter than its functions, or a kernel fills the memory.
_MOST_BANDS = 2**16
_MOST_TAPS = 2**24
_LEAST_KNOTS, _MOST_KNOTS = 4, 4_096
_LEAST_NORM = 1e-12


class BasisFunctions(nn.Module, abc.ABC):
    """Functions of unit energy that repeat in time: a dictionary (`dsp.pursuit`).

    Attributes:
        period: Samples after which all functions repeat; clips are padded to a multiple.
    """

    period: int

    def padded(self, num_samples: int) -> int:
        """The samples of a clip with its padding."""
        return max(1, -(-num_samples // self.period)) * self.period

    @abc.abstractmethod
    def correlate(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """How much of every function is in each clip."""

    @abc.abstractmethod
    def combine(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of so much of every function."""

    @abc.abstractmethod
    def folded(self, codes: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels ..."]:
        """Codes as an image, or as channels over time."""

    @abc.abstractmethod
    def flat(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch size"]:
        """Undoes `folded`."""

    @abc.abstractmethod
    def functions(self) -> list[Float[Tensor, "functions length"]]:
        """The functions of one frame, by length; of many alike (frequencies under one window) a choice."""


@final
@dataclasses.dataclass(frozen=True)
class FreeConfig:
    """Functions of which every sample is learned."""

    kind: Literal["free"] = "free"
    """Tells these functions from those of other kinds."""
    num_functions: int = 512
    """Kernels."""
    length: int = 32
    """Of a kernel, in samples."""
    stride: int = 16
    """Samples from a kernel to its next place; the length is a multiple."""

    def __post_init__(self) -> None:
        """Refuses kernels with gaps between them, and too many."""
        if min(self.num_functions, self.stride) < 1 or self.length % self.stride or self.length < self.stride:
            raise ConfigError(
                f"num_functions is {self.num_functions}, length {self.length} and stride {self.stride}; takes 1 or "
                "more each, and a length that is a multiple of the stride"
            )
        if self.num_functions * self.length > _MOST_TAPS:
            raise ConfigError(
                f"{self.num_functions:,} functions of {self.length:,} samples; takes up to {_MOST_TAPS:,} in all"
            )

    def build(self) -> "FreeFunctions":
        """Functions with fresh weights."""
        return FreeFunctions(self)


@final
@dataclasses.dataclass(frozen=True)
class WindowedConfig:
    """Cosines and sines under windows that are learned."""

    kind: Literal["windowed"] = "windowed"
    """Tells these functions from those of other kinds."""
    num_bands: tuple[int, ...] = (256, 1024, 4096)
    """Of each scale, ascending powers of two: a wave lasts twice as many samples, and they follow at so many."""
    zones: tuple[float, ...] = (0.0625, 0.25)
    """Where the zones of frequencies part that have windows of their own, as shares of half the sample rate."""
    start: Literal["sine", "flat"] = "sine"
    """The windows before training: half a period of a sine, or ones, which say nothing."""
    num_knots: int = 32
    """Numbers that a window is drawn through, evenly spaced and joined by cubics: with fewer it is smoother."""

    def __post_init__(self) -> None:
        """Refuses scales that do not fit into each other, and zones in disorder."""
        powers = all(2 <= each <= _MOST_BANDS and each & (each - 1) == 0 for each in self.num_bands)
        if not self.num_bands or not powers or list(self.num_bands) != sorted(set(self.num_bands)):
            raise ConfigError(
                f"num_bands is {list(self.num_bands)}; takes ascending powers of two from 2 to {_MOST_BANDS:,}"
            )
        if list(self.zones) != sorted(set(self.zones)) or not all(0.0 < share < 1.0 for share in self.zones):
            raise ConfigError(f"zones is {list(self.zones)}; takes ascending shares between 0 and 1")
        if not _LEAST_KNOTS <= self.num_knots <= _MOST_KNOTS:
            raise ConfigError(f"num_knots is {self.num_knots}, but takes {_LEAST_KNOTS} to {_MOST_KNOTS}")

    def build(self) -> "WindowedFunctions":
        """Functions under the windows that training starts from."""
        return WindowedFunctions(self)


AnyFunctions = WindowedConfig | FreeConfig


@final
class FreeFunctions(BasisFunctions):
    """Convolution kernels: an encoder's, and a decoder's that are the functions.

    Codes are `[batch, functions, frames]` when folded. The encoder is of use to `encode_once` alone, the convolution
    of an autoencoder; a pursuit correlates with the functions themselves.
    """

    def __init__(self, config: FreeConfig) -> None:
        super().__init__()
        self.config = config
        self.period = config.stride
        kernels = functional.normalize(torch.randn(config.num_functions, config.length), dim=1)
        self.encoder = nn.Parameter(kernels.clone())
        # So that what goes in comes out at about its own level while all is still random.
        share = 2.0 * config.stride / config.num_functions
        self.decoder = nn.Parameter(kernels * share)

    def encode_once(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """Rectified codes by one convolution with kernels of their own."""
        return torch.relu(self._frames(audio) @ self.encoder.to(audio.dtype).T).transpose(1, 2).flatten(1)

    def decode_once(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The transposed convolution, with the decoder's kernels at the level that they have."""
        return self._overlapped(codes, self.decoder, num_samples)

    def correlate(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """How much of every kernel, at unit energy, is in each clip."""
        return (self._frames(audio) @ self._atoms().to(audio.dtype).T).transpose(1, 2).flatten(1)

    def combine(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of so much of every kernel, at unit energy."""
        return self._overlapped(codes, self._atoms(), num_samples)

    def folded(self, codes: Float[Tensor, "batch size"]) -> Float[Tensor, "batch functions frames"]:
        """A channel per kernel."""
        return codes.unflatten(1, (self.config.num_functions, -1))

    def flat(self, features: Float[Tensor, "batch functions frames"]) -> Float[Tensor, "batch size"]:
        """Undoes `folded`."""
        return features.flatten(1)

    def functions(self) -> list[Float[Tensor, "functions length"]]:
        """All kernels."""
        return [self._atoms().detach()]

    def _atoms(self) -> Float[Tensor, "functions length"]:
        return functional.normalize(self.decoder, dim=1, eps=_LEAST_NORM)

    def _frames(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames length"]:
        looped = functional.pad(audio, (0, self.padded(audio.shape[1]) - audio.shape[1]))
        blocks = looped.unflatten(1, (-1, self.config.stride))
        parts = [blocks.roll(-shift, 1) for shift in range(self.config.length // self.config.stride)]
        return torch.cat(parts, dim=-1)

    def _overlapped(
        self, codes: Float[Tensor, "batch size"], kernels: Float[Tensor, "functions length"], num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        frames = (self.folded(codes).transpose(1, 2) @ kernels.to(codes.dtype)).unflatten(
            -1, (-1, self.config.stride)
        )
        parts = [part.roll(shift, 1) for shift, part in enumerate(frames.unbind(2))]
        return torch.stack(parts).sum(0).flatten(1)[:, :num_samples]


@final
class WindowedFunctions(BasisFunctions):
    """Cosines and sines at several scales, whose windows are learned.

    Folded, codes are `[batch, 2 * scales, rows, frames]`: the cosines and the sines of each scale as channels, with as
    many rows as the middle scale has bands. A scale with more bands shows neighbouring bands in turn along time; one
    with fewer shows moments in turn along frequency. So a row is the same frequency, and a column the same time, in all
    channels.
    """

    def __init__(self, config: WindowedConfig) -> None:
        super().__init__()
        self.config = config
        self.period = max(config.num_bands)
        self.rows = config.num_bands[len(config.num_bands) // 2]
        num_zones = len(config.zones) + 1
        self.windows = nn.ParameterList(
            nn.Parameter(_knots(config).repeat(num_zones, 1)) for _ in config.num_bands
        )

    def correlate(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """How much of every wave is in each clip; scale by scale, cosines and then sines, as they are folded."""
        looped = functional.pad(audio, (0, self.padded(audio.shape[1]) - audio.shape[1]))
        scales = []
        for bands, windows in self._scales(audio):
            amounts = correlate_waves(looped, windows, zone_edges(self.config.zones, bands))
            scales += [self._image(amounts.real), self._image(amounts.imag)]
        return torch.stack(scales, dim=1).flatten(1)

    def combine(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of so much of every wave."""
        images = self.folded(codes)
        audio = codes.new_zeros(())
        for place, (bands, windows) in enumerate(self._scales(codes)):
            pair = (self._frames(images[:, 2 * place + part], bands) for part in range(2))
            audio = audio + sum_waves(torch.complex(*pair), windows, zone_edges(self.config.zones, bands))
        return audio[:, :num_samples]

    def folded(self, codes: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels rows frames"]:
        """Cosines and sines of each scale as images."""
        return codes.unflatten(1, (2 * len(self.config.num_bands), self.rows, -1))

    def flat(self, features: Float[Tensor, "batch channels rows frames"]) -> Float[Tensor, "batch size"]:
        """Undoes `folded`."""
        return features.flatten(1)

    def functions(self) -> list[Float[Tensor, "functions length"]]:
        """Of every scale, the cosine of one band in each zone, under the zone's window."""
        shown = []
        for bands, windows in self._scales(self.windows[0]):
            edges = zone_edges(self.config.zones, bands)
            middles = [
                max(1, round(math.sqrt(max(1, low) * high))) for low, high in itertools.pairwise(edges)
            ]
            wave = torch.outer(windows.new_tensor(middles), torch.arange(2 * bands).to(windows))
            shown.append((math.sqrt(2.0) * windows * torch.cos(math.pi / bands * wave)).detach())
        return shown

    def _scales(self, like: Tensor) -> list[tuple[int, Float[Tensor, "zones length"]]]:
        """The bands of each scale, and its windows at unit energy in the precision of the sound."""
        drawn = [
            _drawn(knots, 2 * bands) for bands, knots in zip(self.config.num_bands, self.windows, strict=True)
        ]
        return [
            (window.shape[1] // 2, functional.normalize(window, dim=1, eps=_LEAST_NORM).to(like.dtype))
            for window in drawn
        ]

    def _image(self, amounts: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch rows columns"]:
        bands = amounts.shape[-1]
        if bands >= self.rows:
            split = amounts.transpose(1, 2).unflatten(1, (self.rows, bands // self.rows))
            return split.transpose(2, 3).flatten(2)
        split = amounts.unflatten(1, (-1, self.rows // bands))
        return split.permute(0, 3, 2, 1).flatten(1, 2)

    def _frames(
        self, image: Float[Tensor, "batch rows columns"], bands: int
    ) -> Float[Tensor, "batch frames bands"]:
        if bands >= self.rows:
            split = image.unflatten(2, (-1, bands // self.rows)).transpose(2, 3)
            return split.flatten(1, 2).transpose(1, 2)
        split = image.unflatten(1, (bands, self.rows // bands))
        return split.permute(0, 3, 2, 1).flatten(1, 2)


def _knots(config: WindowedConfig) -> Float[Tensor, " knots"]:
    """A window to begin with. Its peak is 1 at every scale, so that a learning rate means the same to all."""
    place = torch.linspace(0.0, 1.0, config.num_knots, dtype=torch.float64)
    return (torch.ones_like(place) if config.start == "flat" else torch.sin(math.pi * place)).float()


def _drawn(knots: Float[Tensor, "zones knots"], length: int) -> Float[Tensor, "zones length"]:
    """Smooth curves through knots, the first and the last of which lie at the ends."""
    image = knots[:, None, None, :]
    return functional.interpolate(image, size=(1, length), mode="bicubic", align_corners=True)[:, 0, 0]
