"""Laws of melodies: onsets exact to the sample, pitches in tune, no clicks, one peak, and bounded work."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.dsp.pitch import note_pitch
from retimbre.synth import melody
from retimbre.synth.base import REFERENCE_PITCH_HZ
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.melody import MELODY_PEAK, KeyPress, render_melody
from retimbre.synth.patches import Patch, render_patch

# Patches of one plain tone each, at the pitch of the key where the pitch is the note's, else at A4's 440 Hz.
STEADY = {
    "two-sine": {"f1": 200.0, "a1": 1.0, "f2": 800.0, "a2": 0.5},
    "fm": {"C": 440.0, "D": 0.0, "attack": 0.0, "decay": 0.01, "sustain_level": 1.0, "sustain": 0.9},
    "fm4": {"f1": 440.0, "f2": 440.0, "f3": 440.0, "f4": 440.0},
    "inversynth": {"a": 0.001},
    "fm2op": {"ratio": 1.0},
    "wavetable": {},
    "subtractive": {"mix": 0.0},
}
# The pitch over the key.
OFFSET = {name: 200.0 / 440.0 if name == "two-sine" else 1.0 for name in STEADY}

PLUCK = {"wave1": "pulse", "attack": 0.001, "decay": 0.1, "sustain": 0.0, "release": 0.05, "noise": 0.3}


def patch_for(name, knobs=None, **changes):
    return Patch(name, dict(STEADY[name] if knobs is None else knobs), SYNTHS[name].sample_rate, **changes)


def by_hand(patch, press, num_samples):
    """One note, rendered alone and placed."""
    note = dataclasses.replace(
        patch.note, pitch_hz=press.pitch_hz, velocity=press.velocity, gate_s=press.gate_s
    )
    start = round(press.onset_s * patch.sample_rate)
    alone = dataclasses.replace(patch, note=note, seconds=(num_samples - start) / patch.sample_rate)
    return torch.cat([torch.zeros(start), render_patch(alone)])


def cents(pitch_hz, reference_hz):
    return 1_200 * math.log2(pitch_hz / reference_hz)


def strongest_hz(samples, sample_rate, near_hz):
    """The frequency of the strongest partial within a semitone: no autocorrelation, as YIN is one."""
    samples = samples.double().numpy()
    n_fft = 1 << 20  # a bin is 0.04 Hz at 44.1 kHz: under a cent from 65 Hz on
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n_fft))
    low, high = (round(near_hz * 2 ** (step / 12) * n_fft / sample_rate) for step in (-1, 1))
    return (low + int(spectrum[low:high].argmax())) * sample_rate / n_fft


@pytest.mark.parametrize("name", sorted(set(SYNTHS) - {"two-sine"}))
def test_a_melody_is_its_notes_rendered_alone_and_placed_at_their_samples(name):
    patch = patch_for(name)
    rate = patch.sample_rate
    presses = [  # times on a raster of samples, so that nothing but the placing is tested
        KeyPress(round(onset * rate) / rate, round(gate * rate) / rate, pitch_hz, velocity)
        for onset, gate, pitch_hz, velocity in [
            (0.1, 0.2, 220.0, 1.0),
            (0.15, 0.1, 330.0, 0.5),
            (0.4, 0.3, 220.0, 1.0),
            (0.4, 0.2, 440.0, 0.8),
        ]
    ]
    played = render_melody(patch, presses)
    expected = torch.stack([by_hand(patch, press, len(played)) for press in presses]).sum(0)
    expected *= MELODY_PEAK / expected.abs().max()
    # What is left out is each note's end under -80 dB; filters by FFT differ by rounding with the length.
    torch.testing.assert_close(played, expected, rtol=0, atol=1e-3)


def test_the_first_sample_that_sounds_is_the_onset_s_rounded_half_to_even():
    patch = patch_for("subtractive", PLUCK)
    rate = patch.sample_rate
    for onset_s in (0.0, 0.1234567, 1.0 / 3.0, 100.5 / rate, 101.5 / rate, 2.0):
        played = render_melody(patch, [KeyPress(onset_s, 0.1, 440.0, 1.0)])
        start = round(onset_s * rate)
        assert not played[:start].any()
        # An envelope is 0 at its first sample and rises from the second.
        assert int(torch.nonzero(played)[0]) in (start, start + 1)
    assert melody.onset_sample(100.5 / rate, rate) == 100
    assert melody.onset_sample(101.5 / rate, rate) == 102


@pytest.mark.parametrize("name", SYNTHS)
@pytest.mark.parametrize("number", [45, 57, 69, 81])
def test_every_voice_plays_its_pitch_over_the_keyboard(name, number):
    patch = patch_for(name)
    wanted_hz = REFERENCE_PITCH_HZ * 2 ** ((number - 69) / 12)
    played = render_melody(patch, [KeyPress(0.0, 0.8, wanted_hz / OFFSET[name], 1.0)])
    heard = played[: int(0.7 * patch.sample_rate)]
    # 5 cents are asked for; the peak of a decaying partial and YIN between samples are within 3 here.
    assert abs(cents(strongest_hz(heard, patch.sample_rate, wanted_hz), wanted_hz)) < 5
    assert abs(cents(note_pitch(heard, patch.sample_rate).pitch_hz, wanted_hz)) < 5


@pytest.mark.parametrize("name", SYNTHS)
def test_a_melody_peaks_at_seven_tenths_whatever_the_patch_s_gain(name):
    presses = [KeyPress(0.1 * step, 0.5, 220.0 * (1 + step / 4), 1.0) for step in range(4)]
    soft, loud = (render_melody(patch_for(name, gain_db=gain), presses) for gain in (-40.0, 40.0))
    assert torch.equal(soft, loud)
    assert float(soft.abs().max()) == pytest.approx(0.7, abs=1e-6)


def test_a_silent_patch_plays_silence():
    patch = patch_for("fm", {"attack": 1.0, "A": 1.0, "sustain": 0.0})
    assert not render_melody(patch, [KeyPress(0.0, 0.1, 440.0, 0.0)]).any()


def test_a_velocity_is_an_amplitude():
    patch = patch_for("subtractive", PLUCK)
    rate = patch.sample_rate
    played = render_melody(patch, [KeyPress(0.0, 0.1, 440.0, 1.0), KeyPress(1.0, 0.1, 440.0, 0.25)])
    torch.testing.assert_close(played[rate : rate + 4_000], 0.25 * played[:4_000], rtol=1e-5, atol=1e-6)


def test_notes_ring_through_their_release_and_then_the_sound_ends():
    patch = patch_for("subtractive", {"attack": 0.001, "sustain": 1.0, "release": 0.5, "mix": 0.0})
    played = render_melody(patch, [KeyPress(1.0, 0.25, 440.0, 1.0)])
    # Key-up at 1.25 s, silent 0.5 s later; the last 80 dB of an exponential that is bent to reach 0 are its very end.
    assert len(played) / patch.sample_rate == pytest.approx(1.75, abs=0.01)
    halfway = played[int(1.45 * patch.sample_rate) : int(1.55 * patch.sample_rate)]
    assert float(halfway.abs().max()) > 0.01


@pytest.mark.parametrize("name", SYNTHS)
def test_no_note_ends_with_a_click_and_one_that_dies_away_is_not_faded(name):
    patch = patch_for(name)
    played = render_melody(patch, [KeyPress(0.0, 0.4, 330.0, 1.0)])
    assert float(played[-3:].abs().max()) < 1e-3  # -57 dB of the peak, where an end is no step
    # The attack is as the voice makes it.
    alone = by_hand(patch, KeyPress(0.0, 0.4, 330.0, 1.0), len(played))
    start = slice(0, len(played) // 2)
    gain = float((played[start] @ alone[start]) / (alone[start] @ alone[start]))
    torch.testing.assert_close(played[start], gain * alone[start], rtol=0, atol=1e-4)


def test_a_voice_that_never_ends_stops_at_key_up():
    patch = patch_for("two-sine")
    played = render_melody(patch, [KeyPress(0.5, 0.25, 440.0, 1.0)])
    assert len(played) == round(0.75 * patch.sample_rate)
    assert float(played[-1].abs()) < 1e-6


def test_curves_run_over_the_patch_s_own_length_in_every_note():
    patch = patch_for("fm", {**STEADY["fm"], "C": (440.0, 880.0)}, seconds=0.5)
    rate = patch.sample_rate
    played = render_melody(patch, [KeyPress(0.0, 0.1, 440.0, 1.0), KeyPress(1.0, 2.0, 440.0, 1.0)])
    assert len(played) == rate + patch.num_samples
    torch.testing.assert_close(played[: patch.num_samples], played[rate:], rtol=0, atol=1e-4)
    halfway = strongest_hz(played[int(0.23 * rate) : int(0.27 * rate)], rate, 660.0)
    assert abs(cents(halfway, 660.0)) < 50  # as long as 40 ms of a glide tell


def test_equal_notes_are_rendered_once(monkeypatch):
    rendered = []
    original = SYNTHS["fm"].__class__.render

    def counting(self, knobs, note, *, num_samples):
        rendered.append(len(note.pitch_hz))
        return original(self, knobs, note, num_samples=num_samples)

    monkeypatch.setattr(SYNTHS["fm"].__class__, "render", counting)
    presses = [KeyPress(0.01 * step, 0.1, 220.0 + 10 * (step % 4), 1.0) for step in range(2_000)]
    render_melody(patch_for("fm"), presses)
    assert sum(rendered) <= 4 + 4  # four notes that differ, and at most four to hear how long they ring


def test_what_notes_sound_like_does_not_depend_on_how_they_are_batched(monkeypatch):
    patch = patch_for("subtractive", PLUCK)
    presses = [KeyPress(0.02 * step, 0.05 + 0.01 * step, 200.0 + step, 1.0) for step in range(12)]
    together = render_melody(patch, presses)
    monkeypatch.setattr(melody, "CHUNK_SAMPLES", 1)
    # -100 dB: matrix products of different sizes round differently.
    torch.testing.assert_close(render_melody(patch, presses), together, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("press", "said"),
    [
        (KeyPress(-0.1, 0.1, 440.0, 1.0), "onset_s"),
        (KeyPress(math.nan, 0.1, 440.0, 1.0), "onset_s"),
        (KeyPress(1e9, 0.1, 440.0, 1.0), "onset_s"),
        (KeyPress(0.0, 61.0, 440.0, 1.0), "gate_s"),
        (KeyPress(0.0, 0.1, 440.0, 1.5), "velocity"),
        (KeyPress(0.0, 0.1, 0.0, 1.0), "pitch_hz"),
        (KeyPress(0.0, 0.1, math.inf, 1.0), "pitch_hz"),
    ],
)
def test_a_note_that_cannot_be_is_refused_by_name(press, said):
    with pytest.raises(ConfigError, match=said):
        render_melody(patch_for("fm"), [press])


def test_a_melody_takes_a_note_and_ends_before_it_fills_the_memory():
    with pytest.raises(ConfigError, match="one note at least"):
        render_melody(patch_for("fm"), [])
    last_s = melody.MOST_SAMPLES / SYNTHS["fm"].sample_rate - 0.01
    with pytest.raises(ConfigError, match="minutes"):
        render_melody(patch_for("fm"), [KeyPress(last_s, 1.0, 440.0, 1.0)])
