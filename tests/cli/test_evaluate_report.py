"""The command `retimbre evaluate report`: what it prints, what it writes, how it ends."""

import json
import math

import pytest
import torch

from retimbre.dsp.audiofile import write

RATE = 16_000
QUICK = [
    "--seconds", "0.2", "--embedder", "statistics", "--resamples", "5", "--no-notes", "--cache", "none",
    "--clips", "0",
]  # fmt: skip


def folder_of(place, count, decay=4.0):
    place.mkdir()
    moments_s = torch.arange(RATE // 5) / RATE
    for number in range(count):
        pitch_hz = 200.0 * 1.06**number
        sound = 0.5 * torch.exp(-decay * moments_s) * torch.sin(2 * math.pi * pitch_hz * moments_s)
        write(place / f"tone{number % 4}_{55 + number:03d}.wav", sound, RATE)
    return place


@pytest.fixture
def real(tmp_path):
    return folder_of(tmp_path / "real", 12)


def test_it_writes_a_page_and_tables_and_says_where(run, real, tmp_path):
    fake = folder_of(tmp_path / "fake", 6, 30.0)
    status, shown, _ = run(
        "evaluate", "report", fake, "--real", real, "--out", tmp_path / "out", *QUICK, "--clips", "1"
    )
    assert status == 0
    assert f"report: {tmp_path / 'out' / 'report.html'}" in shown
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "scores.csv",
        "scores.json",
    ]


def test_json_is_one_value_with_a_headline_and_verdicts(run, real, tmp_path):
    fake = folder_of(tmp_path / "fake", 6, 30.0)
    status, shown, _ = run("evaluate", "report", "--fake", fake, "--real", real, "--json", *QUICK)
    result = json.loads(shown)
    assert status == 0
    assert result["low"] <= result["value"] <= result["high"]
    assert result["n"] == 6
    assert result["settings"]["embedders"] == ["statistics"]
    assert {each["verdict"]["kind"] for each in result["measures"]} <= {
        "informative",
        "not informative",
        "not judged",
    }


def test_some_that_fail_end_with_one_and_are_listed(run, real, tmp_path):
    fake = folder_of(tmp_path / "fake", 6)
    status, shown, said = run("evaluate", "report", fake, "nowhere", "--real", real, "--json", *QUICK)
    assert status == 1
    assert "nowhere" in said
    assert json.loads(shown)["failed"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_makes_figures_doubtful_is_told_on_the_terminal(run, real, tmp_path, form):
    lone = folder_of(tmp_path / "lone", 1, 30.0)
    status, _, said = run("evaluate", "report", lone, real, "--real", real, *form, *QUICK)
    assert status == 0
    lines = said.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    assert any("lone has no KAD: " in line for line in lines)
    assert any("lone: it has 1 clip and real/real 6" in line for line in lines)
    assert any("clips are clips of the reference itself" in line for line in lines)
    assert any("in the real set, sample by sample" in line for line in lines)


def test_twelve_times_one_sound_is_warned_of(run, real):
    for path in real.iterdir():
        path.write_bytes((real / "tone0_055.wav").read_bytes())
    status, _, said = run("evaluate", "report", "--real", real, *QUICK)
    assert status == 0
    assert "warning: " in said
    assert "equal" in said


def test_a_damaged_file_among_real_sounds_is_passed_over_and_named(run, real):
    (real / "broken_070.wav").write_bytes(b"RIFF")
    status, shown, said = run("evaluate", "report", "--real", real, "--json", *QUICK)
    assert status == 1
    assert "broken_070.wav" in said
    assert json.loads(shown)["rows"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--real", "nowhere"], "nowhere: no such folder"),
        (["--real", "REAL", "--most", "6"], "has 6 clips; a report takes 10"),
        (["--real", "REAL", "--embedder", "statistic"], "did you mean 'statistics'"),
        (["--real", "REAL", "no-model"], "there is no model 'no-model'"),
        (
            ["--real", "REAL", "--split", "instrument", "--most", "10", "--fake", "REAL", "REAL"],
            "named twice",
        ),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_two(run, real, words, says):
    status, shown, said = run(
        "evaluate", "report", *(str(real) if word == "REAL" else word for word in words), "--seconds", "0.2",
        "--cache", "none", *([] if "--embedder" in words else ["--embedder", "statistics"]),
    )  # fmt: skip
    assert status == 2
    assert shown == ""
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1


def test_nothing_is_overwritten_without_force(run, real, tmp_path):
    words = ["evaluate", "report", "--real", real, "--out", tmp_path / "out", *QUICK]
    assert run(*words)[0] == 0
    status, _, said = run(*words)
    assert status == 2
    assert "--force" in said
    assert run(*words, "--force")[0] == 0
