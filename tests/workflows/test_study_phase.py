"""The study of phase recovery on two short sounds: tables, page and figure, and that it goes on where it stopped."""

import csv
import math
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp.audiofile import write
from retimbre.workflows.study.phase import OVERLAPS, PhaseOptions, study_phase

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


def test_silence_has_a_finite_mean(tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", torch.zeros(4000), 16_000)
    rows = study_phase(tmp_path / "out", PhaseOptions((tmp_path / "silence.wav",), ("pghi",)))["rows"]
    assert all(math.isfinite(row["mean_db"]) for row in rows)


def test_bad_input_is_one_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs sounds"):
        PhaseOptions(())
    with pytest.raises(ConfigError, match=r"methods are .*got magic"):
        PhaseOptions((tmp_path,), ("magic",))
    with pytest.raises(AudioError, match="nowhere"):
        study_phase(tmp_path / "out", PhaseOptions((tmp_path / "nowhere",)))
