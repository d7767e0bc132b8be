import dataclasses
import json
import shutil
from collections import namedtuple

import pytest
import soundfile
import torch

from retimbre.core.errors import DatasetError, ExistsError
from retimbre.corpora.nsynth.entries import listed_sums, read_corpus_file
from retimbre.corpora.nsynth.layout import PARTS, NoteEntry, NoteSource
from retimbre.corpora.nsynth.scan import NSynthFilters, scan_nsynth
from retimbre.corpora.nsynth.writer import write_notes

# The keys of a real examples.json, from the corpus's own description.
KEYS = {
    "note", "note_str", "instrument", "instrument_str", "pitch", "velocity", "sample_rate", "qualities",
    "qualities_str", "instrument_family", "instrument_family_str", "instrument_source", "instrument_source_str",
}  # fmt: skip


@dataclasses.dataclass
class Toy(NoteSource):
    """Notes that are constants; the call for note `fails_at` fails, and note `silent` makes no sound."""

    seed: int = 0
    fails_at: int = -1
    silent: int = -1
    asked: list = dataclasses.field(default_factory=list)
    sample_rate = 8_000
    num_samples = 100

    @property
    def about(self):
        return {
            "corpus": "toy",
            "licence": "CC0",
            "citation": "",
            "settings": {"seed": self.seed, "shape": (1, 2)},
        }

    def entries(self, rows):
        return [
            NoteEntry(
                number=row,
                instrument=row % 7,
                instrument_name=f"mallet_acoustic_{row % 7:03d}",
                family="mallet",
                source="acoustic",
                pitch=20 + row // 7,
                velocity=100,
                qualities=("percussive",),
                part=PARTS[row % 3],
            )
            for row in rows
        ]

    def audio(self, rows):
        if self.fails_at in rows:
            raise KeyboardInterrupt
        self.asked += list(rows)
        loudness = torch.tensor([0.0 if row == self.silent else 0.1 + row / 1000 for row in rows])
        return loudness[:, None].repeat(1, self.num_samples)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_entries_have_the_keys_of_the_real_corpus_and_sounds_are_16_bit_at_their_place(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    table = json.loads((tmp_path / "nsynth-valid" / "examples.json").read_text())
    entry = table["mallet_acoustic_001-020-100"]
    assert set(entry) == KEYS
    assert (entry["note"], entry["instrument_family"], entry["instrument_source"]) == (1, 5, 0)
    assert (entry["qualities"], entry["qualities_str"]) == ([0, 0, 0, 0, 0, 0, 0, 1, 0, 0], ["percussive"])
    info = soundfile.info(tmp_path / "nsynth-valid" / "audio" / "mallet_acoustic_001-020-100.wav")
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("PCM_16", 8_000, 1, 100)


def test_the_reader_of_nsynth_finds_every_note_in_its_part_and_the_licence(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    scan = scan_nsynth(tmp_path, NSynthFilters())
    assert (len(scan.sources), scan.rejects, scan.origin["licence"]) == (9, (), "CC0")
    assert (
        sorted(source.split for source in scan.sources) == ["test"] * 3 + ["train"] * 3 + ["validation"] * 3
    )


def test_every_sound_is_listed_with_its_checksum_and_the_census_counts_them(tmp_path):
    written = write_notes(tmp_path, Toy(), 9)
    corpus = read_corpus_file(tmp_path)
    sounds = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav")}
    assert set(listed_sums(corpus)) == sounds
    assert corpus["hash"] == written.hash
    assert corpus["census"]["parts"] == {"test": 3, "train": 3, "valid": 3}
    assert (corpus["census"]["instruments"], corpus["census"]["seconds"]) == (7, 9 * 100 / 8_000)


def test_an_interrupted_corpus_is_gone_on_with_and_is_the_unbroken_one(tmp_path):
    unbroken = write_notes(tmp_path / "one", Toy(), 150)
    with pytest.raises(KeyboardInterrupt):
        write_notes(tmp_path / "two", Toy(fails_at=70), 150)
    assert "hash" not in read_corpus_file(tmp_path / "two")
    source = Toy()
    resumed = write_notes(tmp_path / "two", source, 150)
    assert min(source.asked) == 64
    assert (resumed.written, resumed.hash) == (150 - 64, unbroken.hash)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_finished_corpus_is_not_rendered_again(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    source = Toy()
    assert write_notes(tmp_path, source, 9).written == 0
    assert source.asked == []


def test_a_sound_that_is_cut_short_or_of_another_rate_is_written_again(tmp_path):
    whole = write_notes(tmp_path, Toy(), 9).hash
    one, other, _ = sorted((tmp_path / "nsynth-train" / "audio").iterdir())
    one.write_bytes(one.read_bytes()[:80])
    soundfile.write(other, torch.zeros(100).numpy(), 16_000, subtype="PCM_16")
    again = write_notes(tmp_path, Toy(), 9)
    assert (again.written, again.hash) == (2, whole)


def test_a_sound_that_is_not_the_listed_one_is_written_again_and_counted_as_damaged(tmp_path):
    whole = write_notes(tmp_path, Toy(), 9).hash
    path = next((tmp_path / "nsynth-train" / "audio").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\x01\x02")  # of the right kind and length, as before
    again = write_notes(tmp_path, Toy(), 9)
    assert (again.written, again.damaged, again.hash) == (1, 1, whole)
    assert path.read_bytes() == content


def test_a_sound_that_is_damaged_while_its_corpus_is_unfinished_is_written_again(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    with pytest.raises(KeyboardInterrupt):
        write_notes(tmp_path, Toy(fails_at=70), 150)
    path = next((tmp_path / "nsynth-train" / "audio").glob("*-020-*"))
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x02")
    assert write_notes(tmp_path, Toy(), 150).damaged == 1
    write_notes(tmp_path / "unbroken", Toy(), 150)
    assert read_corpus_file(tmp_path) == read_corpus_file(tmp_path / "unbroken")


def test_what_a_killed_call_left_aside_is_removed_and_nothing_else(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    part = tmp_path / "nsynth-train"
    left = [part / ".examples.4242.json", part / "audio" / ".mallet.17.wav", tmp_path / ".corpus.5.json"]
    kept = [part / ".examples.old.json", tmp_path / ".notes.12.json"]
    for path in [*left, *kept]:
        path.write_text("{")
    write_notes(tmp_path, Toy(), 9)
    assert [path.exists() for path in [*left, *kept]] == [False] * 3 + [True] * 2


def test_a_corpus_grows_without_rendering_its_beginning_again(tmp_path):
    write_notes(tmp_path / "one", Toy(), 9)
    source = Toy()
    grown = write_notes(tmp_path / "one", source, 12)
    assert sorted(source.asked) == [9, 10, 11]
    assert grown.hash == write_notes(tmp_path / "two", Toy(), 12).hash


def test_another_corpus_is_refused_and_replaced_with_force(tmp_path):
    write_notes(tmp_path, Toy(), 9)
    for source, size, said in ((Toy(seed=1), 9, "other settings"), (Toy(), 8, "9 notes, more than 8")):
        with pytest.raises(ExistsError, match=said):
            write_notes(tmp_path, source, size)
    assert write_notes(tmp_path, Toy(seed=1), 3, force=True).written == 3
    assert len(list(tmp_path.rglob("*.wav"))) == 3


def test_files_of_others_are_not_touched(tmp_path):
    (tmp_path / "diary.txt").write_text("dear")
    with pytest.raises(ExistsError, match="holds other files"):
        write_notes(tmp_path, Toy(), 3)
    write_notes(tmp_path, Toy(), 3, force=True)
    write_notes(tmp_path, Toy(seed=1), 3, force=True)
    assert (tmp_path / "diary.txt").read_text() == "dear"
    with pytest.raises(ExistsError, match="is a file"):
        write_notes(tmp_path / "diary.txt", Toy(), 3)


@pytest.mark.parametrize("force", [False, True])
def test_notes_of_others_in_this_layout_are_never_written_over(tmp_path, force):
    theirs = tmp_path / "nsynth-valid" / "examples.json"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    with pytest.raises(ExistsError, match=r"nsynth-valid and no corpus\.json: notes of others"):
        write_notes(tmp_path, Toy(), 3, force=force)
    assert contents(tmp_path) == {"nsynth-valid/examples.json": b"{}"}


@pytest.mark.parametrize("damage", ["{", "[]", '{"corpus": "else"}', '{"files": []}'])
def test_a_damaged_description_is_one_line_and_force_replaces_it(tmp_path, damage):
    write_notes(tmp_path, Toy(), 3)
    (tmp_path / "corpus.json").write_text(damage)
    with pytest.raises((DatasetError, ExistsError), match=r"corpus\.json"):
        write_notes(tmp_path, Toy(), 3)
    assert write_notes(tmp_path, Toy(), 3, force=True).notes == 3


def test_a_note_without_a_sound_is_left_out_everywhere(tmp_path):
    written = write_notes(tmp_path, Toy(silent=4), 9)
    assert (written.notes, written.silent, written.census["notes"]) == (8, 1, 8)
    assert len(list(tmp_path.rglob("*.wav"))) == len(scan_nsynth(tmp_path, NSynthFilters()).sources) == 8


def test_a_corpus_in_which_nothing_sounds_is_an_error_and_leaves_no_folder(tmp_path):
    with pytest.raises(DatasetError, match="none of 1 notes of 100 samples at 8000 Hz makes a sound"):
        write_notes(tmp_path / "notes", Toy(silent=0), 1)
    assert not (tmp_path / "notes").exists()
    (tmp_path / "diary.txt").write_text("dear")
    with pytest.raises(DatasetError, match="makes a sound"):
        write_notes(tmp_path, Toy(silent=0), 1, force=True)
    assert contents(tmp_path) == {"diary.txt": b"dear"}


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_rendered(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, 10**5))
    source = Toy()
    with pytest.raises(DatasetError, match=r"100 notes need 0\.0 GB|need"):
        write_notes(tmp_path, source, 100)
    assert source.asked == []
