"""A model is found by its folder, its file or its shipped name, whatever else lies about."""

from pathlib import Path

import pytest

from retimbre.core.errors import CheckpointError
from retimbre.training.run_checkpoints import FOLDER, KIND, Checkpoints, kind_of_model
from retimbre.training.shipped import MODEL_FILE, find_checkpoint, shipped_checkpoints


def test_a_folder_of_sounds_does_not_stand_before_the_shipped_model_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "envelope").mkdir()
    assert find_checkpoint("envelope") == shipped_checkpoints()["envelope"]
    # One that holds a model is meant.
    (tmp_path / "envelope" / MODEL_FILE).touch()
    assert find_checkpoint("envelope") == Path("envelope") / MODEL_FILE


def test_a_run_that_broke_off_is_its_best_state_if_that_can_stand_for_the_model(tmp_path: Path) -> None:
    generator = Checkpoints(tmp_path / "gan" / FOLDER, {"run": {"task": {"kind": "gan"}}})
    generator.save(generator.last, {"step": 3})
    assert find_checkpoint(tmp_path / "gan") == generator.last
    generator.save(generator.best, {"step": 2})
    assert find_checkpoint(tmp_path / "gan") == generator.best
    inverter = Checkpoints(tmp_path / "inverter" / FOLDER, {"run": {"task": {"kind": "inversion"}}})
    inverter.save(inverter.last, {"step": 3})
    with pytest.raises(CheckpointError, match="its training broke off; `retimbre train` goes on"):
        find_checkpoint(tmp_path / "inverter")


@pytest.mark.parametrize("run", [[], {"task": []}, {"task": {"kind": []}}, {"task": {"kind": "gna"}}])
def test_a_state_of_something_unknown_is_a_state_of_training(tmp_path: Path, run: object) -> None:
    strange = Checkpoints(tmp_path, {"run": run})
    strange.save(strange.last, {"step": 3})
    assert kind_of_model(strange.last) == KIND


def test_a_folder_without_a_model_and_a_name_of_none_are_refused_with_what_is_meant(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is it a run folder whose training has begun"):
        find_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"there is no model 'envelop'.* did you mean 'envelope"):
        find_checkpoint("envelop")
