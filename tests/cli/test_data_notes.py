import json

import pytest
from tiny_soundfont import write_tiny_soundfont

NOTES = ["data", "notes", "--seconds", "0.05", "--families", "organ,reed", "--instruments", "3"]


def test_notes_are_made_once_in_nsynth_s_layout_and_the_hash_is_printed(run, tmp_path):
    status, out, _ = run(*NOTES, "--size", 20, "--out", tmp_path / "notes", "--json")
    made = json.loads(out)
    assert (status, made["notes"], made["written"], len(made["hash"])) == (0, 20, 20, 64)
    assert set(made["census"]["families"]) == {"organ", "reed"}
    status, out, _ = run(*NOTES, "--size", 20, "--out", tmp_path / "notes")
    assert (status, "wrote 0 now, 20 were there" in out, f"hash {made['hash']}" in out) == (0, True, True)


def test_notes_become_a_data_set_and_pass_the_check(run, tmp_path):
    run(*NOTES, "--size", 20, "--out", tmp_path / "notes")
    assert run("data", "check", tmp_path / "notes")[0] == 0
    words = ["data", "nsynth", tmp_path / "notes", "--seconds", 0.05, "--out", tmp_path / "set", "--json"]
    status, out, _ = run(*words)
    assert (status, json.loads(out)["clips"]) == (0, 20)


def test_the_check_finds_a_changed_sound_and_the_same_call_writes_it_again(run, tmp_path):
    run(*NOTES, "--size", 5, "--out", tmp_path / "notes")
    sound = next((tmp_path / "notes").rglob("*.wav"))
    content = bytearray(sound.read_bytes())
    content[-1] ^= 1
    sound.write_bytes(content)
    status, _, err = run("data", "check", tmp_path / "notes")
    assert (status, sound.name in err) == (1, True)
    status, out, _ = run(*NOTES, "--size", 5, "--out", tmp_path / "notes")
    assert (status, "wrote 1 now, 4 were there" in out) == (0, True)
    assert "damaged, and so written again: 1\n" in out
    assert run("data", "check", tmp_path / "notes")[0] == 0


def test_every_option_of_notes_reaches_them(run, tmp_path):
    words = [
        "--pitch",
        "60-62",
        "--velocity",
        "10,90",
        "--sample-rate",
        8000,
        "--split",
        "mixed",
        "--seed",
        5,
    ]
    status, out, _ = run(*NOTES, *words, "--out", tmp_path / "notes", "--json")
    made = json.loads(out)
    assert (status, made["notes"], made["sample_rate"], made["num_samples"]) == (0, 2 * 3 * 3 * 2, 8000, 400)
    assert set(made["census"]["velocities"]) == {"10", "90"}
    settings = json.loads((tmp_path / "notes" / "corpus.json").read_text())["settings"]
    assert (settings["seed"], settings["split"], settings["lowest_pitch"]) == (5, "mixed", 60)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--families", "oboe"], "no family 'oboe'"),
        (["--size", "1000000"], "there are 1,830 notes"),
        (["--pitch", "high"], "--pitch takes a range"),
        (["--velocity", "loud"], "--velocity takes whole numbers"),
        (["--seconds", "0"], "seconds is 0"),
        (["--sample-rate", "12"], "sample rate 12"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_status_2(run, tmp_path, words, said):
    status, out, err = run(*NOTES, *words, "--out", tmp_path / "notes")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.fluidsynth
def test_a_soundfont_s_notes_are_the_same_twice_and_a_bad_file_is_one_line(run, tmp_path):
    path = write_tiny_soundfont(tmp_path / "tiny.sf2", programs=(0, 16))
    words = ["data", "soundfont", "--soundfont", path, "--size", 10, "--seconds", 0.1]
    hashes = [
        json.loads(run(*words, "--out", tmp_path / name, "--json")[1])["hash"] for name in ("one", "two")
    ]
    assert hashes[0] == hashes[1]
    path.write_bytes(path.read_bytes()[:200])
    status, out, err = run(*words, "--out", tmp_path / "three")
    assert (status, out, err.count("\n"), "cut short" in err) == (2, "", 1, True)
