"""The study of phase recovery on two short sounds: tables, page and figure, and that it goes on where it stopped."""

import csv
import math
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError, PartialFailure
from retimbre.dsp.audiofile import write
from retimbre.workflows.study.phase.study import OVERLAPS, PhaseOptions, partial_failure, study_phase

METHODS = ("griffin-lim-32", "pghi-1")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    second = torch.arange(8000) / 16_000
    for name, pitch_hz in (("bell_1-060", 261.6), ("bell_1-072", 523.3), ("pipe_1-060", 300.0)):
        tone = 0.3 * torch.sin(2 * math.pi * pitch_hz * second) * torch.exp(-3.0 * second)
        write(folder / f"{name}.wav", tone, 16_000)
    return folder


def test_every_method_has_a_row_per_overlap_and_family_in_table_page_and_figure(
    sounds: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = study_phase(out, PhaseOptions((sounds,), METHODS))
    keys = {(row["method"], row["overlap"], row["family"]) for row in result["rows"]}
    assert keys == {(m, o, f) for m in METHODS for o in OVERLAPS for f in ("all", "bell_1", "pipe_1")}
    assert all(row["low_db"] <= row["mean_db"] <= row["high_db"] for row in result["rows"])
    with (out / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(keys)
    page = (out / "report.md").read_text(encoding="utf-8")
    assert all(f"`{method}`" in page for method in METHODS)
    assert "bell_1" in page
    assert (out / "convergence.png").read_bytes()[:4] == b"\x89PNG"


def test_a_part_that_is_done_is_not_done_again_unless_a_sound_or_the_seed_changed(
    sounds: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "out", PhaseOptions((sounds,), ("pghi",))
    study_phase(out, options)
    part = out / "parts" / "pghi-75.json"
    stamp = part.stat().st_mtime_ns
    study_phase(out, options)
    assert part.stat().st_mtime_ns == stamp
    write(sounds / "bell_1-060.wav", torch.rand(4000) - 0.5, 16_000)
    study_phase(out, options)
    assert part.stat().st_mtime_ns != stamp


@pytest.mark.parametrize("content", ["{bad", "[]", "{}"])
def test_a_part_whose_file_is_damaged_is_done_again(sounds: Path, tmp_path: Path, content: str) -> None:
    options = PhaseOptions((sounds,), ("pghi",))
    first = study_phase(tmp_path / "out", options)
    path = tmp_path / "out" / "parts" / "pghi-75.json"
    path.write_text(content)
    again = study_phase(tmp_path / "out", options)
    assert [row["mean_db"] for row in again["rows"]] == [row["mean_db"] for row in first["rows"]]


def test_silence_and_less_than_a_frame_are_named_and_do_not_flatter_the_mean(
    sounds: Path, tmp_path: Path
) -> None:
    alone = study_phase(tmp_path / "alone", PhaseOptions((sounds,), ("pghi",)))["rows"]
    write(sounds / "bell_1-silent.wav", torch.zeros(4000), 16_000)
    write(sounds / "bell_1-short.wav", torch.ones(1) / 2, 16_000)
    told: list[str] = []
    result = study_phase(tmp_path / "out", PhaseOptions((sounds,), ("pghi",)), tell=told.append)
    measured = ("mean_db", "low_db", "high_db", "sounds")
    assert [[row[name] for name in measured] for row in result["rows"]] == [
        [row[name] for name in measured] for row in alone
    ]
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for name, reason in (("silent", "silent: nothing"), ("short", "1 samples, shorter than a frame")):
        (line,) = (each for each in result["left_out"] if f"bell_1-{name}.wav" in each)
        assert reason in line
        assert line in page
        assert f"left out: {line}" in told
    assert partial_failure(result) is None


def test_a_click_that_comes_back_exactly_is_as_near_as_float32_can_tell(tmp_path: Path) -> None:
    click = torch.zeros(2048)
    click[0] = 0.5  # Its only frames are in step by themselves.
    write(tmp_path / "click.wav", click, 16_000)
    rows = study_phase(tmp_path / "out", PhaseOptions((tmp_path / "click.wav",), ("pghi",)))["rows"]
    assert all(math.isfinite(row["mean_db"]) and row["mean_db"] >= -144.0 for row in rows)


def test_one_file_that_cannot_be_read_is_listed_and_the_rest_is_studied(sounds: Path, tmp_path: Path) -> None:
    (sounds / "bell_1-bad.wav").write_text("no sound")
    out = tmp_path / "out"
    result = study_phase(out, PhaseOptions((sounds,), ("pghi",)))
    assert result["sounds"] == 3
    assert {row["sounds"] for row in result["rows"] if row["family"] == "all"} == {3}
    (line,) = result["refused"]
    assert "bell_1-bad.wav" in line
    assert line in (out / "report.md").read_text(encoding="utf-8")
    assert isinstance(partial_failure(result), PartialFailure)


def test_a_study_of_silence_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", torch.zeros(4000), 16_000)
    with pytest.raises(AudioError, match=r"silence\.wav: silent"):
        study_phase(tmp_path / "out", PhaseOptions((tmp_path / "silence.wav",), ("pghi",)))


def test_bad_input_is_one_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs sounds"):
        PhaseOptions(())
    with pytest.raises(ConfigError, match=r"methods are .*got magic"):
        PhaseOptions((tmp_path,), ("magic",))
    with pytest.raises(AudioError, match="nowhere"):
        study_phase(tmp_path / "out", PhaseOptions((tmp_path / "nowhere",)))
