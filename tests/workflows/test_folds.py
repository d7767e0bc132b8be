"""Cross-validation: folds that are disjoint and cover everything, turns that are taken once, and honest spread."""

import csv
import json
import statistics
from pathlib import Path

import pytest
import torch
from scipy import stats

from retimbre.core import random
from retimbre.core.errors import ConfigError, PartialFailure
from retimbre.data.dataset import RenderedSet
from retimbre.data.splits import SPLITS, Folds
from retimbre.matching.inverter import Inverter, InverterConfig, read_inverter
from retimbre.matching.pairs import HELD_OUT, FileSource
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.evaluation.inversion.held_out import trained_on
from retimbre.workflows.study.matching import folds as folds_module
from retimbre.workflows.study.matching.folds import FoldsOptions, cross_validate, spread, student_reach
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.matching_run import DataConfig, MatchingRun
from retimbre.workflows.training.settings import TrainConfig

TINY = """
seed = 1
[task]
synth = "two-sine"
model = "C1"
seconds = 0.125
[data]
validation_clips = 4
[train]
steps = 2
batch_size = 2
log_every = 1
validate_every = 2
checkpoint_every = 1
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def vectors(count: int) -> torch.Tensor:
    return (random.uniform(0, "fold vectors", torch.arange(count), 9) * 16).long()


@pytest.mark.parametrize("count", [3, 5, 10])
def test_every_vector_is_tested_in_one_fold_validated_in_one_and_trained_on_in_the_others(count: int) -> None:
    parts = torch.stack([Folds(count, fold).part(vectors(3000)) for fold in range(count)])
    for index, split in enumerate(SPLITS):
        expected = count - 2 if split == "train" else 1
        assert ((parts == index).sum(dim=0) == expected).all()


@pytest.mark.parametrize("count", [3, 10])
def test_folds_are_even(count: int) -> None:
    shares = [float((Folds(count, fold).part(vectors(20_000)) == 2).float().mean()) for fold in range(count)]
    # Four standard deviations of a share of a tenth over 20,000 draws are 0.0085, of a third 0.0133.
    assert all(abs(share - 1 / count) < 0.0134 for share in shares)


def test_fold_0_of_ten_is_the_split_that_everything_else_uses() -> None:
    assert torch.equal(Folds(10, 0).part(vectors(2000)), HELD_OUT.part(vectors(2000)))
    inverter = Inverter(InverterConfig("two-sine", "C1", seconds=0.125))
    standard, first = (
        MatchingRun(inverter.config, TrainConfig(steps=1), data).pair_source(inverter)
        for data in (DataConfig(), DataConfig(folds=10, fold=0))
    )
    for split in SPLITS:
        assert torch.equal(
            standard.patches(torch.arange(50), split)[0], first.patches(torch.arange(50), split)[0]
        )


@pytest.mark.parametrize("fold", [0, 2])
def test_stored_and_endless_pairs_of_a_fold_have_no_vector_in_common_across_parts(
    fold: int, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "set", SetOptions("fm", size=200, seconds=0.05))
    data, folds = RenderedSet.open(tmp_path / "set"), Folds(3, fold)
    stored = FileSource(data, 0, folds=folds)
    inverter = Inverter(InverterConfig("fm", "C1", seconds=0.125))
    config = MatchingRun(inverter.config, TrainConfig(steps=1), DataConfig(folds=3, fold=fold))
    endless = config.pair_source(inverter)
    for index, split in enumerate(SPLITS):
        assert (folds.part(data.classes[stored.rows[split]]) == index).all()
        assert (folds.part(endless.patches(torch.arange(100), split)[0]) == index).all()
    assert sorted(torch.cat(list(stored.rows.values())).tolist()) == list(range(200))


def test_a_model_alone_knows_its_fold_also_if_it_was_trained_on_a_data_set(
    run_file: Path, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "set", SetOptions("two-sine", size=60, seconds=0.125))
    for name, where in (("endless", []), ("stored", [f"data.folder={tmp_path / 'set'}"])):
        train(run_file, tmp_path / name, overrides=["data.folds=4", "data.fold=3", *where])
        alone = tmp_path / f"{name}.safetensors"
        (tmp_path / name / "model.safetensors").rename(alone)
        drawn, _ = trained_on(alone, read_inverter(alone)[1])
        assert drawn.held_out() == Folds(4, 3)


def test_a_cross_validation_trains_and_tests_every_fold_and_gives_mean_and_spread(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "study"
    result = cross_validate(run_file, out, FoldsOptions(folds=3, clips=8))
    values = [row["percentile_rank"] for row in result["folds"]]
    assert result["value"] == pytest.approx(statistics.fmean(values))
    assert result["sd"] == pytest.approx(statistics.stdev(values))
    assert result["low"] <= result["value"] <= result["high"]
    assert result["n"] == 3
    for fold in range(3):
        scores = json.loads((out / f"fold_{fold:02d}/evaluation/scores.json").read_text())
        assert scores["settings"]["held_out"]["fold"] == f"{fold} of 3"
        assert scores["value"] == pytest.approx(values[fold])
    assert json.loads((out / "folds.json").read_text()) == result
    rows = list(csv.DictReader((out / "folds.csv").open()))
    assert [row["fold"] for row in rows] == ["0", "1", "2", "mean", "sd", "low", "high"]

    # Called again, it trains and measures nothing.
    monkeypatch.setattr(folds_module, "evaluate", None)
    assert cross_validate(run_file, out, FoldsOptions(folds=3, clips=8)) == result


def test_a_stopped_turn_is_told_and_the_study_goes_on_where_it_stopped(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "study"
    with pytest.raises(
        PartialFailure, match=r"fold_00: stopped after step 1 of 2; run the same command again"
    ):
        cross_validate(run_file, out, FoldsOptions(folds=3, clips=8), overrides=["train.minutes=1e-9"])
    assert not (out / "folds.json").exists()
    begun: list[int] = []
    monkeypatch.setattr(folds_module, "_evaluate", lambda *_: {})
    monkeypatch.setattr(folds_module, "_figures", lambda _: {"percentile_rank": 50.0 + len(begun)})
    cross_validate(
        run_file,
        out,
        FoldsOptions(folds=3, clips=8),
        progress=lambda fold, told: begun.append(10 * fold + told.step),
    )
    assert begun == [2, 11, 12, 21, 22]


def test_the_spread_of_three_numbers_is_students() -> None:
    found = spread([1.0, 2.0, 3.0])
    # The 97.5 % point of Student's distribution with two degrees of freedom is 4.3027.
    assert found == pytest.approx(
        {"value": 2.0, "sd": 1.0, "low": 2.0 - 4.3027 / 3**0.5, "high": 2.0 + 4.3027 / 3**0.5, "n": 3},
        rel=1e-4,
    )
    with pytest.raises(ConfigError, match="1 values have no spread"):
        spread([1.0])


def test_fewer_than_three_folds_and_runs_of_another_kind_are_refused(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folds is 2"):
        FoldsOptions(folds=2)
    run_file.write_text('[task]\nkind = "label-autoencoder"\nsynth = "fm"\n[train]\nsteps = 1\n')
    with pytest.raises(ConfigError, match="trains a label-autoencoder, but folds are for inverters"):
        cross_validate(run_file, tmp_path / "study", FoldsOptions(folds=3))


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 29])
def test_the_reach_of_student_s_interval_is_that_of_the_tables(degrees: int) -> None:
    assert student_reach(0.95, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-6)
