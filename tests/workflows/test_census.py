import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import DatasetError
from retimbre.data import store
from retimbre.data.dataset import RenderedSet
from retimbre.data.folder import Cutting
from retimbre.data.manifest import read_manifest, write_manifest
from retimbre.synth.catalog import SYNTHS
from retimbre.workflows.dataset.census import check_dataset
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.dataset.recordings import import_folder


@pytest.fixture
def rendered(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD_BYTES", 4 * 4 * 328)
    make_dataset(tmp_path, SetOptions("fm", size=10, seconds=0.02))
    return tmp_path


@pytest.mark.parametrize("name", SYNTHS)
@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_a_fresh_set_has_no_problems_and_plays_again_exactly(name, draw, tmp_path):
    make_dataset(tmp_path, SetOptions(name, size=3, seconds=0.03, draw=draw))
    census = check_dataset(tmp_path)
    assert census.problems == ()
    # A clip rendered alone may differ from one rendered in its shard by rounding: -100 dB.
    assert census.largest_difference < 1e-5


def test_a_census_counts_what_there_is(rendered):
    census = check_dataset(rendered)
    assert (census.clips, census.shards, census.num_samples) == (10, 3, 328)
    assert census.seconds == pytest.approx(10 * 328 / 16384)
    assert sum(census.splits.values()) == 10
    assert census.labels == dict.fromkeys(SYNTHS["fm"].space.names, 16)


def test_damage_is_reported_shard_by_shard_and_the_rest_is_counted(rendered):
    with (rendered / "audio-00001.npy").open("r+b") as file:
        file.seek(300)
        file.write(b"\x00\x01\x02")
    (rendered / "audio-00002.npy").write_bytes(b"short")
    census = check_dataset(rendered)
    assert [problem.partition(":")[0] for problem in census.problems] == [
        "audio-00001.npy",
        "audio-00002.npy",
    ]
    assert "checksum" in census.problems[0]
    assert census.clips == 10


def test_a_missing_shard_is_reported_with_what_to_do(rendered):
    write_manifest(rendered, read_manifest(rendered)[:2])
    assert check_dataset(rendered).problems == (
        "audio-00002.npy: not made yet; run the command that made the set again",
    )


def test_labels_that_do_not_belong_to_their_sounds_are_found(rendered):
    labels = RenderedSet.open(rendered).labels
    store.write_array(rendered / "classes.npy", labels.classes.flip(0).numpy().astype(np.int32))
    assert "clips have other classes than the seed gives" in check_dataset(rendered).problems[0]


def test_sounds_that_do_not_belong_to_their_labels_are_found(rendered):
    shards = read_manifest(rendered)
    audio = RenderedSet.open(rendered).audio(torch.arange(4)).flip(0).numpy()
    write_manifest(rendered, [store.write_shard(rendered, 0, audio), *shards[1:]])
    assert "clip 0 differs" in check_dataset(rendered).problems[0]


def test_silent_loud_and_rejected_recordings_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "silent.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "in" / "tone.wav", np.sin(np.arange(8000) / 5) / 2, 8000)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no")
    import_folder([tmp_path / "in"], tmp_path / "set", Cutting(8000, 0.5))
    census = check_dataset(tmp_path / "set")
    assert (census.silent, len(census.rejects), census.labels) == (1, 1, {"": 2})
    assert census.problems == ()


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no data set"):
        check_dataset(tmp_path)
