"""`retimbre evaluate`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest
import torch

from retimbre.cli.app import run
from retimbre.cli.evaluate.group import COMMANDS
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter

FEW = ["--clips", "4", "--audio-clips", "2", "--device", "cpu"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    save_inverter(
        tmp_path / "model.safetensors", Inverter(InverterConfig("two-sine", "C1", seconds=0.125)), facts={}
    )
    return str(tmp_path / "model.safetensors")


def test_it_prints_one_json_value_with_the_headline_and_writes_the_same(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores"
    assert run(["evaluate", "inversion", model, *FEW, "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"value", "low", "high", "n", "settings", "models"} <= set(printed)
    assert json.loads((out / "scores.json").read_text()) == printed


def test_a_reader_gets_a_row_for_each_knob_and_each_measure(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "inversion", model, *FEW]) == 0
    first_words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"f1", "f2", "mean", "mss", "stft_correlation"} <= set(first_words)


def test_kept_sounds_are_told_with_how_well_the_labels_render_them(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["evaluate", "inversion", model, *FEW, "--save-audio", "2", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert f"sounds: {out / 'listen.html'}; labels rendered again differ by at most -" in printed.out
    assert "warning" not in printed.err
    assert (out / "audio/00001_rerender.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "--save-audio", "2"], "--out"),
        (["nothing"], "there is no model 'nothing'"),
        (["MODEL", "--real", "nowhere"], "nowhere holds no data set"),
        (["MODEL", "--clips", "1"], "--clips"),
        (["MODEL", "--split", "train"], "--split"),
        (["MODEL", "--out", "MODEL"], "is a file"),
        ([], "MODEL"),
    ],
)
def test_the_users_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], message: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [model if word == "MODEL" else word for word in arguments]
    assert run(["evaluate", "inversion", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_help_of_the_group_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2]
    listed = {line.split()[0] for line in commands.splitlines() if line.strip()}
    contract = "inversion pis iis pkid ikid fad kad kid is prdc ndb notes report"
    assert listed >= set(contract.split())
    assert listed == set(COMMANDS)
