"""`retimbre evaluate notes`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest
from note_sounds import RATE, tone

from retimbre.dsp.audiofile import write

FEW = ("--resamples", "20", "--seconds", "0.5")


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    for midi in (57, 69, 81):
        write(tmp_path / "scale" / f"lead_{midi:03d}.wav", tone(440 * 2 ** ((midi - 69) / 12)).float(), RATE)
    return tmp_path / "scale"


def test_it_prints_one_json_value_with_the_headline_and_writes_the_same(run, scale, tmp_path) -> None:
    out = tmp_path / "scores"
    status, printed, _ = run("evaluate", "notes", "--fake", scale, *FEW, "--out", out, "--json")
    assert status == 0
    result = json.loads(printed)
    assert {"metric", "value", "low", "high", "n", "settings", "remarks", "measures"} <= set(result)
    assert (result["headline"], result["value"], result["n"]) == ("pitch_in_tune", 1.0, 3)
    assert json.loads((out / "scores.json").read_text()) == result


def test_a_reader_gets_a_line_for_each_measure(run, scale) -> None:
    status, printed, told = run("evaluate", "notes", scale, "--real", scale, *FEW)
    assert status == 0
    first_words = [line.split()[0] for line in printed.splitlines()]
    assert first_words[0] == "measure"
    assert {"pitch_in_tune", "attack_time", "envelope_error", "phase_coherence"} <= set(first_words)
    assert "longer, and cut" in told


@pytest.mark.parametrize("words", [[], ["scale", "--fake", "scale"]])
def test_the_notes_are_named_once(run, words) -> None:
    status, _, told = run("evaluate", "notes", *words)
    assert status == 2
    assert told.startswith("error: the notes to be judged are named as MODEL or as --fake DIR")


def test_a_missing_folder_is_the_users_mistake(run, tmp_path) -> None:
    status, _, told = run("evaluate", "notes", "--fake", tmp_path / "nowhere")
    assert status == 2
    assert told.count("\n") == 1
    assert "nowhere" in told


def test_vectors_are_kept_where_it_is_said(run, scale, tmp_path) -> None:
    words = ("evaluate", "notes", "--fake", scale, "--train", scale, *FEW)
    assert run(*words, "--cache", tmp_path / "kept")[0] == 0
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".safetensors"]


def test_files_that_cannot_be_used_are_listed_and_the_rest_is_measured(run, scale) -> None:
    (scale / "lead_090.wav").write_bytes(b"no sound")
    status, printed, told = run("evaluate", "notes", "--fake", scale, *FEW)
    assert status == 1
    assert "pitch_in_tune" in printed
    assert "passed over" in told
    assert "lead_090.wav" in told


def test_what_is_there_is_not_replaced_without_force(run, scale, tmp_path) -> None:
    words = ("evaluate", "notes", "--fake", scale, *FEW, "--out", tmp_path / "scores")
    assert run(*words)[0] == 0
    assert run(*words)[0] == 2
    assert run(*words, "--force")[0] == 0
