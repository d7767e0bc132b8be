import math

import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.corpora import folder
from retimbre.corpora.catalog import CORPORA
from retimbre.data import store
from retimbre.data.dataset import RecordedSet
from retimbre.data.folder import Cutting
from retimbre.data.manifest import Fractions, read_header, read_jsonl
from retimbre.data.source import Reject, Scan, Source
from retimbre.data.splits import SPLITS
from retimbre.workflows.dataset import intake
from retimbre.workflows.dataset.recordings import HowToImport, import_folder, import_sources

CUTTING = Cutting(sample_rate=8000, seconds=0.25)


def tone(seconds, rate):
    return 0.4 * np.sin(2 * math.pi * 200 * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def corpus(tmp_path):
    """Nested folders with short, long, stereo, odd-rate and foreign files."""
    root = tmp_path / "corpus"
    for path, seconds, rate, channels, subtype in (
        ("top.wav", 0.5, 8000, 1, "PCM_16"),
        ("bell/short.wav", 0.1, 8000, 1, "FLOAT"),
        ("bell/deep/long.flac", 1.3, 44100, 2, "PCM_24"),
        ("drum/odd.wav", 0.25, 11025, 6, "PCM_U8"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        samples = np.repeat(tone(seconds, rate)[:, None], channels, axis=1)
        soundfile.write(root / path, samples, rate, subtype=subtype)
    (root / "notes.txt").write_text("not audio, and not named as such")
    return root


def test_a_nested_folder_gives_one_clip_per_file_of_the_asked_shape(corpus, tmp_path):
    made = import_folder([corpus], tmp_path / "set", CUTTING)
    data = RecordedSet.open(tmp_path / "set")
    assert (made.files, made.clips, made.rejected) == (4, 4, {"passed over": 1})
    assert data.audio(torch.arange(4)).shape == (4, 2000)
    assert [clip.source for clip in data.clips] == [
        "bell/deep/long.flac",
        "bell/short.wav",
        "drum/odd.wav",
        "top.wav",
    ]
    assert [clip.label for clip in data.clips] == ["bell", "bell", "drum", ""]
    assert [clip.source_rate for clip in data.clips] == [44100, 8000, 11025, 8000]


def test_short_files_are_padded_with_silence_or_dropped_and_listed(corpus, tmp_path):
    import_folder([corpus], tmp_path / "padded", CUTTING)
    padded = RecordedSet.open(tmp_path / "padded")
    assert padded.clips[1].seconds == pytest.approx(0.1)
    assert not padded.audio(torch.tensor([1]))[0, 800:].any()
    made = import_folder([corpus], tmp_path / "dropped", Cutting(8000, 0.25, short="drop"))
    assert (made.clips, made.rejected) == (3, {"dropped": 1, "passed over": 1})
    assert made.rejects[0].path.endswith("short.wav")


def test_windows_of_one_recording_are_never_in_two_parts(corpus, tmp_path):
    windows = Cutting(8000, 0.1, long="window", hop_s=0.05)
    import_folder([corpus], tmp_path / "set", windows)
    data = RecordedSet.open(tmp_path / "set")
    parts = {}
    for clip in data.clips:
        parts.setdefault(clip.source, set()).add(clip.split)
    assert all(len(found) == 1 for found in parts.values())
    rows = torch.cat([data.split(name) for name in SPLITS])
    assert sorted(rows.tolist()) == list(range(len(data)))


def test_one_bad_file_never_stops_the_rest_and_is_listed_with_its_reason(corpus, tmp_path):
    (corpus / "bad.wav").write_bytes(b"RIFF but not really")
    (corpus / "empty.flac").touch()
    made = import_folder([corpus, corpus / "missing.wav"], tmp_path / "set", CUTTING)
    assert made.clips == 4
    assert made.rejected == {"failed": 3, "passed over": 1}
    lines = read_jsonl(tmp_path / "set" / "rejects.jsonl")
    listed = {line["path"]: line["reason"] for line in lines if line["kind"] == "failed"}
    assert {path.rpartition("/")[2] for path in listed} == {"bad.wav", "empty.flac", "missing.wav"}
    assert all(reason and "\n" not in reason for reason in listed.values())


def test_a_single_bad_input_is_an_error_that_names_it_and_leaves_nothing(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        import_folder([tmp_path / "bad.wav"], tmp_path / "set", CUTTING)
    assert not (tmp_path / "set").exists()


def test_a_second_call_reads_nothing_and_says_the_same(corpus, tmp_path, monkeypatch):
    (corpus / "bad.wav").write_bytes(b"nothing")
    first = import_folder([corpus], tmp_path / "set", CUTTING)
    monkeypatch.setattr(intake, "cut_file", lambda path, cutting: pytest.fail("read again"))
    before = content(tmp_path / "set")
    second = import_folder([corpus], tmp_path / "set", CUTTING)
    assert content(tmp_path / "set") == before
    assert (first.was_there, second.was_there) == (False, True)
    assert (second.clips, second.rejects) == (first.clips, first.rejects)


@pytest.mark.parametrize("change", ["file", "option", "split"])
def test_other_files_or_options_are_another_set(corpus, tmp_path, change):
    import_folder([corpus], tmp_path / "set", CUTTING)
    cutting = Cutting(8000, 0.25, normalise=True) if change == "option" else CUTTING
    how = HowToImport(split=Fractions(0.5, 0.5)) if change == "split" else HowToImport()
    if change == "file":
        soundfile.write(corpus / "top.wav", tone(0.5, 8000) / 2, 8000)
    with pytest.raises(ExistsError, match="--force replaces it"):
        import_folder([corpus], tmp_path / "set", cutting, how)
    forced = HowToImport(split=how.split, force=True)
    assert not import_folder([corpus], tmp_path / "set", cutting, forced).was_there


WINDOWS = Cutting(8000, 0.1, long="window", hop_s=0.03)


class Stopped(Exception):
    """Stands for a power cut."""


def stop_after(count):
    """Stops the work when so many recordings were read; the first half of the progress is that of the checksums."""

    def progress(done, total):
        if done == total // 2 + count:
            raise Stopped

    return progress


@pytest.fixture
def small_shards(monkeypatch):
    # Five clips of 800 samples: the windows of one recording lie in several shards.
    monkeypatch.setattr(store, "SHARD_BYTES", 4 * 800 * 5)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("stopped", range(5))
def test_an_interrupted_import_goes_on_and_ends_byte_for_byte_as_an_unbroken_one(
    stopped, corpus, tmp_path, small_shards
):
    (corpus / "c.wav").write_bytes(b"not a sound")
    import_folder([corpus], tmp_path / "unbroken", WINDOWS)
    with pytest.raises(Stopped):
        import_folder([corpus], tmp_path / "broken", WINDOWS, progress=stop_after(stopped))
    import_folder([corpus], tmp_path / "broken", WINDOWS)
    assert content(tmp_path / "broken") == content(tmp_path / "unbroken")


def test_what_is_in_finished_shards_is_not_read_again(corpus, tmp_path, small_shards, monkeypatch):
    with pytest.raises(Stopped):
        import_folder([corpus], tmp_path / "set", WINDOWS, progress=stop_after(3))
    read, cut_file = [], intake.cut_file
    monkeypatch.setattr(
        intake, "cut_file", lambda path, cutting: read.append(path.name) or cut_file(path, cutting)
    )
    import_folder([corpus], tmp_path / "set", WINDOWS)
    # The two bells are 42 clips and drum/odd.wav is 6; 45 of these are in the nine finished shards.
    assert sorted(read) == ["odd.wav", "top.wav"]


@pytest.mark.parametrize("damage", ["torn line", "lost line", "lost shard", "cut shard", "lost manifest"])
def test_going_on_survives_what_a_power_cut_leaves(damage, corpus, tmp_path, small_shards):
    import_folder([corpus], tmp_path / "unbroken", WINDOWS)
    out = tmp_path / "broken"
    with pytest.raises(Stopped):
        import_folder([corpus], out, WINDOWS, progress=stop_after(3))
    journal = (out / "import.jsonl").read_text()
    if damage == "torn line":
        (out / "import.jsonl").write_text(journal[:-30])
    elif damage == "lost line":
        (out / "import.jsonl").write_text("".join(journal.splitlines(keepends=True)[:2]))
    elif damage == "lost shard":
        (out / "audio-00001.npy").unlink()
    elif damage == "cut shard":
        (out / "audio-00000.npy").write_bytes(b"")
    else:
        (out / "manifest.jsonl").unlink()
    import_folder([corpus], out, WINDOWS)
    assert content(out) == content(tmp_path / "unbroken")


def test_an_unfinished_set_of_other_options_is_not_overwritten_unless_forced(corpus, tmp_path):
    with pytest.raises(Stopped):
        import_folder([corpus], tmp_path / "set", WINDOWS, progress=stop_after(1))
    with pytest.raises(ExistsError, match="unfinished set of other files or options; --force"):
        import_folder([corpus], tmp_path / "set", CUTTING)
    assert import_folder([corpus], tmp_path / "set", CUTTING, HowToImport(force=True)).clips == 4


def test_threads_give_results_in_the_order_of_the_items_and_never_run_far_ahead():
    started = []

    def slow_at_first(item):
        started.append(item)
        return item

    results = intake.in_order(slow_at_first, range(100), ahead=2)
    taken = [next(results) for _ in range(10)]
    # Eight threads at most run two items ahead each; one more is what was just handed out.
    assert len(started) <= 10 + 2 * 8 + 1
    assert [*taken, *results] == list(range(100))


@pytest.mark.parametrize("layout", [CUTTING, WINDOWS])
def test_the_number_of_threads_changes_no_byte(layout, corpus, tmp_path, small_shards, monkeypatch):
    for threads in (1, 8):
        monkeypatch.setattr(intake.os, "cpu_count", lambda threads=threads: threads)
        import_folder([corpus], tmp_path / str(threads), layout)
    assert content(tmp_path / "1") == content(tmp_path / "8")


def test_files_that_are_no_recordings_are_named_up_to_a_hundred_and_all_are_counted(corpus, tmp_path):
    for index in range(130):
        (corpus / f"{index}.txt").touch()
    (corpus / ".hidden").touch()
    made = import_folder([corpus], tmp_path / "set", CUTTING)
    assert made.rejected == {"passed over": 131}
    assert len(made.rejects) == folder.MOST_NAMED + 1
    assert made.rejects[-1].path == "31 more files"


@pytest.fixture
def scan(corpus):
    """Four recordings by two players."""
    sources = [
        Source(corpus / name, name, label, {"pitch": pitch, "player": player, "tuning": tuning}, group=player)
        for name, label, pitch, player, tuning in (
            ("bell/deep/long.flac", "bell", 60, "ann", 440.5),
            ("bell/short.wav", "bell", 48, "ann", 442.0),
            ("drum/odd.wav", "drum", 9, "bob", 440.5),
            ("top.wav", "other", 60, "bob", 440.5),
        )
    ]
    return Scan(tuple(sources), (Reject("lost.wav", "failed", "not there"),), {"pitches": (0, 127)})


def test_attributes_become_classes_that_map_back_to_what_was_said(scan, tmp_path):
    import_sources(scan, tmp_path / "set", WINDOWS, corpus="folder")
    data = RecordedSet.open(tmp_path / "set")
    said = {source.name: source for source in scan.sources}
    for attribute in data.attributes:
        column = data.column(attribute)
        names = [column.name_of(index) for index in column.classes.tolist()]
        assert names == [said[clip.source].attributes[attribute] for clip in data.clips]
    assert data.column("pitch").names == (9, 48, 60)
    assert data.column("tuning").names == (440.5, 442.0)
    assert data.column("label").names == ("bell", "drum", "other")
    with pytest.raises(ConfigError, match="did you mean 'pitch'"):
        data.column("picth")


def test_a_batch_larger_than_the_number_of_classes_has_equal_shares_of_each(scan, tmp_path):
    # The earlier system drew labels without replacement: a batch of 64 with 4 classes crashed.
    import_sources(scan, tmp_path / "set", CUTTING, HowToImport(split=Fractions(0, 0)), corpus="folder")
    data = RecordedSet.open(tmp_path / "set")
    rows = data.balanced("train", "pitch", 64, seed=0, step=0)
    counts = data.column("pitch").classes[rows].bincount().tolist()
    assert sum(counts) == 64
    assert max(counts) - min(counts) <= 1


def test_the_part_that_a_corpus_gives_is_kept_and_its_group_follows(scan, tmp_path):
    first, *rest = scan.sources
    given = Scan(
        (Source(first.path, first.name, split="test", group="ann", attributes=first.attributes), *rest)
    )
    import_sources(given, tmp_path / "set", CUTTING, HowToImport(split=Fractions(0, 0)), corpus="folder")
    parts = [clip.split for clip in RecordedSet.open(tmp_path / "set").clips]
    assert parts == ["test", "test", "train", "train"]


def test_recordings_of_one_group_are_never_in_two_parts(scan, tmp_path):
    for share in (0.2, 0.3, 0.5):
        how = HowToImport(split=Fractions(share, 0), force=True)
        import_sources(scan, tmp_path / "set", CUTTING, how, corpus="folder")
        data = RecordedSet.open(tmp_path / "set")
        pairs = {(clip.attributes["player"], clip.split) for clip in data.clips}
        assert len(pairs) == 2
        assert {part for _, part in pairs} == {"train", "validation"}


@pytest.mark.parametrize("change", ["label", "attribute", "split", "group", "name", "filter", "content"])
def test_whatever_a_set_is_made_of_is_part_of_its_key(change, scan, tmp_path):
    # Trap 20: the earlier cache's key had the first letters of the families, so basses passed for brass.
    def key_of(scan, out):
        return import_sources(scan, out, CUTTING, corpus="folder").fingerprint

    first, *rest = scan.sources
    other = {
        "label": Source(first.path, first.name, "brass", first.attributes, group="ann"),
        "attribute": Source(first.path, first.name, "bell", {**first.attributes, "pitch": 61}, group="ann"),
        "split": Source(first.path, first.name, "bell", first.attributes, "test", "ann"),
        "group": Source(first.path, first.name, "bell", first.attributes, group="bob"),
        "name": Source(first.path, "other.flac", "bell", first.attributes, group="ann"),
    }.get(change) or first
    options = {"pitches": (0, 126)} if change == "filter" else scan.options
    before = key_of(scan, tmp_path / "before")
    assert key_of(scan, tmp_path / "again") == before
    if change == "content":
        soundfile.write(first.path, tone(0.4, 44100), 44100)
    assert key_of(Scan((other, *rest), scan.rejects, options), tmp_path / "after") != before


def test_a_copy_of_the_recordings_elsewhere_is_the_same_set(corpus, tmp_path):
    made = import_folder([corpus], tmp_path / "set", CUTTING)
    corpus.rename(tmp_path / "moved")
    assert import_folder([tmp_path / "moved"], tmp_path / "other", CUTTING).fingerprint == made.fingerprint
    assert import_folder([tmp_path / "moved"], tmp_path / "set", CUTTING).was_there


def test_a_file_whose_checksum_is_not_the_listed_one_is_left_out_and_named(scan, tmp_path):
    first, *rest = scan.sources
    wrong = Source(first.path, first.name, "bell", first.attributes, group="ann", sha256="0" * 64)
    made = import_sources(Scan((wrong, *rest)), tmp_path / "set", CUTTING, corpus="folder")
    assert (made.clips, made.rejected) == (3, {"failed": 1})
    assert made.rejects[0].path.endswith("long.flac")
    assert "checksum" in made.rejects[0].reason


@pytest.mark.parametrize("name", CORPORA)
def test_licence_and_citation_travel_with_the_sounds(name, scan, tmp_path):
    import_sources(scan, tmp_path / "set", CUTTING, corpus=name)
    told = read_header(tmp_path / "set").options["corpus"]
    assert told == {"name": name, "licence": CORPORA[name].licence, "citation": CORPORA[name].citation}


def test_nothing_left_is_an_error_that_says_what_was_in_the_way(scan, tmp_path):
    with pytest.raises(AudioError, match=r"all 1 recordings were rejected; the first, lost\.wav: not there"):
        import_sources(Scan((), scan.rejects), tmp_path / "set", CUTTING, corpus="folder")
    with pytest.raises(AudioError, match="filters let no recording through"):
        import_sources(Scan(()), tmp_path / "set", CUTTING, corpus="folder")
    assert not (tmp_path / "set").exists()


def test_sources_with_different_attributes_are_refused(scan, tmp_path):
    first, *rest = scan.sources
    odd = Source(first.path, first.name, "bell", {"pitch": 60})
    with pytest.raises(ConfigError, match=r"bell/short\.wav has the attributes"):
        import_sources(Scan((odd, *rest)), tmp_path / "set", CUTTING, corpus="folder")


def test_what_was_written_is_not_taken_for_input(corpus):
    made = import_folder([corpus], corpus / "set", CUTTING, HowToImport(layout="csv"))
    again = import_folder([corpus], corpus / "set", CUTTING, HowToImport(layout="csv"))
    assert (again.was_there, again.clips) == (True, made.clips)


def test_folder_names_are_the_labels_of_the_earlier_layouts(corpus, tmp_path):
    import_folder([corpus], tmp_path / "set", CUTTING, HowToImport(layout="npy"))
    labels = np.load(tmp_path / "set" / "set_labels.npy", allow_pickle=False)
    assert labels.argmax(1).tolist() == [1, 1, 2, 0]
    assert np.load(tmp_path / "set" / "set_input.npy", allow_pickle=False).shape == (4, 1, 2000)


def test_a_folder_without_sounds_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no sound files"):
        import_folder([tmp_path / "empty"], tmp_path / "set")
