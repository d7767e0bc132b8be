"""The voices of the paper and of the earlier systems, against scalar references and the sounds they promise."""

import math

import numpy as np
import pytest
import torch

from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS

RATE = 16_384


def render(
    name: str, values: dict[str, float], *, pitch_hz: float = 440.0, seconds: float = 1.0
) -> np.ndarray:
    synth = SYNTHS[name]
    note = Note.of(1, pitch_hz=pitch_hz, gate_s=synth.default_gate_s)
    return (
        synth.render(synth.space.from_values(values), note, num_samples=round(seconds * RATE))[0]
        .double()
        .numpy()
    )


def peaks_hz(audio: np.ndarray, count: int) -> list[float]:
    """The strongest spectral peaks, in hertz, ascending, to one bin."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    found = []
    for _ in range(count):
        top = int(spectrum.argmax())
        found.append(top * RATE / len(audio))
        spectrum[max(0, top - 8) : top + 9] = 0.0
    return sorted(found)


def adsr_at(second: float, attack: float, decay: float, level: float, release: float, key_up: float) -> float:
    """An envelope of straight strokes at one time, as a scalar program would compute it."""

    def held(time: float) -> float:
        if time < attack:
            return time / attack
        return 1.0 - (1.0 - level) * min((time - attack) / decay, 1.0)

    return held(second) if second < key_up else held(key_up) * max(0.0, 1.0 - (second - key_up) / release)


def test_two_sines_peak_at_their_frequencies() -> None:
    assert peaks_hz(render("two-sine", {"f1": 200.0, "f2": 1600.0}), 2) == pytest.approx(
        [200.0, 1600.0], abs=1.0
    )


@pytest.mark.parametrize(("pitch_hz", "peak_hz"), [(440.0, 440.0), (880.0, 880.0), (110.0, 110.0)])
def test_an_a4_knob_sounds_at_the_note_s_pitch(pitch_hz: float, peak_hz: float) -> None:
    audio = render("fm", {"C": 440.0, "D": 0.0, "decay": 0.0, "sustain_level": 1.0}, pitch_hz=pitch_hz)
    assert peaks_hz(audio, 1) == pytest.approx([peak_hz], abs=1.0)


def test_fm_equals_a_scalar_program_sample_by_sample() -> None:
    """The sample command of system B: frequency accumulated one sample at a time, in double precision."""
    c, m, d = (float(np.float32(value)) for value in (783.991, 12.6, 0.5))  # knobs are float32
    cycles, reference = 0.0, []
    for index in range(RATE):
        second = index / RATE
        envelope = adsr_at(second, 0.2667, 0.6, 0.0, 0.8, 0.2667 + 0.6 + 0.2667)
        reference.append(envelope * math.sin(2 * math.pi * cycles))
        cycles += c * (1.0 + d * math.sin(2 * math.pi * m * second)) / RATE
    assert np.abs(render("fm", {}) - np.array(reference)).max() < 1e-4


def test_fm_at_its_most_extreme_stays_with_the_scalar_program() -> None:
    values = {
        "C": 1046.5,
        "M": 1.0,
        "D": 1.5,
        "attack": 0.0,
        "decay": 0.0,
        "sustain": 1.0,
        "sustain_level": 1.0,
    }
    second = np.arange(RATE) / RATE
    step = np.float32(1046.5).astype(float) * (1.0 + 1.5 * np.sin(2 * np.pi * second)) / RATE
    reference = np.sin(2 * np.pi * (np.cumsum(step) - step))
    assert np.sqrt(np.mean((render("fm", values) - reference) ** 2)) < 1e-4


def test_a_slow_deep_modulation_puts_sidebands_at_multiples_of_the_modulator() -> None:
    audio = render(
        "fm",
        {"C": 880.0, "M": 30.0, "D": 0.03, "attack": 0.0, "decay": 0.0, "sustain": 1.0, "sustain_level": 1.0},
    )
    assert peaks_hz(audio, 3) == pytest.approx([850.0, 880.0, 910.0], abs=1.0)


def test_fm4_swings_its_frequency_by_the_relative_deviation() -> None:
    """f(t) = f (1 + B sin(2 pi v t)): at a quarter of the slow modulator's cycle the tone is at f (1 + B)."""
    values = {f"A{index}": 0.0 for index in (2, 3, 4)} | {"A1": 1.0, "f1": 880.0, "v1": 1.0, "B1": 0.5}
    audio = render("fm4", values)
    for second, hertz in ((0.25, 1320.0), (0.5, 880.0), (0.75, 440.0)):
        middle = round(second * RATE)
        part = audio[middle - 256 : middle + 256] * np.hanning(512)
        peak = np.abs(np.fft.rfft(part, 8192)).argmax() * RATE / 8192
        assert peak == pytest.approx(hertz, abs=12.0)


INVERSYNTH = {
    "f_sin": 440.0, "v_sin": 3.0, "B_sin": 100.0, "A_sin": 0.8,
    "f_saw": 554.365, "v_saw": 30.0, "B_saw": 0.0, "A_saw": 0.001,
    "f_tri": 659.255, "v_tri": 7.0, "B_tri": 500.0, "A_tri": 0.6,
    "f_sqr": 880.0, "v_sqr": 1.0, "B_sqr": 0.0, "A_sqr": 0.001,
    "a": 0.2, "d": 0.3, "s": 0.4, "r": 0.1, "f_cut": 1500.0, "q": 3.0, "f_gate": 4.0,
}  # fmt: skip


def test_inversynth_is_the_paper_s_formula() -> None:
    """Every stage written out in double precision, with scipy's recursion for the filter."""
    import scipy.signal

    values = {name: float(np.float32(value)) for name, value in INVERSYNTH.items()}
    second = np.arange(RATE) / RATE
    mixed = np.zeros(RATE)
    waves = {
        "sin": lambda p: np.sin(2 * np.pi * p),
        "saw": lambda p: 2 * (p - np.floor(p + 0.5)),
        "tri": lambda p: 4 * np.abs((p + 0.75) % 1.0 - 0.5) - 1,
        "sqr": lambda p: np.where(p % 1.0 < 0.5, 1.0, -1.0),
    }
    for name, wave in waves.items():
        f, v, b, a = (values[f"{symbol}_{name}"] for symbol in "fvBA")
        mixed += a * wave(f * second + b * np.sin(2 * np.pi * v * second) / (2 * np.pi))
    envelope = np.array(
        [adsr_at(t, values["a"], values["d"], values["s"], values["r"], 0.75) for t in second]
    )
    warped = 2.0 * RATE * math.tan(math.pi * values["f_cut"] / RATE)
    coefficients = scipy.signal.bilinear([warped**2], [1.0, warped / values["q"], warped**2], RATE)
    filtered = scipy.signal.lfilter(*coefficients, 0.25 * mixed * envelope)
    reference = filtered * (1.0 + np.where((values["f_gate"] * second) % 1.0 < 0.5, 1.0, -1.0)) / 2.0
    error = render("inversynth", INVERSYNTH) - reference
    assert np.sqrt(np.mean(error**2)) < 1e-4 * np.sqrt(np.mean(reference**2)) + 1e-6


def test_the_gater_cuts_the_sound_on_and_off_at_its_rate() -> None:
    audio = render("inversynth", INVERSYNTH | {"f_gate": 5.0, "a": 0.001, "d": 0.001, "s": 1.0})
    silent = np.abs(audio).reshape(-1, 64).max(1) == 0.0
    seconds = (np.arange(len(silent)) + 0.5) * 64 / RATE
    off = (seconds * 5.0) % 1.0 >= 0.5
    inside = np.abs(seconds * 10.0 - np.round(seconds * 10.0)) > 0.05
    assert np.array_equal(silent[inside], off[inside])


def test_a_cutoff_curve_sweeps_the_filter() -> None:
    synth = SYNTHS["inversynth"]
    bright = {name: value for name, value in INVERSYNTH.items() if name != "f_cut"} | {
        "A_sqr": 1.0,
        "s": 1.0,
        "f_gate": 0.5,
        "q": 0.7,
    }
    knobs = synth.space.from_values(bright) | {"f_cut": torch.tensor([[4000.0, 200.0]])}
    audio = synth.render(knobs, Note.of(1, gate_s=2.0), num_samples=RATE)[0].double().numpy()

    def brightness(part: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        return float(power[len(power) // 8 :].sum() / power.sum())

    assert brightness(audio[4000:8000]) > 10.0 * brightness(audio[12_000:16_000])
