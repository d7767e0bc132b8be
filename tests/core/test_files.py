"""Files appear whole or not at all, and equal content has equal fingerprints."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_end_after
from hypothesis import given
from hypothesis import strategies as st

from retimbre.core.errors import ExistsError
from retimbre.core.files import (
    csv_text,
    fingerprint,
    folder_aside,
    free_files,
    refuse_to_lose,
    sha256_of,
    unique_names,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def stop_half_way(path: Path) -> None:
    with whole_file(path) as aside:
        aside.write_text("half of it")
        raise KeyboardInterrupt


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with (
        files_end_after(1_000),
        pytest.raises(OSError, match=r"long.txt: cannot be written: File too large$"),
    ):
        write_text(tmp_path / "long.txt", "line\n" * 1_000)
    assert not list(tmp_path.iterdir())


def test_errors_that_name_a_file_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no/such"), whole_file(tmp_path / "a.txt"):
        (tmp_path / "no/such").read_text()


def test_a_file_appears_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "é\n")
    assert path.read_text(encoding="utf-8") == "é\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, "what was there"])
def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "result.txt"
    if before is not None:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt):
        stop_half_way(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == (
        {"result.txt": before} if before is not None else {}
    )


def test_the_file_in_the_making_has_the_suffix_of_the_whole_one(tmp_path: Path) -> None:
    # Writers such as soundfile and matplotlib choose the format by it.
    with whole_file(tmp_path / "sound.flac") as aside:
        aside.touch()
        assert aside.suffix == ".flac"


@given(JSON_VALUES)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert json.loads(path.read_text(encoding="utf-8")) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_never_reaches_a_file(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "value.json", {"score": value})
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=64))
def test_the_checksum_is_that_of_the_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "file"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(table: dict[str, Any]) -> None:
    assert fingerprint(dict(reversed(table.items()))) == fingerprint(table)


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {}, {"a": 1, "b": None}])
def test_other_content_has_another_fingerprint(other: dict[str, Any]) -> None:
    assert fingerprint(other) != fingerprint({"a": 1})


def test_results_go_into_a_folder_where_none_of_them_is_unless_they_may_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    wanted = {"a.json": folder / "a.json", "b.csv": folder / "b.csv"}
    assert free_files(folder, "a.json", "b.csv", force=False) == wanted
    assert not folder.exists()
    write_text(folder / "other.txt", "")
    assert free_files(str(folder), "a.json", "b.csv", force=False) == wanted
    write_text(folder / "b.csv", "")
    with pytest.raises(ExistsError, match=r"holds b\.csv already; --force replaces them$"):
        free_files(folder, "a.json", "b.csv", force=False)
    assert free_files(folder, "a.json", "b.csv", force=True) == wanted


def test_no_folder_takes_no_results() -> None:
    assert free_files("", "a.json", force=False) == {}


@pytest.mark.parametrize("below", ["", "folder", "folder/in/it"])
@pytest.mark.parametrize("force", [False, True])
def test_results_never_take_the_place_of_a_file(below: str, force: bool, tmp_path: Path) -> None:
    write_text(tmp_path / "file", "what was there")
    with pytest.raises(ExistsError, match="/file is a file, but --out takes a folder"):
        free_files(tmp_path / "file" / below, "a.json", force=force)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "what was there"


def test_rows_become_csv_that_reads_back_to_the_last_digit() -> None:
    rows = [["name", "value"], ["a, b", 0.1 + 0.2], [None, 'a "quoted"\nline']]
    read = list(csv.reader(io.StringIO(csv_text(rows))))
    assert read == [["name", "value"], ["a, b", "0.30000000000000004"], ["", 'a "quoted"\nline']]
    assert float(read[1][1]) == 0.1 + 0.2


def test_names_are_kept_apart_by_numbers() -> None:
    assert unique_names(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_2", "a_2_2", "a_3"]


def test_a_folder_that_holds_more_than_what_replaces_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.wav").touch()
    refuse_to_lose(tmp_path, "sounds/*.wav", "notes.txt")
    refuse_to_lose(tmp_path / "nowhere", "notes.txt")
    (tmp_path / "sounds" / "b.txt").touch()
    with pytest.raises(ExistsError, match=r"holds sounds/b\.txt, which --force would lose"):
        refuse_to_lose(tmp_path, "sounds/*.wav", "notes.txt")


def test_a_folder_appears_whole_in_place_of_an_earlier_one(tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    (place / "old").touch()
    with whole_folder(place) as aside:
        (aside / "new").touch()
        assert [path.name for path in place.iterdir()] == ["old"]
    assert [path.name for path in place.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_that_fails_leaves_the_earlier_one_and_names_it_in_errors_of_the_system(
    tmp_path: Path,
) -> None:
    place = tmp_path / "set"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(OSError, match="No such file") as caught, whole_folder(place) as aside:
        (aside / "new" / "missing").touch()
    assert str(place / "new" / "missing") in str(caught.value)
    assert ".part" not in str(caught.value)
    assert [path.name for path in place.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_around_is_left_as_it_was_found_where_nothing_came_of_it(tmp_path: Path) -> None:
    for around, stays in ((tmp_path / "new", False), (tmp_path / "old", True)):
        if stays:
            around.mkdir()
        with pytest.raises(KeyboardInterrupt), folder_aside(around / ".part", around):
            raise KeyboardInterrupt
        assert around.exists() == stays
    with folder_aside(tmp_path / "new" / ".part", tmp_path / "new"):
        (tmp_path / "new" / "result").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result"]


def test_a_place_that_takes_no_folder_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "set"
    with pytest.raises(OSError, match="Not a directory") as caught, whole_folder(place):
        raise AssertionError("nothing to write to")
    assert str(place) in str(caught.value)
    assert ".part" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_named_itself(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    place.mkdir()
    with (
        pytest.raises(OSError, match="cannot be written: Is a directory") as caught,
        whole_file(place) as aside,
    ):
        aside.write_text("whole")
    assert str(caught.value).startswith(f"{place}: ")
    assert list(tmp_path.iterdir()) == [place]
