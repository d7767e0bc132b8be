"""`retimbre export sfz` and `export hf` write what they print, and refuse the rest in a line."""

import json
from pathlib import Path

import pytest
from small_generators import generator_file


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return generator_file(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def test_an_instrument_is_written_and_told(run, model, tmp_path):
    words = [
        "export",
        "sfz",
        model,
        "--step",
        12,
        "--velocities",
        "75,127",
        "--timbres",
        2,
        "--family",
        "reed",
    ]
    status, out, _ = run(*words, "--seed", 3, "--out", tmp_path / "out", "--json")
    assert status == 0
    (table,) = json.loads(out)["instruments"]
    assert table["settings"]["seed"] == 3
    assert table["source"]["labels"] == {"family": "reed"}
    assert len(table["samples"]) == 2 * 2 * 2
    assert (tmp_path / "out" / table["file"]).is_file()
    status, out, error = run(*words, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert error == f"error: {tmp_path / 'out'} holds tiny.sfz, tiny.json already; --force replaces them\n"
    status, out, _ = run(*words, "--out", tmp_path / "out", "--force")
    assert status == 0
    assert "tiny.sfz" in out


def test_a_bad_source_among_good_ones_is_listed(run, model, tmp_path):
    status, out, error = run("export", "sfz", model, "nothing", "--step", 12, "--out", tmp_path / "out")
    assert status == 1
    assert "tiny.sfz" in out
    assert "failed: there is no model 'nothing'" in error
    assert error.endswith("error: 1 of 2 instruments could not be made\n")


def test_a_published_set_is_written_and_told(run, model, tmp_path):
    words = ["export", "hf", model, "--count", 12, "--title", "Small notes", "--licence", "cc0-1.0"]
    status, out, error = run(*words, "--out", tmp_path / "out", "--json")
    assert (status, error) == (0, "")
    facts = json.loads(out)
    assert (facts["title"], facts["license"]) == ("Small notes", "cc0-1.0")
    assert sum(facts["splits"].values()) == 12
    status, out, error = run(*words, "--out", tmp_path / "out")
    assert (status, out, error.count("\n")) == (2, "", 1)
    status, out, error = run("export", "hf", model, "--count", 3, "--out", tmp_path / "other")
    assert (status, out.count("\n")) == (0, 1)
    assert "license: other" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["sfz", "note-generator", "--velocities", "loud"],
            "--velocities is numbers with commas between, not 'loud'",
        ),
        (["sfz", "note-generator", "--step", 13], "step is 13, but takes 1 to 12"),
        (["sfz", "note-generator", "--lowest", 128], "lowest is 128, but takes 0 to 127"),
        (["sfz", "listener"], "'listener'"),
        (["hf", "nothing"], "there is no model 'nothing'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(run, words, message, tmp_path: Path):
    status, out, error = run("export", *words, "--out", tmp_path / "out")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert message in error
    assert not (tmp_path / "out").exists()
