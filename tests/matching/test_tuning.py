"""Laws of tuning: the key that is pressed for a pitch makes that pitch sound."""

import dataclasses

import pytest

from retimbre.matching.tuning import measure_tuning
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import Patch, PatchNote

PLAIN = {"C": 600.0, "D": 0.0, "attack": 0.0, "decay": 0.01, "sustain_level": 1.0, "sustain": 0.9}


def patch_for(name, knobs, key_hz=440.0):
    synth = SYNTHS[name]
    note = PatchNote(pitch_hz=key_hz, gate_s=synth.default_gate_s)
    return Patch(name, knobs, synth.sample_rate, seconds=synth.default_seconds, note=note)


@pytest.mark.parametrize("name", ["fm2op", "wavetable", "subtractive"])
@pytest.mark.parametrize("key_hz", [55.0, 196.3, 440.0, 1_760.0])
def test_where_the_pitch_is_the_key_s_keys_stay_exactly_as_they_are(name, key_hz):
    tuning = measure_tuning(patch_for(name, {}, key_hz))
    assert (tuning.known, tuning.cents, tuning.key_over_pitch) == (True, 0.0, 1.0)


@pytest.mark.parametrize("key_hz", [110.0, 440.0])
def test_where_the_pitch_is_a_knob_the_key_is_its_ratio_to_the_reference(key_hz):
    tuning = measure_tuning(patch_for("fm", PLAIN, key_hz))
    assert tuning.pitch_hz == pytest.approx(600.0 * key_hz / 440.0, rel=1e-6)
    assert tuning.key_over_pitch == pytest.approx(440.0 / 600.0, rel=1e-6)


def test_an_oscillator_that_is_an_overtone_of_the_sound_is_not_its_pitch():
    knobs = {"f1": 400.0, "a1": 0.7, "f2": 1_200.0, "a2": 1.0}
    assert measure_tuning(patch_for("two-sine", knobs)).pitch_hz == pytest.approx(400.0, rel=1e-6)


def test_deep_modulation_has_the_pitch_of_its_carrier():
    knobs = {**PLAIN, "D": 0.5, "M": 12.6}
    assert measure_tuning(patch_for("fm", knobs)).pitch_hz == pytest.approx(600.0, rel=1e-6)


def test_a_curve_has_the_pitch_of_its_middle():
    knobs = {**PLAIN, "C": (500.0, 600.0, 700.0)}
    assert measure_tuning(patch_for("fm", knobs)).pitch_hz == pytest.approx(600.0, rel=1e-6)


@pytest.mark.parametrize(("interval", "cents"), [(-12.0, -1_200), (12.0, 1_200), (24.0, 2_400)])
def test_an_oscillator_that_stands_octaves_off_is_heard(interval, cents):
    knobs = {"mix": 1.0, "interval": interval, "detune": 0.0}
    # YIN errs by up to 2 cents at such pitches.
    assert measure_tuning(patch_for("subtractive", knobs)).cents == pytest.approx(cents, abs=2.5)


def test_vibrato_and_bends_do_not_untune_the_keys():
    wavering = {"vibrato": 20.0, "vibrato_rate": 4.4, "pitch_bend": 20.0, "bend_time": 0.07}
    assert measure_tuning(patch_for("subtractive", wavering)).cents == 0.0
    octave = measure_tuning(patch_for("subtractive", {**wavering, "mix": 1.0, "interval": 12.0}))
    assert octave.cents == pytest.approx(1_200.0, abs=1e-6)


def test_a_given_pitch_decides_on_the_octave_and_keeps_the_fine_tuning():
    patch = patch_for("subtractive", {"mix": 1.0, "interval": 0.0, "detune": 20.0})
    heard = measure_tuning(patch).cents
    assert heard == pytest.approx(20.0, abs=1.0)
    assert measure_tuning(patch, given_hz=221.0).cents == pytest.approx(heard - 1_200, abs=1e-6)


def test_a_given_pitch_holds_where_nothing_near_it_is_heard():
    assert measure_tuning(patch_for("fm2op", {}), given_hz=300.0).pitch_hz == pytest.approx(300.0, rel=1e-6)


def test_noise_has_no_pitch_but_that_of_the_recording_it_was_found_for():
    noise = patch_for("subtractive", {"noise": 1.0})
    tuning = measure_tuning(noise)
    assert (tuning.known, tuning.key_over_pitch) == (False, 1.0)
    found = measure_tuning(noise, detected_hz=220.0)
    assert found.known
    assert found.pitch_hz == 220.0


def test_what_is_heard_clearly_counts_more_than_what_was_detected_in_the_recording():
    assert measure_tuning(patch_for("fm2op", {}), detected_hz=300.0).cents == 0.0


@pytest.mark.parametrize("name", SYNTHS)
def test_every_voice_is_tuned_the_same_by_its_sound_at_every_length(name):
    patch = patch_for(name, {})
    short = measure_tuning(dataclasses.replace(patch, seconds=0.05))
    assert short.cents == pytest.approx(measure_tuning(patch).cents, abs=2.5)
