import json

import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import DatasetError
from retimbre.core.files import sha256_of, write_json
from retimbre.corpora.nsynth.layout import corpus_hash, digest_of, samples_of
from retimbre.corpora.nsynth.scan import NSynthFilters, scan_nsynth
from retimbre.data import store
from retimbre.data.dataset import RenderedSet
from retimbre.data.folder import Cutting
from retimbre.data.manifest import read_manifest, write_manifest
from retimbre.synth.catalog import SYNTHS
from retimbre.workflows.dataset.census import check_dataset
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.dataset.recordings import import_folder, import_sources


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


def test_recordings_that_are_odd_are_counted_by_the_import_and_by_the_census(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    tone = np.sin(np.arange(16000) / 5) / 2
    soundfile.write(folder / "slow.wav", tone[:8000], 8000)
    soundfile.write(folder / "loud.wav", 4 * tone, 16000, subtype="FLOAT")
    soundfile.write(folder / "plain.wav", tone, 16000)
    soundfile.write(folder / "cut.wav", tone, 16000)
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:20000])
    cutting = Cutting(16000, 0.25, long="window", hop_s=0.25)  # several clips of each, which count once
    made = import_folder([folder], tmp_path / "set", cutting)
    assert made.remarks == {"at 8000 Hz": 1, "cut short": 1, "louder than full scale": 1}
    assert check_dataset(tmp_path / "set").remarks == made.remarks


@pytest.fixture
def notes(tmp_path):
    """A corpus of four notes in NSynth's layout, with checksums."""
    table, files = {}, {}
    (tmp_path / "audio").mkdir()
    for pitch in (60, 61, 62, 63):
        name = f"flute_acoustic_001-{pitch:03d}-100"
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.sin(np.arange(4000) / pitch) / 2, 16000)
        files[f"audio/{name}.wav"] = sha256_of(tmp_path / "audio" / f"{name}.wav")
        table[name] = {
            "pitch": pitch,
            "velocity": 100,
            "instrument_str": "flute_acoustic_001",
            "instrument_family_str": "flute",
            "instrument_source_str": "acoustic",
        }
    write_json(tmp_path / "examples.json", table)
    samples = {path.stem: digest_of(samples_of(path)) for path in (tmp_path / "audio").iterdir()}
    told = {"corpus": "notes", "hash": corpus_hash(samples), "licence": "CC0", "files": files}
    write_json(tmp_path / "corpus.json", told)
    return tmp_path


def test_notes_in_nsynth_s_layout_are_counted_and_heard_to_their_end(notes):
    census = check_dataset(notes)
    assert (census.kind, census.clips, census.seconds) == ("NSynth layout", 4, 1.0)
    assert (census.corpus, census.licence, len(census.fingerprint)) == ("notes", "CC0", 64)
    assert census.attributes["pitch"] == {"60": 1, "61": 1, "62": 1, "63": 1}
    assert census.labels == {"flute": 4}
    assert census.problems == ()


@pytest.mark.parametrize("damage", ["changed", "cut", "unreadable", "missing", "mislabelled"])
def test_each_damage_to_a_corpus_in_nsynth_s_layout_is_a_problem_that_names_it(damage, notes):
    path = sorted((notes / "audio").iterdir())[1]
    if damage == "changed":
        soundfile.write(path, np.zeros(4000), 16000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "unreadable":
        path.write_bytes(b"RIFF")
    elif damage == "missing":
        path.unlink()
    else:
        table = json.loads((notes / "examples.json").read_text())
        table[path.stem]["pitch"] = 200
        write_json(notes / "examples.json", table)
    problems = check_dataset(notes).problems
    assert path.stem in problems[0]
    # What is said beside it is about the corpus as a whole.
    assert all(path.stem in problem or "its hash is not that of the notes" in problem for problem in problems)


def test_a_corpus_whose_list_of_checksums_was_changed_with_its_notes_is_still_found_out(notes):
    path = sorted((notes / "audio").iterdir())[1]
    soundfile.write(path, np.zeros(4000), 16000)
    told = json.loads((notes / "corpus.json").read_text())
    told["files"][f"audio/{path.name}"] = sha256_of(path)
    write_json(notes / "corpus.json", told)
    assert check_dataset(notes).problems == (
        "corpus.json: its hash is not that of the notes; some were changed, added or removed",
    )


def test_notes_that_differ_are_counted_as_they_are_and_those_that_cannot_be_read_are_not(notes):
    one, other, _, fourth = sorted((notes / "audio").iterdir())
    soundfile.write(one, np.sin(np.arange(1000) / 9) / 2, 8000)
    soundfile.write(other, 2 * np.sin(np.arange(4000) / 9), 16000, subtype="FLOAT")
    fourth.write_bytes(b"RIFF")
    (notes / "corpus.json").unlink()
    census = check_dataset(notes)
    assert (census.clips, census.seconds, census.lengths) == (3, 0.125 + 0.25 + 0.25, (1000, 4000))
    assert (census.sample_rates, census.sample_rate) == ({16000: 2, 8000: 1}, 16000)
    assert census.attributes["pitch"] == {"60": 1, "61": 1, "62": 1}
    assert (census.labels, census.splits["train"]) == ({"flute": 3}, 3)
    assert census.remarks == {"louder than full scale": 1}
    assert [problem.count(fourth.name) for problem in census.problems] == [1]


def test_a_corpus_whose_making_was_interrupted_is_known_by_its_description(tmp_path):
    (tmp_path / "nsynth-train" / "audio").mkdir(parents=True)
    soundfile.write(tmp_path / "nsynth-train" / "audio" / "one.wav", np.zeros(100), 16000)
    write_json(tmp_path / "corpus.json", {"corpus": "notes", "licence": "CC0", "size": 3000})
    for read in (check_dataset, lambda folder: scan_nsynth(folder, NSynthFilters())):
        with pytest.raises(
            DatasetError, match="an unfinished corpus, 1 of 3,000 notes; the command that began"
        ):
            read(tmp_path)


def test_an_unfinished_corpus_says_so(notes):
    write_json(notes / "corpus.json", {"corpus": "notes", "licence": "CC0", "size": 9})
    assert "not finished; make it again" in check_dataset(notes).problems[0]


def test_a_checksum_list_cannot_lead_out_of_its_folder(notes):
    write_json(notes / "corpus.json", {"files": {"../outside.wav": "0" * 64}})
    assert "not a file of the folder" in check_dataset(notes).problems[0]


def test_a_recorded_set_says_what_it_is_of_and_counts_every_attribute(notes, tmp_path):
    scan = scan_nsynth(notes, NSynthFilters(attributes=("pitch", "source")))
    made = import_sources(scan, tmp_path / "set", Cutting(16000, 0.25), corpus="nsynth")
    census = check_dataset(tmp_path / "set")
    assert (census.corpus, census.licence, census.fingerprint) == ("notes", "CC0", made.fingerprint)
    assert census.attributes == {"pitch": {"60": 1, "61": 1, "62": 1, "63": 1}, "source": {"acoustic": 4}}


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere", "there is no folder .*nowhere"), ("a.wav", "a.wav is a file, but")]
)
def test_what_is_no_folder_is_named_as_such(name, said, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match=said):
        check_dataset(tmp_path / name)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no data set"):
        check_dataset(tmp_path)
