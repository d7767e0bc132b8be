"""The windows and indices of a non-stationary Gabor frame, made once for a length of sound and kept.

A *frame* is a set of functions that every sound can be rebuilt from, usually more of them than the sound has samples.
Here each is a window over frequency (a band of `scales.py`) at one of M equally spaced times. If M is at least the
number of spectral lines under the window, nothing overlaps when the band is resampled to M values; this is the
*painless* case, in which the frame operator (analysis, then its transpose) multiplies every line X[j] by a number

    S[j] = sum over bands k of M_k w_k[j] ** 2

and is undone by dividing by it. The synthesis windows w_k / S are the *canonical dual*: of all that invert the analysis
they give the sound that fits the coefficients best in least squares, whatever the coefficients are. Dividing the
analysis windows by the square root of S instead makes the frame *tight*: analysis and synthesis then have the same
windows, and energy is kept.

The sound is real, so the half of the spectrum from 0 Hz to half the sample rate will do. The two bands at its ends lie
half outside; their coefficients are real, and count double against the others, which stand for their mirror images too.

References:
    Balazs, Doerfler, Jaillet, Holighaus and Velasco (2011), "Theory, implementation and applications of nonstationary
    Gabor frames", https://doi.org/10.1016/j.cam.2011.09.011
"""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss
from retimbre.dsp.scales import (
    Band,
    Scale,
    check_coverage,
    covering_bands,
    hann_with_plateau,
    published_bands,
)
from retimbre.dsp.spreading import BinMap, bin_map

CONVENTIONS = ("amplitude", "tight", "nsgt")
# Under four lines a window has no shape, and neighbours could leave a line between them uncovered.
_FEWEST_LINES = 4
_SHORTEST_SOUND_SAMPLES = 16
# More coefficients per band than half a minute of sound has samples would be interpolation alone.
_MOST_FRAMES = 1 << 20


@dataclass(frozen=True)
class GaborSettings:
    """What defines a non-stationary Gabor transform.

    Attributes:
        scale: Where the bands lie.
        ragged: Whether each band has about as many coefficients as it needs; otherwise all have as many as the widest.
        frames: Coefficients per band unless `ragged`; 0 stands for as few as the widest band needs.
        convention: "amplitude": a steady sine has the magnitude of its amplitude at the centre of a band. "tight": the
            squares of the coefficients sum to those of the samples. "nsgt": the widths and values of that package.

    Raises:
        ConfigError: An unknown convention, a number of frames that makes no sense, or bands with a hole between them.
    """

    scale: Scale
    ragged: bool = False
    frames: int = 0
    convention: str = "amplitude"

    def __post_init__(self) -> None:
        """Refuses settings that define no transform."""
        if self.convention not in CONVENTIONS:
            raise ConfigError(
                f"there is no convention {self.convention!r}; {near_miss(self.convention, CONVENTIONS)}"
            )
        if self.frames < 0 or (self.frames and self.ragged):
            raise ConfigError(
                f"frames is {self.frames}: it must be 0 or more, and 0 for ragged bands, which have each their own"
            )
        if self.frames > _MOST_FRAMES:
            raise ConfigError(f"frames is {self.frames:,}, and at most {_MOST_FRAMES:,} are computed")
        if self.convention != "nsgt":  # that one is reproduced as it is, ill-conditioned or not
            check_coverage(self.bands)

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands, from 0 Hz to half the sample rate, both included."""
        published = self.convention == "nsgt"
        return published_bands(self.scale) if published else covering_bands(self.scale)


@dataclass(frozen=True)
class GaborFrame:
    """A frame for sounds of one length.

    Attributes:
        num_samples: What a sound is padded to: even, and a length that transforms fast.
        frames: Coefficients of each band.
        groups: Runs of bands (without the first and the last) of one length, as (bands, frames).
        analysis: From the spectrum to windowed lines.
        synthesis: The same with the dual windows; its transpose leads back.
        bounds: The least and the largest quotient of the energy of coefficients and of sound.
    """

    num_samples: int
    frames: tuple[int, ...]
    groups: tuple[tuple[int, int], ...]
    analysis: BinMap
    synthesis: BinMap
    bounds: tuple[float, float]

    @property
    def parts(self) -> tuple[int, ...]:
        """Windowed lines of the first band, of each group and of the last band."""
        inner = (bands * frames for bands, frames in self.groups)
        return (self.frames[0] // 2 + 1, *inner, self.frames[-1] // 2 + 1)


@functools.lru_cache(maxsize=32)
def gabor_frame(
    settings: GaborSettings, num_samples: int, dtype: torch.dtype, device: torch.device
) -> GaborFrame:
    """The frame for a length of sound; computed in float64, then shared, so never change it in place.

    Args:
        settings: The transform.
        num_samples: Of the sound, before padding.
        dtype: Real type of the windows.
        device: Where they are to be.

    Raises:
        ConfigError: `settings.frames` is too few for sounds this long.
    """
    # Tensors made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False):
        padded = _padded_length(num_samples, exactly=settings.convention == "nsgt")
        bands = [_Lines.of(band, padded / settings.scale.sample_rate) for band in settings.bands]
        layout = _Layout(padded, tuple(bands), _frames_of(bands, settings, num_samples))
        windows = layout.windows * layout.per_line(_scaling(layout, settings.convention))
        # In the package's form the mirror images of bands are coefficients too, so that all bands count alike.
        ends_count = 1.0 if settings.convention == "nsgt" else 2.0
        operator = layout.operator(windows, ends_count)[layout.lines]
        if settings.convention == "tight":
            windows = windows * (2.0 / (padded * operator)).sqrt()
            operator = torch.full_like(operator, 2.0 / padded)
        duals = windows * layout.per_line(layout.counts(ends_count)) / operator
        cast = functools.partial(bin_map, layout.lines, padded // 2 + 1, dtype=dtype, device=device)
        energy = layout.operator(windows, 2.0) * padded / 2.0
        return GaborFrame(
            num_samples=padded,
            frames=layout.frames,
            groups=_runs_of_equal(layout.frames[1:-1]),
            analysis=cast(windows),
            synthesis=cast(duals),
            bounds=(energy.min().item(), energy.max().item()),
        )


@dataclass(frozen=True)
class _Lines:
    """A band in whole lines of the spectrum: its centre, its width from zero to zero, its flat part."""

    centre: int
    width: int
    plateau: int

    @staticmethod
    def of(band: Band, lines_per_hz: float) -> "_Lines":
        """The nearest whole lines; a window has four at least."""
        width = max(round(band.width_hz * lines_per_hz), _FEWEST_LINES)
        plateau = min(round(band.plateau_hz * lines_per_hz), width - _FEWEST_LINES)
        return _Lines(round(band.centre_hz * lines_per_hz), width, max(plateau, 0))

    def window(self, offset: Int[Tensor, " lines"]) -> Float[Tensor, " lines"]:
        """The window at a distance from the centre."""
        width, plateau = torch.tensor([self.width, self.plateau]).double()
        return hann_with_plateau(offset.abs().double(), width, plateau)


def _padded_length(num_samples: int, *, exactly: bool) -> int:
    """An even length from `num_samples` up whose prime factors are 2, 3 and 5, unless it is wanted exactly."""
    half = -(-max(num_samples, _SHORTEST_SOUND_SAMPLES) // 2)
    return 2 * (half if exactly else _fast_length(half))


def _fast_length(least: int) -> int:
    """The least number from `least` up without prime factors above 5."""
    length = least
    while _without_small_factors(length) > 1:
        length += 1
    return length


def _without_small_factors(number: int) -> int:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number


def _frames_of(bands: list[_Lines], settings: GaborSettings, num_samples: int) -> tuple[int, ...]:
    """How many coefficients each band has: one for each line under its window at least."""
    widest = max(band.width for band in bands)
    if settings.ragged:
        return tuple(_group_length(band.width) for band in bands)
    if 0 < settings.frames < widest:
        raise ConfigError(
            f"{settings.frames} frames cannot be inverted for sounds of {num_samples} samples: "
            f"the widest band needs {widest}"
        )
    fewest = widest if settings.convention == "nsgt" else _fast_length(widest)
    return (settings.frames or fewest,) * len(bands)


def _group_length(least: int) -> int:
    """The least power of two, or three quarters of one, from `least` up: so that few lengths have to be transformed."""
    power = 1 << (least - 1).bit_length()
    return 3 * power // 4 if 3 * power // 4 >= least else power


def _runs_of_equal(frames: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    runs: list[tuple[int, int]] = []
    for length in frames:
        count = runs.pop()[0] if runs and runs[-1][1] == length else 0
        runs.append((count + 1, length))
    return tuple(runs)


@dataclass(frozen=True)
class _Layout:
    """Where the windowed lines of all bands are from, in the order in which they are transformed.

    The centre of an inner band comes first, as 0 Hz does in a spectrum; the lines below it are at the end. The first
    band has its upper half only and the last one its lower half, counted from the centre down.
    """

    num_samples: int
    bands: tuple[_Lines, ...]
    frames: tuple[int, ...]

    @functools.cached_property
    def offsets(self) -> tuple[Int[Tensor, " lines"], ...]:
        """Per band, the distance of each of its lines from its centre."""
        first, *inner, last = (torch.arange(length) for length in self.frames)
        wrapped = (torch.where(2 * line < len(line) + 1, line, line - len(line)) for line in inner)
        return (first[: len(first) // 2 + 1], *wrapped, -last[: len(last) // 2 + 1])

    @functools.cached_property
    def places(self) -> Int[Tensor, " entries"]:
        """The line of each entry, which may lie outside the spectrum."""
        pairs = zip(self.bands, self.offsets, strict=True)
        return torch.cat([band.centre + offset for band, offset in pairs])

    @functools.cached_property
    def inside(self) -> Bool[Tensor, " entries"]:
        """Whether that line is in the spectrum; its ends are left to the bands that are centred there."""
        at_end = torch.ones(len(self.frames), dtype=torch.bool)
        at_end[1:-1] = False
        middle = (self.places > 0) & (self.places < self.num_samples // 2)
        ends = (self.places >= 0) & (self.places <= self.num_samples // 2)
        return torch.where(self.per_line(at_end), ends, middle)

    @functools.cached_property
    def lines(self) -> Int[Tensor, " entries"]:
        """The line of each entry; line 0 where there is none."""
        return torch.where(self.inside, self.places, 0)

    @functools.cached_property
    def windows(self) -> Float[Tensor, " entries"]:
        """The window of each entry; zero where there is no line."""
        pairs = zip(self.bands, self.offsets, strict=True)
        return torch.where(self.inside, torch.cat([band.window(offset) for band, offset in pairs]), 0.0)

    def per_line(self, values: Shaped[Tensor, " bands"]) -> Shaped[Tensor, " entries"]:
        """A value per band, repeated for each of its entries."""
        return values.repeat_interleave(torch.tensor([len(offset) for offset in self.offsets]))

    def counts(self, ends: float) -> Float[Tensor, " bands"]:
        """How often a band counts: once, and `ends` times at the ends."""
        counts = torch.ones(len(self.frames), dtype=torch.float64)
        counts[[0, -1]] = ends
        return counts

    def operator(self, windows: Float[Tensor, " entries"], ends: float) -> Float[Tensor, " lines"]:
        """The frame operator S, which is a number per line of the spectrum."""
        length = torch.tensor(self.frames, dtype=torch.float64) * self.counts(ends)
        sums = torch.zeros(self.num_samples // 2 + 1, dtype=torch.float64)
        return sums.index_add_(0, self.lines, self.per_line(length) * windows.square())


def _scaling(layout: _Layout, convention: str) -> Float[Tensor, " bands"]:
    """The factor of each band; transforms add none."""
    length = torch.tensor(layout.frames, dtype=torch.float64)
    if convention == "nsgt":
        return 1.0 / length
    # An inner band has half the amplitude of a real sine, or half its energy; a band at an end has it all.
    share = 2.0 / layout.counts(2.0) / layout.num_samples
    return share if convention == "amplitude" else (share / length).sqrt()
