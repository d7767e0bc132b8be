"""`retimbre export onnx` writes files and says how near to torch they are."""

import json
from pathlib import Path

import torch

from retimbre.core.config import build
from retimbre.gan.config import GanConfig
from retimbre.gan.sounds import SoundGenerator, save_generator
from retimbre.listening.base import FittedEmbedder
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
    assert max(file["held_differences"].values()) < 1e-4
    assert file["only_reported_differences"] is None
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


def test_a_model_whose_features_jump_is_written_with_one_line_of_warning(run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Inverter(InverterConfig("two-sine", "FC1", seconds=0.25)).eval()
    assert isinstance(model.front_end, FittedEmbedder)
    model.front_end.fit(0.1 * torch.randn(64, model.num_samples), seed=0)
    save_inverter(tmp_path / "words.safetensors", model, facts={})
    status, output, errors = run(
        "export", "onnx", tmp_path / "words.safetensors", "--out", tmp_path, "--json"
    )
    assert status == 0
    (file,) = json.loads(output)["files"]
    whole = file["only_reported_differences"]["probabilities"]
    (line,) = errors.splitlines()
    assert line.startswith("warning: ")
    assert f"from audio on it differs from torch by up to {whole:.2g} in probabilities and " in line
    parity = json.loads(Path(file["sidecar"]).read_text())["parity"]
    assert parity["held"]["largest_differences"] == file["held_differences"]
    assert max(file["held_differences"].values()) <= parity["held"]["tolerance"] == 1e-4
    assert parity["only_reported"]["largest_differences"] == file["only_reported_differences"]
    assert "tolerance" not in parity["only_reported"]


def test_an_unknown_operator_set_is_refused_before_anything_is_read(run, tmp_path: Path) -> None:
    status, _, errors = run("export", "onnx", "nothing", "--out", tmp_path, "--opset", "5")
    assert (status, errors) == (2, "error: opset is 5, but takes 18 to 21\n")


def test_a_generator_whose_sound_is_searched_for_is_refused_in_one_line(run, tmp_path: Path) -> None:
    table = {
        "generator": {"kind": "dense", "width": 4},
        "critics": [{"network": {"kind": "dense"}}],
        "representation": "mag",
        "settings": {"n_fft": 64, "hop_length": 16},
        "num_samples": 256,
        "latent_dim": 2,
    }
    save_generator(
        tmp_path / "loud.safetensors", SoundGenerator(build(GanConfig, table, "task"), {}), facts={}
    )
    status, output, errors = run("export", "onnx", tmp_path / "loud.safetensors", "--out", tmp_path / "out")
    assert (status, output) == (2, "")
    assert errors.splitlines()[-1] == (
        "error: loud: makes 'mag', which no graph turns to sound; --network-only exports the network that makes these "
        "features"
    )
