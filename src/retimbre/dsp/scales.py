"""Where the bands of a filterbank lie: five spacings of the frequency axis, and bands that cover all of it.

A scale bends the frequency axis so that equal steps on it are what somebody wanted to be equal: steps in pitch (`log`
and `octave`), steps of perceived pitch (`mel`), widths of the ear's filters (`erb`), or hertz (`linear`). Bands stand
at equal steps of the scale, from `f_min_hz` to `f_max_hz`, and each is as wide as the distance between its neighbours,
so that two overlap everywhere. On the logarithmic scale the quotient of centre and width is then the same for all
bands, which is why that transform is called constant-Q.

Equal steps of pitch never reach 0 Hz, and a highest note is not the highest frequency. For a transform that loses
nothing there are further bands: one around 0 Hz for all below the lowest, and above the highest as many more as it
takes to reach half the sample rate, each as wide as the highest (a single wide one would need a far higher rate than
all the others). The last one stands on half the sample rate.

`published_bands` has the widths of the reference implementation instead, for comparison with results made by it.

References:
    Brown (1991), "Calculation of a constant Q spectral transform", https://doi.org/10.1121/1.400476
    Glasberg and Moore (1990), "Derivation of auditory filter shapes from notched-noise data",
    https://doi.org/10.1016/0378-5955(90)90170-T
    Stevens, Volkmann and Newman (1937), https://doi.org/10.1121/1.1915893, for mel in the form of O'Shaughnessy (1987)
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, near_miss

_Map = Callable[[float], float]
# Where the squared windows sum to this, 30 of the 130 dB that float32 rounding leaves are lost.
_LEAST_COVERAGE = 1e-3
# Ten times the semitones and mels that a sound can be told apart by; windows of more would take minutes and gigabytes.
MOST_BANDS = 1 << 14
# A period of a quarter of an hour is longer than a clip; further down, octaves without end would follow.
_LOWEST_HZ = 1e-3


def _identity(value: float) -> float:
    return value


# From hertz to the scale, and back.
SPACINGS: dict[str, tuple[_Map, _Map]] = {
    "log": (math.log2, lambda octaves: 2.0**octaves),
    "octave": (math.log2, lambda octaves: 2.0**octaves),
    "mel": (
        lambda hz: 2595.0 * math.log10(1.0 + hz / 700.0),
        lambda mel: 700.0 * (10 ** (mel / 2595.0) - 1.0),
    ),
    "linear": (_identity, _identity),
    # Number of equivalent rectangular bandwidths below a frequency; Glasberg and Moore, equation 4.
    "erb": (lambda hz: 21.4 * math.log10(1.0 + 0.00437 * hz), lambda e: (10 ** (e / 21.4) - 1.0) / 0.00437),
}


@dataclass(frozen=True)
class Scale:
    """Equal steps on a bent frequency axis.

    Attributes:
        sample_rate: Of the sound, in Hz.
        spacing: A name in `SPACINGS`.
        bins: Bands from `f_min_hz` to `f_max_hz`, both included; for "octave", bands per octave.
        f_min_hz: Centre of the lowest band.
        f_max_hz: Centre of the highest band (for "octave": which no centre exceeds); 0 stands for half the sample rate.

    Raises:
        ConfigError: An unknown spacing, frequencies out of order or range, or fewer than two bands.
    """

    sample_rate: int
    spacing: str = "log"
    bins: int = 96
    f_min_hz: float = 20.0
    f_max_hz: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what gives no bands that cover the frequency axis."""
        if self.sample_rate < 1:
            raise ConfigError(f"sample_rate must be at least 1 Hz, got {self.sample_rate}")
        if self.spacing not in SPACINGS:
            raise ConfigError(f"there is no scale {self.spacing!r}; {near_miss(self.spacing, SPACINGS)}")
        if not self.f_min_hz > 0.0:
            raise ConfigError(
                f"f_min_hz must be above 0, got {self.f_min_hz:g}: the band around 0 Hz is added anyway, "
                "and no logarithmic step leads there"
            )
        if self.f_min_hz < _LOWEST_HZ:
            raise ConfigError(f"f_min_hz must be at least {_LOWEST_HZ:g}, got {self.f_min_hz:g}")
        self._check_top()
        self._check_number()

    def _check_top(self) -> None:
        if self.f_max_hz > self.nyquist_hz:
            raise ConfigError(
                f"f_max_hz is {self.f_max_hz:g}, above half the sample rate: a sound at {self.sample_rate} Hz has "
                f"nothing above {self.nyquist_hz:g} Hz"
            )
        if not self.f_min_hz < self.top_hz:
            raise ConfigError(f"f_min_hz = {self.f_min_hz:g} must lie below f_max_hz = {self.top_hz:g}")

    def _check_number(self) -> None:
        if self.bins < 1 or self.num_centres < 2:
            raise ConfigError(
                f"{self.bins} bins from {self.f_min_hz:g} to {self.top_hz:g} Hz are too few: "
                "the width of a band is the distance of its neighbours, so it takes two bands at least"
            )
        if self.num_centres > MOST_BANDS:
            raise ConfigError(
                f"bins = {self.bins} makes {self.num_centres:,} bands from {self.f_min_hz:g} to {self.top_hz:g} Hz, "
                f"and at most {MOST_BANDS:,} are computed; take fewer bins"
            )

    @property
    def nyquist_hz(self) -> float:
        """Half the sample rate."""
        return self.sample_rate / 2.0

    @property
    def top_hz(self) -> float:
        """What `f_max_hz` stands for."""
        return self.f_max_hz or self.nyquist_hz

    @property
    def num_centres(self) -> int:
        """Steps of the scale from `f_min_hz` to `f_max_hz`, both included."""
        if self.spacing != "octave":
            return self.bins
        # A whole number of octaves may come out a rounding error short.
        return math.floor(math.log2(self.top_hz / self.f_min_hz) * self.bins + 1e-9) + 1

    def centre_hz(self, index: int) -> float:
        """The frequency of a step; -1 and `num_centres` are the neighbours beyond the ends."""
        to_scale, to_hz = SPACINGS[self.spacing]
        low = to_scale(self.f_min_hz)
        if self.spacing == "octave":
            return to_hz(low + index / self.bins)
        return to_hz(low + index * (to_scale(self.top_hz) - low) / (self.bins - 1))


def note_hz(f_min_hz: float, steps: int, per_octave: int) -> float:
    """The frequency so many equal steps of an octave above another; infinite where no number can hold it."""
    octaves = steps / per_octave
    # Two to the power of 1024 is the first that a float cannot hold.
    return f_min_hz * 2.0**octaves if octaves < 1024.0 else math.inf


@dataclass(frozen=True)
class Band:
    """A window over frequency: flat in the middle, falling to zero at both ends as half a Hann window.

    Attributes:
        centre_hz: Its middle.
        width_hz: From zero to zero.
        plateau_hz: The flat part; 0 for a Hann window.
    """

    centre_hz: float
    width_hz: float
    plateau_hz: float = 0.0


@functools.lru_cache(maxsize=64)
def covering_bands(scale: Scale) -> tuple[Band, ...]:
    """The bands of a scale, and those it takes to cover 0 Hz to half the sample rate.

    The first one is centred on 0 Hz and the last one on half the sample rate; both lie half outside. A top band that
    would reach beyond half the sample rate is replaced by the last one.

    Raises:
        ConfigError: It takes too many, because the highest band is narrow and far from half the sample rate.
    """
    nyquist_hz = scale.nyquist_hz
    steps_hz = [scale.centre_hz(index) for index in range(-1, scale.num_centres + 1)]
    inner = [
        # A window may not reach beyond 0 Hz, where it would overlap its own mirror image.
        Band(centre, min(after - before, 2.0 * centre))
        for before, centre, after in zip(steps_hz, steps_hz[1:], steps_hz[2:], strict=False)
    ]
    top = inner[-1]
    # A hertz is nothing to a band; a rounding error must not make the top one cross.
    if top.centre_hz + top.width_hz / 2.0 > nyquist_hz + 1e-6:
        inner.pop()
        step_hz = nyquist_hz - inner[-1].centre_hz
    else:
        num_above = _num_bands_above(scale, top, top.centre_hz - inner[-2].centre_hz)
        step_hz = (nyquist_hz - top.centre_hz) / num_above
        inner += [Band(top.centre_hz + step_hz * number, 2.0 * step_hz) for number in range(1, num_above)]
    lowest = inner[0]
    # Flat up to where the lowest band begins, and zero at its centre.
    around_zero = Band(0.0, 2.0 * lowest.centre_hz, 2.0 * lowest.centre_hz - lowest.width_hz)
    return (around_zero, *inner, Band(nyquist_hz, 2.0 * step_hz))


def _num_bands_above(scale: Scale, top: Band, step_hz: float) -> int:
    """How many bands as wide as the top one it takes from there to half the sample rate, which is the last."""
    distance_hz, spare = scale.nyquist_hz - top.centre_hz, MOST_BANDS - scale.num_centres
    # A step may be too small for a quotient, or nothing at all by rounding.
    if not distance_hz <= spare * step_hz:
        raise ConfigError(
            f"bands {step_hz:.2g} Hz apart, as the highest ones at {top.centre_hz:g} Hz are, reach half the sample "
            f"rate, {scale.nyquist_hz:g} Hz, with more than {MOST_BANDS:,} bands only; take wider bands (fewer per "
            "octave), or let them reach higher"
        )
    return max(math.ceil(distance_hz / step_hz), 1)


def published_bands(scale: Scale) -> tuple[Band, ...]:
    """The bands of the `nsgt` package by Grill: neighbours at the ends are 0 Hz and half the sample rate.

    So its lowest band is wider than the others, and its highest one is moved to the middle of its neighbours. It leaves
    out centres that reach half the sample rate. Whether its logarithmic scale does is up to a rounding error, as it
    multiplies step by step: at 16 kHz its 96th band stands at 7999.99999999995 Hz and is kept, next to the last one.
    """
    nyquist_hz = scale.nyquist_hz
    centres = [scale.centre_hz(index) for index in range(scale.num_centres)]
    if scale.spacing == "log":
        step = 2.0 ** ((math.log2(scale.top_hz) - math.log2(scale.f_min_hz)) / (scale.bins - 1))
        centres = [2.0 ** math.log2(scale.f_min_hz) * step**index for index in range(scale.bins)]
    centres = [0.0, *(centre for centre in centres if centre < nyquist_hz), nyquist_hz]
    widths = [centres[index + 1] - centres[index - 1] for index in range(1, len(centres) - 1)]
    first, last = 2.0 * centres[1], 2.0 * (nyquist_hz - centres[-2])
    centres[-2] = (centres[-3] + centres[-1]) / 2.0
    return tuple(Band(*band) for band in zip(centres, (first, *widths, last), strict=True))


def hann_with_plateau(
    distance: Float[Tensor, "*shape"], width: Float[Tensor, "*#shape"], plateau: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*shape"]:
    """The window of a band at a distance from its centre: 1 on the plateau, then half a Hann window down to 0."""
    phase = ((distance - plateau / 2.0) / ((width - plateau) / 2.0)).clamp(0.0, 1.0)
    return torch.where(phase < 1.0, 0.5 + 0.5 * torch.cos(math.pi * phase), 0.0)


@functools.lru_cache(maxsize=64)
def check_coverage(bands: tuple[Band, ...]) -> None:
    """Refuses bands that almost miss some frequency, since rebuilding a sound would magnify the rounding errors there.

    Raises:
        ConfigError: Names the frequency.
    """
    rows = [(band.centre_hz, band.width_hz, band.plateau_hz) for band in bands]
    centre_hz, width_hz, plateau_hz = torch.tensor(rows, dtype=torch.float64).T
    marks_hz = torch.cat([centre_hz - width_hz / 2.0, centre_hz, centre_hz + width_hz / 2.0]).unique()
    marks_hz = marks_hz[(marks_hz >= 0.0) & (marks_hz <= centre_hz[-1])]
    places_hz = torch.cat([marks_hz, (marks_hz[1:] + marks_hz[:-1]) / 2.0]).sort().values
    # Few places lie in each band: all bands at all places would be a matrix of gigabytes.
    first = torch.searchsorted(places_hz, centre_hz - width_hz / 2.0)
    counts = torch.searchsorted(places_hz, centre_hz + width_hz / 2.0, side="right") - first
    band = torch.arange(len(bands)).repeat_interleave(counts)
    place = torch.arange(len(band)) + (first - counts.cumsum(0) + counts)[band]
    windows = hann_with_plateau((places_hz[place] - centre_hz[band]).abs(), width_hz[band], plateau_hz[band])
    covered = torch.zeros_like(places_hz).index_add_(0, place, windows.square())
    least, where = covered.min(dim=0)
    if least < _LEAST_COVERAGE:
        raise ConfigError(
            f"{len(bands)} bands are too few to cover the frequency axis: at {places_hz[where]:.0f} Hz they take up "
            f"only {least:.0e} of the energy; take more bins, or a higher f_min_hz"
        )
