"""The musical voices: their pitch is the note's, they follow the keyboard, and they do not alias.

Each is band-limited by construction. The oscillators of `subtractive` and `wavetable` are made of exactly the harmonics
that fit under the Nyquist frequency at the highest pitch the note reaches; `fm2op` turns its modulation index down where
the sidebands would not fit (`highest_index`), as the keyboard scaling of FM instruments does. What is left under -60 dB of
the total is interpolation and rounding.

Velocity scales the amplitude alone. Envelope times are seconds on every key.
"""

import dataclasses
import functools
import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.synth import oscillators as osc
from retimbre.synth.base import Note, Synth, check_curves
from retimbre.synth.clock import Clock
from retimbre.synth.envelopes import Adsr, analog_adsr, analog_at
from retimbre.synth.filters import SWEPT_BLOCK, swept_filter
from retimbre.synth.parameters import Choice, Continuous, Knobs, ParameterSpace, Stepped

LOWEST_HZ = 20.0  # fundamentals from here up have all their harmonics
MIDDLE_C_HZ = 261.6256
ALIAS_ENERGY = 2e-7  # of an FM spectrum that may pass the Nyquist frequency on each side: under -63 dB in all
HIGHEST_INDEX = 10.0


def _time_knob(name: str, longest_s: float, default: float, group: str, description: str) -> Continuous:
    return Continuous(name, 0.001, longest_s, default, "s", "log", group=group, description=description)


def _adsr_knobs(prefix: str, group: str, default_sustain: float) -> tuple[Continuous, ...]:
    return (
        _time_knob(f"{prefix}attack", 2.0, 0.005, group, "Rise to full"),
        _time_knob(f"{prefix}decay", 4.0, 0.3, group, "Fall to the sustain level"),
        Continuous(f"{prefix}sustain", 0.0, 1.0, default_sustain, "", group=group, description="Level while the key is held"),
        _time_knob(f"{prefix}release", 4.0, 0.2, group, "Fall to silence after the key comes up"),
    )


def _adsr(knobs: Knobs, prefix: str, note: Note) -> Adsr:
    stages = (knobs[f"{prefix}{stage}"] for stage in ("attack", "decay", "sustain", "release"))
    return Adsr(*stages, gate_s=note.gate_s)


def _clock(note: Note, num_samples: int, sample_rate: int) -> Clock:
    return Clock(num_samples, sample_rate, note.pitch_hz.device)


def _filter_times(clock: Clock) -> Float[Tensor, "1 blocks"]:
    """The middle of each stretch in which the filter's coefficients hold still, in seconds."""
    blocks = -(-clock.num_samples // SWEPT_BLOCK)
    return ((torch.arange(blocks, device=clock.device) + 0.5) * (SWEPT_BLOCK / clock.sample_rate))[None]


def _octaves(ratio: Tensor) -> Tensor:
    return torch.exp(ratio * math.log(2.0))


# fm2op


@dataclasses.dataclass(frozen=True)
class Fm2Op(Synth):
    """Two sines, the one modulating the other's phase, with an envelope for loudness and one for brightness."""

    sample_rate: int = 44_100
    name = "fm2op"
    default_seconds = 2.0
    default_gate_s = 1.0
    curves = frozenset()
    space = ParameterSpace(
        (
            Stepped("ratio", tuple(float(n) for n in range(1, 9)), 1.0, "", "modulator", "Modulator frequency over the note's"),
            Continuous("index", 0.0, HIGHEST_INDEX, 2.0, "rad", group="modulator", description="Modulation index at its peak"),
            *_adsr_knobs("index_", "modulator", 0.5),
            *_adsr_knobs("", "amplitude", 0.7),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """sin(2 pi f t + I(t) sin(2 pi r f t)) times the envelope; I is at most `highest_index` of the note."""
        check_curves(self, knobs)
        clock = _clock(note, num_samples, self.sample_rate)
        modulator_hz = note.pitch_hz * knobs["ratio"]
        index = torch.minimum(knobs["index"], highest_index(note.pitch_hz, modulator_hz, self.sample_rate))
        swing = analog_adsr(_adsr(knobs, "index_", note), clock) * (index / osc.TURN)[:, None]
        phase = torch.addcmul(osc.steady_phase(note.pitch_hz, clock), swing, osc.sine(osc.steady_phase(modulator_hz, clock)))
        envelope = analog_adsr(_adsr(knobs, "", note), clock)
        return osc.sine(phase) * (envelope * (0.5 * note.velocity)[:, None])


def highest_index(
    carrier_hz: Float[Tensor, " batch"], modulator_hz: Float[Tensor, " batch"], sample_rate: float
) -> Float[Tensor, " batch"]:
    """The largest modulation index in radians whose sidebands fit under the Nyquist frequency.

    The sideband of order k is at f_c + k f_m with amplitude J_k(I). With K orders that fit, the index may rise until the
    energy of the orders beyond K reaches `ALIAS_ENERGY`.
    """
    fitting = ((0.5 * sample_rate - carrier_hz) / modulator_hz).detach().ceil() - 1.0
    table = torch.tensor(_index_by_order(), device=carrier_hz.device)
    return table[fitting.clamp(0, len(table) - 1).long()]


@functools.cache
def _index_by_order() -> tuple[float, ...]:
    """For K = 0, 1, ... fitting orders, the largest index up to `HIGHEST_INDEX`; the last entry is that."""
    index = torch.linspace(0.0, HIGHEST_INDEX, 2001, dtype=torch.float64)[:, None]
    angle = torch.arange(64, dtype=torch.float64) * (osc.TURN / 64)
    bessel = torch.fft.fft(torch.exp(1j * index * torch.sin(angle))) / 64  # Jacobi-Anger: coefficient k is J_k
    energy = bessel[:, :32].abs().square()
    beyond = energy.sum(1, keepdim=True) - energy.cumsum(1)
    limits = [float(index[beyond[:, order] <= ALIAS_ENERGY].max()) for order in range(31)]
    return tuple(limits[: limits.index(HIGHEST_INDEX) + 1])


# wavetable


@dataclasses.dataclass(frozen=True)
class Wavetable(Synth):
    """A tone colour that moves along a row of waves, through a resonant low-pass."""

    sample_rate: int = 44_100
    name = "wavetable"
    default_seconds = 2.0
    default_gate_s = 1.0
    curves = frozenset()
    space = ParameterSpace(
        (
            Choice("table", ("saw", "hollow", "organ", "vocal"), "saw", "oscillator", "The row of waves"),
            Continuous("position", 0.0, 1.0, 0.5, group="oscillator", description="Place in the row at key-down: 0 is a sine"),
            Continuous("position_end", 0.0, 1.0, 0.3, group="oscillator", description="Place in the row that it moves to"),
            _time_knob("position_time", 4.0, 0.5, "oscillator", "How long it moves"),
            Continuous("cutoff", 100.0, 10_000.0, 8_000.0, "Hz", "log", group="filter", description="Cutoff of the low-pass"),
            Continuous("resonance", 0.5, 10.0, 0.7, "", "log", group="filter", description="Its quality factor"),
            *_adsr_knobs("", "amplitude", 0.7),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Two tables read at one phase, cross-faded, filtered and enveloped."""
        check_curves(self, knobs)
        clock = _clock(note, num_samples, self.sample_rate)
        phase = osc.steady_phase(note.pitch_hz, clock)
        start, end = (
            osc.read_table(self.table(knobs["table"], knobs[place], note.pitch_hz), phase)
            for place in ("position", "position_end")
        )
        moved = clock.sample(
            lambda time_s: (time_s / knobs["position_time"][:, None]).clamp(max=1.0), knobs["position_time"][:, None]
        )
        blocks = _filter_times(clock).shape[1]
        cutoff = knobs["cutoff"][:, None].expand(-1, blocks)
        filtered = swept_filter(torch.lerp(start, end, moved), cutoff, knobs["resonance"], self.sample_rate)
        return filtered * (analog_adsr(_adsr(knobs, "", note), clock) * (0.5 * note.velocity)[:, None])

    def table(
        self, choice: Float[Tensor, "batch tables"], position: Float[Tensor, " batch"], pitch_hz: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch table"]:
        """One cycle of the wave at a place in the row: the further from 0, the slower its harmonics fall off."""
        full = choice @ _tables(position.device)
        number = torch.arange(full.shape[1], device=position.device)
        damping = torch.exp(-4.0 * (1.0 - position)[:, None] * number) + 0.0
        amplitude = full * damping
        amplitude = amplitude / amplitude.square().sum(1, keepdim=True).sqrt()
        harmonics = torch.complex(torch.zeros_like(amplitude), -amplitude)
        return osc.harmonic_table(harmonics, pitch_hz, self.sample_rate)


@functools.cache
def _tables(device: torch.device) -> Float[Tensor, "tables harmonics"]:
    """Amplitudes of 64 harmonics of the far end of each row."""
    number = torch.arange(1, 65, device=device).float()
    saw = 1.0 / number
    hollow = (number % 2) / number
    organ = torch.zeros_like(number)
    organ[[0, 1, 2, 3, 5, 7, 9, 11, 15]] = torch.tensor([1.0, 0.8, 0.7, 0.6, 0.5, 0.5, 0.3, 0.3, 0.2], device=device)
    peaks = ((number - 3.0) / 1.5).square(), ((number - 10.0) / 2.5).square(), ((number - 24.0) / 4.0).square()
    vocal = 0.3 / number + sum(
        gain * torch.exp(-0.5 * peak) for gain, peak in zip((1.0, 0.6, 0.25), peaks, strict=True)
    )
    return torch.stack([saw, hollow, organ, vocal])


# subtractive


@dataclasses.dataclass(frozen=True)
class Subtractive(Synth):
    """Two band-limited oscillators and noise through an enveloped, key-tracked resonant filter: the classic voice.

    oscillators + noise -> filter (low, band or high; its own envelope; follows the key) -> amplitude envelope, with a
    pitch envelope for plucks and drums, and vibrato.
    """

    sample_rate: int = 44_100
    name = "subtractive"
    default_seconds = 2.0
    default_gate_s = 1.0
    curves = frozenset()
    space = ParameterSpace(
        (
            Choice("wave1", ("saw", "pulse", "triangle", "sine"), "saw", "oscillators", "Wave of oscillator 1"),
            Choice("wave2", ("saw", "pulse", "triangle", "sine"), "saw", "oscillators", "Wave of oscillator 2"),
            Continuous("pulse_width", 0.05, 0.5, 0.5, group="oscillators", description="Share of a cycle a pulse is high"),
            Stepped(
                "interval", (-24.0, -12.0, 0.0, 7.0, 12.0, 19.0, 24.0), 0.0, "semitones", "oscillators", "Oscillator 2 over 1"
            ),
            Continuous("detune", -30.0, 30.0, 5.0, "cents", group="oscillators", description="Oscillator 2 over 1, beside the interval"),
            Continuous("mix", 0.0, 1.0, 0.3, group="oscillators", description="From oscillator 1 to oscillator 2"),
            Continuous("noise", 0.0, 1.0, 0.0, group="oscillators", description="From the oscillators to noise"),
            Continuous("pitch_bend", -24.0, 36.0, 0.0, "semitones", group="pitch", description="How far over its pitch the note starts"),
            _time_knob("bend_time", 1.0, 0.03, "pitch", "How long it takes to arrive, to 1/e"),
            Continuous("vibrato", 0.0, 60.0, 0.0, "cents", group="pitch", description="Depth of the vibrato"),
            Continuous("vibrato_rate", 2.0, 10.0, 5.0, "Hz", group="pitch", description="Rate of the vibrato"),
            Choice("filter", ("low-pass", "band-pass", "high-pass"), "low-pass", "filter", "What the filter lets through"),
            Continuous("cutoff", 30.0, 18_000.0, 3_000.0, "Hz", "log", group="filter", description="Cutoff at middle C"),
            Continuous("resonance", 0.5, 12.0, 0.8, "", "log", group="filter", description="Quality factor"),
            Continuous("key_track", 0.0, 1.0, 0.5, group="filter", description="How far the cutoff follows the key: 1 is fully"),
            Continuous("filter_env", -3.0, 6.0, 1.5, "octaves", group="filter", description="How far the envelope moves the cutoff"),
            *_adsr_knobs("filter_", "filter", 0.3),
            *_adsr_knobs("", "amplitude", 0.7),
        )
    )  # fmt: skip

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Oscillators, noise, filter, envelope."""
        check_curves(self, knobs)
        clock = _clock(note, num_samples, self.sample_rate)
        pitch_hz = self._pitch(knobs, note, clock)
        low = self._oscillator(knobs["wave1"], knobs["pulse_width"], pitch_hz, clock)
        interval = _octaves((knobs["interval"] + 0.01 * knobs["detune"]) / 12.0)
        high = self._oscillator(knobs["wave2"], knobs["pulse_width"], pitch_hz * interval[:, None], clock)
        tone = torch.lerp(low, high, knobs["mix"][:, None])
        mixed = torch.lerp(tone, 0.5 * osc.noise(note.noise_seed, clock), knobs["noise"][:, None])
        filtered = swept_filter(
            mixed, self._cutoff(knobs, note, clock), knobs["resonance"], self.sample_rate, knobs["filter"]
        )
        return filtered * (analog_adsr(_adsr(knobs, "", note), clock) * (0.5 * note.velocity)[:, None])

    def _pitch(self, knobs: Knobs, note: Note, clock: Clock) -> Float[Tensor, "batch edges"]:
        """The pitch in Hz at the edges of the clock's blocks: the note, the bend that dies away, and the vibrato."""
        time_s = clock.edge_s[None]
        bend = knobs["pitch_bend"][:, None] * torch.exp(-time_s / knobs["bend_time"][:, None])
        wobble = 0.01 * knobs["vibrato"][:, None] * torch.sin(osc.TURN * knobs["vibrato_rate"][:, None] * time_s)
        return note.pitch_hz[:, None] * _octaves((bend + wobble) / 12.0)

    def _oscillator(
        self, wave: Tensor, width: Tensor, pitch_hz: Float[Tensor, "batch edges"], clock: Clock
    ) -> Float[Tensor, "batch samples"]:
        harmonics = _classic_harmonics(wave, width, math.ceil(0.5 * self.sample_rate / LOWEST_HZ))
        table = osc.harmonic_table(harmonics, pitch_hz.amax(1).float(), self.sample_rate)
        return osc.read_table(table, osc.swept_phase(pitch_hz, clock))

    def _cutoff(self, knobs: Knobs, note: Note, clock: Clock) -> Float[Tensor, "batch blocks"]:
        """The cutoff in Hz for every stretch of the filter."""
        envelope = analog_at(_adsr(knobs, "filter_", note), _filter_times(clock))
        tracked = knobs["cutoff"] * torch.exp(knobs["key_track"] * torch.log(note.pitch_hz / MIDDLE_C_HZ))
        return tracked[:, None] * _octaves(knobs["filter_env"][:, None] * envelope)


def _classic_harmonics(
    wave: Float[Tensor, "batch 4"], width: Float[Tensor, " batch"], count: int
) -> Complex[Tensor, "batch harmonics"]:
    """The harmonics of saw, pulse, triangle and sine, mixed by their weights."""
    saw, triangle = osc.sawtooth_harmonics(count, wave.device), osc.triangle_harmonics(count, wave.device)
    weights = wave.unbind(1)
    mixed = weights[0][:, None] * saw + weights[1][:, None] * osc.pulse_harmonics(width, count)
    mixed = mixed + weights[2][:, None] * triangle
    pure = torch.zeros(count, device=wave.device)
    pure[0] = 1.0
    return mixed + weights[3][:, None] * torch.complex(torch.zeros_like(pure), -pure)
