"""The command `retimbre generate envelope`."""

import json
from pathlib import Path

import pytest
from small_envelopes import envelope_file
from small_generators import generator_file

SOUND = Path(__file__).resolve().parents[2] / "examples/kick_808.flac"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return envelope_file(tmp_path_factory.mktemp("run") / "model.safetensors", exact=True)


def test_it_writes_a_sound_and_a_picture_and_prints_what_it_wrote(run, model, tmp_path):
    words = ["generate", "envelope", model, SOUND, "--attack", ".4", "--decay", "0", "--sustain", ".4"]
    words += ["--release", ".4", "--device", "cpu", "--out", tmp_path / "out"]
    status, out, error = run(*words, "--json")
    assert status == 0, error
    manifest = json.loads(out)
    assert manifest["envelope"] == {"attack": 0.4, "decay": 0.0, "sustain": 0.4, "release": 0.4}
    (entry,) = manifest["sounds"]
    assert (entry["file"], entry["picture"]) == ("kick_808.wav", "kick_808.png")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "generate.json",
        "kick_808.png",
        "kick_808.wav",
    ]
    status, out, error = run(*words)
    assert (status, out) == (2, "")
    assert "--force" in error
    status, out, _ = run(*words, "--force", "--no-pictures")
    assert status == 0
    assert "dB from the envelope" in out
    assert not (tmp_path / "out" / "kick_808.png").exists()


def test_a_curve_takes_the_place_of_the_stages(run, model, tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("0\n1\n0.25\n")
    words = [
        "generate",
        "envelope",
        model,
        SOUND,
        "--curve",
        curve,
        "--no-pictures",
        "--out",
        tmp_path / "out",
    ]
    status, out, error = run(*words, "--json")
    assert status == 0, error
    assert json.loads(out)["envelope"] == {"curve": str(curve)}
    status, _, error = run(*words, "--force", "--attack", "0.1")
    assert (status, error) == (2, "error: --curve takes the place of the stages; leave out --attack\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attack", "0.8", "--release", "0.4"], "0.8 + 0 + 0.4 = 1.2 of the sound; takes 1 at most"),
        (["--sustain", "1.5"], "sustain is 1.5; takes a number from 0 to 1"),
        (["--curve", "none.csv"], "none.csv: no such file"),
    ],
)
def test_an_envelope_that_is_none_is_one_line_and_status_2(run, model, tmp_path, words, message):
    status, out, error = run("generate", "envelope", model, SOUND, *words, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_some_bad_sounds_are_status_1_and_an_only_one_is_status_2(run, model, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    status, _, error = run(
        "generate", "envelope", model, SOUND, bad, "--no-pictures", "--out", tmp_path / "both"
    )
    assert status == 1
    assert "1 of 2 sounds failed" in error
    assert (tmp_path / "both" / "kick_808.wav").is_file()
    status, _, error = run("generate", "envelope", model, bad, "--out", tmp_path / "alone")
    assert status == 2
    assert error.count("\n") == 1


def test_models_that_put_no_envelope_on_sounds_are_refused(run, tmp_path):
    notes = generator_file(tmp_path / "notes.safetensors")
    status, _, error = run("generate", "envelope", notes, SOUND, "--out", tmp_path / "out")
    assert status == 2
    assert "puts no envelope on sounds" in error
    status, _, error = run("generate", "envelope", "nowhere", SOUND, "--out", tmp_path / "out")
    assert status == 2
    assert "there is no model 'nowhere'" in error


def test_a_generator_that_is_told_a_sound_is_refused_by_the_commands_that_have_none(run, model, tmp_path):
    status, _, error = run("generate", "random", model, "--out", tmp_path / "out")
    assert status == 2
    assert "retimbre generate envelope" in error
