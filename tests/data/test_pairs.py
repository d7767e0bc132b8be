"""Laws of pairs: a chunk is paired with the one that ends where it begins, in the same recording, and with no other."""

import dataclasses

import pytest
import torch
from performances import write_wave

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data.dataset import RecordedSet
from retimbre.data.folder import Cutting
from retimbre.data.pairs import ChunkPairs, previous_rows
from retimbre.workflows.dataset.recordings import import_folder

CUTTING = Cutting(16_000, 0.1, long="window", hop_s=0.1)


@pytest.fixture
def data(tmp_path):
    """Chunks of 1,600 samples: two full ones and a padded one, one full one, and a padded one alone."""
    for name, seconds in (("a.wav", 0.25), ("b.wav", 0.1), ("c.wav", 0.05)):
        write_wave(tmp_path / "raw" / name, seconds)
    import_folder([tmp_path / "raw"], tmp_path / "set", CUTTING)
    return RecordedSet.open(tmp_path / "set")


def test_the_chunk_before_is_of_the_same_recording(data):
    assert [clip.source for clip in data.clips] == ["a.wav", "a.wav", "a.wav", "b.wav", "c.wav"]
    assert previous_rows(data.clips).tolist() == [-1, 0, 1, -1, -1]
    assert ChunkPairs.open(data, condition_samples=1).targets.tolist() == [1, 2]


def test_a_chunk_that_was_left_out_makes_no_pair_of_its_neighbours(data):
    without_the_second = [data.clips[0], data.clips[2]]
    assert previous_rows(without_the_second).tolist() == [-1, -1]
    two_files_of_one_name = [data.clips[0], dataclasses.replace(data.clips[1], sha256="0" * 64)]
    assert previous_rows(two_files_of_one_name).tolist() == [-1, -1]


def test_conditions_are_the_last_samples_of_the_chunk_before(data):
    pairs = ChunkPairs.open(data, condition_samples=700)
    heard = pairs.conditions(torch.tensor([1, 0]))
    torch.testing.assert_close(heard, data.audio(torch.tensor([1, 0]))[:, 900:], rtol=0, atol=0)
    whole = ChunkPairs.open(data, condition_samples=1600)
    torch.testing.assert_close(
        whole.conditions(torch.tensor([0])), data.audio(torch.tensor([0])), rtol=0, atol=0
    )


@pytest.mark.parametrize("condition_samples", [0, 1601])
def test_a_condition_that_is_no_part_of_a_chunk_is_refused(data, condition_samples):
    with pytest.raises(ConfigError, match=f"1 to 1600 samples, not {condition_samples}"):
        ChunkPairs.open(data, condition_samples=condition_samples)


def test_a_set_of_overlapping_windows_has_no_pairs(data, tmp_path):
    overlapping = dataclasses.replace(CUTTING, hop_s=0.05)
    import_folder([tmp_path / "raw"], tmp_path / "overlapping", overlapping)
    with pytest.raises(DatasetError, match="no clip follows another"):
        ChunkPairs.open(RecordedSet.open(tmp_path / "overlapping"), condition_samples=100)
