"""What `retimbre list models` says of generators and critics."""

import pytest

from retimbre.gan.networks.catalog import CRITICS, GENERATORS
from retimbre.gan.networks.sizes import SIZES, num_weights, rows
from retimbre.representation.catalog import REPRESENTATIONS


def test_every_network_has_a_size_and_a_row_of_its_own() -> None:
    assert set(SIZES) == GENERATORS.keys() | CRITICS.keys()
    told = rows()
    assert [row["name"] for row in told if row["task"] == "generator"] == list(GENERATORS)
    assert [row["name"] for row in told if row["task"] == "critic"] == list(CRITICS)
    assert all(row["parameters"] > 0 and row["description"].endswith(".") for row in told)
    assert {row["representation"] for row in told} <= REPRESENTATIONS.keys()


@pytest.mark.parametrize(
    ("kind", "millions"),
    [("wavegan", (26.14, 25.08)), ("specgan", (27.20, 25.10)), ("progressive", (None, 2.54))],
)
def test_the_published_sizes_are_the_published_ones(kind: str, millions: tuple[float | None, float]) -> None:
    # Stated in millions with two decimals.
    found = (num_weights(catalog[kind](), SIZES[kind].form) / 1e6 for catalog in (GENERATORS, CRITICS))
    for each, stated in zip(found, millions, strict=True):
        if stated is not None:
            assert each == pytest.approx(stated, abs=0.005)
