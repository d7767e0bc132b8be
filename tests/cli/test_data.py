import json

import pytest
import soundfile
import torch

from retimbre.data.dataset import RenderedSet

SYNTH = ["data", "synth", "--synth", "fm", "--size", "5", "--length", "0.02"]


def test_a_set_is_made_once_and_the_second_run_says_so(run, tmp_path):
    status, out, _ = run(*SYNTH, "--out", tmp_path / "set")
    assert (status, "rendered 5 now, 0 were there" in out) == (0, True)
    status, out, _ = run(*SYNTH, "--out", tmp_path / "set")
    assert (status, "rendered 0 now, 5 were there" in out) == (0, True)


def test_other_options_end_with_status_2_and_one_line(run, tmp_path):
    run(*SYNTH, "--out", tmp_path / "set")
    status, out, err = run(*SYNTH, "--seed", 3, "--out", tmp_path / "set")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "sampling.seed" in err
    assert run(*SYNTH, "--seed", 3, "--out", tmp_path / "set", "--force")[0] == 0
    assert run(*SYNTH, "--seed", 4, "--out", tmp_path / "set", "--regenerate", "samples")[0] == 0


def test_every_option_of_a_set_reaches_it(run, tmp_path):
    (tmp_path / "knobs.json").write_text(
        '{"searched": {"C": "semitones 4"}, "fixed": {"A": 0.5}, "others": "search"}'
    )
    options = ["--levels", 3, "--params", tmp_path / "knobs.json", "--sample-rate", 8000, "--normalise"]
    options += ["--pitch-low", 220, "--pitch-high", 440, "--gate-low", 0.1, "--seed", 2, "--test", 0.5]
    status, out, _ = run(*SYNTH, *options, "--out", tmp_path / "set", "--json")
    made = json.loads(out)
    assert (status, made["size"], made["sample_rate"], made["classes"]) == (0, 5, 8000, 4 + 7 * 3)
    data = RenderedSet.open(tmp_path / "set")
    assert data.header.options["sampling"]["notes"]["pitch_low_hz"] == 220
    assert data.header.options["sampling"]["notes"]["gate_high_s"] == 0.1
    assert data.header.options["space"]["fixed"] == {"A": 0.5}
    assert data.header.split.test == 0.5
    torch.testing.assert_close(data.audio(torch.arange(5)).abs().amax(1), torch.ones(5))


def test_a_grid_needs_no_size(run, tmp_path):
    status, out, _ = run(
        "data", "synth", "--synth", "two-sine", "--grid", "--length", 0.01, "--out", tmp_path, "--json"
    )
    assert (status, json.loads(out)["size"]) == (0, 81)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grid", "--continuous"], "not both"),
        (["--synth", "fmm"], "did you mean 'fm'"),
        (["--size", "0"], "takes 1 to"),
        (["--params", "missing.json"], "missing.json"),
        (["--validation", "0.7", "--test", "0.7"], "at most 1"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_status_2(run, tmp_path, words, said):
    status, out, err = run(*SYNTH, "--out", tmp_path / "set", *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (tmp_path / "set").exists()


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "good.wav", torch.sin(torch.arange(4000) / 9).numpy() / 2, 8000)
    return folder


def test_recordings_become_a_set_and_a_bad_one_ends_with_status_1_and_its_name(run, recordings, tmp_path):
    words = ["data", "folder", recordings, "--out", tmp_path / "set", "--sample-rate", 8000, "--window", 0.1]
    status, out, err = run(*words)
    assert (status, "5 clips of 0.1 s from 1 files" in out, err) == (0, True, "")
    (recordings / "bad.wav").write_bytes(b"no")
    status, out, err = run(*words, "--force", "--json")
    assert (status, json.loads(out)["clips"]) == (1, 5)
    assert "bad.wav: " in err
    assert err.splitlines()[-1] == "error: 1 of 2 files could not be used; the rest is done"


def test_only_bad_input_ends_with_status_2(run, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no")
    status, out, err = run("data", "folder", tmp_path / "bad.wav", "--out", tmp_path / "set")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "bad.wav" in err


def test_a_check_ends_with_0_for_a_sound_set_1_for_a_damaged_one_and_2_for_none(run, tmp_path):
    run(*SYNTH, "--out", tmp_path / "set")
    status, out, _ = run("data", "check", tmp_path / "set")
    assert (status, "all checksums hold" in out) == (0, True)
    with (tmp_path / "set" / "audio-00000.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\x01\x02\x03")
    status, out, err = run("data", "check", tmp_path / "set", "--json")
    assert (status, len(json.loads(out)["problems"])) == (1, 1)
    assert "audio-00000.npy" in err
    assert run("data", "check", tmp_path)[0] == 2
