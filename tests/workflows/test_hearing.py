"""Runs whose network listens through an embedder: fitted once, kept where it was said, never refitted."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.listening.bag_of_words import BagOfWords
from retimbre.matching.inverter import load_inverter
from retimbre.workflows.training.fit import rehearse, run_session, train
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

TINY = """
[task]
synth = "fm"
model = "FC1"
seconds = 0.1
[data]
pairs = 24
gate_s = [0.05, 0.05]
validation_clips = 8
[train]
steps = 6
batch_size = 8
log_every = 2
validate_every = 3
checkpoint_every = 2
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips each fit was given."""
    counts: list[int] = []
    learn = BagOfWords.learn

    def counted(self: BagOfWords, clips: Any, *, seed: int) -> None:
        counts.append(len(clips))
        learn(self, clips, seed=seed)

    monkeypatch.setattr(BagOfWords, "learn", counted)
    return counts


def tables(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in folder.rglob("em*.safetensors"))


def test_a_run_fits_once_and_keeps_its_table_and_its_model_needs_neither(
    run_file: Path, tmp_path: Path, fits: list[int]
) -> None:
    train(run_file, tmp_path / "run")
    assert fits == [24]
    assert tables(tmp_path / "run" / "cache") == ["embeddings"]
    loaded = load_inverter(tmp_path / "run")
    assert isinstance(loaded.front_end, BagOfWords)
    assert loaded.front_end.is_fitted
    assert fits == [24]


def test_a_run_that_is_continued_does_not_refit_and_equals_an_unbroken_one(
    run_file: Path, tmp_path: Path, fits: list[int]
) -> None:
    assert not train(run_file, tmp_path / "broken", overrides=["train.minutes=1e-9"])["finished"]
    train(run_file, tmp_path / "broken")
    assert len(fits) == 1
    train(run_file, tmp_path / "unbroken")
    weights = [load_inverter(tmp_path / name).state_dict() for name in ("broken", "unbroken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_runs_that_name_one_cache_share_it(run_file: Path, tmp_path: Path, fits: list[int]) -> None:
    cache = tmp_path / "shared"
    for name, others in {"a": [], "b": ["task.model=FC3"], "c": ["data.shuffled_labels=true"]}.items():
        train(run_file, tmp_path / name, overrides=[f"data.cache={cache}", *others])
    assert len(fits) == 1
    assert tables(cache) == ["embedder", "embeddings"]
    assert tables(tmp_path / "a") == []


def test_a_rehearsal_writes_nothing_and_hears_few_pairs(
    run_file: Path, tmp_path: Path, fits: list[int]
) -> None:
    overrides = ["data.pairs=4000", f"data.cache={tmp_path / 'shared'}"]
    told = rehearse(read_run(run_file, overrides), Session(tmp_path / "run", "cpu"))
    assert told["features"] == [1000]
    assert fits == [64]
    assert not (tmp_path / "shared").exists()
    assert not (tmp_path / "run").exists()


def test_endless_pairs_are_heard_as_they_come(run_file: Path, tmp_path: Path, fits: list[int]) -> None:
    train(run_file, tmp_path / "run", overrides=["data.pairs=0", "task.model=MLP"])
    assert tables(tmp_path / "run") == []
    assert fits == []


def test_a_run_from_a_trained_model_keeps_what_that_one_was_fitted_to(
    run_file: Path, tmp_path: Path, fits: list[int]
) -> None:
    train(run_file, tmp_path / "first")
    config = read_run(run_file, ["seed=5"])
    run_session(config, Session(tmp_path / "second", "cpu", warm_start=str(tmp_path / "first")))
    assert len(fits) == 1
    first, second = (load_inverter(tmp_path / name).front_end for name in ("first", "second"))
    assert all(torch.equal(first.get_buffer(name), each) for name, each in second.named_buffers())
