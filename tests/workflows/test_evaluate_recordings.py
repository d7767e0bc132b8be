"""Measuring models on recordings: who is measured on what, and figures that can be worked out by hand."""

import csv
import json
from pathlib import Path

import pytest
import torch

from retimbre.cli.app import run
from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.dsp import audiofile
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.synth.base import Note
from retimbre.workflows.evaluation.inversion.recordings import RecordingsOptions, evaluate_recordings
from retimbre.workflows.training.sounds import fingerprint_of

MEASURES = ("mss", "wmfcc", "sot", "rms")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three notes of a synthesizer, and a file that is no sound."""
    inverter = inverter_of(0)
    uniform = torch.rand(3, len(inverter.space.searched), generator=torch.Generator().manual_seed(0))
    knobs = inverter.space.from_unit(inverter.space.draw_unit(uniform))
    audio = inverter.synth.render(knobs, Note.of(3, gate_s=0.2), num_samples=4_000)
    for number, clip in enumerate(audio):
        audiofile.write(tmp_path / f"notes/{'abc'[number]}.wav", clip.clamp(-1, 1), 8_000)
    (tmp_path / "notes/broken.wav").write_text("not a sound")
    return tmp_path / "notes"


def inverter_of(seed: int) -> Inverter:
    torch.manual_seed(seed)
    return Inverter(InverterConfig("fm2op", "C1", seconds=0.25, sample_rate=8_000))


def model(path: Path, seed: int, heard: list[str] | None = None) -> str:
    save_inverter(path, inverter_of(seed), facts={"sounds": {"heard": heard}} if heard else {})
    return str(path)


def test_every_measure_of_every_model_has_its_interval_over_the_recordings(
    folder: Path, tmp_path: Path
) -> None:
    models = [model(tmp_path / f"{seed}.safetensors", seed) for seed in (0, 1)]
    result = evaluate_recordings(models, folder, tmp_path / "out", RecordingsOptions(candidates=1))
    rows = list(csv.DictReader((tmp_path / "out/recordings.csv").open()))
    assert len(rows) == 3 * 2 * 2
    assert json.loads((tmp_path / "out/scores.json").read_text()) == result
    for entry in result["models"]:
        for reading in ("likeliest", "match"):
            for name in MEASURES:
                values = [
                    float(row[name])
                    for row in rows
                    if (row["model"], row["reading"]) == (entry["model"], reading)
                ]
                figure = entry["readings"][reading][name]
                assert figure["n"] == 3
                assert figure["value"] == pytest.approx(sum(values) / 3, abs=1e-4)
                assert figure["low"] <= figure["value"] <= figure["high"]
    first, second = (entry["readings"]["likeliest"]["mss"]["value"] for entry in result["models"])
    difference = result["models"][1]["difference"]["likeliest"]["mss"]
    assert difference["value"] == pytest.approx(second - first)
    assert result["value"] == first


def test_a_model_beside_a_copy_of_itself_differs_by_nothing(folder: Path, tmp_path: Path) -> None:
    models = [model(tmp_path / f"{name}.safetensors", 0) for name in ("one", "copy")]
    result = evaluate_recordings(models, folder)
    for figure in result["models"][1]["difference"]["likeliest"].values():
        assert (figure["value"], figure["low"], figure["high"]) == (0.0, 0.0, 0.0)


def test_what_one_model_learned_from_is_left_out_for_all(folder: Path, tmp_path: Path) -> None:
    learned = model(tmp_path / "learned.safetensors", 1, [fingerprint_of(folder / "b.wav")])
    result = evaluate_recordings([model(tmp_path / "plain.safetensors", 0), learned], folder)
    assert [entry["readings"]["likeliest"]["mss"]["n"] for entry in result["models"]] == [2, 2]
    assert result["settings"]["learned_from"] == 1


def test_files_that_cannot_be_used_are_named_and_patterns_choose(folder: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "plain.safetensors", 0)
    everything = evaluate_recordings(name, folder)
    assert len(everything["settings"]["passed_over"]) == 1
    assert "broken.wav" in everything["settings"]["passed_over"][0]
    assert evaluate_recordings(name, folder, options=RecordingsOptions(only=("a*", "c*")))["n"] == 2


def test_when_nothing_is_left_to_measure_on_the_error_says_why(folder: Path, tmp_path: Path) -> None:
    heard = [fingerprint_of(path) for path in folder.glob("?.wav")]
    learned = model(tmp_path / "learned.safetensors", 1, heard)
    with pytest.raises(AudioError, match="3 were learned from, 1 cannot be used"):
        evaluate_recordings(learned, folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(AudioError, match="no sound files"):
        evaluate_recordings(learned, empty)


def test_tables_are_not_overwritten_and_a_model_is_named_once(folder: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "plain.safetensors", 0)
    evaluate_recordings(name, folder, tmp_path / "out")
    with pytest.raises(ExistsError, match="--force"):
        evaluate_recordings(name, folder, tmp_path / "out")
    evaluate_recordings(name, folder, tmp_path / "out", force=True)
    with pytest.raises(ConfigError, match="named twice"):
        evaluate_recordings([name, name], folder)
    with pytest.raises(ConfigError, match="candidates"):
        RecordingsOptions(candidates=65)


def test_the_command_prints_one_json_value_or_one_line_about_what_is_wrong(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = model(tmp_path / "plain.safetensors", 0)
    assert run(["evaluate", "recordings", name, "--real", str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    assert {"value", "low", "high", "n", "settings", "models"} <= set(json.loads(printed.out))
    assert "broken.wav" in printed.err
    assert run(["evaluate", "recordings", name, "--real", str(folder), "--only", "nothing*"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_one_recording_gives_values_without_intervals_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [model(tmp_path / f"{seed}.safetensors", seed) for seed in (0, 1)]
    command = ["evaluate", "recordings", *models, "--real", str(folder), "--only", "a*"]
    assert run([*command, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("one recording says nothing about others, so there is no interval") == 1
    assert " to " not in shown.replace("difference to", "")
    result = json.loads((tmp_path / "out/scores.json").read_text())
    figures = [result, *result["models"][1]["difference"]["likeliest"].values()]
    figures += [each for entry in result["models"] for each in entry["readings"]["likeliest"].values()]
    assert {(each["n"], each["low"], each["high"]) for each in figures} == {(1, None, None)}
    page = (tmp_path / "out/report.md").read_text()
    assert "there is no interval" in page
    assert "95 %" not in page


def test_the_device_is_chosen_by_an_option_and_one_that_is_not_there_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "evaluate",
        "recordings",
        model(tmp_path / "plain.safetensors", 0),
        "--real",
        str(folder),
        "--json",
    ]
    assert run([*command, "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["device"] == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run([*command, "--device", "cuda"]) == 2
    assert "device 'cuda' is not available" in capsys.readouterr().err


@pytest.mark.gpu
def test_models_are_measured_on_a_gpu_as_on_the_cpu(folder: Path, tmp_path: Path) -> None:
    name = model(tmp_path / "plain.safetensors", 0)
    values = [
        evaluate_recordings(name, folder, options=RecordingsOptions(device=device, candidates=1))["value"]
        for device in ("cpu", "cuda")
    ]
    # The likeliest classes are the same, and the judgement is the CPU's for both.
    assert values[0] == pytest.approx(values[1], rel=1e-6)
