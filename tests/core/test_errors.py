"""Every deliberate exception hangs on one tree, and says in one line what would have been right."""

import inspect

import pytest

from retimbre.core import errors

EXCEPTIONS = [
    thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, Exception)
]


@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_every_exception_descends_from_one_root(exception: type[Exception]) -> None:
    assert issubclass(exception, errors.RetimbreError)


def test_a_missing_extra_says_what_to_install() -> None:
    message = str(errors.MissingExtra("h5py", extra="hdf5", purpose="an HDF5 data set"))
    assert message == "an HDF5 data set needs h5py: pip install 'retimbre[hdf5]'"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("stepz", ["steps", "seed"], "did you mean 'steps'?"),
        ("zzz", ["seed", "a"], "known: a, seed"),
        ("zzz", [], "known: none"),
    ],
)
def test_an_unknown_name_brings_the_nearest_or_all(name: str, known: list[str], hint: str) -> None:
    assert errors.near_miss(name, known) == hint
