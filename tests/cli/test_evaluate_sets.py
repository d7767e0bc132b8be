"""`retimbre evaluate fad` and its siblings: what they print, what they write and how they end."""

import json
from pathlib import Path

import pytest
import torch

from retimbre.dsp import audiofile
from retimbre.listening.listener import Listener, ListenerConfig, save_listener
from retimbre.workflows.evaluation.sets.metrics import SET_METRICS

RATE = 16_000
FEW = ["--seconds", "0.125", "--resamples", "20", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Two folders of two dozen sounds."""
    random = torch.Generator().manual_seed(0)
    for name in ("real", "fake"):
        for number in range(24):
            sound = torch.randn(2_000, generator=random).cumsum(0)
            audiofile.write(tmp_path / name / f"{number:02d}.wav", sound / sound.abs().max(), RATE)
    return {name: str(tmp_path / name) for name in ("real", "fake")}


@pytest.fixture
def listener(tmp_path: Path) -> str:
    torch.manual_seed(0)
    path = tmp_path / "listener.safetensors"
    save_listener(path, Listener(ListenerConfig(attributes=("pitch", "family"))), facts={})
    return str(path)


def kid(sets: dict[str, str], *more: str) -> list[str]:
    words = ["evaluate", "kid", "--fake", sets["fake"], "--real", sets["real"], "--embedder", "statistics"]
    return [*words, *FEW, *more]


def test_it_prints_one_json_value_and_writes_the_same(run, sets: dict[str, str], tmp_path: Path) -> None:
    status, out, err = run(*kid(sets, "--out", tmp_path / "out", "--json"))
    assert (status, err) == (0, "")
    printed = json.loads(out)
    assert {"metric", "value", "low", "high", "n", "settings", "remarks", "line"} <= set(printed)
    assert json.loads((tmp_path / "out/scores.json").read_text()) == printed
    assert (tmp_path / "out/scores.txt").read_text().splitlines() == [printed["line"], *printed["remarks"]]


def test_a_reader_gets_the_figure_its_settings_and_every_remark(run, sets: dict[str, str]) -> None:
    status, out, _ = run("evaluate", "prdc", *kid(sets)[2:])
    lines = out.splitlines()
    assert status == 0
    assert lines[0].startswith("prdc ")
    assert lines[0].endswith("24 clips, higher is better")
    assert [line.split()[0] for line in lines[1:5]] == ["precision", "recall", "density", "coverage"]
    assert lines[5].startswith("PRDC[statistics:")
    assert all(line.startswith("remark: ") for line in lines[6:])


def test_a_folder_may_be_named_as_a_model_is(run, sets: dict[str, str]) -> None:
    words = kid(sets, "--json")
    as_model = [*words[:2], sets["fake"], *words[4:]]
    assert json.loads(run(*as_model)[1])["value"] == json.loads(run(*words)[1])["value"]


def test_vectors_are_kept_in_the_folder_that_is_named_or_nowhere(
    run, sets: dict[str, str], tmp_path: Path
) -> None:
    run(*kid(sets, "--cache", "none"))
    assert not (tmp_path / "cache").exists()
    run(*kid(sets))
    assert len(list((tmp_path / "cache/retimbre").iterdir())) == 2
    run(*kid(sets, "--cache", tmp_path / "mine"))
    assert len(list((tmp_path / "mine").iterdir())) == 2


@pytest.mark.parametrize("metric", [name for name, each in SET_METRICS.items() if each.hears == "listener"])
def test_measures_of_notes_ask_the_listener_that_is_named(
    metric: str, run, sets: dict[str, str], listener: str
) -> None:
    words = ["evaluate", metric, "--fake", sets["fake"], "--real", sets["real"], "--listener", listener]
    status, out, err = run(*words, *FEW, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["settings"]["heard_by"]["name"] == listener


def test_nothing_is_overwritten_without_force(run, sets: dict[str, str], tmp_path: Path) -> None:
    assert run(*kid(sets, "--out", tmp_path / "out"))[0] == 0
    before = (tmp_path / "out/scores.json").read_text()
    status, out, err = run(*kid(sets, "--out", tmp_path / "out", "--seed", "1"))
    assert (status, out) == (2, "")
    assert "holds scores.json, scores.txt already; --force replaces them" in err
    assert (tmp_path / "out/scores.json").read_text() == before
    assert run(*kid(sets, "--out", tmp_path / "out", "--seed", "1", "--force"))[0] == 0
    assert (tmp_path / "out/scores.json").read_text() != before


def test_files_that_cannot_be_used_are_listed_and_the_rest_is_measured(run, sets: dict[str, str]) -> None:
    (Path(sets["fake"]) / "broken.wav").write_text("not a sound")
    status, out, err = run(*kid(sets, "--json"))
    assert status == 1
    assert json.loads(out)["n"] == 24
    assert "broken.wav: not a sound file" in err
    assert "error: 1 sound file could not be used; the rest is measured" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kid", "--real", "REAL"], "named as MODEL or as --fake DIR; got neither"),
        (["kid", "FAKE", "--fake", "FAKE", "--real", "REAL"], "got both"),
        (["kid", "--fake", "FAKE"], "KID compares a set with a real one, which is missing: --real DIR"),
        (["kid", "--fake", "nowhere", "--real", "REAL"], "nowhere: no such folder"),
        (["kid", "nowhere", "--real", "REAL"], "no model 'nowhere'"),
        (["kid", "--fake", "FAKE", "--real", "nowhere"], "nowhere: no such folder"),
        (["kid", "--fake", "FAKE", "--real", "REAL", "--embedder", "statistic"], "did you mean 'statistics'"),
        (["fad", "--fake", "FAKE", "--real", "REAL", "--embedder", "statistics"], "512"),
        (["pis", "--fake", "FAKE", "--listener", "nobody"], "no model 'nobody'"),
        (["is", "--fake", "FAKE", "--attribute", "mood"], "--attribute"),
        (["kid", "--fake", "FAKE", "--real", "REAL", "--profile", "mine"], "--profile"),
        (["kid", "--fake", "FAKE", "--real", "REAL", "--sample-rate", "5"], "sample rate is 5 Hz"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    words: list[str], message: str, run, sets: dict[str, str]
) -> None:
    named = [{"REAL": sets["real"], "FAKE": sets["fake"]}.get(word, word) for word in words]
    status, out, err = run("evaluate", *named)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
