"""Phases, waves, tables and envelopes against their closed forms."""

import math

import numpy as np
import pytest
import torch

from retimbre.synth import oscillators as osc
from retimbre.synth.clock import Blockwise, Clock, curve_at
from retimbre.synth.envelopes import Adsr, analog_adsr, linear_adsr

RATE = 16_384
CLOCK = Clock.of(20_000, RATE, torch.device("cpu"))
TIME = np.arange(20_000) / RATE


def phase_error(phase: Blockwise, reference: np.ndarray) -> float:
    """The largest distance in cycles, whole cycles apart being none."""
    difference = CLOCK.samples_of(phase)[0].double().numpy() - reference
    return float(np.abs(difference - np.round(difference)).max())


@pytest.mark.parametrize("frequency_hz", [0.5, 27.5, 440.0, 4186.0])
def test_a_steady_phase_is_frequency_times_time(frequency_hz: float) -> None:
    phase = osc.steady_phase(torch.tensor([frequency_hz]), CLOCK)
    assert phase_error(phase, frequency_hz * TIME) < 2e-6


@pytest.mark.parametrize(("rate_hz", "index_rad"), [(1.0, 1500.0), (30.0, 1500.0), (6.0, 3.0), (30.0, 0.0)])
def test_a_modulated_phase_is_its_formula(rate_hz: float, index_rad: float) -> None:
    index = torch.tensor([index_rad / osc.TURN])
    phase = osc.modulated_phase(torch.tensor([440.0]), torch.tensor([rate_hz]), index, 0.5 * index, CLOCK)
    turn = 2.0 * math.pi * rate_hz * TIME
    reference = 440.0 * TIME + float(index) * (np.sin(turn) + 0.5 * (1.0 - np.cos(turn)))
    assert phase_error(phase, reference) < 5e-5  # 160 cycles of swing within a block, in float32


def test_a_swept_phase_is_the_integral_of_its_frequency() -> None:
    edges = torch.linspace(100.0, 900.0, CLOCK.num_blocks + 1)[None]
    phase = osc.swept_phase(edges, CLOCK)
    slope = 800.0 / (CLOCK.num_blocks * 64 / RATE)
    assert phase_error(phase, 100.0 * TIME + 0.5 * slope * TIME**2) < 1e-5


def test_a_linear_frequency_ramp_measures_as_one() -> None:
    tone = osc.sine(CLOCK.samples_of(osc.curved_phase(torch.tensor([[500.0, 1500.0]]), CLOCK)))[0]
    for start in (2000, 10_000, 17_000):
        window = torch.hann_window(1024) * tone[start : start + 1024]
        peak_hz = float(torch.fft.rfft(window, n=16_384).abs().argmax()) * RATE / 16_384
        assert peak_hz == pytest.approx(500.0 + 1000.0 * (start + 512) / 19_999, abs=6.0)


def test_plain_waves_start_as_a_sine_does_and_have_period_one() -> None:
    quarters = torch.tensor([[0.0, 0.25, 0.5 - 1e-6, 0.75]])
    assert torch.allclose(osc.sine(quarters), torch.tensor([[0.0, 1.0, 0.0, -1.0]]), atol=1e-5)
    assert torch.allclose(osc.triangle(quarters), torch.tensor([[0.0, 1.0, 0.0, -1.0]]), atol=1e-5)
    assert torch.allclose(osc.sawtooth(quarters), torch.tensor([[0.0, 0.5, 1.0, -0.5]]), atol=1e-5)
    assert torch.equal(osc.square(quarters), torch.tensor([[1.0, 1.0, 1.0, -1.0]]))
    for wave in (osc.sine, osc.sawtooth, osc.triangle, osc.square):
        assert torch.allclose(wave(quarters + 3.0), wave(quarters), atol=1e-5)


@pytest.mark.parametrize(
    ("wave", "harmonics"),
    [
        (osc.sawtooth, osc.sawtooth_harmonics(500, torch.device("cpu"))[None]),
        (osc.triangle, osc.triangle_harmonics(500, torch.device("cpu"))[None]),
    ],
)
def test_a_table_of_enough_harmonics_is_the_plain_wave(wave, harmonics: torch.Tensor) -> None:
    table = osc.harmonic_table(harmonics, torch.tensor([1.0]), RATE)
    phase = torch.arange(1, 997)[None] / 997.0
    difference = osc.read_table(table, phase) - wave(phase)
    away_from_edges = (phase[0] - 0.5).abs() > 0.02  # the series rings where the wave jumps
    assert float(difference[0, away_from_edges].abs().max()) < 0.03


def test_a_table_holds_only_harmonics_under_the_nyquist_frequency() -> None:
    table = osc.harmonic_table(
        osc.sawtooth_harmonics(100, torch.device("cpu"))[None], torch.tensor([1000.0]), RATE
    )
    spectrum = torch.fft.rfft(table[0].double()).abs() / table.shape[1]
    assert float(spectrum[8]) > 0.03
    assert float(spectrum[9:].max()) < 1e-7


def test_noise_is_white_of_variance_one_and_set_by_its_seed() -> None:
    made = osc.noise(torch.tensor([1, 2, 1]), CLOCK)
    assert torch.equal(made[0], made[2])
    assert float(made.std()) == pytest.approx(1.0, abs=0.02)
    assert abs(float((made[0] * made[1]).mean())) < 0.03
    power = torch.fft.rfft(made[0]).abs().square()
    assert float(power[:5000].mean() / power[5000:].mean()) == pytest.approx(1.0, abs=0.1)


def settings(attack: float, decay: float, sustain: float, release: float, gate: float) -> Adsr:
    return Adsr(*(torch.tensor([value]) for value in (attack, decay, sustain, release, gate)))


def test_a_linear_envelope_bends_at_the_expected_samples() -> None:
    envelope = linear_adsr(settings(0.25, 0.25, 0.5, 0.25, 0.75)).sample(CLOCK)[0]
    at = {0.0: 0.0, 0.125: 0.5, 0.25: 1.0, 0.375: 0.75, 0.5: 0.5, 0.7: 0.5, 0.875: 0.25, 1.0: 0.0, 1.2: 0.0}
    for second, level in at.items():
        assert float(envelope[round(second * RATE)]) == pytest.approx(level, abs=1e-4)
    bend = envelope.double().diff().diff().abs()
    corners = [round(second * RATE) for second in (0.25, 0.5, 0.75, 1.0)]
    assert sorted(int(index) + 1 for index in bend.topk(4).indices) == corners


@pytest.mark.parametrize("envelope", [linear_adsr, analog_adsr])
def test_stages_of_no_length_are_jumps(envelope) -> None:
    made = envelope(settings(0.0, 0.0, 0.5, 0.0, 0.5)).sample(CLOCK)[0]
    half = round(0.5 * RATE)
    assert torch.equal(made[:half], torch.full((half,), 0.5))
    assert not made[half:].any()


@pytest.mark.parametrize("envelope", [linear_adsr, analog_adsr])
def test_a_key_that_comes_up_in_the_attack_releases_from_there(envelope) -> None:
    made = envelope(settings(1.0, 0.1, 0.5, 0.5, 0.25)).sample(CLOCK)[0]
    key_up = round(0.25 * RATE)
    assert float(made.diff().abs().max()) < 0.01
    assert int(made.argmax()) == pytest.approx(key_up, abs=1)
    assert float(made[round(0.76 * RATE)]) == 0.0


def test_block_envelopes_equal_their_formula_at_every_sample() -> None:
    exact = np.interp(TIME, [0, 0.0123, 0.0623, 0.7, 0.85, 2.0], [0, 1, 0.3, 0.3, 0, 0])
    made = linear_adsr(settings(0.0123, 0.05, 0.3, 0.15, 0.7)).sample(CLOCK)[0]
    assert float(np.abs(made.double().numpy() - exact).max()) < 1e-6


@pytest.mark.parametrize("attack_s", [0.001, 0.005, 0.05, 0.5])
def test_exponential_strokes_equal_their_formula_at_every_sample(attack_s: float) -> None:
    made = analog_adsr(settings(attack_s, 0.02, 0.3, 0.04, 0.7)).sample(CLOCK)[0].double().numpy()
    exact = analog_adsr(settings(attack_s, 0.02, 0.3, 0.04, 0.7)).at(torch.from_numpy(TIME)[None])[0].numpy()
    assert float(np.abs(made - exact).max()) < 1e-6


def test_a_curve_is_read_by_straight_lines_and_holds_beyond_its_ends() -> None:
    read = curve_at(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]))
    assert read[0].tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 0.0, 0.0])
