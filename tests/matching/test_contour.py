"""The contour is the pitch at each window's centre, and the key lets a voice's knobs reach it."""

import math

import pytest
import torch

from retimbre.matching.contour import Contour, hear_contour, key_for, semitones_beyond
from retimbre.matching.held import able_to_curve
from retimbre.synth.catalog import SYNTHS

RATE, WINDOW, HOP = 16_384, 16_384, 2_048
TRAVEL_SEMITONES = 15.0  # of the frequency knobs: A4 to C6


def glide(low_hz: float, high_hz: float, seconds: float) -> torch.Tensor:
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    frequency_hz = low_hz * (high_hz / low_hz) ** (time_s / seconds)
    return (0.4 * torch.sin(2 * math.pi * frequency_hz.cumsum(0) / RATE)).float()


@pytest.mark.parametrize(("low_hz", "high_hz"), [(110.0, 220.0), (880.0, 440.0), (1_000.0, 1_000.0)])
def test_a_contour_is_the_pitch_of_a_glide_at_the_windows_centres(low_hz: float, high_hz: float) -> None:
    contour = hear_contour(glide(low_hz, high_hz, 4.0), RATE, window=WINDOW, hop=HOP)
    centre_s = (torch.arange(len(contour.pitch_hz)) * HOP + WINDOW / 2) / RATE
    true_hz = low_hz * (high_hz / low_hz) ** (centre_s / 4.0)
    assert len(contour.pitch_hz) == 1 + (4 * RATE - WINDOW) // HOP
    # A tenth of a semitone: the median over three quarters of a second of a glide of an octave in four.
    assert float((12 * (contour.pitch_hz / true_hz).log2()).abs().max()) < 0.1


@pytest.mark.parametrize("name", able_to_curve())
def test_at_its_key_a_voice_reaches_every_contour_that_is_no_wider_than_its_knobs(name: str) -> None:
    for low_hz, semitones in ((60.0, 0.0), (110.0, 12.0), (300.0, 14.9)):
        contour = Contour(low_hz * 2.0 ** (torch.linspace(0.0, semitones, 50) / 12.0))
        key_hz = key_for(name, SYNTHS[name].space, contour)
        assert semitones_beyond(name, SYNTHS[name].space, contour, key_hz) == pytest.approx(0.0, abs=1e-3)


def test_a_wider_contour_is_centred_and_what_is_out_of_reach_is_told_in_semitones() -> None:
    contour = Contour(100.0 * 2.0 ** (torch.linspace(0.0, 25.0, 1_001) / 12.0))
    key_hz = key_for("fm", SYNTHS["fm"].space, contour)
    # 2 % at either end are left out, so 24 semitones count, of which half of what is beyond 15 lies at each end.
    wanted = 0.5 * (24.0 - TRAVEL_SEMITONES)
    assert semitones_beyond("fm", SYNTHS["fm"].space, contour, key_hz) == pytest.approx(wanted, abs=0.01)


def test_noise_has_no_contour_and_is_played_at_the_reference_key() -> None:
    noise = 0.1 * torch.randn(3 * RATE, generator=torch.Generator().manual_seed(0))
    contour = hear_contour(noise, RATE, window=WINDOW, hop=HOP)
    assert not contour.is_sure
    assert key_for("fm", SYNTHS["fm"].space, contour) == 440.0
    assert semitones_beyond("fm", SYNTHS["fm"].space, contour, 440.0) == 0.0
