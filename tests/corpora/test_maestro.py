"""Laws of reading MAESTRO: which pieces are taken, what becomes of them, and what is said of those that cannot be."""

import json
import math
import shutil

import numpy as np
import pytest
import soundfile
import torch
from performances import COLUMNS, PIECES, control, make_maestro, on, write_midi, write_wave

from retimbre.core.errors import AudioError, ConfigError, DatasetError, ExistsError
from retimbre.corpora.maestro.midi_states import MIDI_STATES, PianoStates
from retimbre.corpora.maestro.scan import MaestroFilters, scan
from retimbre.data.dataset import RecordedSet
from retimbre.data.manifest import read_header
from retimbre.data.pairs import ChunkPairs
from retimbre.data.side_arrays import SIDE_ARRAYS_FILE, check_side_arrays
from retimbre.workflows.dataset.census import check_dataset
from retimbre.workflows.dataset.performances import Chunks, import_performances
from retimbre.workflows.dataset.recordings import HowToImport

CHUNK = 16_384


@pytest.fixture
def raw(tmp_path):
    return make_maestro(tmp_path / "raw")


def names(raw, **filters):
    return [each.source.name for each in scan(raw, MaestroFilters(**filters)).performances]


@pytest.mark.parametrize("table", ["csv", "rows", "columns"])
def test_every_layout_of_the_table_gives_the_same_pieces(tmp_path, table):
    found = scan(make_maestro(tmp_path, table))
    known = {
        each.source.name: (each.source.label, each.source.split, dict(each.source.attributes))
        for each in found.performances
    }
    assert known == {
        audio: (composer, split, {"composer": composer, "title": title, "year": year})
        for composer, title, split, year, _, audio, _ in PIECES
    }


def test_an_archive_unpacked_into_a_folder_is_found(tmp_path, raw):
    raw.rename(tmp_path / "maestro-v2.0.0")
    assert len(names(tmp_path)) == len(PIECES)


def test_a_folder_without_a_table_is_read_as_pairs(tmp_path):
    raw = make_maestro(tmp_path, "none")
    (raw / "2004/a.midi").rename(raw / "2004/a.mid")
    assert names(raw) == ["2004/a.wav", "2004/b.wav", "2006/c.wav", "2008/d.wav"]
    assert {each.source.split for each in scan(raw).performances} == {None}


def test_filters_choose_by_year_part_and_composer(raw):
    assert names(raw, years=(2004,)) == ["2004/a.wav", "2004/b.wav"]
    assert names(raw, parts=("validation", "test")) == ["2004/a.wav", "2006/c.wav"]
    assert names(raw, composers=("schu", "BACH")) == ["2004/a.wav", "2004/b.wav"]
    with pytest.raises(DatasetError, match="none of 4 pieces"):
        scan(raw, MaestroFilters(years=(1999,)))


def test_a_budget_of_hours_stops_before_the_piece_that_would_pass_it(raw):
    # By name the pieces last 4.096, 2.5, 1.0 and 0.5 s. The fourth would fit again, but the third ends it.
    assert names(raw, hours=7.0 / 3600) == ["2004/a.wav", "2004/b.wav"]
    assert names(raw, hours=6.596 / 3600) == ["2004/a.wav", "2004/b.wav"]
    assert names(raw, hours=8.096 / 3600) == ["2004/a.wav", "2004/b.wav", "2006/c.wav", "2008/d.wav"]


@pytest.mark.parametrize("content", ["both", "audio"])
def test_pieces_that_turn_out_unusable_cost_no_hours(tmp_path, content):
    raw = make_maestro(tmp_path / "raw", "none")
    # By its header the first by name lasts 4.096 s; its samples are not numbers.
    soundfile.write(raw / "2004/a.wav", np.full(65_536, np.nan), 16_000, "FLOAT")
    filters = MaestroFilters(content=content, hours=3.5 / 3600)
    made = import_performances(raw, tmp_path / "set", filters)
    assert made.pieces == 2
    assert [(reject.path, reject.kind) for reject in made.rejects] == [("2004/a.wav", "failed")]
    assert "NaN" in made.rejects[0].reason


def test_a_file_whose_end_is_days_away_is_named_and_the_rest_is_done(tmp_path):
    raw = make_maestro(tmp_path / "raw", "none")
    write_midi(raw / "2004/a.midi", [on(0, 60), on(0x0FFFFFFF, 60, 0)])
    made = import_performances(raw, tmp_path / "set", MaestroFilters(content="midi"))
    assert made.pieces == 3
    assert [(reject.path, reject.reason) for reject in made.rejects] == [
        ("2004/a.midi", "lasts 279,620 s; takes at most 14,400")
    ]


@pytest.mark.parametrize("content", ["both", "midi"])
def test_a_chunk_of_fewer_samples_than_states_is_refused(tmp_path, raw, content):
    filters = MaestroFilters(content=content)
    with pytest.raises(ConfigError, match="512 states, so it takes as many samples or more, not 511"):
        import_performances(raw, tmp_path / "set", filters, Chunks(num_samples=511))
    assert not (tmp_path / "set").exists()
    assert import_performances(raw, tmp_path / "set", filters, Chunks(num_samples=512)).clips > 100


def test_a_shuffled_order_follows_the_seed_alone(raw):
    orders = [names(raw, order="shuffled", seed=seed) for seed in range(8)]
    assert orders == [names(raw, order="shuffled", seed=seed) for seed in range(8)]
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == sorted(names(raw)) for order in orders)


def test_there_are_as_many_chunks_as_a_piece_has_samples_and_the_last_is_padded(raw, tmp_path):
    import_performances(raw, tmp_path / "set")
    data = RecordedSet.open(tmp_path / "set")
    lengths = {audio: round(16_000 * seconds) for *_, audio, seconds in PIECES}
    assert len(data) == sum(math.ceil(length / CHUNK) for length in lengths.values())
    audio = data.audio(torch.arange(len(data)))
    for name, length in lengths.items():
        rows = [row for row, clip in enumerate(data.clips) if clip.source == name]
        whole = audio[rows].flatten()
        assert whole[length:].count_nonzero() == 0
        assert (whole[:length] != 0).float().mean() > 0.99
        assert sum(data.clips[row].seconds for row in rows) == pytest.approx(length / 16_000)


def test_the_parts_of_the_table_are_kept(raw, tmp_path):
    import_performances(raw, tmp_path / "set")
    split_of = {audio: split for _, _, split, _, _, audio, _ in PIECES}
    assert all(clip.split == split_of[clip.source] for clip in RecordedSet.open(tmp_path / "set").clips)


def test_a_condition_is_the_tail_of_the_chunk_before_and_pairs_stay_within_a_piece(raw, tmp_path):
    import_performances(raw, tmp_path / "set")
    data = RecordedSet.open(tmp_path / "set")
    pairs = ChunkPairs.open(data)
    every = torch.arange(len(pairs))
    before = data.audio(pairs.targets - 1)
    torch.testing.assert_close(pairs.conditions(every), before[:, -8192:], rtol=0, atol=0)
    torch.testing.assert_close(pairs.chunks(every), data.audio(pairs.targets), rtol=0, atol=0)
    chunks = {clip.source: 0 for clip in data.clips}
    for target in pairs.targets.tolist():
        earlier, later = data.clips[target - 1], data.clips[target]
        assert earlier.source == later.source
        assert later.start_s - earlier.start_s == pytest.approx(CHUNK / 16_000)
        chunks[later.source] += 1
    assert len(pairs) == len(data) - len(chunks)
    parts = [pairs.targets[pairs.split(name)] for name in ("train", "validation", "test")]
    assert sorted(torch.cat(parts).tolist()) == pairs.targets.tolist()


def test_audio_and_midi_states_are_of_the_same_moment(tmp_path):
    raw = tmp_path / "raw"
    write_wave(raw / "a.wav", 3.0)
    # 1152 ticks are 1.2 s: 0.176 s, which is state 88, into the second chunk.
    write_midi(raw / "a.mid", [on(1152, 60, 100)])
    import_performances(raw, tmp_path / "set")
    states = PianoStates.open(tmp_path / "set").read(torch.arange(3))
    assert states[0].max() == 0
    assert states[1, :, 39].nonzero().flatten().tolist() == list(range(88, 512))
    assert states[2, :, 39].min() > 0


def test_the_other_content_need_not_be_there(tmp_path):
    raw = make_maestro(tmp_path / "raw")
    for audio in raw.rglob("*.wav"):
        audio.unlink()
    made = import_performances(raw, tmp_path / "midi", MaestroFilters(content="midi"))
    # Every MIDI file lasts 1.5 s: two chunks of 1.024 s.
    assert (made.pieces, made.clips, made.pairs) == (4, 8, 4)
    assert PianoStates.open(tmp_path / "midi").with_history(torch.arange(8)).shape == (8, 1024, 89)
    with pytest.raises(DatasetError, match="a labels data set, but a recorded one is needed"):
        RecordedSet.open(tmp_path / "midi")
    shutil.rmtree(raw)
    make_maestro(raw)
    for midi in raw.rglob("*.midi"):
        midi.unlink()
    made = import_performances(raw, tmp_path / "audio", MaestroFilters(content="audio"))
    assert (made.pieces, made.clips) == (4, 3 + 1 + 4 + 1)
    with pytest.raises(DatasetError, match="no side array 'midi_states'"):
        PianoStates.open(tmp_path / "audio")


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(tmp_path):
    raw = make_maestro(tmp_path / "raw", "none")
    (raw / "2004/a.midi").unlink()
    (raw / "2004/b.midi").write_bytes((raw / "2004/b.midi").read_bytes()[:30])
    write_midi(raw / "2006/c.midi", [control(0, 64, 90)])
    write_wave(raw / "e.wav", 1.0)
    write_midi(raw / "e.mid", [on(0, 60)])
    (raw / "e.wav").write_bytes(b"RIFFnothing")
    write_midi(raw / "f.mid", [on(0, 60)])
    made = import_performances(raw, tmp_path / "set")
    assert made.pieces == 1
    reasons = {reject.path: reject.reason for reject in made.rejects}
    assert set(reasons) == {"2004/a.wav", "2004/b.wav", "2006/c.wav", "e.wav", "f.mid"}
    assert reasons["2004/a.wav"] == "it has no midi file"
    assert "cut short" in reasons["2004/b.wav"] or "damaged" in reasons["2004/b.wav"]
    assert "without notes" in reasons["2006/c.wav"]
    assert reasons["f.mid"] == "it has no audio file"
    assert all(reject.kind == "failed" for reject in made.rejects)


def test_a_table_that_names_missing_or_foreign_files_rejects_them(tmp_path, raw):
    (raw / "2006/c.wav").unlink()
    rows = [dict(zip(COLUMNS, piece, strict=True)) for piece in PIECES]
    rows[0]["midi_filename"] = "../outside.midi"
    rows[3]["split"] = "holdout"
    (raw / "maestro-v2.0.0.csv").unlink()
    (raw / "maestro-v2.0.0.json").write_text(json.dumps([*rows, rows[2]]))
    reasons = {(reject.path, reject.reason) for reject in scan(raw).rejects}
    assert reasons == {
        ("2004/a.wav", "the table lists it twice"),
        ("2004/b.wav", "its midi file '../outside.midi' is outside the corpus"),
        ("2006/c.wav", "its audio file '2006/c.wav' is missing"),
        ("2008/d.wav", "its split is 'holdout', not one of train, validation, test"),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "without rows"),
        ("[1]", "neither a list of rows"),
        ("{", "not a table"),
        ('[{"split": "train"}]', "no column 'canonical_composer'"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "maestro-v3.0.0.json").write_text(content)
    with pytest.raises(DatasetError, match=said):
        scan(tmp_path)


def test_a_folder_of_nothing_is_refused(tmp_path, raw):
    with pytest.raises(DatasetError, match="not a folder"):
        scan(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="neither a table"):
        scan(tmp_path / "empty")
    for midi in raw.rglob("*.midi"):
        midi.unlink()
    with pytest.raises(AudioError, match="none of 4 performances can be used; the first, 2004/a"):
        import_performances(raw, tmp_path / "set")
    with pytest.raises(ConfigError, match="has no table"):
        scan(tmp_path / "empty", MaestroFilters(years=(2004,)))
    with pytest.raises(ConfigError, match="did you mean 'validation'"):
        MaestroFilters(parts=("valid",))


def test_any_option_and_any_midi_file_makes_another_set(tmp_path, raw):
    def fingerprint(name, chunks=None, **filters):
        return import_performances(raw, tmp_path / name, MaestroFilters(**filters), chunks).fingerprint

    found = [
        fingerprint("a"),
        fingerprint("b", years=(2004, 2006, 2008)),
        fingerprint("c", hours=1.0),
        fingerprint("d", content="audio"),
        fingerprint("e", content="midi"),
        fingerprint("f", order="shuffled"),
        fingerprint("g", Chunks(num_samples=8192)),
        fingerprint("h", Chunks(sample_rate=8000)),
    ]
    write_midi(raw / "2008/d.midi", [on(0, 61)])
    found.append(fingerprint("i"))
    assert len(set(found)) == len(found)


def test_the_same_call_again_does_nothing_and_another_one_is_refused(tmp_path, raw):
    for content in ("both", "midi"):
        out, filters = tmp_path / content, MaestroFilters(content=content)
        first = import_performances(raw, out, filters)
        again = import_performances(raw, out, filters)
        assert (first.was_there, again.was_there) == (False, True)
        assert (first.states_written, again.states_written) == (1, 0)
        with pytest.raises(ExistsError, match="other files or options"):
            import_performances(raw, out, MaestroFilters(content=content, years=(2004,)))
        forced = import_performances(
            raw, out, MaestroFilters(content=content, years=(2004,)), how=HowToImport(force=True)
        )
        assert forced.pieces == 2
        assert check_side_arrays(out, read_header(out)) == []


def test_a_set_that_replaces_another_keeps_no_states_of_it(tmp_path, raw):
    import_performances(raw, tmp_path / "set")
    audio = MaestroFilters(content="audio")
    import_performances(raw, tmp_path / "set", audio, how=HowToImport(force=True))
    assert not list((tmp_path / "set").glob("midi_states*"))
    assert check_dataset(tmp_path / "set").problems == ()


def test_states_that_were_not_finished_are_made_by_the_next_call_byte_for_byte(tmp_path, raw):
    import_performances(raw, tmp_path / "set")
    file = tmp_path / "set" / MIDI_STATES.file_of(0)
    whole, listed = file.read_bytes(), (tmp_path / "set" / SIDE_ARRAYS_FILE).read_bytes()
    file.write_bytes(whole[:1000])
    with pytest.raises(DatasetError, match="1000 bytes"):
        PianoStates.open(tmp_path / "set")
    assert import_performances(raw, tmp_path / "set").states_written == 1
    assert (file.read_bytes(), (tmp_path / "set" / SIDE_ARRAYS_FILE).read_bytes()) == (whole, listed)


def test_the_census_misses_states_that_were_never_begun(tmp_path, raw):
    for content in ("both", "midi"):
        out = tmp_path / content
        import_performances(raw, out, MaestroFilters(content=content))
        assert check_dataset(out).problems == ()
        (out / SIDE_ARRAYS_FILE).unlink()
        assert check_dataset(out).problems == (
            "midi_states: not made yet; run the command that made the set again",
        )
    import_performances(raw, tmp_path / "audio", MaestroFilters(content="audio"))
    assert check_dataset(tmp_path / "audio").problems == ()


def test_the_census_finds_states_that_were_changed(tmp_path, raw):
    import_performances(raw, tmp_path / "set")
    header = read_header(tmp_path / "set")
    assert check_side_arrays(tmp_path / "set", header) == []
    file = tmp_path / "set" / MIDI_STATES.file_of(0)
    states = np.load(file)
    states[0, 0, 0] += 1
    np.save(file, states)
    assert check_side_arrays(tmp_path / "set", header) == [
        "midi_states-00000.npy: its checksum is not the listed one; it was changed or damaged"
    ]
