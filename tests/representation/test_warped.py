"""Laws of the mel-warped representations alone; those of every entry are in test_catalog.py."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError, UserError
from retimbre.dsp import audiofile
from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.stft import StftSettings, istft, stft
from retimbre.representation.catalog import representation
from retimbre.representation.coordinates import InstantaneousFrequency, Polar
from retimbre.representation.warped import MelWarped

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTES = ("rhodes_g3", "electric_bass_c2", "french_horn_f3")
NAMES = ("mel-stft", "mel-if", "interns2020-mel-stft")


def notes():
    sounds = [audiofile.read(EXAMPLES / f"{name}.flac", max_seconds=1.0).samples for name in NOTES]
    return torch.stack(sounds).double()


def noise():
    return 0.1 * torch.randn(2, 16_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def snr_db(audio, again):
    return 10 * torch.log10(audio.square().sum(1) / (again - audio).square().sum(1))


def round_trip(chosen, audio):
    return chosen.decode(chosen.encode(audio), num_samples=audio.shape[1])


@pytest.mark.parametrize("name", NAMES)
def test_notes_come_back_with_a_relative_error_below_three_tenths(name):
    # The bound that the earlier program tested its own with.
    audio = notes()
    error = (round_trip(representation(name, 16_000), audio) - audio).norm(dim=1) / audio.norm(dim=1)
    assert float(error.max()) < 0.3


@pytest.mark.parametrize("name", ["mel-stft", "mel-if"])
def test_notes_keep_35_db_and_even_white_noise_15(name):
    chosen = representation(name, 16_000)
    assert float(snr_db(notes(), round_trip(chosen, notes())).min()) > 35.0
    assert float(snr_db(noise(), round_trip(chosen, noise())).min()) > 15.0


def test_instantaneous_frequency_loses_no_more_than_the_warping():
    chosen = representation("mel-if", 16_000)
    plain = dataclasses.replace(chosen, coordinates=MelWarped().coordinates)
    torch.testing.assert_close(round_trip(chosen, notes()), round_trip(plain, notes()), atol=1e-9, rtol=0)


def test_warping_the_spectrum_keeps_20_db_more_than_warping_power_and_phase_as_gansynth_does():
    audio, settings = notes(), StftSettings(2048, 512)
    spectrum = stft(audio, settings)
    turns = torch.remainder(spectrum.angle().diff(dim=-1) + math.pi, 2 * math.pi) - math.pi
    unwrapped = torch.cat([spectrum.angle()[..., :1], turns], dim=-1).cumsum(-1)
    bands = mel_filterbank(16_000, 2048, 1024, like=audio)
    bands = bands / bands.amax(dim=1, keepdim=True).clamp_min(1e-9)
    back = torch.linalg.pinv(bands, rtol=1e-3)
    power = (back @ (bands @ spectrum.abs().square())).clamp_min(0.0)
    theirs = istft(torch.polar(power.sqrt(), back @ (bands @ unwrapped)), settings, num_samples=16_000)
    ours = round_trip(representation("mel-if", 16_000), audio)
    assert float(snr_db(audio, ours).mean() - snr_db(audio, theirs).mean()) > 20.0


def test_with_bands_enough_decoding_is_exact_and_says_so():
    chosen = MelWarped(n_fft=512, hop_length=128, n_mels=1024)
    assert chosen.exact
    assert float(snr_db(noise(), round_trip(chosen, noise())).min()) > 280.0
    assert not MelWarped().exact


def test_generated_features_go_back_to_audio_along_the_axes_that_analysis_used():
    # A note made of features alone, a tone in one band, sounds at the pitch of that band and nowhere else.
    chosen = representation("mel-stft", 16_000)
    second = torch.arange(16_000, dtype=torch.float64) / 16_000
    features = chosen.encode(torch.sin(2 * math.pi * 1000.0 * second)[None])
    loudest = features.square().sum(dim=(0, 1, 3)).argmax()
    alone = torch.zeros_like(features)
    alone[:, :, loudest - 3 : loudest + 4] = features[:, :, loudest - 3 : loudest + 4]
    spectrum = torch.fft.rfft(chosen.decode(alone, num_samples=16_000)).abs()[0]
    assert abs(int(spectrum.argmax()) - 1000) <= 2  # Hz


def test_a_steady_tone_turns_by_the_same_angle_in_every_frame():
    second = torch.arange(16_000, dtype=torch.float64) / 16_000
    features = representation("mel-if", 16_000).encode(torch.sin(2 * math.pi * 440.0 * second)[None])
    band = features[0, 0, :, 10].argmax()
    turns = features[0, 1, band, 3:-3]
    assert float(turns.abs().max()) <= 1.0
    assert float(turns.max() - turns.min()) < 1e-3  # of pi; what leaks from the negative frequency


def test_the_earlier_program_s_mel_spectrogram_is_reproduced():
    # Its definition in plain tensors: Hamming frames of 512 from every 128th sample on, without the Nyquist bin.
    audio = noise()
    chosen = representation("interns2020-mel-stft", 16_000)
    padded = torch.nn.functional.pad(audio, (0, 124 * 128 + 512 - 16_000))
    window = torch.hamming_window(512, dtype=torch.float64)
    bins = torch.fft.rfft(padded.unfold(-1, 512, 128) * window)[..., :-1]
    edges = 1127.0 * math.log1p(8000 / 700) * torch.arange(258, dtype=torch.float64) / 257
    hertz = torch.linspace(0, 8000, 256, dtype=torch.float64)[1:]
    mel = 1127.0 * torch.log1p(hertz / 700)[:, None]
    slopes = torch.minimum(
        (mel - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    )
    weights = torch.cat([torch.zeros(1, 256, dtype=torch.float64), slopes.clamp_min(0)])
    expected = torch.stack([bins.real @ weights, bins.imag @ weights], dim=1).mT
    assert expected.shape == (2, 2, 256, 125)
    torch.testing.assert_close(chosen.encode(audio), expected, atol=1e-6, rtol=1e-4)


def test_what_lies_at_0_hz_and_at_half_the_rate_is_kept_and_where_it_is_lost_it_is_silent():
    # The earlier program dropped both without a word; its entry still does, and loses nothing else by it.
    sample = torch.arange(16_000, dtype=torch.float64)
    note = torch.sin(2 * math.pi * 440.0 / 16_000 * sample)[None]
    for edge in (torch.full((1, 16_000), 0.5, dtype=torch.float64), 0.5 * (-1.0) ** sample[None]):
        kept = round_trip(representation("mel-stft", 16_000), note + edge)
        lost = round_trip(representation("interns2020-mel-stft", 16_000), note + edge)
        assert float(snr_db(note + edge, kept)) > 20.0
        inner = slice(600, -600)  # the edges of the clip are not steady
        assert float(snr_db(note[:, inner], lost[:, inner])) > float(
            snr_db(note[:, inner], (note + edge)[:, inner])
        )


def test_coordinates_and_bands_can_be_set():
    chosen = representation("mel-stft", 16_000, {"n_mels": 100})
    assert chosen.encode(noise()).shape == (2, 2, 100, 63)
    assert MelWarped(coordinates=Polar()).identity() != MelWarped().identity()
    assert MelWarped(coordinates=InstantaneousFrequency()).encode(noise()).shape == (2, 2, 512, 63)


def test_what_makes_no_sense_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="uncovered"):
        MelWarped(hop_length=2000)
    with pytest.raises(UserError, match="2 channels and 512 bands are needed, got 2 and 513"):
        MelWarped().decode(torch.zeros(1, 2, 513, 4), num_samples=100)
