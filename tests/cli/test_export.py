"""`retimbre export onnx` writes files and says how near to torch they are."""

import json
from pathlib import Path

import torch

from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter


def checkpoint_at(path: Path) -> Path:
    torch.manual_seed(0)
    model = Inverter(InverterConfig("two-sine", "Conv1", seconds=0.25)).eval()
    save_inverter(path, model, facts={})
    return path


def test_a_model_becomes_a_file_and_its_description(run, tmp_path: Path) -> None:
    model = checkpoint_at(tmp_path / "tones.safetensors")
    status, output, errors = run("export", "onnx", model, "--out", tmp_path / "out", "--json")
    assert (status, errors) == (0, "")
    (file,) = json.loads(output)["files"]
    assert Path(file["file"]).stat().st_size == file["num_bytes"]
    assert json.loads(Path(file["sidecar"]).read_text())["synth"] == "two-sine"
    assert max(file["largest_differences"].values()) < 1e-4
    status, output, errors = run("export", "onnx", model, "--out", tmp_path / "out")
    assert (status, output) == (2, "")
    assert "exists already; --force overwrites it" in errors


def test_a_bad_model_among_good_ones_is_listed(run, tmp_path: Path) -> None:
    model = checkpoint_at(tmp_path / "tones.safetensors")
    words = ("export", "onnx", model, "nothing", "--out", tmp_path / "out", "--no-check", "--network-only")
    status, output, errors = run(*words)
    assert status == 1
    assert "tones.onnx" in output
    assert "failed: there is no model 'nothing'" in errors
    assert "error: 1 of 2 models could not be exported" in errors
    assert json.loads((tmp_path / "out" / "tones.json").read_text())["inputs"][0]["name"] == "features"


def test_an_unknown_operator_set_is_refused_before_anything_is_read(run, tmp_path: Path) -> None:
    status, _, errors = run("export", "onnx", "nothing", "--out", tmp_path, "--opset", "5")
    assert (status, errors) == (2, "error: opset is 5, but takes 18 to 21\n")
