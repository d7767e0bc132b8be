"""Every catalog comes as rows that a program can read and a person can choose from."""

import importlib.resources
import json
import re
from pathlib import Path

import pytest

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.workflows.catalogs import KINDS, names


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_row_opens_with_a_name_and_says_what_it_is(kind: str) -> None:
    for row in names(kind):
        assert next(iter(row)) == "name"
        assert row["description"].strip()
        assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_rows_of_a_catalog_have_the_same_columns(kind: str) -> None:
    assert len({tuple(row) for row in names(kind)}) <= 1


def test_descriptions_of_representations_tell_them_apart_and_claim_no_exactness_that_the_row_denies() -> None:
    rows = names("representations")
    descriptions = [row["description"] for row in rows]
    assert len(set(descriptions)) == len(descriptions)
    assert [
        row["name"] for row in rows if re.search(r"\bexact", row["description"]) and not row["exact"]
    ] == []
    assert [row["name"] for row in rows if "lossy." in row["description"] and row["exact"]] == []


def test_an_unknown_catalog_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"no catalog 'synts'; did you mean 'synths'\?"):
        names("synts")


CARD = {"task": "inversion", "description": "a test"}


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for that of the checkpoints which came with the package."""
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def test_a_bundled_checkpoint_is_listed_with_its_card_and_its_place(bundled: Path) -> None:
    (bundled / "b.json").write_text(json.dumps(CARD))
    (bundled / "b.safetensors").touch()
    (bundled / "README.md").touch()
    (row,) = names("checkpoints")
    assert row == {"name": "b", **CARD, "path": str(bundled / "b.safetensors")}


def test_a_card_without_weights_is_told(bundled: Path) -> None:
    (bundled / "b.json").write_text(json.dumps(CARD))
    with pytest.raises(CheckpointError, match=r"b\.safetensors is missing"):
        names("checkpoints")


def test_a_card_that_does_not_say_what_it_is_for_is_told(bundled: Path) -> None:
    (bundled / "b.json").write_text("{}")
    (bundled / "b.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"b\.json does not say description and task"):
        names("checkpoints")
