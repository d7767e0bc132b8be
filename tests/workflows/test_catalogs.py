"""Every catalog comes as rows that a program can read and a person can choose from."""

import json

import pytest

from retimbre.core.errors import ConfigError
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


def test_an_unknown_catalog_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"no catalog 'synts'; did you mean 'synths'\?"):
        names("synts")
