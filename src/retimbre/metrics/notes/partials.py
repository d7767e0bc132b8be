"""How far the overtones of a note are stretched: the inharmonicity B of a stiff string.

The overtones of an ideal string are whole multiples of the fundamental. A real string is stiff, the more so the
shorter it bends, so its higher partials are sharp: f_k = k f0 sqrt(1 + B k^2). B is near 0 for winds, bowed strings
and oscillators, 1e-4 in the tenor of a piano and 1e-2 at its top. Squared and divided by k^2 the law is a straight
line in k^2, (f_k / k)^2 = f0^2 + f0^2 B k^2, so that B is the slope over the intercept.

What makes this hard is knowing which peak of the spectrum is which partial. Here a grid of B and f0 is tried: the
levels that the spectrum has at the predicted places are added up, and the best sum wins. Then peaks near the places
are measured between bins by a parabola, the line is fitted with weights (a frequency that is uncertain by a constant
makes (f_k / k)^2 uncertain by 1/k), partials that lie off the law are dropped, and the fit is repeated. A clip in
which fewer than five partials follow the law has no B: a sine, a bell, a marimba bar, noise.

References:
    H. Fletcher, Normal vibration frequencies of a stiff piano string, J. Acoust. Soc. Am. 36(1), 1964,
    https://doi.org/10.1121/1.1918933
"""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.metrics.notes.envelope import Envelope, without_offset
from retimbre.metrics.notes.readings import Readings

MOST_PARTIALS = 24
FEWEST_PARTIALS = 5

# The spectrum is of the sound from the end of its attack until it has died away by 40 dB, or for two seconds.
_LONGEST_S = 2.0
_SHORTEST_PERIODS = 16.0
_HEARD = 1e-4

# From flat to beyond the top of a piano. Stiffness pulls the pitch that is heard above f0, by 70 cents for B = 0.01.
_GRID_B = torch.cat(
    [torch.zeros(1, dtype=torch.float64), torch.logspace(-5.3, -1.7, 73, dtype=torch.float64)]
)
_GRID_CENTS = torch.linspace(-120.0, 30.0, 61, dtype=torch.float64)

# Partials fainter than this below the strongest are not looked for, nor those that stand out by less from around them.
_DEEPEST_DB = -70.0
_PROMINENCE_DB = 12.0

# How far from its predicted place a peak may lie, in cents, as the fit gets surer; the last is how well the law holds.
_TOLERANCES_CENTS = (25.0, 12.0, 8.0)


@final
@dataclass(frozen=True, eq=False)
class Spectrum:
    """The levels of some clips' steady parts.

    Attributes:
        level_db: Relative to the strongest bin.
        bin_hz: The distance of two bins.
        usable: Which clips sound for long enough to tell partials apart.
    """

    level_db: Float[Tensor, "clips bins"]
    bin_hz: float
    usable: Bool[Tensor, " clips"]


@final
@dataclass(frozen=True, eq=False)
class Partials:
    """The partials of some clips under a law of stretching.

    Attributes:
        frequency_hz: Of partial 1, 2, 3, ...
        found: Which of them stand out of the spectrum and follow the law.
        fundamental_hz: The fitted f0 of the law.
        stretch: The fitted B.
    """

    frequency_hz: Float[Tensor, "clips partials"]
    found: Bool[Tensor, "clips partials"]
    fundamental_hz: Float[Tensor, " clips"]
    stretch: Float[Tensor, " clips"]


@torch.no_grad()
def inharmonicity(
    audio: Float[Tensor, "clips samples"], envelope: Envelope, fundamental_hz: Readings
) -> Readings:
    """B of each clip, which may come out slightly below 0 for a sound that is not stretched.

    Args:
        audio: The clips.
        envelope: Theirs.
        fundamental_hz: Of each; without a fundamental there are no partials.
    """
    if audio.shape[-1] < 2:
        return Readings.of(torch.zeros(len(audio)), torch.zeros(len(audio), dtype=torch.bool))
    pitch_hz = fundamental_hz.values.to(audio.device)
    spectrum = steady_spectrum(audio, envelope, pitch_hz)
    partials = fitted_partials(spectrum, pitch_hz)
    enough = partials.found.sum(dim=-1) >= FEWEST_PARTIALS
    return Readings.of(partials.stretch, fundamental_hz.measured.to(audio.device) & spectrum.usable & enough)


def steady_spectrum(
    audio: Float[Tensor, "clips samples"], envelope: Envelope, pitch_hz: Float[Tensor, " clips"]
) -> Spectrum:
    """The spectrum of each clip from the end of its attack until it has died away, through a Hann window."""
    rate, num_samples = envelope.sample_rate, audio.shape[-1]
    offset = round(envelope.start_s * rate)
    start = (envelope.attack_end + offset).clamp(0, num_samples - 1)
    loud = envelope.power >= _HEARD * envelope.power.amax(dim=-1, keepdim=True)
    places = torch.arange(envelope.power.shape[-1], device=audio.device)
    stop = (torch.where(loud, places, 0).amax(dim=-1) + offset + 1).clamp(max=num_samples)
    stop = torch.minimum(stop, start + round(_LONGEST_S * rate))
    length = (stop - start).clamp_min(1)
    turns = (torch.arange(num_samples, device=audio.device) - start[:, None] + 0.5) / length[:, None]
    window = torch.where((turns > 0) & (turns < 1), 0.5 - 0.5 * torch.cos(2 * math.pi * turns), 0.0)
    n_fft = 2 * 2 ** math.ceil(math.log2(num_samples))
    power = torch.fft.rfft(without_offset(audio, rate) * window, n_fft).abs().square()
    top = power.amax(dim=-1, keepdim=True)
    level_db = 10 * (power / top.clamp_min(1e-300)).clamp_min(1e-12).log10()
    usable = envelope.sounding & (length * pitch_hz / rate >= _SHORTEST_PERIODS)
    return Spectrum(level_db, rate / n_fft, usable)


def fitted_partials(spectrum: Spectrum, pitch_hz: Float[Tensor, " clips"]) -> Partials:
    """The partials of each clip that follow one law, and the law."""
    fundamental_hz, stretch = _best_on_grid(spectrum, pitch_hz)
    frequency_hz = _law(fundamental_hz, stretch)
    found = torch.zeros_like(frequency_hz, dtype=torch.bool)
    for tolerance_cents in _TOLERANCES_CENTS:
        expected_hz = _law(fundamental_hz, stretch)
        frequency_hz, found = _peaks_near(spectrum, expected_hz, fundamental_hz, tolerance_cents)
        enough = found.sum(dim=-1) >= FEWEST_PARTIALS
        new_hz, new_stretch = _line(frequency_hz, found)
        fundamental_hz = torch.where(enough, new_hz, fundamental_hz)
        stretch = torch.where(enough, new_stretch, stretch)
    return Partials(frequency_hz, found, fundamental_hz, stretch)


def _numbers(like: Tensor) -> Float[Tensor, " partials"]:
    """1, 2, 3, ... as numbers beside `like`."""
    return torch.arange(1, MOST_PARTIALS + 1, dtype=torch.float64, device=like.device)


def _law(
    fundamental_hz: Float[Tensor, "*clips"], stretch: Float[Tensor, "*clips"]
) -> Float[Tensor, "*clips partials"]:
    """Where the law has the partials: k f0 sqrt(1 + B k^2)."""
    k = _numbers(stretch)
    return k * fundamental_hz[..., None] * (1 + stretch[..., None] * k.square()).clamp_min(0).sqrt()


def _best_on_grid(
    spectrum: Spectrum, pitch_hz: Float[Tensor, " clips"]
) -> tuple[Float[Tensor, " clips"], Float[Tensor, " clips"]]:
    """The f0 and B whose predicted places are the loudest together, each place within 70 dB of the strongest bin."""
    device = spectrum.level_db.device
    b, cents = torch.meshgrid(_GRID_B.to(device), _GRID_CENTS.to(device), indexing="ij")
    b, ratio = b.flatten(), (cents.flatten() / 1_200).exp2()
    best_hz, best_b = torch.zeros_like(pitch_hz), torch.zeros_like(pitch_hz)
    last = spectrum.level_db.shape[-1] - 1
    ratios = _law(ratio, b)
    height_db = (spectrum.level_db - _DEEPEST_DB).clamp_min(0)
    for clip in range(len(pitch_hz)):
        places = (ratios * pitch_hz[clip] / spectrum.bin_hz).round().long()
        heights = height_db[clip][places.clamp(max=last)] * (places < last)
        best = heights.sum(dim=-1).argmax()
        best_hz[clip], best_b[clip] = pitch_hz[clip] * ratio[best], b[best]
    return best_hz, best_b


def _peaks_near(
    spectrum: Spectrum,
    expected_hz: Float[Tensor, "clips partials"],
    fundamental_hz: Float[Tensor, " clips"],
    tolerance_cents: float,
) -> tuple[Float[Tensor, "clips partials"], Bool[Tensor, "clips partials"]]:
    """The strongest bin near each expected place, between bins, and whether it is a peak that stands out."""
    level_db, last = spectrum.level_db, spectrum.level_db.shape[-1] - 2
    reach_hz = (expected_hz * (2 ** (tolerance_cents / 1_200) - 1)).clamp_min(2 * spectrum.bin_hz)
    reach_hz = torch.minimum(reach_hz, 0.3 * fundamental_hz[:, None].clamp_min(1e-9))
    at, near_db = _loudest(level_db, expected_hz, reach_hz, spectrum.bin_hz)
    around = torch.linspace(-0.5, 0.5, 33, dtype=torch.float64, device=level_db.device)
    around_hz = expected_hz[..., None] + fundamental_hz[:, None, None] * around
    around_db = _at(level_db, (around_hz / spectrum.bin_hz).round().long()).median(dim=-1).values
    below, above = _at(level_db, at - 1), _at(level_db, at + 1)
    bend = (2 * near_db - below - above).clamp_min(1e-9)
    frequency_hz = (at + ((above - below) / (2 * bend)).clamp(-0.5, 0.5)) * spectrum.bin_hz
    is_peak = (near_db >= below) & (near_db >= above) & (at > 0) & (at < last)
    stands_out = (near_db > _DEEPEST_DB) & (near_db - around_db > _PROMINENCE_DB)
    is_near = (frequency_hz - expected_hz).abs() <= reach_hz
    return frequency_hz, is_peak & stands_out & is_near


def _loudest(
    level_db: Float[Tensor, "clips bins"],
    expected_hz: Float[Tensor, "clips partials"],
    reach_hz: Float[Tensor, "clips partials"],
    bin_hz: float,
) -> tuple[Int[Tensor, "clips partials"], Float[Tensor, "clips partials"]]:
    """The bin with the highest level within reach of each place."""
    widest = max(2, math.ceil(float(reach_hz.max()) / bin_hz))
    steps = torch.arange(-widest, widest + 1, device=level_db.device)
    places = (expected_hz / bin_hz).round().long()[..., None] + steps
    levels = _at(level_db, places)
    within = (steps * bin_hz).abs() <= reach_hz[..., None]
    best_db, best = torch.where(within, levels, -math.inf).max(dim=-1)
    return places.gather(-1, best[..., None])[..., 0], best_db


def _at(
    level_db: Float[Tensor, "clips bins"], places: Int[Tensor, "clips ..."]
) -> Float[Tensor, "clips ..."]:
    """The levels at some bins of each clip; -120 dB beyond the ends."""
    last = level_db.shape[-1] - 1
    flat = places.flatten(start_dim=1)
    levels = level_db.gather(1, flat.clamp(0, last))
    return torch.where((flat >= 0) & (flat <= last), levels, -120.0).reshape(places.shape)


def _line(
    frequency_hz: Float[Tensor, "clips partials"], found: Bool[Tensor, "clips partials"]
) -> tuple[Float[Tensor, " clips"], Float[Tensor, " clips"]]:
    """f0 and B of the weighted least-squares line through (f_k / k)^2 over k^2."""
    k = _numbers(frequency_hz)
    x, y = k.square().expand_as(frequency_hz), (frequency_hz / k).square()
    weight = found * k.square()
    total = weight.sum(dim=-1, keepdim=True).clamp_min(1e-300)
    mean_x, mean_y = ((weight * each).sum(dim=-1, keepdim=True) / total for each in (x, y))
    slope = (weight * (x - mean_x) * (y - mean_y)).sum(dim=-1)
    slope = slope / (weight * (x - mean_x).square()).sum(dim=-1).clamp_min(1e-300)
    intercept = (mean_y[:, 0] - slope * mean_x[:, 0]).clamp_min(1e-9)
    return intercept.sqrt(), slope / intercept
