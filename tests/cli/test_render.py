import json

import pytest

from retimbre.dsp import audiofile


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
