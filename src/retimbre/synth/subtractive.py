"""The subtractive voice: bright waves, a moving filter, and an envelope.

Like the other musical voices it is band-limited by construction and takes its pitch from the note.
"""

import dataclasses
import math
from typing import cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.synth import oscillators as osc
from retimbre.synth.base import Note, Synth, check_curves
from retimbre.synth.clock import Blockwise, Clock
from retimbre.synth.filters import swept_filter
from retimbre.synth.fusing import fusible
from retimbre.synth.knobs import Choice, Continuous, Scale, Stepped
from retimbre.synth.musical_voices import adsr_knobs, adsr_of, enveloped, filter_times, time_knob
from retimbre.synth.parameters import Knobs, ParameterSpace

LOWEST_HZ = 20.0  # fundamentals from here up have all their harmonics
MIDDLE_C_HZ = 261.6256
WAVES = ("saw", "pulse", "triangle", "sine")
INTERVALS = (-24.0, -12.0, 0.0, 7.0, 12.0, 19.0, 24.0)


def _knob(
    name: str,
    travel: tuple[float, float],
    default: float,
    group: str,
    description: str,
    turn: str = "",
) -> Continuous:
    """A knob; `turn` is its unit and its scale."""
    unit, _, scale = turn.partition(" ")
    scale = scale or "linear"
    return Continuous(name, *travel, default, unit, cast(Scale, scale), group=group, description=description)


@dataclasses.dataclass(frozen=True)
class Oscillator:
    """One cycle of a wave, and where in it the oscillator is."""

    table: Float[Tensor, "batch table"]
    phase: Blockwise


@dataclasses.dataclass(frozen=True)
class Subtractive(Synth):
    """Two band-limited oscillators and noise through an enveloped, key-tracked resonant filter: the classic voice.

    oscillators + noise -> filter (low, band or high; its own envelope; follows the key) -> amplitude
    envelope, with a pitch envelope for plucks and drums, and vibrato.
    """

    sample_rate: int = 44_100
    name = "subtractive"
    default_seconds = 2.0
    default_gate_s = 1.0
    curves = frozenset()
    space = ParameterSpace(
        (
            Choice("wave1", WAVES, "saw", "oscillators", "Wave of oscillator 1"),
            Choice("wave2", WAVES, "saw", "oscillators", "Wave of oscillator 2"),
            _knob("pulse_width", (0.05, 0.5), 0.5, "oscillators", "Share of a cycle that a pulse is high"),
            Stepped("interval", INTERVALS, 0.0, "semitones", "oscillators", "Oscillator 2 over oscillator 1"),
            _knob("detune", (-30.0, 30.0), 5.0, "oscillators", "Beside the interval", "cents cubic"),
            _knob("mix", (0.0, 1.0), 0.3, "oscillators", "From oscillator 1 to oscillator 2"),
            _knob("noise", (0.0, 1.0), 0.0, "oscillators", "From the oscillators to noise", " square"),
            _knob(
                "pitch_bend", (-36.0, 36.0), 0.0, "pitch", "How far off the note starts", "semitones cubic"
            ),
            time_knob("bend_time", 1.0, 0.03, "pitch", "How long the bend takes to fall to 1/e"),
            _knob("vibrato", (0.0, 60.0), 0.0, "pitch", "Depth of the vibrato", "cents square"),
            _knob("vibrato_rate", (2.0, 10.0), 5.0, "pitch", "Rate of the vibrato", "Hz"),
            Choice(
                "filter", ("low-pass", "band-pass", "high-pass"), "low-pass", "filter", "What it lets through"
            ),
            _knob("cutoff", (30.0, 18_000.0), 3_000.0, "filter", "Cutoff at middle C", "Hz log"),
            _knob("resonance", (0.5, 12.0), 0.8, "filter", "Quality factor", " log"),
            _knob("key_track", (0.0, 1.0), 0.5, "filter", "How far the cutoff follows the key; 1 is fully"),
            _knob(
                "filter_env", (-3.0, 6.0), 1.5, "filter", "How far the envelope moves the cutoff", "octaves"
            ),
            *adsr_knobs("filter_", "filter", 0.3),
            *adsr_knobs("", "amplitude", 0.7),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Oscillators, noise, filter, envelope."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        pitch_hz = self._pitch(knobs, note, clock)
        interval = two_to_the((knobs["interval"] + 0.01 * knobs["detune"]) / 12.0)
        low = self._oscillator(knobs["wave1"], knobs["pulse_width"], pitch_hz, clock)
        high = self._oscillator(knobs["wave2"], knobs["pulse_width"], pitch_hz * interval[:, None], clock)
        hiss = osc.noise(note.noise_seed, clock)
        mixed = _mixed(low, high, hiss, knobs["mix"][:, None], knobs["noise"][:, None], clock)
        cutoff = self._cutoff(knobs, note, clock)
        filtered = swept_filter(mixed, cutoff, knobs["resonance"], self.sample_rate, knobs["filter"])
        return enveloped(filtered, adsr_of(knobs, "", note), 0.5 * note.velocity, clock)

    def _pitch(self, knobs: Knobs, note: Note, clock: Clock) -> Float[Tensor, "batch edges"]:
        """The pitch in Hz at the edges of the clock's blocks: the note, the bend that dies away, and the vibrato."""
        time_s = clock.edge_s[None]
        bend = knobs["pitch_bend"][:, None] * torch.exp(-time_s / knobs["bend_time"][:, None])
        wobble = (
            0.01 * knobs["vibrato"][:, None] * torch.sin(osc.TURN * knobs["vibrato_rate"][:, None] * time_s)
        )
        return note.pitch_hz[:, None] * two_to_the((bend + wobble) / 12.0)

    def _oscillator(
        self, wave: Tensor, width: Tensor, pitch_hz: Float[Tensor, "batch edges"], clock: Clock
    ) -> Oscillator:
        harmonics = _classic_harmonics(wave, width, math.ceil(0.5 * self.sample_rate / LOWEST_HZ))
        table = osc.harmonic_table(harmonics, pitch_hz.amax(1).float(), self.sample_rate)
        return Oscillator(table, osc.swept_phase(pitch_hz, clock))

    def _cutoff(self, knobs: Knobs, note: Note, clock: Clock) -> Float[Tensor, "batch blocks"]:
        """The cutoff in Hz for every stretch of the filter."""
        envelope = adsr_of(knobs, "filter_", note).at(filter_times(clock))
        tracked = knobs["cutoff"] * torch.exp(knobs["key_track"] * torch.log(note.pitch_hz / MIDDLE_C_HZ))
        return tracked[:, None] * two_to_the(knobs["filter_env"][:, None] * envelope)


@fusible
def _mixed(
    low: Oscillator, high: Oscillator, hiss: Tensor, mix: Tensor, noise: Tensor, clock: Clock
) -> Float[Tensor, "batch samples"]:
    """Two oscillators cross-faded, and the result with noise."""
    one, other = (osc.read_table(each.table, clock.samples_of(each.phase)) for each in (low, high))
    return torch.lerp(torch.lerp(one, other, mix), 0.5 * hiss, noise)


def two_to_the(octaves: Tensor) -> Tensor:
    """The frequency ratio of an interval in octaves."""
    return torch.exp(octaves * math.log(2.0))


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
