"""`retimbre match` as a user meets it: what is printed, and how it ends."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from retimbre.cli.app import run

QUICK = ["--synth", "two-sine", "--budget", "0", "--candidates", "2"]


def note(seconds: float = 0.1, rate: int = 16_000) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * math.pi * 440.0 * time_s) * np.exp(-3.0 * time_s)).astype(np.float32)


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "one-sample": lambda path: soundfile.write(path, np.ones(1), 16_000),
    "no-frames": lambda path: soundfile.write(path, np.zeros(0), 16_000),
    "not-a-number": lambda path: soundfile.write(path, np.full(4_000, np.nan), 16_000, subtype="FLOAT"),
    "silent": lambda path: soundfile.write(path, np.zeros(16_000), 16_000),
    "too-short": lambda path: soundfile.write(path, note(0.008), 16_000),
    "not-audio": lambda path: path.write_text("<html>no such page</html>"),
    "missing": lambda path: None,
    "folder-without-sounds": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_sound_that_cannot_be_used_is_one_line_and_exit_status_2(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sound.wav"
    BAD[kind](path)
    assert run(["match", str(path), "--out", str(tmp_path / "out"), *QUICK]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert "sound.wav" in printed.err
    assert not (tmp_path / "out").exists()


GOOD = {
    "8-bit": (note(), 16_000, "PCM_U8"),
    "16-bit": (note(), 16_000, "PCM_16"),
    "24-bit": (note(), 16_000, "PCM_24"),
    "float": (note(), 16_000, "FLOAT"),
    "double": (note(), 16_000, "DOUBLE"),
    "louder than full scale": (20.0 * note(), 16_000, "FLOAT"),
    "clipped": (np.clip(20.0 * note(), -1, 1), 16_000, "PCM_16"),
    "stereo": (np.stack([note(), 0.5 * note()], axis=1), 16_000, "PCM_16"),
    "out of phase": (np.stack([note(), -note()], axis=1), 16_000, "PCM_16"),
    "8 kHz": (note(rate=8_000), 8_000, "PCM_16"),
    "192 kHz": (note(rate=192_000), 192_000, "PCM_16"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_sound_of_any_make_is_matched(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples, rate, subtype = GOOD[kind]
    soundfile.write(tmp_path / "sound.wav", samples, rate, subtype=subtype)
    assert run(["match", str(tmp_path / "sound.wav"), "--out", str(tmp_path / "out"), "--json", *QUICK]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sounds"][0]["pitch"]["pitch_hz"] == pytest.approx(440.0, rel=0.01)
    said = " ".join(printed["sounds"][0]["warnings"])
    expected = {
        "clipped": "clipped",
        "stereo": "2 channels",
        "out of phase": "cancel",
        "louder than full scale": "louder",
    }
    assert expected.get(kind, "") in said


def test_one_sound_prints_its_knobs_with_name_class_value_and_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "sound.wav", note(), 16_000)
    assert run(["match", str(tmp_path / "sound.wav"), "--out", str(tmp_path / "out"), *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "class", "value", "unit", "heard"]
    assert lines[1].split()[0] == "f1"
    assert len(lines) < 12


def test_a_batch_with_one_bad_file_lists_it_and_ends_with_exit_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "good.wav", note(), 16_000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    assert run(["match", str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "1", *QUICK]) == 1
    printed = capsys.readouterr()
    assert "bad.wav" in printed.err
    assert printed.err.splitlines()[-1].startswith("error: 1 of 2 sounds")
    assert (tmp_path / "out" / "good" / "report.html").is_file()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--synth", "no-such"],
        ["--pitch", "high"],
        ["--pitch", "1e9"],
        ["--budget", "-1"],
        ["--budget", "nan"],
        ["--candidates", "0"],
        ["--model", "no-such-model"],
        ["--max-seconds", "0"],
    ],
)
def test_an_option_that_makes_no_sense_is_one_line_and_exit_status_2(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "sound.wav", note(), 16_000)
    arguments = ["match", str(tmp_path / "sound.wav"), "--out", str(tmp_path / "out"), *QUICK, *wrong]
    assert run(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


SCALE = Path(__file__).parents[2] / "examples" / "scale.mid"


def test_a_melody_is_played_beside_the_match_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "sound.wav", note(), 16_000)
    arguments = ["match", str(tmp_path / "sound.wav"), "--out", str(tmp_path / "out"), *QUICK]
    assert run([*arguments, "--melody", str(SCALE)]) == 0
    melody = tmp_path / "out" / "sound" / "melody.wav"
    assert f"melody: {melody}" in capsys.readouterr().out
    samples, rate = soundfile.read(melody)
    # Eight notes of half a second, in a voice that stops at key-up.
    assert len(samples) == 4 * rate


@pytest.mark.parametrize("content", [None, b"", b"do re mi", b"MThd"])
def test_a_melody_that_cannot_be_read_is_one_line_before_anything_is_matched(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "sound.wav", note(), 16_000)
    bad = tmp_path / "bad.mid"
    if content is not None:
        bad.write_bytes(content)
    arguments = ["match", str(tmp_path / "sound.wav"), "--out", str(tmp_path / "out"), *QUICK]
    assert run([*arguments, "--melody", str(bad)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "bad.mid" in printed.err
    assert not (tmp_path / "out").exists()
