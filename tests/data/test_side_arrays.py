"""Laws of side arrays: what is read is what was written, and nothing foreign or damaged is believed."""

import json

import numpy as np
import pytest
import torch

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data import side_arrays
from retimbre.data.manifest import Fractions, Header, write_header
from retimbre.data.side_arrays import (
    SIDE_ARRAYS_FILE,
    SideArray,
    SideRows,
    check_side_arrays,
    remove_side_arrays,
    side_array_names,
    write_side_array,
)

HEADER = Header("labels", 10, 8000, 4, shard_rows=4, split=Fractions(), options={"made": "by hand"})
ENTRIES = np.arange(60, dtype=np.int16).reshape(10, 2, 3)
ARRAY = SideArray("entries", "int16", (2, 3), "numbers from 0 to 59")


def rows_of(rows):
    return ENTRIES[rows.start : rows.stop]


@pytest.fixture
def folder(tmp_path):
    write_header(tmp_path, HEADER)
    assert write_side_array(tmp_path, HEADER, ARRAY, rows_of) == 3
    return tmp_path


def test_entries_are_read_in_the_order_that_is_asked_for(folder):
    rows = torch.tensor([9, 0, 5, 5, 3])
    found = SideRows.open(folder, HEADER, "entries").read(rows)
    np.testing.assert_array_equal(found, ENTRIES[rows.numpy()])
    assert found.dtype == np.int16
    assert SideRows.open(folder, HEADER, "entries").read(torch.tensor([], dtype=torch.long)).shape == (
        0,
        2,
        3,
    )
    with pytest.raises(IndexError, match="clips are 0 to 9"):
        SideRows.open(folder, HEADER, "entries").read(torch.tensor([10]))


def test_a_shard_that_is_large_is_asked_for_in_parts_and_comes_out_byte_for_byte_the_same(
    folder, tmp_path, monkeypatch
):
    # Room for one entry of 12 bytes and not for two.
    monkeypatch.setattr(side_arrays, "_BLOCK_BYTES", 20)
    asked = []

    def counted(rows):
        asked.append(rows)
        return rows_of(rows)

    parts = tmp_path / "parts"
    parts.mkdir()
    write_side_array(parts, HEADER, ARRAY, counted)
    assert asked == [range(row, row + 1) for row in range(10)]
    for path in folder.glob("*.npy"):
        assert path.read_bytes() == (parts / path.name).read_bytes()


def test_what_does_not_fit_the_array_is_not_written(tmp_path):
    write_header(tmp_path, HEADER)
    for wrong in (lambda rows: ENTRIES[: len(rows) - 1], lambda rows: ENTRIES[: len(rows), :1]):
        with pytest.raises(ValueError, match="array of shape"):
            write_side_array(tmp_path, HEADER, ARRAY, wrong)
    assert not list(tmp_path.glob("*.npy"))


def test_only_what_is_missing_is_written_again(folder):
    asked = []

    def counted(rows):
        asked.append(rows)
        return rows_of(rows)

    assert write_side_array(folder, HEADER, ARRAY, counted) == 0
    (folder / "entries-00001.npy").unlink()
    assert write_side_array(folder, HEADER, ARRAY, counted) == 1
    assert asked == [range(4, 8)]
    assert check_side_arrays(folder, HEADER) == []


def test_two_arrays_lie_side_by_side(folder):
    other = SideArray("labels", "float64", (), "one number each")
    write_side_array(folder, HEADER, other, lambda rows: np.arange(rows.start, rows.stop) / 2)
    assert side_array_names(folder, HEADER) == ("entries", "labels")
    assert SideRows.open(folder, HEADER, "labels").read(torch.tensor([3, 1])).tolist() == [1.5, 0.5]
    with pytest.raises(DatasetError, match="did you mean 'labels'"):
        SideRows.open(folder, HEADER, "label")


def test_arrays_of_another_set_count_as_none_and_are_replaced(folder):
    other = Header("labels", 2, 8000, 4, shard_rows=4, split=Fractions(), options={"made": "anew"})
    assert side_array_names(folder, other) == ()
    assert check_side_arrays(folder, other) == []
    write_side_array(folder, other, ARRAY, rows_of)
    assert sorted(path.name for path in folder.glob("*.npy")) == ["entries-00000.npy"]


def test_the_check_names_each_shard_that_is_not_what_is_listed(folder):
    content = bytearray((folder / "entries-00001.npy").read_bytes())
    content[-1] ^= 1
    (folder / "entries-00001.npy").write_bytes(content)
    (folder / "entries-00002.npy").write_bytes(b"")
    (folder / "entries-00000.npy").unlink()
    first, second, third = check_side_arrays(folder, HEADER)
    assert first.startswith("entries-00000.npy: ")
    assert "not a readable array" in first
    assert second == "entries-00001.npy: its checksum is not the listed one; it was changed or damaged"
    assert "has 0 bytes, but" in third
    listed = json.loads((folder / SIDE_ARRAYS_FILE).read_text())
    del listed["arrays"][0]["shards"][1]
    (folder / SIDE_ARRAYS_FILE).write_text(json.dumps(listed))
    assert "entries-00001.npy: not made yet" in check_side_arrays(folder, HEADER)[1]
    with pytest.raises(DatasetError, match="1 of 3 shards of 'entries' are missing"):
        SideRows.open(folder, HEADER, "entries")


def test_a_list_cannot_lead_out_of_the_folder(folder):
    with pytest.raises(ConfigError, match="letters, digits and _"):
        SideArray("../entries", "int16", (), "")
    listed = json.loads((folder / SIDE_ARRAYS_FILE).read_text())
    listed["arrays"][0]["shards"][0]["file"] = "../entries-00000.npy"
    (folder / SIDE_ARRAYS_FILE).write_text(json.dumps(listed))
    with pytest.raises(DatasetError, match=r"where 'entries-00000\.npy' is meant"):
        SideRows.open(folder, HEADER, "entries")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "retimbre side arrays", "version": 9}'])
def test_a_damaged_list_is_an_error_of_one_line(folder, content):
    (folder / SIDE_ARRAYS_FILE).write_text(content)
    with pytest.raises(DatasetError, match=SIDE_ARRAYS_FILE):
        side_array_names(folder, HEADER)
    remove_side_arrays(folder)
    assert side_array_names(folder, HEADER) == ()


def test_removing_leaves_no_array(folder):
    remove_side_arrays(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json"]
