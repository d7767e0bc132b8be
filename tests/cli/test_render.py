import json
import math

import mido
import pytest

from retimbre.dsp import audiofile
from retimbre.dsp.pitch import note_pitch


def test_knobs_note_and_length_reach_the_sound_and_its_patch(run, tmp_path):
    words = [
        "render",
        "--synth",
        "fm",
        "--set",
        "C=783.991",
        "--set",
        "M=12.6",
        "--pitch",
        220,
        "--velocity",
        0.5,
    ]
    words += ["--gate", 0.2, "--seconds", 0.1, "--sample-rate", 8000, "--seed", 3, "--gain", -6]
    status, out, _ = run(*words, "--out", tmp_path / "a.wav", "--save-patch", tmp_path / "a.json", "--json")
    result = json.loads(out)
    assert (status, result["num_samples"]) == (0, 800)
    patch = json.loads((tmp_path / "a.json").read_text())
    assert patch == result["patch"]
    assert patch["note"] == {"pitch_hz": 220.0, "velocity": 0.5, "gate_s": 0.2, "noise_seed": 3}
    assert (patch["knobs"]["C"], patch["knobs"]["M"], patch["gain_db"]) == (783.991, 12.6, -6.0)
    assert audiofile.read(tmp_path / "a.wav").sample_rate == 8000


def test_a_patch_file_plays_as_it_was_saved_and_can_be_changed(run, tmp_path):
    first = [
        "--seconds",
        0.1,
        "--set",
        "M=3",
        "--out",
        tmp_path / "a.wav",
        "--save-patch",
        tmp_path / "a.json",
    ]
    run("render", "--synth", "fm", *first)
    run("render", "--patch", tmp_path / "a.json", "--out", tmp_path / "b.wav")
    run(
        "render",
        "--patch",
        tmp_path / "a.json",
        "--set",
        "M=9",
        "--curve",
        "C=440,880",
        "--out",
        tmp_path / "c.wav",
    )
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--synth NAME or --patch FILE"),
        (["--synth", "fmm"], "did you mean 'fm'"),
        (["--synth", "fm", "--set", "CC=1"], "did you mean 'C'"),
        (["--synth", "fm", "--set", "M=31"], "M is 31, but takes 1 to 30 Hz"),
        (["--synth", "fm", "--pitch", "0"], "pitch is 0 Hz"),
        (["--synth", "fm", "--seconds", "nan"], "seconds is nan"),
        (["--synth", "fm", "--seconds", "1e9"], "seconds is 1e+09"),
        (["--patch", "missing.json"], "missing.json"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_status_2(run, tmp_path, words, said):
    status, out, err = run("render", *words, "--out", tmp_path / "a.wav")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_patch_for_another_synthesizer_is_refused(run, tmp_path):
    run("render", "--synth", "fm", "--out", tmp_path / "a.wav", "--save-patch", tmp_path / "a.json")
    status, _, err = run(
        "render", "--synth", "fm4", "--patch", tmp_path / "a.json", "--out", tmp_path / "b.wav"
    )
    assert (status, "is a patch for 'fm'" in err) == (2, True)


def test_loud_sounds_are_written_and_said_in_one_line(run, tmp_path):
    status, _, err = run("render", "--synth", "fm", "--gain", 12, "--out", tmp_path / "a.wav")
    assert (status, err.count("\n")) == (0, 1)
    assert "players clip" in err


def write_scale(path):
    """Three keys of half a second each, and one drum."""
    file, track = mido.MidiFile(), mido.MidiTrack()
    file.tracks.append(track)
    for number, channel in ((60, 0), (64, 0), (38, 9), (67, 0)):
        track.append(mido.Message("note_on", note=number, velocity=100, channel=channel))
        track.append(mido.Message("note_off", note=number, channel=channel, time=480))
    file.save(path)
    return path


def test_a_melody_is_played_in_tune_at_its_times_and_what_is_left_out_is_said(run, tmp_path):
    midi = write_scale(tmp_path / "a.mid")
    knobs = ["--set", "D=0", "--set", "attack=0", "--set", "release=0.05", "--set", "decay=0.3"]
    words = ["render", "--synth", "fm", *knobs, "--melody", midi, "--out", tmp_path / "a.wav", "--json"]
    status, out, err = run(*words)
    result = json.loads(out)
    assert (status, result["melody"]["notes"]) == (0, 3)
    assert "left out: 1 note on channel 10" in err
    sound = audiofile.read(tmp_path / "a.wav")
    assert len(sound.samples) == result["num_samples"]
    assert float(sound.samples.abs().max()) == pytest.approx(0.7, abs=1e-6)
    for onset_s, number in ((0.0, 60), (0.5, 64), (1.5, 67)):
        start = round(onset_s * sound.sample_rate)
        heard = note_pitch(sound.samples[start : start + sound.sample_rate // 4], sound.sample_rate)
        cents = 1_200 * math.log2(heard.pitch_hz / 440.0) - 100 * (number - 69)
        assert abs(cents) < 5


def test_a_melody_can_be_cut_or_padded_to_a_length(run, tmp_path):
    midi = write_scale(tmp_path / "a.mid")
    for seconds in (0.7, 5.0):
        out = tmp_path / f"{seconds}.wav"
        assert run("render", "--synth", "fm", "--melody", midi, "--seconds", seconds, "--out", out)[0] == 0
        assert audiofile.read(out).seconds == pytest.approx(seconds, abs=1e-4)
    assert float(audiofile.read(tmp_path / "0.7.wav").samples[-1].abs()) < 1e-6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--melody", "missing.mid"], "missing.mid: cannot be read"),
        (["--melody", "words.mid"], "words.mid: not a MIDI file"),
        (["--melody", "empty.mid"], "empty.mid: an empty file"),
        (["--melody", "."], "cannot be read"),
        (["--melody", "a.mid", "--pitch", "220"], "--pitch cannot be set beside --melody"),
        (["--melody", "a.mid", "--gate", "1", "--gain", "3"], "--gate and --gain cannot be set"),
        (["--melody", "a.mid", "--seconds", "-1"], "seconds is -1"),
        (["--melody", "a.mid", "--seconds", "nan"], "seconds is nan"),
        (["--melody", "a.mid", "--set", "M=31"], "M is 31, but takes 1 to 30 Hz"),
        (["--melody", "a.mid", "--sample-rate", "100"], "sample rate is 100 Hz"),
    ],
)
def test_a_melody_that_cannot_be_played_is_one_line_and_nothing_is_written(
    run, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    write_scale(tmp_path / "a.mid")
    (tmp_path / "words.mid").write_text("do re mi")
    (tmp_path / "empty.mid").touch()
    before = sorted(tmp_path.iterdir())
    status, out, err = run("render", "--synth", "fm", *words, "--out", "out.wav")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert sorted(tmp_path.iterdir()) == before
