"""The eleven families of the note corpus, under the names and numbers that NSynth gives them.

A family is a grouping of the voice's layers and a range for every knob (`corpora.notes.knobs`). What is not listed
for a family has the range in `_COMMON`, where most effects are off. The ranges follow what is known of the
instruments: struck and plucked strings decay, the upper partials faster, and miss the harmonics that have a node at
the plucking point; a clarinet lacks even harmonics in its low register; brass begins dark and gets brighter during
the attack and with velocity; bars have modes far from harmonic; a voice has formants that stay where they are when
the pitch moves. They are sketches of families, not models of instruments.

References:
    Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    https://arxiv.org/abs/1704.01279 (the families)
    J.-C. Risset and M. V. Mathews, Analysis of musical-instrument tones, Physics Today 22(2), 1969,
    https://doi.org/10.1063/1.3035399 (brass)
    T. D. Rossing, Science of Percussion Instruments, World Scientific, 2000 (modes of bars and bells)
"""

import dataclasses
from typing import Literal, final

from retimbre.corpora.notes.knobs import Range

Grouping = Literal["bands", "ranks", "vowels", "modes"]
GROUPINGS: tuple[Grouping, ...] = ("bands", "ranks", "vowels", "modes")
"""What the eight layers are: eight bands of one spectrum; four bands twice, detuned; four bands with two vowels; eight
single partials."""


@final
@dataclasses.dataclass(frozen=True)
class Family:
    """A kind of instrument.

    Attributes:
        number: NSynth's.
        ranges: Of the knobs that differ from the common ones.
        harmonic: Whether the partials are multiples of one frequency, so that it can be measured to a few cents.
    """

    number: int
    grouping: Grouping
    description: str
    ranges: dict[str, Range]
    harmonic: bool = True

    @property
    def all_ranges(self) -> dict[str, Range]:
        """The range of every knob."""
        return {**_COMMON, **self.ranges}


def _at(value: float) -> Range:
    return Range(value, value)


def _by_ratio(low: float, high: float) -> Range:
    return Range(low, high, logarithmic=True)


_NEVER_S = _at(1_000.0)

_COMMON: dict[str, Range] = {
    "level_db": Range(-19.0, -13.0),
    "velocity_db": Range(18.0, 30.0),
    "tuning_cents": Range(-1.5, 1.5),
    "tilt_db": Range(-10.0, -6.0),
    "velocity_tilt_db": Range(-6.0, -3.0),
    "even_db": _at(0.0),
    "pluck": _at(0.0),
    "drawbars": _at(0.0),
    "ragged_db": Range(1.0, 4.0),
    "body_hz": _by_ratio(300.0, 900.0),
    "body_width": Range(0.2, 0.6),
    "body_db": _at(0.0),
    "vowel": Range(0.0, 1.0),
    "other_vowel": Range(0.0, 1.0),
    "tract": Range(0.85, 1.2),
    "stiffness": _at(0.0),
    "modes": Range(0.0, 1.0),
    "detune_cents": _at(0.0),
    "attack_s": _by_ratio(0.003, 0.01),
    "attack_spread": _at(0.0),
    "decay_s": _at(0.5),
    "aftersound": _at(1.0),
    "aftersound_s": _NEVER_S,
    "decay_spread": _at(0.0),
    "decay_follow": _at(0.0),
    "darken_db": _at(0.0),
    "release_s": _by_ratio(0.02, 0.06),
    "vibrato_cents": _at(0.0),
    "vibrato_hz": Range(4.5, 6.5),
    "vibrato_delay_s": Range(0.2, 0.8),
    "tremolo": _at(0.0),
    "scoop_cents": _at(0.0),
    "scoop_s": _by_ratio(0.015, 0.04),
    "noise_db": Range(-70.0, -60.0),
    "strike_db": Range(-70.0, -60.0),
    "strike_s": _by_ratio(0.004, 0.015),
    "noise_octaves": Range(-0.7, 2.0),
}

FAMILIES: dict[str, Family] = {
    "bass": Family(
        number=0,
        grouping="bands",
        description="A plucked bass string, round, with a finger or a pick",
        ranges={
            "tilt_db": Range(-13.0, -7.0),
            "pluck": Range(0.08, 0.3),
            "stiffness": _by_ratio(1e-6, 1e-5),
            "attack_s": _by_ratio(0.003, 0.012),
            "decay_s": _by_ratio(0.08, 0.3),
            "aftersound": Range(0.4, 0.8),
            "aftersound_s": _by_ratio(0.8, 3.0),
            "decay_spread": Range(3.0, 10.0),
            "decay_follow": Range(0.2, 0.5),
            "darken_db": Range(6.0, 30.0),
            "strike_db": Range(-32.0, -18.0),
        },
    ),
    "brass": Family(
        number=1,
        grouping="bands",
        description="A blown brass tube: dark at first, bright when loud",
        ranges={
            "tilt_db": Range(-9.0, -4.0),
            "velocity_tilt_db": Range(-14.0, -8.0),
            "ragged_db": Range(0.5, 2.0),
            "body_hz": _by_ratio(400.0, 1_400.0),
            "body_width": Range(0.8, 1.5),
            "body_db": Range(6.0, 14.0),
            "attack_s": _by_ratio(0.03, 0.09),
            "attack_spread": Range(1.0, 3.0),
            "decay_s": _by_ratio(0.05, 0.2),
            "aftersound": Range(0.7, 0.95),
            "release_s": _by_ratio(0.02, 0.05),
            "vibrato_cents": Range(0.0, 12.0),
            "scoop_cents": Range(-60.0, -15.0),
            "noise_db": Range(-50.0, -38.0),
            "strike_db": Range(-40.0, -25.0),
        },
    ),
    "flute": Family(
        number=2,
        grouping="bands",
        description="A blown edge: few harmonics, breath, a vibrato of pitch and loudness",
        ranges={
            "velocity_db": Range(12.0, 20.0),
            "tilt_db": Range(-18.0, -11.0),
            "velocity_tilt_db": Range(-9.0, -6.0),
            "even_db": Range(-10.0, 2.0),
            "ragged_db": Range(2.0, 6.0),
            "attack_s": _by_ratio(0.05, 0.14),
            "attack_spread": Range(0.2, 1.0),
            "release_s": _by_ratio(0.03, 0.08),
            "vibrato_cents": Range(3.0, 20.0),
            "tremolo": Range(0.05, 0.25),
            "scoop_cents": Range(-25.0, 10.0),
            "noise_db": Range(-36.0, -22.0),
            "strike_db": Range(-26.0, -12.0),
            "strike_s": _by_ratio(0.01, 0.04),
            "noise_octaves": Range(0.3, 2.3),
        },
    ),
    "guitar": Family(
        number=3,
        grouping="bands",
        description="A plucked string on a body, bright at first",
        ranges={
            "tilt_db": Range(-8.0, -4.0),
            "pluck": Range(0.06, 0.3),
            "body_hz": _by_ratio(180.0, 450.0),
            "body_db": Range(2.0, 8.0),
            "stiffness": _by_ratio(1e-6, 1.5e-5),
            "attack_s": _by_ratio(0.002, 0.005),
            "decay_s": _by_ratio(0.1, 0.4),
            "aftersound": Range(0.3, 0.7),
            "aftersound_s": _by_ratio(0.5, 2.0),
            "decay_spread": Range(3.0, 9.0),
            "decay_follow": Range(0.3, 0.6),
            "darken_db": Range(12.0, 40.0),
            "strike_db": Range(-26.0, -14.0),
        },
    ),
    "keyboard": Family(
        number=4,
        grouping="bands",
        description="A struck stiff string or reed: pianos and their electric cousins",
        ranges={
            "tilt_db": Range(-14.0, -7.0),
            "velocity_tilt_db": Range(-10.0, -5.0),
            "pluck": Range(0.09, 0.14),
            "body_hz": _by_ratio(150.0, 600.0),
            "body_db": Range(0.0, 4.0),
            "stiffness": _by_ratio(5e-6, 3e-5),
            "attack_s": _by_ratio(0.002, 0.006),
            "decay_s": _by_ratio(0.1, 0.5),
            "aftersound": Range(0.2, 0.6),
            "aftersound_s": _by_ratio(0.8, 3.0),
            "decay_spread": Range(1.0, 5.0),
            "decay_follow": Range(0.4, 0.8),
            "darken_db": Range(6.0, 24.0),
            "release_s": _by_ratio(0.03, 0.1),
            "strike_db": Range(-30.0, -18.0),
            "noise_octaves": Range(-1.7, 0.6),
        },
    ),
    "mallet": Family(
        number=5,
        grouping="modes",
        harmonic=False,
        description="Struck bars and bells: marimba, vibraphone, xylophone, glockenspiel and what lies between",
        ranges={
            "velocity_db": Range(20.0, 32.0),
            "tilt_db": Range(-9.0, -3.0),
            "velocity_tilt_db": Range(-8.0, -4.0),
            "ragged_db": Range(1.0, 5.0),
            "attack_s": _by_ratio(0.001, 0.004),
            "decay_s": _by_ratio(0.06, 0.7),
            "aftersound": _at(0.0),
            "decay_spread": Range(4.0, 16.0),
            "decay_follow": Range(0.4, 0.9),
            "release_s": _by_ratio(0.1, 0.6),
            "tremolo": Range(0.0, 0.12),
            "strike_db": Range(-24.0, -10.0),
            "strike_s": _by_ratio(0.002, 0.008),
        },
    ),
    "organ": Family(
        number=6,
        grouping="ranks",
        description="Drawbars or pipes: a few steady harmonics, each at a level of its own",
        ranges={
            "velocity_db": Range(2.0, 8.0),
            "tilt_db": Range(-8.0, -1.0),
            "velocity_tilt_db": Range(-3.0, -1.0),
            "ragged_db": Range(4.0, 12.0),
            "drawbars": Range(0.98, 1.0),
            "detune_cents": Range(0.0, 2.0),
            "attack_s": _by_ratio(0.004, 0.04),
            "release_s": _by_ratio(0.01, 0.04),
            "tremolo": Range(0.0, 0.15),
            "noise_db": Range(-60.0, -45.0),
            "strike_db": Range(-36.0, -22.0),
            "strike_s": _by_ratio(0.002, 0.005),
        },
    ),
    "reed": Family(
        number=7,
        grouping="bands",
        description="A blown reed, from hollow (few even harmonics) to nasal",
        ranges={
            "tilt_db": Range(-9.0, -4.0),
            "velocity_tilt_db": Range(-8.0, -4.0),
            "even_db": Range(-28.0, 0.0),
            "body_hz": _by_ratio(500.0, 1_800.0),
            "body_width": Range(0.4, 1.0),
            "body_db": Range(4.0, 14.0),
            "attack_s": _by_ratio(0.02, 0.06),
            "attack_spread": Range(0.3, 1.0),
            "release_s": _by_ratio(0.015, 0.05),
            "vibrato_cents": Range(0.0, 15.0),
            "scoop_cents": Range(-40.0, -5.0),
            "noise_db": Range(-46.0, -32.0),
            "strike_db": Range(-36.0, -22.0),
        },
    ),
    "string": Family(
        number=8,
        grouping="bands",
        description="A bowed string on a resonant body, with vibrato",
        ranges={
            "tilt_db": Range(-8.0, -4.5),
            "ragged_db": Range(3.0, 8.0),
            "body_hz": _by_ratio(250.0, 700.0),
            "body_width": Range(0.15, 0.5),
            "body_db": Range(4.0, 12.0),
            "attack_s": _by_ratio(0.08, 0.3),
            "attack_spread": Range(0.0, 0.5),
            "release_s": _by_ratio(0.06, 0.2),
            "vibrato_cents": Range(6.0, 28.0),
            "tremolo": Range(0.02, 0.12),
            "noise_db": Range(-42.0, -28.0),
            "noise_octaves": Range(0.6, 2.3),
        },
    ),
    "synth_lead": Family(
        number=9,
        grouping="ranks",
        description="Two detuned oscillators from saw to square through a closing filter",
        ranges={
            "velocity_db": Range(8.0, 16.0),
            "tilt_db": Range(-7.5, -5.0),
            "velocity_tilt_db": Range(-3.0, -1.0),
            "even_db": Range(-40.0, 0.0),
            "ragged_db": _at(0.0),
            "detune_cents": Range(1.0, 9.0),
            "attack_s": _by_ratio(0.002, 0.06),
            "decay_s": _by_ratio(0.05, 0.4),
            "aftersound": Range(0.5, 1.0),
            "decay_spread": Range(0.0, 4.0),
            "darken_db": Range(0.0, 30.0),
            "release_s": _by_ratio(0.02, 0.2),
            "vibrato_cents": Range(0.0, 15.0),
        },
    ),
    "vocal": Family(
        number=10,
        grouping="vowels",
        description="A sung tone that moves from one vowel towards another",
        ranges={
            "velocity_db": Range(12.0, 22.0),
            "tilt_db": Range(-11.0, -6.0),
            "ragged_db": Range(0.5, 2.0),
            "body_width": Range(0.12, 0.25),
            "body_db": Range(24.0, 34.0),
            "attack_s": _by_ratio(0.04, 0.15),
            "release_s": _by_ratio(0.03, 0.1),
            "vibrato_cents": Range(10.0, 35.0),
            "tremolo": Range(0.02, 0.1),
            "scoop_cents": Range(-60.0, 0.0),
            "scoop_s": _by_ratio(0.02, 0.06),
            "noise_db": Range(-50.0, -34.0),
            "noise_octaves": Range(0.6, 2.3),
        },
    ),
}
