"""A model is found by its folder, its file or its shipped name, whatever else lies about."""

from pathlib import Path

import pytest

from retimbre.core.errors import CheckpointError
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


def test_a_folder_without_a_model_and_a_name_of_none_are_refused_with_what_is_meant(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is it a run folder whose training has begun"):
        find_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"there is no model 'envelop'.* did you mean 'envelope"):
        find_checkpoint("envelop")
