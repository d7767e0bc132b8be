"""A match with `--curves` follows the whole recording, writes what it found, and refuses early what it cannot."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from retimbre.cli.app import run
from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile
from retimbre.matching.audition import Budget
from retimbre.matching.curves import CurveSettings
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.workflows import curves as following
from retimbre.workflows.match import curves as written
from retimbre.workflows.match.batch import match
from retimbre.workflows.match.sound import MatchOptions

RATE = 16_384
WINDOW_S = 0.25
SECONDS = 0.5
FILES = {"curves.wav", "curves.csv", "curves.json", "curves.png"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained inverter of `fm` that hears a quarter of a second: what is written does not depend on more."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_inverter(path, Inverter(InverterConfig("fm", "C1", seconds=WINDOW_S)), facts={})
    return str(path)


def options(model: str, **changes: Any) -> MatchOptions:
    plain = {"synth": "fm", "models": (model,), "candidates": 1, "budget": Budget(evaluations=0)}
    return MatchOptions(**{**plain, "curves": CurveSettings(overlap=4), **changes})


def glide(seconds: float, rate: int = RATE) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * math.pi * (300.0 + 60.0 * time_s) * time_s)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def strict(path: Path) -> Any:
    def refuse(text: str) -> float:
        raise AssertionError(f"{text} is in {path.name}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_curves_of_the_whole_recording_are_written_as_sound_table_json_and_picture(
    model: str, tmp_path: Path
) -> None:
    sound = write(tmp_path / "glide.wav", glide(SECONDS))
    folder = match(sound, tmp_path / "out", options(model)).results[0].folder
    assert FILES.issubset(path.name for path in folder.iterdir())
    table = strict(folder / "curves.json")
    windows = 1 + int((SECONDS - WINDOW_S) / (WINDOW_S / 4))
    assert table["time_s"] == pytest.approx(
        [WINDOW_S / 2 + hop * WINDOW_S / 4 for hop in range(windows)], abs=1e-6
    )
    rows = list(csv.DictReader((folder / "curves.csv").open(encoding="utf-8")))
    assert [float(row["time_s"]) for row in rows] == table["time_s"]
    assert set(table["curves"]) == {"C", "D", "M"}
    for name, curve in table["curves"].items():
        assert [float(row[name]) for row in rows] == curve["values"]
        assert [int(row[f"{name}_class"]) for row in rows] == curve["classes"]
    played = audiofile.read(folder / "curves.wav")
    assert played.sample_rate == RATE
    assert len(played.samples) == RATE // 2
    assert strict(folder / "match.json")["curves"]["scores"] == table["scores"]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_has_a_section_with_both_sounds_and_the_picture(model: str, tmp_path: Path) -> None:
    sound = write(tmp_path / "glide.wav", glide(SECONDS))
    page = (match(sound, tmp_path / "out", options(model)).results[0].folder / "report.html").read_text()
    section = page[page.index("<h2><bdi>Curves</bdi></h2>") :]
    assert section.count("<audio ") == 2
    assert section.count("data:image/png;base64,") == 1
    assert all(f'href="./{name}"' in section for name in FILES)


def test_without_the_option_there_are_no_curves(model: str, tmp_path: Path) -> None:
    sound = write(tmp_path / "glide.wav", glide(SECONDS))
    folder = match(sound, tmp_path / "out", options(model, curves=None)).results[0].folder
    assert not FILES & {path.name for path in folder.iterdir()}
    assert "curves" not in strict(folder / "match.json")


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_channels_and_rates_are_dealt_with_at_the_door(rate: int, model: str, tmp_path: Path) -> None:
    both = np.stack([glide(SECONDS, rate), 0.5 * glide(SECONDS, rate)], axis=1)
    folder = match(write(tmp_path / "a.wav", both, rate), tmp_path / "out", options(model)).results[0].folder
    assert audiofile.probe(folder / "curves.wav").seconds == pytest.approx(SECONDS, abs=1e-3)


def test_a_pause_is_bridged_and_told(model: str, tmp_path: Path) -> None:
    samples = np.concatenate([glide(0.3), np.zeros(RATE // 2, np.float32), glide(0.3)])
    folder = match(write(tmp_path / "a.wav", samples), tmp_path / "out", options(model)).results[0].folder
    table = strict(folder / "curves.json")
    silent = table["sounding"].count(False)
    assert silent == table["silent_windows"] > 4
    assert f"{silent} of {len(table['sounding'])} windows are silent" in table["warnings"][0]
    assert table["pitch_heard_hz"][table["sounding"].index(False) + 2] is None


def test_a_given_pitch_is_the_key(model: str, tmp_path: Path) -> None:
    named = following.curve_inverter("fm", (model,))
    path = write(tmp_path / "a.wav", glide(SECONDS))
    assert following.follow(path, named, 220.0, CurveSettings()).curves.key_hz == 220.0
    assert following.follow(path, named, "auto", CurveSettings()).curves.key_hz != 220.0


def test_a_pitch_out_of_the_knobs_reach_is_told_in_semitones(model: str, tmp_path: Path) -> None:
    named = following.curve_inverter("fm", (model,))
    followed = following.follow(write(tmp_path / "a.wav", glide(SECONDS)), named, 55.0, CurveSettings())
    assert any("semitones beyond what the frequency knobs reach" in clause for clause in followed.warnings)


def test_of_a_long_file_only_the_first_minutes_are_followed_and_that_is_said(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LONGEST_S", 0.4)
    named = following.curve_inverter("fm", (model,))
    followed = following.follow(write(tmp_path / "a.wav", glide(SECONDS)), named, "auto", CurveSettings())
    assert len(followed.recording) == round(0.4 * RATE)
    assert "a long file: only its first 0.4 s have curves" in followed.warnings


def test_a_sound_of_one_window_is_refused_before_any_work_with_nothing_written(
    model: str, tmp_path: Path
) -> None:
    sound = write(tmp_path / "short.wav", glide(0.3))
    with pytest.raises(
        AudioError, match=r"short\.wav: too short for curves: 0\.300 s, but two windows take 0\.312 s"
    ):
        match(sound, tmp_path / "out", options(model))
    assert not (tmp_path / "out").exists()


def test_of_several_sounds_the_one_that_is_too_short_does_not_stop_the_rest(
    model: str, tmp_path: Path
) -> None:
    sounds = [write(tmp_path / "a.wav", glide(0.3)), write(tmp_path / "b.wav", glide(0.5))]
    short, long = match(sounds, tmp_path / "out", options(model), workers=1).results
    assert "too short for curves" in short.failure
    assert (long.folder / "curves.wav").is_file()


def test_a_synthesizer_without_curves_is_refused_with_those_that_have_them() -> None:
    with pytest.raises(ConfigError, match="'subtractive' is not; these are: fm, fm4, inversynth"):
        MatchOptions(synth="subtractive", curves=CurveSettings())


def test_a_synthesizer_without_an_inverter_is_refused_before_any_work(tmp_path: Path) -> None:
    sound = write(tmp_path / "a.wav", glide(2.0))
    with pytest.raises(ConfigError, match="curves take an inverter for 'fm4', and none is shipped"):
        match(sound, tmp_path / "out", MatchOptions(synth="fm4", curves=CurveSettings()))
    assert not (tmp_path / "out").exists()


def test_interrupted_curves_leave_the_match_that_was_found(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(written, "follow", interrupt)
    found = match(write(tmp_path / "a.wav", glide(SECONDS)), tmp_path / "out", options(model)).results[0]
    assert found.table["interrupted"]
    assert (found.folder / "01.wav").is_file()
    assert not (found.folder / "curves.wav").exists()


def test_at_the_command_line_curves_are_named_and_a_short_sound_is_one_line(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--synth", "fm", "--model", model, "--budget", "0", "--candidates", "1", "--curves"]
    good, short = write(tmp_path / "good.wav", glide(0.6)), write(tmp_path / "short.wav", glide(0.2))
    assert run(["match", str(good), "--out", str(tmp_path / "out"), *words]) == 0
    assert "curves.wav" in capsys.readouterr().out
    assert run(["match", str(short), "--out", str(tmp_path / "out"), *words]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert "too short for curves" in printed
