"""Phaseless representations: what they compute, and that their estimates are estimates of the right sound."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError, UserError
from retimbre.core.random import generator
from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.representation.catalog import representation
from retimbre.representation.magnitudes import Magnitude
from retimbre.representation.mel import Mel, Mfcc, spread_bands

GOLDENS = json.loads((Path(__file__).parents[1] / "golden" / "phase.json").read_text(encoding="utf-8"))
PHASELESS = ["mag", "mel", "mfcc", "interns2020-mag", "sony2020-mel", "sony2020-mfcc"]


def golden_sound() -> torch.Tensor:
    second = torch.arange(6000, dtype=torch.float64) / 16_000
    tone = sum(torch.sin(2 * math.pi * 196.0 * k * second) / k for k in range(1, 30))
    hum = sum(torch.sin(2 * math.pi * 61.7 * k * second + k * k) for k in range(1, 129))
    return (0.2 * tone * torch.exp(-6.0 * second) + 0.002 * hum)[None]


def tone(frequency_hz: float, num_samples: int = 8000) -> torch.Tensor:
    second = torch.arange(num_samples) / 16_000
    return (0.3 * torch.sin(2 * math.pi * frequency_hz * second) * torch.exp(-4.0 * second))[None]


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_mel_power_is_that_of_librosa(pad_mode: str) -> None:
    found = Mel(pad_mode=pad_mode, log=False).encode(golden_sound())[0, 0]
    expected = torch.tensor(GOLDENS[pad_mode]["mel"], dtype=torch.float64)
    # librosa keeps its triangles in float32.
    torch.testing.assert_close(found[::7, ::5], expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_cepstra_are_those_of_librosa(pad_mode: str) -> None:
    found = Mfcc(pad_mode=pad_mode).encode(golden_sound())[0, 0]
    expected = torch.tensor(GOLDENS[pad_mode]["mfcc"], dtype=torch.float64)
    # Decibels of float32 triangles; a coefficient may pass through zero.
    torch.testing.assert_close(found[:, ::5], expected, rtol=1e-4, atol=1e-4)


def test_the_earlier_program_s_magnitude_is_256_bins_of_128_frames_under_a_hamming_window() -> None:
    audio = 0.1 * torch.randn(1, 16_384, generator=generator(0, "magnitudes"))
    features = representation("interns2020-mag", 16_000).encode(audio)
    assert features.shape == (1, 1, 256, 128)
    frame = audio[0, 1280:1792] * torch.hamming_window(512)
    expected = torch.log(torch.fft.rfft(frame).abs()[:256] + 1e-6)
    torch.testing.assert_close(features[0, 0, :, 10], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", PHASELESS)
@pytest.mark.parametrize("frequency_hz", [220.0, 1000.0])
def test_a_tone_comes_back_at_its_frequency(name: str, frequency_hz: float) -> None:
    chosen = representation(name, 16_000)
    audio = tone(frequency_hz)
    back = chosen.decode(chosen.encode(audio), num_samples=8000)
    spectra = [torch.fft.rfft(each * torch.hann_window(8000)).abs() for each in (audio[0], back[0])]
    # A bin is 2 Hz. A mel band is some 30 Hz wide at 220 Hz and 45 at 1 kHz; 20 cepstra smooth over a dozen bands.
    width_hz = {"mag": 4.0, "interns2020-mag": 4.0, "mel": 60.0, "sony2020-mel": 60.0}.get(name, 400.0)
    distance_hz = 2.0 * abs(int(spectra[0].argmax()) - int(spectra[1].argmax()))
    assert distance_hz <= width_hz


@pytest.mark.parametrize("name", PHASELESS)
def test_the_features_of_the_estimate_are_near_the_features_asked_for(name: str) -> None:
    chosen = representation(name, 16_000)
    audio = tone(440.0) + tone(700.0) + 0.01 * torch.randn(1, 8000, generator=generator(1, "magnitudes"))
    features = chosen.encode(audio)
    back = chosen.encode(chosen.decode(features, num_samples=8000))
    silence = chosen.encode(torch.zeros_like(audio))
    # Of the way from silence to the sound, at most a third is missing: cells of noise stay wrong by some decibels.
    assert (back - features).norm() <= 0.34 * (silence - features).norm()


@pytest.mark.parametrize("edges", ["no-dc", "no-nyquist"])
def test_a_dropped_edge_loses_its_own_bin_and_no_more(edges: str) -> None:
    # Trap 22: the energy that goes is that of one bin, and a tone in the middle keeps all of its own.
    lost = torch.ones(1, 8000) if edges == "no-dc" else torch.cos(math.pi * torch.arange(8000.0))[None]
    chosen = Magnitude(edges=edges)
    kept = chosen.decode(chosen.encode(tone(1000.0)), num_samples=8000)
    assert float(kept.square().sum() / tone(1000.0).square().sum()) == pytest.approx(1.0, abs=0.05)
    assert float(chosen.decode(chosen.encode(0.1 * lost), num_samples=8000).square().mean()) < 0.35 * 0.01
    assert float(
        Magnitude().decode(Magnitude().encode(0.1 * lost), num_samples=8000).square().mean()
    ) == pytest.approx(0.01, rel=0.1)


def test_the_spread_of_bands_is_not_negative_and_has_the_bands() -> None:
    bands = mel_filterbank(16_000, 1024, 128, like=torch.zeros(()))
    given = bands @ magnitude(tone(440.0) + tone(3000.0), StftSettings()).square()
    found = spread_bands(given, bands)
    assert bool((found >= 0.0).all())
    # A pseudo-inverse without its negative parts alone misses the bands by several times as much.
    clamped = torch.linalg.pinv(bands) @ given
    error, naive = ((bands @ each - given).norm() / given.norm() for each in (found, clamped.clamp_min(0.0)))
    assert error <= 0.03
    assert error < naive


def test_more_iterations_and_projections_come_nearer() -> None:
    audio = tone(440.0) + tone(700.0)
    for settings in ({"phase": "griffin-lim", "iterations": 4}, {"phase": "pghi", "projections": 0}):
        few = Magnitude(**settings)
        more = dataclasses.replace(few, iterations=64, projections=16)
        errors = [
            (each.encode(each.decode(each.encode(audio), num_samples=8000)).exp() - each.encode(audio).exp())
            for each in (few, more)
        ]
        assert errors[1].norm() < errors[0].norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"phase": "magic"}, "phase must be 'pghi' or 'griffin-lim', got 'magic'"),
        ({"window": "rectangular"}, "window like a Gaussian"),
        ({"edges": "packed"}, "keeps the bins at 0 Hz and Nyquist as one phase"),
        ({"floor": 0.0}, "floor must be a positive number"),
        ({"projections": -1}, "projections must be at least 0"),
        ({"phase": "griffin-lim", "iterations": -1}, "iterations must be at least 0"),
    ],
)
def test_settings_that_cannot_be_decoded_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Magnitude(**settings)


def test_more_cepstra_than_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"1\.\.40 coefficients, got 41"):
        Mfcc(n_mels=40, n_mfcc=41)


@pytest.mark.parametrize("name", PHASELESS)
def test_features_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="1 channel and"):
        representation(name, 16_000).decode(torch.zeros(1, 2, 7, 9), num_samples=100)
