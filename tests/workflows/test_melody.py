"""Laws of melodies from end to end: what of a file is played, and what a match does with it."""

import dataclasses
import json
import math

import mido
import pytest
import torch

from retimbre.core.errors import MidiError
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.dsp.pitch import YinSettings, note_pitch, yin
from retimbre.matching.audition import Budget
from retimbre.matching.target import TargetSettings
from retimbre.matching.tuning import measure_tuning
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import load_patch
from retimbre.workflows.match.batch import match
from retimbre.workflows.match.sound import MatchOptions
from retimbre.workflows.melody import play, read_melody
from retimbre.workflows.render import default_patch, render, render_midi

RATE = 16_384


def write_midi(path, notes, ticks_per_beat=480):
    """Notes as (beat, beats, number, channel), at 120 beats a minute."""
    events = []
    for beat, beats, number, channel in notes:
        events.append((beat, mido.Message("note_on", note=number, velocity=127, channel=channel)))
        events.append((beat + beats, mido.Message("note_off", note=number, channel=channel)))
    file, track, now = mido.MidiFile(ticks_per_beat=ticks_per_beat), mido.MidiTrack(), 0
    for beat, message in sorted(events, key=lambda event: event[0]):
        tick = round(beat * ticks_per_beat)
        track.append(message.copy(time=tick - now))
        now = tick
    file.tracks.append(track)
    file.save(path)
    return path


def cents(pitch_hz, number):
    return 1_200 * math.log2(pitch_hz / 440.0) - 100 * (number - 69)


def test_drums_and_pitches_that_the_rate_cannot_hold_are_left_out_and_said(tmp_path):
    path = write_midi(tmp_path / "a.mid", [(0, 1, 60, 0), (0, 1, 38, 9), (1, 1, 127, 0), (1, 1, 126, 0)])
    melody = read_melody(path, RATE)
    assert [note.number for note in melody.notes] == [60]
    assert melody.remarks == (
        "left out: 1 note on channel 10, which is for drums",
        "left out: 2 notes at or above half the sample rate, 8192 Hz",
    )
    assert len(read_melody(path, 44_100).notes) == 3


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ([(0, 1, 38, 9)], "nothing to play: 1 note on channel 10"),
        ([(0, 1, 127, 0)], "nothing to play: 1 note at or above half the sample rate"),
        ([(60_000, 1, 60, 0)], "lasts 500 minutes, but at 16384 Hz takes at most 273"),
    ],
)
def test_a_file_without_anything_to_play_is_refused(tmp_path, notes, said):
    with pytest.raises(MidiError, match=said):
        read_melody(write_midi(tmp_path / "a.mid", notes), RATE)


def test_a_key_that_hangs_is_let_go_after_a_minute_and_said(tmp_path):
    melody = read_melody(write_midi(tmp_path / "a.mid", [(0, 600, 60, 0)]), RATE)
    assert melody.remarks == ("1 note held for more than 60 s, released after that",)
    patch = default_patch("two-sine")
    assert len(play(melody, patch, measure_tuning(patch)).samples) == 60 * RATE


def test_a_patch_without_pitch_plays_its_keys_as_they_are_and_says_so(tmp_path):
    path = write_midi(tmp_path / "a.mid", [(0, 1, 60, 0)])
    patch = default_patch("subtractive")
    rendered = render_midi(dataclasses.replace(patch, knobs={**patch.knobs, "noise": 1.0}), path)
    assert rendered.remarks == ("the patch has no clear pitch, so keys are played untuned",)


def test_an_hour_of_thousands_of_notes_is_played(tmp_path):
    notes = [(1.2 * step, 0.25, 48 + step % 24, 0) for step in range(6_000)]
    path = write_midi(tmp_path / "long.mid", notes)
    patch = dataclasses.replace(default_patch("fm"), sample_rate=2_000)
    rendered = render_midi(patch, path)
    assert len(rendered.samples) / 2_000 == pytest.approx(3_600, rel=0.01)
    assert float(peak(rendered.samples)) == pytest.approx(0.7, abs=1e-6)


def test_a_melody_written_is_the_melody_played(tmp_path):
    path = write_midi(tmp_path / "a.mid", [(0.5, 1, 60, 0), (1.5, 1, 64, 0)])
    rendered = render_midi(default_patch("fm2op"), path, tmp_path / "a.wav", patch_out=tmp_path / "a.json")
    assert torch.equal(audiofile.read(tmp_path / "a.wav").samples, rendered.samples)
    assert load_patch(tmp_path / "a.json") == default_patch("fm2op")
    again = render_midi(tmp_path / "a.json", path)
    assert torch.equal(again.samples, rendered.samples)


def test_a_matched_sound_plays_a_scale_in_tune_in_the_folder_the_table_and_the_report(tmp_path):
    # A tone that the candidates can only come near to, 30 cents off any key.
    frequency_hz = 440.0 * 2 ** (0.3 / 12)
    patch = default_patch("fm2op")
    note = dataclasses.replace(patch.note, pitch_hz=frequency_hz)
    render(dataclasses.replace(patch, note=note), tmp_path / "tone.wav")
    numbers = (48, 55, 60, 64, 67, 72, 79)
    midi = write_midi(
        tmp_path / "scale.mid", [(8 * step, 2, number, 0) for step, number in enumerate(numbers)]
    )
    options = MatchOptions(
        synth="fm2op",
        candidates=2,
        budget=Budget(evaluations=40),
        melody=read_melody(midi, SYNTHS["fm2op"].sample_rate),
    )
    folder = match(tmp_path / "tone.wav", tmp_path / "out", options).results[0].folder
    table = json.loads((folder / "match.json").read_text())
    assert (table["melody"]["file"], table["melody"]["notes"]) == ("melody.wav", len(numbers))
    assert "melody" in table["seconds"]
    page = (folder / "report.html").read_text()
    assert "<bdi>Melody</bdi>" in page
    assert "./melody.wav" in page
    sound = audiofile.read(folder / "melody.wav")
    for step, number in enumerate(numbers):
        start = 4 * step * sound.sample_rate
        heard = note_pitch(sound.samples[start : start + sound.sample_rate], sound.sample_rate)
        assert abs(cents(heard.pitch_hz, number)) < 5


@pytest.mark.parametrize("given_hz", [110.0, 880.0])
def test_the_pitch_that_the_user_gives_is_the_pitch_that_the_melody_is_tuned_to(tmp_path, given_hz):
    render(default_patch("two-sine"), tmp_path / "tone.wav")
    options = MatchOptions(
        synth="fm",
        candidates=1,
        budget=Budget(evaluations=0),
        target=TargetSettings(pitch_hz=given_hz),
        melody=read_melody(write_midi(tmp_path / "a.mid", [(0, 2, 57, 0)]), RATE),
    )
    tuned = match(tmp_path / "tone.wav", tmp_path / "out", options).results[0].table["melody"]["tuning"]
    # Up to fifty cents beside it may be the fine tuning of the patch.
    assert abs(1_200 * math.log2(tuned["pitch_hz"] / given_hz)) <= 50


def test_a_match_without_melody_writes_and_says_nothing_of_one(tmp_path):
    render(default_patch("two-sine"), tmp_path / "tone.wav")
    options = MatchOptions(synth="two-sine", candidates=1, budget=Budget(evaluations=0))
    result = match(tmp_path / "tone.wav", tmp_path / "out", options).results[0]
    assert "melody" not in result.table
    assert not (result.folder / "melody.wav").exists()
    assert "<bdi>Melody</bdi>" not in (result.folder / "report.html").read_text()


def settled_hz(samples, sample_rate):
    """The median pitch of the second half of a note: after bends, and over whole swings of a vibrato."""
    track = yin(
        samples[len(samples) // 2 :][None], sample_rate, YinSettings(lowest_hz=60.0, highest_hz=1_200.0)
    )
    return float(track.f0_hz.median())


@pytest.mark.slow  # a search of some seconds
def test_a_matched_recording_plays_a_scale_in_tune(tmp_path, pytestconfig):
    numbers = (43, 48, 55, 60, 64, 67, 72)
    midi = write_midi(
        tmp_path / "scale.mid", [(10 * step, 2, number, 0) for step, number in enumerate(numbers)]
    )
    options = MatchOptions(
        synth="subtractive",
        candidates=1,
        budget=Budget(evaluations=400),
        melody=read_melody(midi, SYNTHS["subtractive"].sample_rate),
    )
    recording = pytestconfig.rootpath / "examples" / "rhodes_g3.flac"
    folder = match(recording, tmp_path / "out", options).results[0].folder
    sound = audiofile.read(folder / "melody.wav")
    for step, number in enumerate(numbers):
        start = 5 * step * sound.sample_rate
        heard_hz = settled_hz(sound.samples[start : start + sound.sample_rate], sound.sample_rate)
        assert abs(cents(heard_hz, number)) < 5
