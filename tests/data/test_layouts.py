import csv
import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from retimbre.core.errors import ConfigError, MissingExtra
from retimbre.data.dataset import RenderedSet
from retimbre.data.layouts import LAYOUTS
from retimbre.dsp import audiofile
from retimbre.synth.levels import ParameterFile
from retimbre.workflows.dataset.plan import SetOptions, plan_of
from retimbre.workflows.dataset.prepare import HowToMake, make_dataset

OPTIONS = SetOptions("fm", size=7, seconds=0.02, num_levels=3, parameters=ParameterFile(fixed={"A": 0.5}))
CLASSES = 8 * 3


@pytest.fixture
def made(tmp_path):
    def make(layout, options=OPTIONS):
        make_dataset(tmp_path / "tones", options, HowToMake(layout=layout))
        return tmp_path / "tones", RenderedSet.open(tmp_path / "tones")

    return make


def decoded(one_hot, columns):
    """The values that a one-hot label stands for, from the level tables alone."""
    values, start = {}, 0
    for name, levels in columns:
        values[name] = levels[int(np.argmax(one_hot[start : start + len(levels)]))]
        start += len(levels)
    return values


def columns():
    return [(knob.name, knob.class_values()) for knob in plan_of(OPTIONS).space.searched]


def test_npy_holds_every_clip_and_its_one_hot_label(made):
    folder, native = made("npy")
    audio = np.load(folder / "tones_input.npy", allow_pickle=False)
    labels = np.load(folder / "tones_labels.npy", allow_pickle=False)
    assert (audio.shape, audio.dtype, labels.shape) == ((7, 1, 328), np.float32, (7, CLASSES))
    assert np.array_equal(audio[:, 0], native.audio(torch.arange(7)).numpy())
    assert np.array_equal(labels, plan_of(OPTIONS).space.to_one_hot(native.classes).numpy())


def test_hdf5_labels_decode_to_the_stored_parameters(made):
    h5py = pytest.importorskip("h5py")
    folder, _ = made("hdf5")
    parameters = json.loads((folder / "tones_params.json").read_text())
    listed = [(entry["name"], entry["levels"]) for entry in parameters["parameters"]]
    with h5py.File(folder / "tones_data.hdf5") as file:
        assert file["labels"].shape == (7, CLASSES)
        for label, text in zip(file["labels"], file["parameters"].asstr(), strict=True):
            assert decoded(label, listed) | parameters["fixed"] == json.loads(text)


def test_hdf5_says_that_audio_exists_and_it_does(made):
    h5py = pytest.importorskip("h5py")
    folder, native = made("hdf5")
    with h5py.File(folder / "tones_data.hdf5") as file:
        assert file["audio_exists"][:].tolist() == [True] * 7
        for row, name in enumerate(file["files"].asstr()):
            assert name == f"tones_{row:05d}.wav"
            assert torch.equal(audiofile.read(folder / name).samples, native.audio(torch.tensor([row]))[0])


def test_every_csv_label_is_the_one_hot_of_its_values(made):
    folder, native = made("csv")
    with (folder / "meta.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(i) for i in range(7)]
    for row in rows:
        label = np.array(row["label"].strip("[]").split(), dtype=float)
        values = decoded(label, columns())
        assert label.sum() == 8
        assert {name: float(row[name]) for name in values} == values
        assert float(row["A"]) == 0.5
    samples = audiofile.read(folder / rows[3]["filename"]).samples
    assert torch.equal(samples, native.audio(torch.tensor([3]))[0])


def test_a_csv_label_of_many_classes_is_written_in_full(made):
    options = dataclasses.replace(OPTIONS, num_levels=300)
    folder, _ = made("csv", options)
    with (folder / "meta.csv").open(newline="") as file:
        label = next(csv.DictReader(file))["label"]
    assert len(label.strip("[]").split()) == 8 * 300


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_is_there_is_not_written_again(layout, tmp_path):
    how = HowToMake(layout=layout)
    first = make_dataset(tmp_path, OPTIONS, how)
    assert len(first.layout_files) > 0
    assert make_dataset(tmp_path, OPTIONS, how).layout_files == ()
    (tmp_path / first.layout_files[0]).unlink()
    assert make_dataset(tmp_path, OPTIONS, how).layout_files == first.layout_files


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_replaced_set_leaves_no_files_of_the_old_one(layout, tmp_path):
    make_dataset(tmp_path, OPTIONS, HowToMake(layout=layout))
    smaller = dataclasses.replace(OPTIONS, size=3)
    make_dataset(tmp_path, smaller, HowToMake(layout=layout, force=True))
    make_dataset(tmp_path / "new" / tmp_path.name, smaller, HowToMake(layout=layout))
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {path.name for path in (tmp_path / "new" / tmp_path.name).iterdir()}


def test_two_layouts_live_beside_each_other(tmp_path):
    make_dataset(tmp_path, OPTIONS, HowToMake(layout="npy"))
    make_dataset(tmp_path, OPTIONS, HowToMake(layout="csv"))
    assert make_dataset(tmp_path, OPTIONS, HowToMake(layout="npy")).layout_files == ()


def test_an_unknown_layout_is_refused_and_a_missing_library_named(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no layout 'cvs'; did you mean 'csv'"):
        make_dataset(tmp_path, OPTIONS, HowToMake(layout="cvs"))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"retimbre\[hdf5\]"):
        make_dataset(tmp_path, OPTIONS, HowToMake(layout="hdf5"))
