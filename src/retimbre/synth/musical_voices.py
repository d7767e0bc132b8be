"""The musical voices: their pitch is the note's, they follow the keyboard, and they do not alias.

Each is band-limited by construction. The oscillators of `subtractive` and `wavetable` are made of exactly the
harmonics that fit under the Nyquist frequency at the highest pitch the note reaches; `fm2op` turns its
modulation index down where the sidebands would not fit (`highest_index`), as the keyboard scaling of FM
instruments does. What is left under -60 dB of the total is interpolation and rounding.

Velocity scales the amplitude alone. Envelope times are seconds on every key.
"""

import dataclasses
import functools

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth import oscillators as osc
from retimbre.synth.base import Note, Synth, check_curves
from retimbre.synth.clock import Blockwise, Clock
from retimbre.synth.envelopes import Adsr, Envelope, analog_adsr
from retimbre.synth.filters import SWEPT_BLOCK, swept_filter
from retimbre.synth.fusing import fusible
from retimbre.synth.knobs import Choice, Continuous, Stepped
from retimbre.synth.parameters import Knobs, ParameterSpace

ALIAS_ENERGY = 2e-7  # of an FM spectrum that may pass the Nyquist frequency on each side: under -63 dB in all
HIGHEST_INDEX = 10.0


def time_knob(name: str, longest_s: float, default: float, group: str, description: str) -> Continuous:
    """A knob for a stage's length, from a millisecond up."""
    return Continuous(name, 0.001, longest_s, default, "s", "log", group=group, description=description)


def adsr_knobs(prefix: str, group: str, default_sustain: float) -> tuple[Continuous, ...]:
    """The four knobs of an envelope, their names prefixed."""
    held = "Level while the key is held"
    return (
        time_knob(f"{prefix}attack", 2.0, 0.005, group, "Rise to full"),
        time_knob(f"{prefix}decay", 4.0, 0.3, group, "Fall to the sustain level"),
        Continuous(f"{prefix}sustain", 0.0, 1.0, default_sustain, group=group, description=held),
        time_knob(f"{prefix}release", 4.0, 0.2, group, "Fall to silence after the key comes up"),
    )


def adsr_of(knobs: Knobs, prefix: str, note: Note) -> Envelope:
    """The envelope that those knobs set, for a note."""
    stages = (knobs[f"{prefix}{stage}"] for stage in ("attack", "decay", "sustain", "release"))
    return analog_adsr(Adsr(*stages, gate_s=note.gate_s))


def filter_times(clock: Clock) -> Float[Tensor, "1 blocks"]:
    """The middle of each stretch in which the filter's coefficients hold still, in seconds."""
    blocks = -(-clock.num_samples // SWEPT_BLOCK)
    return ((torch.arange(blocks, device=clock.device) + 0.5) * (SWEPT_BLOCK / clock.sample_rate))[None]


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
            Stepped(
                "ratio",
                tuple(float(n) for n in range(1, 9)),
                1.0,
                "",
                "modulator",
                "Modulator frequency over the note's",
            ),
            Continuous(
                "index",
                0.0,
                HIGHEST_INDEX,
                2.0,
                "rad",
                group="modulator",
                description="Modulation index at its peak",
            ),
            *adsr_knobs("index_", "modulator", 0.5),
            *adsr_knobs("", "amplitude", 0.7),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """sin(2 pi f t + I(t) sin(2 pi r f t)) times the envelope; I is at most `highest_index` of the note."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        modulator_hz = note.pitch_hz * knobs["ratio"]
        index = torch.minimum(knobs["index"], highest_index(note.pitch_hz, modulator_hz, self.sample_rate))
        carrier, modulator = (osc.steady_phase(hertz, clock) for hertz in (note.pitch_hz, modulator_hz))
        brightness, loudness = (adsr_of(knobs, prefix, note) for prefix in ("index_", ""))
        sound = _two_sines(carrier, modulator, (index / osc.TURN)[:, None], brightness, clock)
        return enveloped(sound, loudness, 0.5 * note.velocity, clock)


@fusible
def _two_sines(
    carrier: Blockwise, modulator: Blockwise, index_cycles: Tensor, brightness: Envelope, clock: Clock
) -> Float[Tensor, "batch samples"]:
    """A sine whose phase is moved by a sine, as far as an envelope says."""
    swing = brightness.sample(clock) * index_cycles
    return osc.sine(torch.addcmul(clock.samples_of(carrier), swing, osc.sine(clock.samples_of(modulator))))


@fusible
def enveloped(
    audio: Float[Tensor, "batch samples"], envelope: Envelope, gain: Float[Tensor, " batch"], clock: Clock
) -> Float[Tensor, "batch samples"]:
    """The audio under an analogue envelope, scaled."""
    return audio * (envelope.sample(clock) * gain[:, None])


def highest_index(
    carrier_hz: Float[Tensor, " batch"], modulator_hz: Float[Tensor, " batch"], sample_rate: float
) -> Float[Tensor, " batch"]:
    """The largest modulation index in radians whose sidebands fit under the Nyquist frequency.

    The sideband of order k is at f_c + k f_m with amplitude J_k(I). With K orders that fit, the index may
    rise until the energy of the orders beyond K reaches `ALIAS_ENERGY`.
    """
    fitting = ((0.5 * sample_rate - carrier_hz) / modulator_hz).detach().ceil() - 1.0
    table = torch.tensor(_index_by_order(), device=carrier_hz.device)
    return table[fitting.clamp(0, len(table) - 1).long()]


@functools.cache
def _index_by_order() -> tuple[float, ...]:
    """For K = 0, 1, ... fitting orders, the largest index up to `HIGHEST_INDEX`; the last entry is that."""
    index = torch.linspace(0.0, HIGHEST_INDEX, 2001, dtype=torch.float64)[:, None]
    angle = torch.arange(64, dtype=torch.float64) * (osc.TURN / 64)
    bessel = (
        torch.fft.fft(torch.exp(1j * index * torch.sin(angle))) / 64
    )  # Jacobi-Anger: coefficient k is J_k
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
            Continuous(
                "position",
                0.0,
                1.0,
                0.5,
                group="oscillator",
                description="Place in the row at key-down: 0 is a sine",
            ),
            Continuous(
                "position_end",
                0.0,
                1.0,
                0.3,
                group="oscillator",
                description="Place in the row that it moves to",
            ),
            time_knob("position_time", 4.0, 0.5, "oscillator", "How long it moves"),
            Continuous(
                "cutoff",
                100.0,
                10_000.0,
                8_000.0,
                "Hz",
                "log",
                group="filter",
                description="Cutoff of the low-pass",
            ),
            Continuous(
                "resonance", 0.5, 10.0, 0.7, "", "log", group="filter", description="Its quality factor"
            ),
            *adsr_knobs("", "amplitude", 0.7),
        )
    )

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Two tables read at one phase, cross-faded, filtered and enveloped."""
        check_curves(self, knobs)
        clock = self.clock(note, num_samples)
        phase = osc.steady_phase(note.pitch_hz, clock)
        start, end = (
            self.table(knobs["table"], knobs[place], note.pitch_hz) for place in ("position", "position_end")
        )
        moving = _morphed(start, end, phase, knobs["position_time"][:, None], clock)
        cutoff = knobs["cutoff"][:, None].expand(-1, filter_times(clock).shape[1])
        filtered = swept_filter(moving, cutoff, knobs["resonance"], self.sample_rate)
        return enveloped(filtered, adsr_of(knobs, "", note), 0.5 * note.velocity, clock)

    def table(
        self,
        choice: Float[Tensor, "batch tables"],
        position: Float[Tensor, " batch"],
        pitch_hz: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch table"]:
        """One cycle of the wave at a place in the row: the further from 0, the slower its harmonics fall off."""
        full = choice @ _tables(position.device)
        number = torch.arange(full.shape[1], device=position.device)
        damping = torch.exp(-4.0 * (1.0 - position)[:, None] * number)
        amplitude = full * damping
        amplitude = amplitude / amplitude.square().sum(1, keepdim=True).sqrt()
        harmonics = torch.complex(torch.zeros_like(amplitude), -amplitude)
        return osc.harmonic_table(harmonics, pitch_hz, self.sample_rate)


@fusible
def _morphed(
    start: Tensor, end: Tensor, phase: Blockwise, time_s: Float[Tensor, "batch 1"], clock: Clock
) -> Float[Tensor, "batch samples"]:
    """Two tables at one phase, from the first to the second at an even pace."""
    cycles = clock.samples_of(phase)
    moved = clock.sample(lambda second: (second / time_s).clamp(max=1.0), time_s)
    return torch.lerp(osc.read_table(start, cycles), osc.read_table(end, cycles), moved)


@functools.cache
def _tables(device: torch.device) -> Float[Tensor, "tables harmonics"]:
    """Amplitudes of 64 harmonics of the far end of each row."""
    number = torch.arange(1, 65, device=device).float()
    saw = 1.0 / number
    hollow = (number % 2) / number
    organ = torch.zeros_like(number)
    organ[[0, 1, 2, 3, 5, 7, 9, 11, 15]] = torch.tensor(
        [1.0, 0.8, 0.7, 0.6, 0.5, 0.5, 0.3, 0.3, 0.2], device=device
    )
    peaks = (
        ((number - 3.0) / 1.5).square(),
        ((number - 10.0) / 2.5).square(),
        ((number - 24.0) / 4.0).square(),
    )
    vocal = 0.3 / number + sum(
        gain * torch.exp(-0.5 * peak) for gain, peak in zip((1.0, 0.6, 0.25), peaks, strict=True)
    )
    return torch.stack([saw, hollow, organ, vocal])
