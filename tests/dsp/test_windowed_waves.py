"""Cosines and sines under a window: unit energy, and two maps that are each other's transpose."""

import math

import pytest
import torch

from retimbre.core.random import generator
from retimbre.dsp.windowed_waves import correlate_waves, sum_waves, zone_edges


def drawn(*shape: int, name: str = "waves") -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, name, *shape), dtype=torch.float64)


def sine_windows(zones: int, num_bands: int) -> torch.Tensor:
    place = (torch.arange(2 * num_bands, dtype=torch.float64) + 0.5) / (2 * num_bands)
    return torch.nn.functional.normalize(torch.sin(math.pi * place).repeat(zones, 1), dim=1)


@pytest.mark.parametrize(("num_bands", "shares"), [(16, ()), (64, (0.25,)), (32, (0.1, 0.5))])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_adding_waves_up_is_the_transpose_of_asking_how_much_of_each_there_is(
    num_bands: int, shares: tuple[float, ...], frames: int
) -> None:
    windows = drawn(len(shares) + 1, 2 * num_bands)
    edges = zone_edges(shares, num_bands)
    audio = drawn(2, frames * num_bands)
    there = correlate_waves(audio, windows, edges)
    amounts = torch.complex(drawn(*there.shape), drawn(*there.shape, name="imaginary"))
    back = sum_waves(amounts, windows, edges)
    left = (torch.view_as_real(there) * torch.view_as_real(amounts)).sum()
    # Rounding of float64 over a few thousand products.
    torch.testing.assert_close(left, (audio * back).sum(), rtol=1e-10, atol=1e-9)


def test_a_wave_has_unit_energy_under_a_window_of_unit_energy() -> None:
    windows, edges = sine_windows(1, 64), zone_edges((), 64)
    amounts = torch.zeros(64, 4, 64, dtype=torch.complex128)
    amounts[torch.arange(64), 1, torch.arange(64)] = 1.0
    energy = sum_waves(amounts, windows, edges).square().sum(1)
    # The first waves are no longer short against the window, of which they see the slope: 5 %.
    torch.testing.assert_close(energy[3:], torch.ones(61, dtype=torch.float64), atol=0.05, rtol=0)


def test_a_tone_at_a_band_is_found_at_that_band_and_in_its_zone() -> None:
    num_bands, band = 64, 20
    tone = torch.cos(math.pi / num_bands * band * torch.arange(8 * num_bands, dtype=torch.float64))[None]
    windows = sine_windows(2, num_bands)
    windows[0] = 0.0  # the lower zone hears nothing
    there = correlate_waves(tone, windows, zone_edges((0.25,), num_bands))[0, 2]
    assert int(there.abs().argmax()) == band
    assert float(there[:16].abs().max()) == 0.0


def test_time_is_a_loop() -> None:
    windows, edges = sine_windows(1, 32), zone_edges((), 32)
    audio = drawn(1, 32 * 6)
    turned = correlate_waves(audio.roll(32, 1), windows, edges)
    torch.testing.assert_close(turned, correlate_waves(audio, windows, edges).roll(1, 1))
