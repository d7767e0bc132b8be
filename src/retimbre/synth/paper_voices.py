"""The voices of the InverSynth paper and of the earlier systems, whose pitch is a knob.

In these instruments the oscillator frequencies are knobs like any other. They mean what they say at the
reference note, A4 (440 Hz); any other note transposes every oscillator by its ratio to A4, so that a patch
plays over the whole keyboard and the formulas below hold to the letter at the default note. Modulation rates,
envelopes, filters and gates do not transpose. Their waves are the plain textbook ones, aliasing included:
that is what the published figures were made with.

References:
    Barkan, Tsiris, Katz and Koenigstein, "InverSynth: Deep Estimation of Synthesizer Parameter Configurations
    from Audio Signals", 2019, https://arxiv.org/abs/1812.06349
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth import oscillators as osc
from retimbre.synth.base import Note, Synth, check_curves
from retimbre.synth.clock import curve_at
from retimbre.synth.envelopes import Adsr, linear_adsr
from retimbre.synth.filters import SWEPT_BLOCK, lowpass, swept_filter
from retimbre.synth.knobs import Continuous, Parameter, Stepped
from retimbre.synth.modulated import (
    WAVES,
    bank,
    frequency_modulated,
    gated,
    is_steady,
    over_time,
    phase_modulated,
    transposed,
)
from retimbre.synth.parameters import Knobs, ParameterSpace

PAPER_SAMPLE_RATE = 16384  # Hz: one second is 64 hops of 256
SEMITONES = tuple(440.0 * 2.0 ** (step / 12) for step in range(16))  # A4 to C6


def _semitone_knob(name: str, group: str) -> Continuous:
    return Continuous(
        name, SEMITONES[0], SEMITONES[-1], 440.0, "Hz", "log", SEMITONES, group, "Oscillator frequency at A4"
    )


def _level_knob(name: str, default: float, group: str, description: str) -> Continuous:
    return Continuous(name, 0.001, 1.0, default, group=group, description=description)


def _stage_knob(name: str, default: float, description: str, low: float = 0.001) -> Continuous:
    return Continuous(name, low, 1.0, default, "s", group="envelope", description=description)


# two-sine


@dataclasses.dataclass(frozen=True)
class TwoSine(Synth):
    """Two sine tones, averaged: the toy that shows whether a whole system works."""

    sample_rate: int = PAPER_SAMPLE_RATE
    name = "two-sine"
    default_seconds = 1.0
    default_gate_s = 1.0
    curves = frozenset()
    space = ParameterSpace(
        (
            Stepped("f1", (100.0, 200.0, 400.0), 200.0, "Hz", "tones", "Frequency of the low tone at A4"),
            Stepped("a1", (0.5, 0.7, 1.0), 1.0, "", "tones", "Amplitude of the low tone"),
            Stepped("f2", (800.0, 1200.0, 1600.0), 1200.0, "Hz", "tones", "Frequency of the high tone at A4"),
            Stepped("a2", (0.5, 0.7, 1.0), 0.7, "", "tones", "Amplitude of the high tone"),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """(a1 sin(2 pi f1 t) + a2 sin(2 pi f2 t)) / 2, for as long as the clip lasts."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        low, high = (
            osc.sine(clock.samples_of(osc.steady_phase(transposed(knobs[name], note), clock)))
            for name in ("f1", "f2")
        )
        loudness = 0.5 * note.velocity
        return (loudness * knobs["a1"])[:, None] * low + (loudness * knobs["a2"])[:, None] * high


# fm


@dataclasses.dataclass(frozen=True)
class Fm(Synth):
    """One sine, frequency-modulated by another, with an envelope: nine knobs, as system B had it.

    The envelope's four stages are all knobs, its hold included, so the note's gate does not matter.
    """

    sample_rate: int = PAPER_SAMPLE_RATE
    name = "fm"
    default_seconds = 1.0
    default_gate_s = 1.0
    curves = frozenset({"C", "D", "M", "A"})
    space = ParameterSpace(
        (
            _level_knob("A", 1.0, "carrier", "Carrier amplitude"),
            dataclasses.replace(_semitone_knob("C", "carrier"), default=783.991),
            Continuous(
                "D", 0.0, 1.5, 0.5, "", group="modulator", description="Peak frequency deviation over C"
            ),
            Continuous("M", 1.0, 30.0, 12.6, "Hz", group="modulator", description="Modulator frequency"),
            _stage_knob("attack", 0.2667, "Rise from 0 to full", 0.0),
            _stage_knob("decay", 0.6, "Fall to the sustain level", 0.0),
            _stage_knob("release", 0.8, "Fall to 0", 0.0),
            _stage_knob("sustain", 0.2667, "Hold between decay and release", 0.0),
            Continuous("sustain_level", 0.0, 1.0, 0.0, group="envelope", description="Level after the decay"),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """A sin(2 pi sum f), f = C (1 + D sin(2 pi M t)), times the envelope."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        phase = frequency_modulated(transposed(knobs["C"], note), knobs["M"], knobs["D"], clock)
        attack, decay = knobs["attack"], knobs["decay"]
        hold_end = attack + decay + knobs["sustain"]
        envelope = linear_adsr(Adsr(attack, decay, knobs["sustain_level"], knobs["release"], hold_end))
        amplitude = over_time(knobs["A"], clock) * note.velocity[:, None]
        return bank(("sin",), [phase], [amplitude], envelope, clock)


# fm4


@dataclasses.dataclass(frozen=True)
class Fm4(Synth):
    """Four frequency-modulated waves under one fixed envelope: system A's sixteen knobs.

    The deviation is relative, f (1 + B sin(2 pi v t)), and the envelope is .1 s attack, .3 s decay to full level,
    .5 s hold, .2 s release: 1.1 s, so a clip of one second ends within the release.

    Attributes:
        key_up_s: When the release begins, in seconds; longer than a clip, the sound is held to its end.
    """

    sample_rate: int = PAPER_SAMPLE_RATE
    key_up_s: float = 0.9
    name = "fm4"
    default_seconds = 1.0
    default_gate_s = 0.9
    curves = frozenset(f"{symbol}{index}" for symbol in "fvAB" for index in range(1, 5))
    space = ParameterSpace(
        (
            *(_semitone_knob(f"f{index}", f"oscillator {index}") for index in range(1, 5)),
            *(
                Continuous(
                    f"v{index}",
                    1.0,
                    30.0,
                    5.0,
                    "Hz",
                    group=f"oscillator {index}",
                    description="Modulation rate",
                )
                for index in range(1, 5)
            ),
            *(
                Continuous(
                    f"A{index}", 0.0, 1.0, 0.5, "", group=f"oscillator {index}", description="Amplitude"
                )
                for index in range(1, 5)
            ),
            *(
                Continuous(
                    f"B{index}",
                    0.0,
                    1.5,
                    0.0,
                    "",
                    group=f"oscillator {index}",
                    description="Relative deviation",
                )
                for index in range(1, 5)
            ),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """The mean of a sine, a sawtooth, a triangle and a square, each at its own frequency and deviation."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        phases = [
            frequency_modulated(transposed(knobs[f"f{i}"], note), knobs[f"v{i}"], knobs[f"B{i}"], clock)
            for i in range(1, 5)
        ]
        loudness = (0.25 * note.velocity)[:, None]
        amplitudes = [over_time(knobs[f"A{i}"], clock) * loudness for i in range(1, 5)]
        stage = torch.ones_like(note.pitch_hz)
        envelope = linear_adsr(Adsr(0.1 * stage, 0.3 * stage, stage, 0.2 * stage, self.key_up_s * stage))
        return bank(tuple(WAVES), phases, amplitudes, envelope, clock)


# inversynth


def _inversynth_knobs() -> tuple[Parameter, ...]:
    oscillators = [
        knob
        for wave in WAVES
        for knob in (
            _semitone_knob(f"f_{wave}", f"oscillator {wave}"),
            Continuous(
                f"v_{wave}", 1.0, 30.0, 5.0, "Hz", group=f"oscillator {wave}", description="Modulation rate"
            ),
            Continuous(
                f"B_{wave}",
                0.0,
                1500.0,
                0.0,
                "rad",
                group=f"oscillator {wave}",
                description="Modulation index",
            ),
            _level_knob(f"A_{wave}", 0.5, f"oscillator {wave}", "Amplitude"),
        )
    ]
    return (
        *oscillators,
        _stage_knob("a", 0.1, "Attack"),
        _stage_knob("d", 0.2, "Decay"),
        _level_knob("s", 0.7, "envelope", "Sustain level"),
        _stage_knob("r", 0.2, "Release"),
        Continuous(
            "f_cut", 200.0, 4000.0, 4000.0, "Hz", group="filter", description="Cutoff of the low-pass"
        ),
        Continuous("q", 0.01, 10.0, 0.7, "", group="filter", description="Quality factor of the low-pass"),
        Continuous(
            "f_gate",
            0.5,
            30.0,
            0.5,
            "Hz",
            group="gater",
            description="Rate at which the sound is cut on and off",
        ),
    )


@dataclasses.dataclass(frozen=True)
class InverSynth(Synth):
    """The synthesizer of the InverSynth paper: 23 knobs of 16 classes each.

    sum over w of A_w x_w(2 pi f_w t + B_w sin(2 pi v_w t)), then ADSR, then a resonant low-pass, then a gater
    that multiplies by (1 + square(2 pi f_gate t)) / 2. What the paper leaves open is decided in
    docs/decisions and frozen: waves swing between -1 and 1, s is a level, the key comes up at three quarters
    of the clip (the note's gate), the filter has two poles, the gater is the square of the formula, and the
    sum is divided by 4.
    """

    sample_rate: int = PAPER_SAMPLE_RATE
    name = "inversynth"
    default_seconds = 1.0
    default_gate_s = 0.75
    curves = frozenset({*(f"{symbol}_{wave}" for symbol in "fvBA" for wave in WAVES), "f_cut"})
    space = ParameterSpace(_inversynth_knobs())

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Oscillators, envelope, filter, gate."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        loudness = (0.25 * note.velocity)[:, None]
        phases = [
            phase_modulated(
                transposed(knobs[f"f_{wave}"], note), knobs[f"v_{wave}"], knobs[f"B_{wave}"], clock
            )
            for wave in WAVES
        ]
        amplitudes = [over_time(knobs[f"A_{wave}"], clock) * loudness for wave in WAVES]
        envelope = linear_adsr(Adsr(knobs["a"], knobs["d"], knobs["s"], knobs["r"], note.gate_s))
        shaped = bank(tuple(WAVES), phases, amplitudes, envelope, clock)
        filtered = self._filtered(shaped, knobs["f_cut"], knobs["q"])
        return gated(filtered, osc.steady_phase(knobs["f_gate"], clock), clock)

    def _filtered(self, audio: Tensor, cutoff_hz: Tensor, q: Tensor) -> Tensor:
        if is_steady(cutoff_hz):
            return lowpass(audio, cutoff_hz, q, self.sample_rate)
        blocks = -(-audio.shape[1] // SWEPT_BLOCK)
        places = torch.linspace(0.0, 1.0, blocks, device=audio.device)
        return swept_filter(audio, curve_at(cutoff_hz, places), q, self.sample_rate)
