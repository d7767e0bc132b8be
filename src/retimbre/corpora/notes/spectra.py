"""The partials of a note, and the waveforms they add up to.

A periodic sound is a sum of harmonics, and a table with one period of it, read again and again, is the cheapest way to
play it. Because each note gets tables of its own, made of exactly the harmonics that fit under the Nyquist frequency
at its pitch, nothing aliases; and formants can stay where they are in hertz while the pitch moves.

The voice has eight layers. In most families a layer is a band of harmonics, from the fundamental alone to all above
the 40th, so that each register can have its envelope and, on a stiff string, its stretch. A layer's table has at
least sixteen steps per period of its highest harmonic, which keeps the images of linear interpolation 30 dB under that
harmonic and far lower under the rest.

Amplitudes and sines are whole numbers here, so that the sums over harmonics are exact (`corpora.notes.exact`).

References:
    R. Bristow-Johnson, Wavetable synthesis 101, a fundamental perspective, 101st AES Convention, 1996
    N. H. Fletcher and T. D. Rossing, The Physics of Musical Instruments, 2nd edition, 1998 (modes of bars: chapter 2)
    G. Fant, Acoustic Theory of Speech Production, Mouton, 1960 (formants)
"""

import functools
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.corpora.notes.exact import SINE_SCALE, SINE_STEPS, exp2, from_db, log2, log2_of_harmonics, sine
from retimbre.corpora.notes.families import GROUPINGS
from retimbre.corpora.notes.knobs import Knobs

LAYERS = 8
MOST_HARMONICS = SINE_STEPS // 16
"""So that the longest table has sixteen steps per period of its highest harmonic."""

_SHORTEST_TABLE = 256
_HIGHEST_SHARE = 0.47  # of the sample rate: under the Nyquist frequency with room for vibrato and detuning

# First harmonic of each layer.
_BANDS = (1, 2, 3, 5, 8, 13, 21, 41)
_HALF_BANDS = (1, 2, 5, 13)

# Shares of the two ranks: unequal, so that their beating never cancels the note.
_RANKS = (0.65, 0.35)

# Ratios of the modes of struck bars: tuned as a marimba, a vibraphone and a xylophone are, and free and even. The first
# three follow measured instruments, the upper ones the free bar's growth.
_MODES = (
    (1.0, 3.93, 9.24, 16.3, 24.2, 33.5, 44.3, 56.6),
    (1.0, 4.0, 10.1, 17.8, 27.3, 38.6, 51.7, 66.7),
    (1.0, 3.0, 6.1, 10.4, 15.6, 21.9, 29.1, 37.4),
    (1.0, 2.756, 5.404, 8.933, 13.345, 18.638, 24.814, 31.872),
)

# Formants in hertz of sung a, o, u, i, e, between a male and a female singer's; the order makes a path through the
# vowels whose neighbours are alike.
_VOWELS = (
    (800.0, 1_150.0, 2_900.0),
    (450.0, 800.0, 2_830.0),
    (330.0, 700.0, 2_700.0),
    (290.0, 2_100.0, 2_950.0),
    (400.0, 1_700.0, 2_600.0),
)
_BODY_RATIOS = (1.0, 2.1, 4.3)
_RESONANCE_WEIGHTS = (1.0, 0.6, 0.35)

_DRAWBAR_HARMONICS = (1, 2, 3, 4, 5, 6, 8)
_SOFTEST_NODE = 0.04  # a finger is not a point: at a plucking node -28 dB are left

# Phase n^2/32 of a turn is Schroeder's choice for sixteen harmonics, whose peaks it makes lowest.
_PHASE_STEPS = SINE_STEPS // 32


def table_steps(lowest_hz: float, sample_rate: int) -> int:
    """Length of the tables for a pitch: a power of two from 256 to 8192."""
    harmonics = int(_HIGHEST_SHARE * sample_rate / lowest_hz)
    return min(max(1 << (16 * harmonics - 1).bit_length(), _SHORTEST_TABLE), SINE_STEPS)


def grouping_table(of_layer: Callable[[str, int], float]) -> Float[Tensor, "groupings layers"]:
    """A number for each layer of each grouping."""
    rows = [[of_layer(grouping, layer) for layer in range(LAYERS)] for grouping in GROUPINGS]
    return torch.tensor(rows, dtype=torch.float64)


def register(grouping: str, layer: int) -> float:
    """How high a layer lies in the spectrum: 0 the fundamental's, 1 the highest."""
    if grouping in ("bands", "modes"):
        return layer / (LAYERS - 1)
    return layer % len(_HALF_BANDS) / (len(_HALF_BANDS) - 1)


def half(grouping: str, layer: int) -> float:
    """Which half of the layers one is in, for groupings that have two alike: 0 or 1; else 0."""
    return float(layer >= len(_HALF_BANDS)) if grouping in ("ranks", "vowels") else 0.0


def ratios_of(knobs: Knobs, grouping: Int[Tensor, " rows"]) -> Float[Tensor, "rows layers"]:
    """Frequency of each layer over the note's: stretched on a stiff string, detuned in ranks, a mode's in a bar."""
    centres = [_centre(layer) for layer in range(LAYERS)]
    squares = torch.tensor([centre * centre for centre in centres], dtype=torch.float64)
    stretch = (1 + knobs.stiffness[:, None] * squares).sqrt()
    side = grouping_table(lambda name, layer: 2 * half(name, layer) - 1 if name == "ranks" else 0.0)
    detuned = exp2(knobs.detune_cents[:, None] * side[grouping] / 2_400)
    modes = torch.tensor(_MODES, dtype=torch.float64)[_mode_set(knobs)]
    is_bars = (grouping == GROUPINGS.index("modes"))[:, None]
    return torch.where(is_bars, modes, stretch * detuned)


def amplitudes(
    knobs: Knobs,
    grouping: Int[Tensor, " rows"],
    velocity: Float[Tensor, " rows"],
    layer_hz: Float[Tensor, "rows layers"],
    ragged: Float[Tensor, "rows harmonics"],
    sample_rate: int,
) -> Float[Tensor, "rows layers harmonics"]:
    """Amplitudes of the harmonics of each layer as whole numbers, the largest of a note 2^20.

    Args:
        velocity: From 0 to 1.
        layer_hz: Frequency of each layer's fundamental.
        ragged: How far each harmonic strays, from -1 to 1; what `Knobs.ragged_db` scales.
    """
    num_harmonics = ragged.shape[1]
    number = torch.arange(1, num_harmonics + 1, dtype=torch.float64)
    slope_db = knobs.tilt_db + knobs.velocity_tilt_db * (1 - velocity)
    stray_db = knobs.ragged_db[:, None] * ragged
    level_db = slope_db[:, None] * log2_of_harmonics()[:num_harmonics] + stray_db
    level_db = level_db + knobs.even_db[:, None] * (number.long() % 2 == 0)
    spectrum = from_db(level_db) * _plucked(knobs, number) * _drawbars(knobs, num_harmonics)
    layered = _weights(num_harmonics)[grouping] * spectrum[:, None]
    hertz = layer_hz[..., None] * number
    singing = (grouping == GROUPINGS.index("vowels"))[:, None]
    layered = layered * _resonances(knobs, grouping, singing, hertz)
    modes = from_db(slope_db[:, None] * _mode_octaves(knobs) + stray_db[:, :1] * _alternating())
    is_bars = grouping == GROUPINGS.index("modes")
    layered[is_bars] = 0.0
    layered[is_bars, :, 0] = modes[is_bars]
    layered = layered * (hertz <= _HIGHEST_SHARE * sample_rate)
    loudest = layered.amax((1, 2), keepdim=True)
    return (layered / loudest * SINE_SCALE).round()


def waveforms(
    amplitude: Float[Tensor, "rows layers harmonics"], negative: Float[Tensor, "rows harmonics"], steps: int
) -> Float[Tensor, "rows layers steps"]:
    """One period of each layer, in 2^-40ths of the loudest harmonic: whole numbers, so that every sum is exact.

    Args:
        amplitude: Whole numbers.
        negative: 1 for harmonics that are turned over, else 0, so that instruments differ in waveform, too.
    """
    signed = amplitude * (1 - 2 * negative)[:, None]
    basis = _basis(amplitude.shape[2], steps).to(amplitude.device)
    return signed @ basis


@functools.lru_cache(maxsize=8)
def _basis(num_harmonics: int, steps: int) -> Float[Tensor, "harmonics steps"]:
    """Sines of the harmonics, their phases growing with the square of their number: that spreads the energy."""
    number = torch.arange(1, num_harmonics + 1)[:, None]
    step = torch.arange(steps) * (SINE_STEPS // steps)
    return sine(number * step + number * number * _PHASE_STEPS)


@functools.lru_cache(maxsize=8)
def _weights(num_harmonics: int) -> Float[Tensor, "groupings layers harmonics"]:
    """Which harmonics each layer has; ranks and vowels share theirs between two layers."""
    number = torch.arange(1, num_harmonics + 1)
    weights = torch.zeros(len(GROUPINGS), LAYERS, num_harmonics, dtype=torch.float64)
    for layer in range(LAYERS):
        weights[GROUPINGS.index("bands"), layer] = _within(number, _BANDS, layer)
        pair = _within(number, _HALF_BANDS, layer % len(_HALF_BANDS))
        weights[GROUPINGS.index("ranks"), layer] = pair * _RANKS[layer >= len(_HALF_BANDS)]
        weights[GROUPINGS.index("vowels"), layer] = pair
    return weights


def _within(number: Tensor, starts: tuple[int, ...], band: int) -> Tensor:
    end = starts[band + 1] if band + 1 < len(starts) else MOST_HARMONICS + 1
    return ((number >= starts[band]) & (number < end)).double()


def _centre(layer: int) -> float:
    """The harmonic whose stretch a band has; in the open top band, the 48th."""
    return (_BANDS[layer] + _BANDS[layer + 1] - 1) / 2 if layer + 1 < LAYERS else 48.0


def _plucked(knobs: Knobs, number: Float[Tensor, " harmonics"]) -> Float[Tensor, "rows harmonics"]:
    """|sin(pi n p)|: a string plucked at a node of a harmonic does not sound it."""
    half_turns = (knobs.pluck[:, None] * number * (SINE_STEPS // 2)).round().long()
    comb = (sine(half_turns).abs() / SINE_SCALE).clamp(min=_SOFTEST_NODE)
    return torch.where(knobs.pluck[:, None] > 0, comb, torch.ones_like(comb))


def _drawbars(knobs: Knobs, num_harmonics: int) -> Float[Tensor, "rows harmonics"]:
    there = torch.zeros(num_harmonics, dtype=torch.float64)
    there[[number - 1 for number in _DRAWBAR_HARMONICS if number <= num_harmonics]] = 1
    return 1 - knobs.drawbars[:, None] * (1 - there)


def _resonances(
    knobs: Knobs,
    grouping: Int[Tensor, " rows"],
    singing: Tensor,
    hertz: Float[Tensor, "rows layers harmonics"],
) -> Float[Tensor, "rows layers harmonics"]:
    """The body's or the vocal tract's response: 1 at the lowest resonance, `body_db` down far from all of them."""
    floor = from_db(-knobs.body_db)[:, None, None]
    body = knobs.body_hz[:, None] * torch.tensor(_BODY_RATIOS, dtype=torch.float64)
    vowels = [_formants(vowel) * knobs.tract[:, None] for vowel in (knobs.vowel, knobs.other_vowel)]
    pair = torch.stack([torch.where(singing, vowel, body) for vowel in vowels], dim=1)
    which = grouping_table(half)[grouping].long()
    centres = pair.gather(1, which[..., None].expand(-1, -1, len(_BODY_RATIOS)))
    response = floor.expand_as(hertz)
    for place, weight in enumerate(_RESONANCE_WEIGHTS):
        centre = centres[..., place, None]
        offset = (hertz - centre) / (centre * knobs.body_width[:, None, None] / 2)
        response = response + (1 - floor) * weight / (1 + offset * offset)
    return response


def _formants(vowel: Float[Tensor, " rows"]) -> Float[Tensor, "rows 3"]:
    """Three formants at a place on the path through the vowels."""
    table = torch.tensor(_VOWELS, dtype=torch.float64)
    place = vowel * (len(_VOWELS) - 1)
    before = place.floor().long().clamp(max=len(_VOWELS) - 2)
    share = (place - before)[:, None]
    return table[before] * (1 - share) + table[before + 1] * share


def _mode_set(knobs: Knobs) -> Int[Tensor, " rows"]:
    return (knobs.modes * len(_MODES)).long().clamp(max=len(_MODES) - 1)


def _mode_octaves(knobs: Knobs) -> Float[Tensor, "rows layers"]:
    octaves = [[log2(ratio) for ratio in ratios] for ratios in _MODES]
    return torch.tensor(octaves, dtype=torch.float64)[_mode_set(knobs)]


def _alternating() -> Float[Tensor, " layers"]:
    """Where a bar is struck favours every other mode: none of the first, then up and down."""
    return torch.tensor(
        [0.0] + [1.0 if layer % 2 else -1.0 for layer in range(1, LAYERS)], dtype=torch.float64
    )
