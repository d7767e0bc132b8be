"""A listening test from the command line: a pack is made, scored and read, and mistakes are one line."""

import csv
import json
import math

import pytest
import torch

from retimbre.dsp.audiofile import write


@pytest.fixture
def folders(tmp_path):
    second = torch.arange(6_000) / 16_000
    for name, gain in (("ours", 0.1), ("theirs", 0.3), ("notes", 0.2)):
        for index in range(2):
            tone = gain * torch.sin(2 * math.pi * (300.0 + 50 * index) * second) * torch.exp(-3 * second)
            write(tmp_path / name / f"{index}.wav", tone, 16_000)
    return tmp_path


def test_a_test_goes_from_sounds_to_opinions(run, folders):
    pack, out = folders / "pack", folders / "out"
    words = ["study", "listening", folders / "ours", f"b={folders / 'theirs'}", "--real", folders / "notes"]
    status, text, err = run(*words, "--count", 2, "--out", pack)
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["ours", "b", "real", "real-griffin-lim"]
    manifest = json.loads((pack / "manifest.json").read_text())
    with (folders / "anna.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["pack", "listener", "sound", "score"])
        for place, name in enumerate(manifest["sounds"]):
            writer.writerow([manifest["id"], "anna", name, 1 + place % 5])
    read = ["study", "listening", "--pack", pack, "--scores", folders / "anna.csv"]
    status, text, err = run(*read, "--out", out)
    assert status == 0
    assert text.splitlines()[0].split() == ["system", "mean", "95", "%", "scores"]
    assert "warning: one listener says nothing about others" in err
    status, text, _ = run(*read, "--out", out, "--force", "--json")
    assert status == 0
    assert {"value", "low", "high", "n", "settings", "remarks"} <= set(json.loads(text))


def test_a_sound_that_cannot_be_read_is_named_and_the_rest_is_packed(run, folders):
    (folders / "ours" / "1.wav").write_text("no sound")
    status, _, err = run("study", "listening", folders / "ours", "--out", folders / "pack")
    assert status == 1
    assert err.splitlines()[-1].startswith("error: 1 sound could not be read: ")
    assert "1.wav" in err.splitlines()[-1]
    assert "warning: no real sounds were given (--real), so there is no anchor" in err
    assert (folders / "pack" / "listeners" / "rate.html").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "needs systems"),
        (["--pack", "x"], "--pack PACK and --scores CSV"),
        (["--scores", "x"], "--pack PACK and --scores CSV"),
        (["ours", "--pack", "x", "--scores", "y"], "no systems"),
        (["--pack", "nowhere", "--scores", "y"], "nowhere is no listening pack"),
        (["nowhere", "--mode", "mushra"], "neither a folder of sounds nor a model"),
    ],
)
def test_mistakes_are_one_line_and_status_2(run, tmp_path, words, says):
    status, _, err = run("study", "listening", *words, "--out", tmp_path / "out")
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert says in line
