"""The block filters against a recursion in float64, and against the physics of a resonant filter."""

import math

import numpy as np
import pytest
import scipy.signal
import torch

from retimbre.core.random import generator
from retimbre.synth.filters import SWEPT_BLOCK, lowpass, resonant, swept_filter

RATE = 16_384
SETTINGS = [(cutoff, q) for cutoff in (200.0, 1000.0, 4000.0) for q in (0.01, 0.7, 10.0)]


def recursion(audio: torch.Tensor, cutoff_hz: float, q: float) -> np.ndarray:
    """The bilinear transform of 1 / (s^2 + s/Q + 1), by scipy, in float64."""
    warped = 2.0 * RATE * math.tan(math.pi * cutoff_hz / RATE)
    numerator, denominator = scipy.signal.bilinear([warped**2], [1.0, warped / q, warped**2], RATE)
    return scipy.signal.lfilter(numerator, denominator, audio.double().numpy())


def error_db(estimate: torch.Tensor, reference: np.ndarray) -> float:
    difference = estimate.double().numpy() - reference
    return 10.0 * math.log10(np.mean(difference**2) / np.mean(reference**2))


@pytest.mark.parametrize(("cutoff_hz", "q"), SETTINGS)
def test_the_block_filters_equal_a_float64_recursion_to_100_db(cutoff_hz: float, q: float) -> None:
    noise = torch.randn(2, 5000, generator=generator(0, "filter test"))
    cutoff, quality = torch.full((2,), cutoff_hz), torch.full((2,), q)
    reference = recursion(noise, cutoff_hz, q)
    assert error_db(lowpass(noise, cutoff, quality, RATE), reference) < -100.0
    blocks = -(-5000 // SWEPT_BLOCK)
    assert (
        error_db(swept_filter(noise, cutoff[:, None].expand(-1, blocks), quality, RATE), reference) < -100.0
    )


def test_a_moving_cutoff_equals_the_recursion_whose_coefficients_change_between_blocks() -> None:
    noise = torch.randn(1, 640, generator=generator(1, "filter test"))
    cutoff = torch.linspace(200.0, 6000.0, 20)[None]
    filtered = swept_filter(noise, cutoff, torch.tensor([4.0]), RATE)
    state = np.zeros(2)
    reference = []
    for index, x in enumerate(noise[0].double().tolist()):
        if index % SWEPT_BLOCK == 0:
            f = resonant(cutoff[0, index // SWEPT_BLOCK].double(), torch.tensor(4.0).double(), RATE)
        reference.append(float(f.c1) * state[0] + float(f.c2) * state[1] + float(f.d) * x)
        state = np.array(
            [
                float(f.a11) * state[0] + float(f.a12) * state[1] + float(f.b1) * x,
                float(f.a21) * state[0] + float(f.a22) * state[1] + float(f.b2) * x,
            ]
        )
    assert error_db(filtered, np.array([reference])) < -100.0


@pytest.mark.parametrize("q", [0.5, 0.7071, 8.0])
def test_the_gain_at_the_cutoff_is_q_and_falls_12_db_per_octave_above(q: float) -> None:
    impulse = torch.zeros(1, 16_384)
    impulse[0, 0] = 1.0
    response = torch.fft.rfft(
        lowpass(impulse, torch.tensor([500.0]), torch.tensor([q]), RATE)[0].double()
    ).abs()
    assert float(response[500]) == pytest.approx(q, rel=0.01)
    assert float(response[1]) == pytest.approx(1.0, rel=0.01)
    slope_db = 20.0 * math.log10(float(response[2000] / response[4000]))
    assert slope_db == pytest.approx(14.0, abs=2.0)  # 12 dB, and more towards the zero at 8,192 Hz


def test_modes_pass_what_they_are_named_for() -> None:
    impulse = torch.zeros(3, 8192)
    impulse[:, 0] = 1.0
    blocks = torch.full((3, 8192 // SWEPT_BLOCK), 1000.0)
    heard = swept_filter(impulse, blocks, torch.full((3,), 2.0), RATE, torch.eye(3))
    response = torch.fft.rfft(heard.double()).abs()
    low, cutoff, high = response[:, 10], response[:, 500], response[:, 4000]
    assert low.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.03)
    assert cutoff.tolist() == pytest.approx([2.0, 2.0, 2.0], rel=0.02)
    assert high.tolist() == pytest.approx([0.0, 0.0, 1.0], abs=0.1)


def test_gradients_reach_audio_cutoff_and_quality_and_equal_finite_differences() -> None:
    torch.manual_seed(0)
    audio = torch.randn(1, 100)

    def energy(cutoff: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return lowpass(audio, cutoff, q, RATE).double().square().sum()

    cutoff, q = torch.tensor([900.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    slopes = torch.autograd.grad(energy(cutoff, q), (cutoff, q))
    cutoff, q = cutoff.detach(), q.detach()
    by_cutoff = (energy(torch.tensor([905.0]), q) - energy(torch.tensor([895.0]), q)) / 10.0
    by_q = (energy(cutoff, torch.tensor([2.02])) - energy(cutoff, torch.tensor([1.98]))) / 0.04
    assert float(slopes[0].detach()) == pytest.approx(float(by_cutoff), rel=0.01)
    assert float(slopes[1]) == pytest.approx(float(by_q), rel=0.01)
