import math

import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import AudioError, ExistsError
from retimbre.data.dataset import RecordedSet
from retimbre.data.folder import Cutting
from retimbre.data.manifest import read_jsonl
from retimbre.data.splits import SPLITS
from retimbre.workflows.dataset import recordings
from retimbre.workflows.dataset.recordings import HowToImport, import_folder

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
    assert (made.files, made.clips, made.rejects) == (4, 4, ())
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
    assert (made.clips, [reject.kind for reject in made.rejects]) == (3, ["dropped"])
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
    assert {reject.kind for reject in made.rejects} == {"failed"}
    listed = {line["path"]: line["reason"] for line in read_jsonl(tmp_path / "set" / "rejects.jsonl")}
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
    monkeypatch.setattr(recordings, "cut_file", lambda path, cutting: pytest.fail("read again"))
    second = import_folder([corpus], tmp_path / "set", CUTTING)
    assert (first.was_there, second.was_there) == (False, True)
    assert (second.clips, second.rejects) == (first.clips, first.rejects)


@pytest.mark.parametrize("change", ["file", "option", "split"])
def test_other_files_or_options_are_another_set(corpus, tmp_path, change):
    import_folder([corpus], tmp_path / "set", CUTTING)
    cutting = Cutting(8000, 0.25, normalise=True) if change == "option" else CUTTING
    how = HowToImport(split=recordings.Fractions(0.5, 0.5)) if change == "split" else HowToImport()
    if change == "file":
        soundfile.write(corpus / "top.wav", tone(0.5, 8000) / 2, 8000)
    with pytest.raises(ExistsError, match="--force replaces it"):
        import_folder([corpus], tmp_path / "set", cutting, how)
    forced = HowToImport(split=how.split, force=True)
    assert not import_folder([corpus], tmp_path / "set", cutting, forced).was_there


def test_an_interrupted_import_is_done_again_from_the_start(corpus, tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_folder([corpus], tmp_path / "set", CUTTING, progress=interrupt)
    assert import_folder([corpus], tmp_path / "set", CUTTING).clips == 4


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
