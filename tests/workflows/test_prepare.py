import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from retimbre.core.errors import ConfigError, DatasetError, ExistsError, MissingExtra, RetimbreError
from retimbre.data import store
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import read_header
from retimbre.data.splits import SPLITS
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.levels import ParameterFile
from retimbre.workflows.dataset import shards
from retimbre.workflows.dataset.plan import SetOptions, plan_from_header, plan_of
from retimbre.workflows.dataset.prepare import HowToMake, make_dataset

SMALL = SetOptions("fm", size=10, seconds=0.02)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    """Four clips a shard, so that ten clips are three shards."""
    monkeypatch.setattr(store, "SHARD_BYTES", 4 * 4 * 328)


@pytest.fixture
def counted(monkeypatch):
    """The clips that were rendered, by number."""
    rows_rendered = []

    original = shards.render_rows

    def render(plan, rows):
        rows_rendered.extend(rows)
        return original(plan, rows)

    monkeypatch.setattr(shards, "render_rows", render)
    return rows_rendered


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", SYNTHS)
def test_the_bytes_do_not_depend_on_the_number_of_threads(name):
    plan = plan_of(SetOptions(name, size=8, seconds=0.05))
    alone = shards.render_rows(plan, range(8))
    torch.set_num_threads(2)
    try:
        together = shards.render_rows(plan, range(8))
    finally:
        torch.set_num_threads(1)
    assert np.array_equal(alone, together)


@pytest.mark.parametrize("name", SYNTHS)
def test_labels_decode_to_the_knobs_that_rendered_the_clip(name, tmp_path):
    make_dataset(tmp_path, SetOptions(name, size=3, seconds=0.05, seed=4))
    made = RenderedSet.open(tmp_path)
    synth = SYNTHS[name]
    note = plan_of(SetOptions(name, size=3, seconds=0.05)).notes.draw(
        torch.zeros(3, 2).double(), torch.arange(3)
    )
    with torch.no_grad():
        again = synth.render(
            synth.space.from_classes(made.classes), note, num_samples=made.header.num_samples
        )
    assert torch.equal(made.audio(torch.arange(3)), again)


def test_a_set_is_cut_into_shards_of_whole_clips(tmp_path):
    make_dataset(tmp_path, SMALL)
    assert sorted(path.name for path in tmp_path.glob("audio-*")) == [f"audio-0000{i}.npy" for i in range(3)]
    made = RenderedSet.open(tmp_path)
    whole = made.audio(torch.arange(10))
    assert torch.equal(made.audio(torch.tensor([9, 0, 4, 4])), whole[[9, 0, 4, 4]])


def test_a_second_run_renders_nothing(tmp_path, counted):
    assert make_dataset(tmp_path, SMALL).rendered == 10
    before = everything(tmp_path)
    counted.clear()
    assert make_dataset(tmp_path, SMALL).rendered == 0
    assert (counted, everything(tmp_path)) == ([], before)


def test_an_interrupted_run_loses_nothing_and_ends_with_the_same_bytes(tmp_path, counted):
    make_dataset(tmp_path / "unbroken", SMALL)

    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_dataset(tmp_path / "broken", SMALL, progress=interrupt)
    counted.clear()
    assert make_dataset(tmp_path / "broken", SMALL).rendered == 6
    assert counted == [4, 5, 6, 7, 8, 9]
    assert everything(tmp_path / "broken") == everything(tmp_path / "unbroken")


def test_an_unfinished_set_cannot_be_opened_and_says_how_to_finish_it(tmp_path):
    make_dataset(tmp_path, SMALL)
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines[:2]))
    with pytest.raises(DatasetError, match="1 of 3 shards are missing; run the command"):
        RenderedSet.open(tmp_path)


@pytest.mark.parametrize("lost", ["audio-00001.npy", "classes.npy", "unit.npy", "notes.npy"])
def test_a_lost_file_is_made_again_alone(tmp_path, lost):
    make_dataset(tmp_path, SMALL)
    before = everything(tmp_path)
    (tmp_path / lost).unlink()
    assert make_dataset(tmp_path, SMALL).rendered == (4 if lost.startswith("audio") else 0)
    assert everything(tmp_path) == before


CHANGES = [
    {"synth": "fm4"},
    {"size": 11},
    {"seed": 1},
    {"draw": "continuous"},
    {"num_levels": 8},
    {"parameters": ParameterFile(fixed={"A": 0.5})},
    {"pitch_hz": (220.0, 440.0)},
    {"gate_s": (0.1, 0.2)},
    {"seconds": 0.03},
    {"sample_rate": 8000},
    {"normalise": True},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_any_other_option_is_another_set_and_is_not_mixed_with_the_first(change, tmp_path):
    made = make_dataset(tmp_path, SMALL)
    before = everything(tmp_path)
    other = dataclasses.replace(SMALL, **change)
    assert plan_of(other).header.fingerprint != made.fingerprint
    with pytest.raises(ExistsError, match="--force replaces it"):
        make_dataset(tmp_path, other)
    assert everything(tmp_path) == before
    replaced = make_dataset(tmp_path, other, HowToMake(force=True))
    make_dataset(tmp_path / "fresh", other)
    assert replaced.rendered == replaced.size
    assert everything(tmp_path / "fresh") == everything(tmp_path)


def test_regenerating_audio_renders_all_of_it_and_leaves_the_labels(tmp_path, counted):
    make_dataset(tmp_path, SMALL)
    labels = {
        name: data for name, data in everything(tmp_path).items() if name in {"classes.npy", "unit.npy"}
    }
    counted.clear()
    louder = dataclasses.replace(SMALL, normalise=True)
    assert make_dataset(tmp_path, louder, HowToMake(regenerate="audio")).rendered == 10
    assert counted == list(range(10))
    assert labels.items() <= everything(tmp_path).items()
    peaks = RenderedSet.open(tmp_path).audio(torch.arange(10)).abs().amax(1)
    torch.testing.assert_close(peaks, torch.ones(10), rtol=1e-6, atol=0)


def test_regenerating_audio_does_not_redraw(tmp_path):
    make_dataset(tmp_path, SMALL)
    with pytest.raises(ExistsError, match=r"sampling\.seed"):
        make_dataset(tmp_path, dataclasses.replace(SMALL, seed=1), HowToMake(regenerate="audio"))


def test_regenerating_samples_draws_and_renders_all(tmp_path):
    make_dataset(tmp_path, SMALL)
    before = RenderedSet.open(tmp_path)
    classes, audio = before.classes.clone(), before.audio(torch.arange(10))
    reseeded = dataclasses.replace(SMALL, seed=1)
    assert make_dataset(tmp_path, reseeded, HowToMake(regenerate="samples")).rendered == 10
    after = RenderedSet.open(tmp_path)
    assert not torch.equal(after.classes, classes)
    assert not torch.equal(after.audio(torch.arange(10)), audio)


def test_the_same_seed_gives_the_same_set_and_a_larger_one_begins_with_it(tmp_path):
    make_dataset(tmp_path / "a", SMALL)
    make_dataset(tmp_path / "b", dataclasses.replace(SMALL, size=14))
    a, b = RenderedSet.open(tmp_path / "a"), RenderedSet.open(tmp_path / "b")
    rows = torch.arange(10)
    assert torch.equal(a.classes, b.classes[:10])
    assert torch.equal(a.audio(rows), b.audio(rows))


def test_a_grid_is_every_combination_once(tmp_path):
    two = ParameterFile(searched={"C": "steps 3", "A": "steps 2"}, others="fix")
    options = SetOptions("fm", draw="grid", parameters=two, seconds=0.01)
    assert make_dataset(tmp_path, options).size == 6
    rows = {tuple(row) for row in RenderedSet.open(tmp_path).classes.tolist()}
    assert rows == {(a, c) for a in range(2) for c in range(3)}


def test_an_absurd_grid_is_refused_with_its_number():
    with pytest.raises(ConfigError, match=r"68,719,476,736 clips"):
        plan_of(SetOptions("fm", draw="grid"))
    with pytest.raises(ConfigError, match="about 1e28 clips"):
        plan_of(SetOptions("inversynth", draw="grid"))


def test_fixed_knobs_have_their_value_in_every_clip(tmp_path):
    options = dataclasses.replace(SMALL, parameters=ParameterFile(fixed={"attack": 0.123, "C": 500.0}))
    make_dataset(tmp_path, options)
    plan, labels = plan_of(options), RenderedSet.open(tmp_path).labels
    for row in range(10):
        values = shards.values_of(plan, labels, row)
        assert (values["attack"], values["C"]) == (0.123, 500.0)
        assert list(values) == list(SYNTHS["fm"].space.names)


@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_the_unit_point_of_a_clip_is_that_of_its_classes(draw, tmp_path):
    make_dataset(tmp_path, dataclasses.replace(SMALL, draw=draw))
    made = RenderedSet.open(tmp_path)
    space = SYNTHS["fm"].space
    assert torch.equal(space.to_classes(space.from_unit(made.unit)), made.classes)
    on_levels = torch.equal(space.to_unit(space.from_classes(made.classes)), made.unit)
    assert on_levels == (draw == "classes")


def test_notes_fill_their_range_and_are_heard(tmp_path):
    options = SetOptions("fm", size=200, seconds=0.01, pitch_hz=(110.0, 880.0), gate_s=(0.1, 0.4))
    notes = shards.labels_of(plan_of(options), range(200)).notes
    for column, low, high in ((0, 110.0, 880.0), (2, 0.1, 0.4)):
        assert low <= notes[:, column].min() < low * 1.1
        assert high / 1.1 < notes[:, column].max() <= high
    octaves = (notes[:, 0] / 110.0).log2().floor().long().bincount()
    assert octaves.min() > 45  # a third of 200 each, four standard deviations off
    plain = shards.labels_of(plan_of(dataclasses.replace(options, pitch_hz=(440.0, 440.0))), range(200))
    assert torch.equal(plain.classes, shards.labels_of(plan_of(options), range(200)).classes)


def test_parts_are_disjoint_and_together_the_whole_set(tmp_path):
    make_dataset(tmp_path, SMALL)
    made = RenderedSet.open(tmp_path)
    rows = torch.cat([made.split(name) for name in SPLITS])
    assert sorted(rows.tolist()) == list(range(10))


def test_sampling_balances_the_classes_of_a_knob(tmp_path):
    make_dataset(tmp_path, dataclasses.replace(SMALL, size=60, num_levels=3))
    made = RenderedSet.open(tmp_path)
    rows = made.balanced("train", "M", 30, seed=0, step=1)
    assert made.classes[rows, made.columns.knobs.index("M")].bincount().tolist() == [10, 10, 10]
    assert set(rows.tolist()) <= set(made.split("train").tolist())


def test_a_set_opened_again_gives_the_plan_it_was_made_with(tmp_path):
    options = dataclasses.replace(SMALL, parameters=ParameterFile(fixed={"A": 0.5}), num_levels=5, seed=9)
    make_dataset(tmp_path, options)
    plan = plan_from_header(read_header(tmp_path))
    assert np.array_equal(
        shards.render_rows(plan, range(10)), RenderedSet.open(tmp_path).audio(torch.arange(10))
    )


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExistsError, match="other files"):
        make_dataset(tmp_path, SMALL)
    assert everything(tmp_path) == {"thesis.txt": b"mine"}
    with pytest.raises(ExistsError, match="is a file"):
        make_dataset(tmp_path / "thesis.txt", SMALL)


def test_samples_that_are_not_numbers_never_reach_a_file(tmp_path, monkeypatch):
    def broken(synth, knobs, note, *, num_samples, chunk_samples=0):
        audio = torch.zeros(note.pitch_hz.shape[0], num_samples)
        audio[2, 5] = float("nan")
        return audio

    monkeypatch.setattr(type(SYNTHS["fm"]), "render_in_chunks", broken)
    with pytest.raises(RetimbreError, match="clip 2"):
        make_dataset(tmp_path, SMALL)
    assert not list(tmp_path.glob("audio-*"))


def test_a_set_that_the_disk_cannot_hold_is_refused_before_it_begins(tmp_path):
    with pytest.raises(DatasetError, match="GB free"):
        make_dataset(tmp_path / "set", SetOptions("subtractive", size=10_000_000, seconds=60.0))
    assert not list((tmp_path / "set").glob("*.npy"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SetOptions("fm"), "size is 0 clips"),
        (SetOptions("fmm", size=3), "no synth 'fmm'"),
        (SetOptions("fm", size=3, seconds=1e9), "length is 1e"),
        (SetOptions("fm", size=3, sample_rate=3), "sample rate is 3"),
        (SetOptions("fm", size=3, num_levels=-1), "levels is -1"),
        (SetOptions("fm", size=3, pitch_hz=(880.0, 440.0)), "pitch"),
        (SetOptions("fm", size=3, parameters=ParameterFile(synth="fm4")), "is for 'fm4'"),
        (SetOptions("fm", size=3, parameters=ParameterFile(others="fix")), "every knob is fixed"),
        (SetOptions("fm", size=3, draw="grid", num_levels=1), "grid has 1 combinations"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(options)


def test_without_ray_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"retimbre\[ray\]"):
        make_dataset(tmp_path, SMALL, HowToMake(engine="ray"))


@pytest.mark.slow
def test_ray_renders_the_same_bytes(tmp_path):
    pytest.importorskip("ray")
    make_dataset(tmp_path / "here", SMALL)
    make_dataset(tmp_path / "there", SMALL, HowToMake(engine="ray"))
    assert everything(tmp_path / "there") == everything(tmp_path / "here")


def damage(path, kind):
    data = path.read_bytes()
    changes = {
        "truncated": data[:100],
        "random": bytes(range(256)) * 4,
        "empty": b"",
        "pickled": b"\x80\x04\x95" + data[3:],
        "huge": data[:10] + data[10:].replace(b"(10, ", b"(9000000000, ").replace(b"(4, ", b"(9000000000, "),
    }
    path.write_bytes(changes[kind])


@pytest.mark.parametrize("kind", ["truncated", "random", "empty", "pickled", "huge"])
@pytest.mark.parametrize("name", ["classes.npy", "unit.npy", "notes.npy", "audio-00000.npy", "dataset.json"])
def test_a_damaged_set_is_refused_and_the_message_names_the_file(name, kind, tmp_path):
    make_dataset(tmp_path, SMALL)
    damage(tmp_path / name, kind)
    if (name, kind) == ("dataset.json", "huge"):
        header = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps({**header, "size": 9_000_000_000}))
    with pytest.raises(DatasetError, match=name):
        RenderedSet.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "version 7, but this program reads version 1"),
        ({"format": "other"}, "not a data set"),
        ({"size": 9}, "fingerprint"),
        ({"colour": "red"}, "no option 'colour'"),
    ],
)
def test_a_foreign_header_is_refused_with_its_reason(change, message, tmp_path):
    make_dataset(tmp_path, SMALL)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DatasetError, match=message):
        RenderedSet.open(tmp_path)
    with pytest.raises(DatasetError, match=message):
        make_dataset(tmp_path, SMALL)


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path):
    make_dataset(tmp_path, SMALL)
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text().replace("audio-00000.npy", "../audio-00000.npy"))
    with pytest.raises(DatasetError, match="not a file of the folder"):
        RenderedSet.open(tmp_path)


def test_progress_ends_at_the_whole(tmp_path):
    told = []
    make_dataset(tmp_path, SMALL, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 10), (4, 10), (8, 10), (10, 10)]
