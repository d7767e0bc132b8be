"""What a rainbowgram shows: how loud each pitch is at each moment, and how it is tuned.

A spectrogram drops the phase, and with it half of what a transform knows. How fast the phase of a band turns says where
*within* the band the sound is: a turn per second more than at its centre is a partial one hertz above it. A rainbowgram
paints both, as the NSynth and GANSynth papers do: the magnitude of a constant-Q transform as lightness, and the
instantaneous frequency as hue. A steady partial is a line of one colour, vibrato one whose colour swings, noise is
speckled, and a decoder that loses the phase betrays itself by colours that run where the original's stand still.

The papers take the phase's turn per hop as hue, whose meaning changes with the hop and from row to row. Here it is
brought to hertz first and then told as *tuning*: the distance of the instantaneous frequency from the middle of the
nearest row, from -25 to +25 cents around the colour wheel. Rows are the quarter tones of A4 = 440 Hz, every other of
them a key of the piano. All rows that a partial reaches then have its colour, whichever of them is nearest, octaves of
a note have the colour of the note, and a click, which is at home in every row, has one colour from top to bottom.

Bands are as wide as that takes, and hear for about 70 periods: a second for the lowest C of a cello, a sixtieth for the
highest of a piano. A sound is a tape loop to the transform, so it is followed by as much silence as the lowest band
hears.

References:
    Engel et al. (2017), "Neural audio synthesis of musical notes with WaveNet autoencoders",
    https://arxiv.org/abs/1704.01279
    Engel et al. (2019), "GANSynth: Adversarial neural audio synthesis", https://arxiv.org/abs/1902.08710
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp.gabor import gabor, group_shapes, matrix_of
from retimbre.dsp.gabor_frame import GaborSettings, gabor_frame
from retimbre.dsp.scales import Scale
from retimbre.dsp.stft import LogMagnitude

ROWS_PER_OCTAVE = 24
C1_HZ = 440.0 * 2.0 ** (-45 / 12)

_HIGHEST_HZ = 16_000.0
_FLOOR_DB = -120.0
# Shorter sounds are shown with the silence that follows them, longer ones up to here.
_SHORTEST_S, _LONGEST_S = 0.05, 30.0
_FEWEST_COLUMNS, _MOST_COLUMNS = 240, 480
# Of a sound far shorter than the lowest band hears, the picture is coarse rather than long in the making.
_MOST_FRAMES = 1 << 12
_FEWEST_OCTAVES = 3
# What is softer than this, next to the loudest, is not worth an octave of the picture.
_FAINT_DB = 40.0
# From zero to zero, the response of a Hann window over a band lasts this many periods of the band's width.
_RESPONSE_PERIODS = 4.0


@final
@dataclass(frozen=True)
class RainbowAxes:
    """What place and lightness mean in a rainbowgram; hue always means the tuning.

    Attributes:
        seconds: Time at the right edge; the left edge is 0.
        low_hz: Frequency of the lowest row.
        high_hz: Frequency that no row exceeds.
        top_db: Level of the lightest colour, where a full-scale sine has 0 dB.
        range_db: How far below that everything is black.
    """

    seconds: float
    low_hz: float = C1_HZ
    high_hz: float = 8_000.0
    top_db: float = 0.0
    range_db: float = 60.0

    @property
    def num_rows(self) -> int:
        """Quarter tones from the lowest row to the highest."""
        return self._rows_up_to(self.high_hz)

    @property
    def row_hz(self) -> Float[Tensor, " rows"]:
        """The centre of each row, from the lowest."""
        steps = torch.arange(self.num_rows, dtype=torch.float64) / ROWS_PER_OCTAVE
        return self.low_hz * 2.0**steps

    def rows_below(self, frequency_hz: float) -> int:
        """How many rows are centred up to there."""
        return min(self._rows_up_to(frequency_hz), self.num_rows)

    def _rows_up_to(self, frequency_hz: float) -> int:
        # A whole number of octaves may come out a rounding error short.
        return max(0, math.floor(math.log2(frequency_hz / self.low_hz) * ROWS_PER_OCTAVE + 1e-9) + 1)


@final
@dataclass(frozen=True)
class Rainbow:
    """What a rainbowgram paints; the first row is the lowest, the first column the start.

    Attributes:
        level_db: Level of each cell; a steady sine in the middle of a row has its amplitude.
        tuning_cents: Distance of the instantaneous frequency from the nearest quarter tone, -25 to 25; 0 where all is
            silent.
    """

    level_db: Float[Tensor, "rows columns"]
    tuning_cents: Float[Tensor, "rows columns"]


def rainbow_axes(sounds: Sequence[Float[Tensor, " _"]], sample_rates: Sequence[int]) -> RainbowAxes:
    """Axes that suit all of these sounds: their whole length, up to 30 s, and the octaves in which there is something.

    The loudest spot of them all is lightest. Where it is below -60 dB, everything is dark.

    Raises:
        AudioError: There is no sound, or one of them has samples that are not finite.
    """
    if not sounds:
        raise AudioError("a rainbowgram of no sounds has no axes")
    pairs = list(zip(sounds, sample_rates, strict=True))
    longest_s = max(len(sound) / rate for sound, rate in pairs)
    high_hz = min(max(sample_rates) / 2, _HIGHEST_HZ)
    low_hz = C1_HZ * 2.0 ** min(0, math.floor(math.log2(high_hz / C1_HZ)) - _FEWEST_OCTAVES)
    axes = RainbowAxes(min(max(longest_s, _SHORTEST_S), _LONGEST_S), low_hz, high_hz)
    loudest_db = torch.stack([rainbow(*pair, axes).level_db.amax(dim=1) for pair in pairs]).amax(dim=0)
    axes = replace(axes, top_db=max(loudest_db.max().item(), -axes.range_db))
    heard = (loudest_db > axes.top_db - _FAINT_DB).nonzero().flatten()
    if len(heard) == 0:
        return axes
    return _octaves_around(axes, int(heard[0]), int(heard[-1]))


def _octaves_around(axes: RainbowAxes, first_row: int, last_row: int) -> RainbowAxes:
    """The axes without the octaves below the first row and above the last, but with three of them at least."""
    below = first_row // ROWS_PER_OCTAVE
    above = max(last_row // ROWS_PER_OCTAVE + 1, below + _FEWEST_OCTAVES)
    high_hz = min(axes.low_hz * 2.0**above, axes.high_hz)
    below = min(below, max(0, math.floor(math.log2(high_hz / axes.low_hz) - _FEWEST_OCTAVES + 1e-9)))
    return replace(axes, low_hz=axes.low_hz * 2.0**below, high_hz=high_hz)


def rainbow(samples: Float[Tensor, " samples"], sample_rate: int, axes: RainbowAxes) -> Rainbow:
    """Levels and tuning of a sound on the axes. After its end, and above half its rate, it is silent.

    Computed in float64, so that the tuning of a soft partial is not that of the rounding of a loud one.

    Raises:
        AudioError: Samples that are not finite.
    """
    if not bool(samples.isfinite().all()):
        raise AudioError("a rainbowgram takes finite samples")
    num_rows = axes.rows_below(sample_rate / 2)
    if num_rows < 2 or len(samples) == 0:  # a transform takes two bands at least
        return Rainbow(torch.full((axes.num_rows, 1), _FLOOR_DB), torch.zeros(axes.num_rows, 1))
    cells = _cells(samples, sample_rate, axes, num_rows)
    above = (0, 0, 0, axes.num_rows - len(cells.power))
    level_db = LogMagnitude(floor_db=_FLOOR_DB).of_power(cells.power).float()
    tuning_cents = torch.where(cells.power > 0, _cents_from_row(cells.frequency_hz), 0.0).float()
    pad = torch.nn.functional.pad
    return Rainbow(pad(level_db, above, value=_FLOOR_DB), pad(tuning_cents, above))


@dataclass(frozen=True)
class _Cells:
    """Power and instantaneous frequency over the columns of the picture, for the rows that the sound's rate has."""

    power: Float[Tensor, "rows columns"]
    frequency_hz: Float[Tensor, "rows columns"]


def _cells(samples: Float[Tensor, " samples"], sample_rate: int, axes: RainbowAxes, num_rows: int) -> _Cells:
    top_hz = min(axes.low_hz * 2.0 ** ((num_rows - 1) / ROWS_PER_OCTAVE), sample_rate / 2)
    scale = Scale(sample_rate, "octave", ROWS_PER_OCTAVE, axes.low_hz, top_hz)
    # The first band is the one around 0 Hz and the last one that around half the rate, which has no phase to read.
    bands = GaborSettings(scale).bands[1:-1][:num_rows]
    shown = samples.detach().cpu().double()[: max(1, round(axes.seconds * sample_rate))]
    num_samples = round((axes.seconds + _RESPONSE_PERIODS / bands[0].width_hz) * sample_rate)
    padded = torch.nn.functional.pad(shown, (0, max(0, num_samples - len(shown))))
    settings = _fine_enough(scale, num_samples, axes.seconds * sample_rate / num_samples)
    duration_s = gabor_frame(settings, num_samples, padded.dtype, padded.device).num_samples / sample_rate
    rows = matrix_of(gabor(padded[None], settings))[0, 1 : len(bands) + 1]
    pooled = _pooled(rows, axes.seconds / duration_s)
    # The transform puts a band on the nearest line of the spectrum, and its phase turns with the distance from there.
    centre_hz = (torch.tensor([band.centre_hz for band in bands]).double() * duration_s).round() / duration_s
    frame_rate_hz = rows.shape[1] / duration_s
    deviation_hz = pooled.turn.angle() * frame_rate_hz / (2.0 * math.pi)
    return _Cells(pooled.power, centre_hz[:, None] + deviation_hz)


def _fine_enough(scale: Scale, num_samples: int, shown: float) -> GaborSettings:
    """As many frames as the transform needs, or more where the shown part of them would make a coarse picture."""
    needed = group_shapes(GaborSettings(scale), num_samples)[0][1]
    times = math.ceil(_FEWEST_COLUMNS / (needed * shown))
    return GaborSettings(scale, frames=needed * max(1, min(times, _MOST_FRAMES // needed)))


@dataclass(frozen=True)
class _Pooled:
    """Frames gathered to columns: their mean power, and the sum of their turns from frame to frame."""

    power: Float[Tensor, "rows columns"]
    turn: Complex[Tensor, "rows columns"]


def _pooled(rows: Complex[Tensor, "rows frames"], shown: float) -> _Pooled:
    """Columns of the part of the frames that is shown.

    A turn is the product of a frame and the conjugate of the one before: loud frames count more in a sum of them, and
    the angle of the sum is their common one, with no unwrapping.
    """
    num_frames = rows.shape[1]
    num_columns = max(1, min(_MOST_COLUMNS, math.floor(num_frames * shown)))
    column = (torch.arange(num_frames).double() * num_columns / (num_frames * shown)).long()
    inside = column < num_columns
    before = rows.roll(1, dims=1)  # what precedes the first frame is the silence that follows the sound
    turns = rows * before.conj() + rows.roll(-1, dims=1) * rows.conj()
    counts = torch.bincount(column[inside], minlength=num_columns).clamp_min(1)
    empty = torch.zeros(len(rows), num_columns, dtype=torch.float64)
    power = empty.index_add(1, column[inside], rows.abs().square()[:, inside])
    return _Pooled(power / counts, empty.to(turns).index_add(1, column[inside], turns[:, inside]))


def _cents_from_row(frequency_hz: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Distance from the nearest quarter tone; what turns backwards past 0 Hz, as rounding noise may, counts as C1."""
    rows = ROWS_PER_OCTAVE * torch.log2(torch.where(frequency_hz > 0, frequency_hz, C1_HZ) / C1_HZ)
    return 1200.0 / ROWS_PER_OCTAVE * (rows - rows.round())
