import json
import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
import soundfile

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.nsynth.entries import FAMILIES, QUALITIES, SOURCES
from retimbre.corpora.nsynth.presets import PRESETS, find_preset
from retimbre.corpora.nsynth.scan import NSynthFilters, scan_nsynth
from retimbre.data.dataset import RecordedSet
from retimbre.data.folder import Cutting
from retimbre.workflows.dataset.recordings import import_sources


def entry(family, source, number, pitch, velocity, qualities=()):
    """An entry as NSynth writes it."""
    instrument = f"{family}_{source}_{number:03d}"
    return {
        "note": 1000 * number + pitch,
        "note_str": f"{instrument}-{pitch:03d}-{velocity:03d}",
        "instrument": number,
        "instrument_str": instrument,
        "pitch": pitch,
        "velocity": velocity,
        "sample_rate": 16000,
        "qualities": [int(name in qualities) for name in QUALITIES],
        "qualities_str": list(qualities),
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": SOURCES.index(source),
        "instrument_source_str": source,
    }


def write_corpus(folder, entries):
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    for note in entries:
        hz = 440 * 2 ** ((note["pitch"] - 69) / 12)
        sound = 0.3 * np.sin(2 * math.pi * hz * np.arange(800) / 16000)
        soundfile.write(folder / "audio" / f"{note['note_str']}.wav", sound, 16000, subtype="PCM_16")
    (folder / "examples.json").write_text(json.dumps({note["note_str"]: note for note in entries}))


# Six instruments of four families at eight pitches and two velocities.
ENTRIES = [
    entry(family, source, number, pitch, velocity, ("dark", "reverb") if pitch > 60 else ("dark",))
    for (family, source, number), pitch, velocity in product(
        (
            ("bass", "acoustic", 0),
            ("bass", "synthetic", 1),
            ("brass", "acoustic", 2),
            ("brass", "acoustic", 3),
            ("flute", "acoustic", 4),
            ("organ", "electronic", 5),
        ),
        (21, 24, 44, 60, 61, 70, 84, 108),
        (25, 127),
    )
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nsynth")
    write_corpus(folder, ENTRIES)
    return folder


def names(scan):
    return [source.path.stem for source in scan.sources]


def reference(keep):
    """A plain filter on the JSON, for comparison."""
    return sorted(note["note_str"] for note in ENTRIES if keep(note))


FILTERS = {
    "nothing": (NSynthFilters(), lambda note: True),
    "one family": (
        NSynthFilters(families=("bass",)),
        lambda note: note["instrument_family_str"] == "bass",
    ),
    "two families": (
        NSynthFilters(families=("brass", "flute")),
        lambda note: note["instrument_family_str"] in ("brass", "flute"),
    ),
    "a source": (
        NSynthFilters(sources=("acoustic",)),
        lambda note: note["instrument_source_str"] == "acoustic",
    ),
    "both ends of a range": (NSynthFilters(pitches=(24, 84)), lambda note: 24 <= note["pitch"] <= 84),
    "one pitch": (NSynthFilters(pitches=(60, 60)), lambda note: note["pitch"] == 60),
    "a velocity": (NSynthFilters(velocities=(127,)), lambda note: note["velocity"] == 127),
    "an instrument": (
        NSynthFilters(instruments=("brass_acoustic_003",)),
        lambda note: note["instrument_str"] == "brass_acoustic_003",
    ),
    "a quality": (NSynthFilters(qualities=("reverb",)), lambda note: "reverb" in note["qualities_str"]),
    "two qualities": (
        NSynthFilters(qualities=("dark", "reverb")),
        lambda note: {"dark", "reverb"} <= set(note["qualities_str"]),
    ),
    "a part of the name": (
        NSynthFilters(name_contains=("acoustic",)),
        lambda note: "acoustic" in note["note_str"],
    ),
    # Trap 21: the earlier system's second filter on the name overwrote its first.
    "two parts of the name": (
        NSynthFilters(name_contains=("acoustic", "brass")),
        lambda note: "acoustic" in note["note_str"] and "brass" in note["note_str"],
    ),
    "family and part of the name": (
        NSynthFilters(families=("bass",), name_contains=("acoustic",)),
        lambda note: note["instrument_family_str"] == "bass" and "acoustic" in note["note_str"],
    ),
    "everything at once": (
        NSynthFilters(families=("brass",), sources=("acoustic",), pitches=(24, 70), velocities=(25,)),
        lambda note: (
            note["instrument_family_str"] == "brass" and 24 <= note["pitch"] <= 70 and note["velocity"] == 25
        ),
    ),
}


@pytest.mark.parametrize("case", FILTERS)
def test_each_filter_lets_through_what_a_plain_filter_on_the_json_does(case, corpus):
    filters, keep = FILTERS[case]
    scan = scan_nsynth(corpus, filters)
    assert names(scan) == reference(keep)
    assert scan.rejects == ()


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_lets_through_what_its_description_says(preset, corpus):
    keep = {
        "full": lambda note: True,
        "gansynth": lambda note: note["instrument_source_str"] == "acoustic" and 24 <= note["pitch"] <= 84,
        "sony2020": lambda note: "bass_acoustic" in note["note_str"] and 24 <= note["pitch"] <= 84,
    }
    assert names(scan_nsynth(corpus, PRESETS[preset].filters)) == reference(keep[preset])


@pytest.mark.parametrize("balance", ["pitch", "velocity", "instrument", "family", "source", "reverb"])
@pytest.mark.parametrize("size", [6, 17, 32])
def test_a_quota_is_exact_and_balanced_over_any_attribute(balance, size, corpus):
    filters = NSynthFilters(
        size=size,
        balance=balance,
        attributes=("pitch", "velocity", "instrument", "family", "source", "reverb"),
    )
    chosen = scan_nsynth(corpus, filters).sources
    everything = scan_nsynth(corpus, NSynthFilters(attributes=filters.attributes)).sources
    classes = {source.attributes[balance] for source in everything}
    counts = Counter(source.attributes[balance] for source in chosen)
    assert len(chosen) == size
    assert max(counts.values()) - min(counts[value] for value in classes) <= 1


def test_without_a_balance_exactly_the_size_is_drawn_by_the_seed_alone(corpus):
    chosen = [
        names(scan_nsynth(corpus, NSynthFilters(size=20, balance="none", seed=seed))) for seed in (0, 0, 1)
    ]
    assert [len(each) for each in chosen] == [20, 20, 20]
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_pitch_range_off_does_not_take_the_size_off(corpus):
    # In the earlier system it did.
    assert len(scan_nsynth(corpus, NSynthFilters(size=8, pitches=(0, 127))).sources) == 8


def test_the_subset_is_the_same_in_whatever_order_the_disk_lists_files(corpus, tmp_path):
    # Trap 20: the earlier system took the first files in the order of the operating system.
    shuffled = ENTRIES[::-1]
    write_corpus(tmp_path, shuffled)
    filters = NSynthFilters(size=16, seed=5)
    assert names(scan_nsynth(tmp_path, filters)) == names(scan_nsynth(corpus, filters))


@pytest.mark.parametrize(
    "other",
    [
        {"families": ("brass",)},
        {"sources": ("acoustic",)},
        {"pitches": (24, 83)},
        {"velocities": (25,)},
        {"instruments": ("bass_acoustic_000",)},
        {"qualities": ("dark",)},
        {"name_contains": ("bass",)},
        {"size": 8},
        {"balance": "pitch"},
        {"attributes": ("pitch",)},
        {"parting": "mixed"},
        {"seed": 1},
    ],
)
def test_changing_any_filter_changes_the_key_of_the_set(other, corpus, tmp_path):
    # Trap 20: the earlier cache was keyed by the first letters of the families, so that bass was brass.
    def key_of(filters, out):
        scan = scan_nsynth(corpus, filters)
        return import_sources(scan, out, Cutting(16000, 0.05), corpus="nsynth").fingerprint

    base = {"families": ("bass",), "pitches": (24, 84)}
    before = key_of(NSynthFilters(**base), tmp_path / "before")
    assert key_of(NSynthFilters(**base), tmp_path / "again") == before
    assert key_of(NSynthFilters(**base | other), tmp_path / "after") != before


def test_labels_map_back_to_names(corpus, tmp_path):
    filters = NSynthFilters(attributes=("pitch", "family", "source", "qualities"))
    import_sources(scan_nsynth(corpus, filters), tmp_path / "set", Cutting(16000, 0.05), corpus="nsynth")
    data = RecordedSet.open(tmp_path / "set")
    told = {f"{note['note_str']}.wav": note for note in ENTRIES}
    for attribute, key in (
        ("pitch", "pitch"),
        ("family", "instrument_family_str"),
        ("source", "instrument_source_str"),
    ):
        column = data.column(attribute)
        said = [column.name_of(index) for index in column.classes.tolist()]
        assert said == [told[clip.source][key] for clip in data.clips]
    reverb = [clip.attributes["reverb"] for clip in data.clips]
    assert reverb == [int("reverb" in told[clip.source]["qualities_str"]) for clip in data.clips]
    assert set(data.attributes) == {"pitch", "family", "source", *QUALITIES}


@pytest.fixture
def three_parts(tmp_path):
    """The corpus as it is handed out: three folders that share no instrument between training and the rest."""
    for part, numbers in (("train", (0, 1, 2)), ("valid", (3, 4)), ("test", (5,))):
        write_corpus(tmp_path / f"nsynth-{part}", [note for note in ENTRIES if note["instrument"] in numbers])
    return tmp_path


def parts(scan, out, preset="full"):
    how = find_preset(preset)
    from retimbre.workflows.dataset.recordings import HowToImport

    import_sources(scan, out, Cutting(16000, 0.05), HowToImport(split=how.split), corpus="nsynth")
    found = {}
    for clip in RecordedSet.open(out).clips:
        found.setdefault(clip.split, []).append(clip.attributes["instrument"])
    return found


def test_the_parts_of_the_corpus_are_kept(three_parts, tmp_path):
    found = parts(scan_nsynth(three_parts, NSynthFilters()), tmp_path / "set")
    assert {part: len(of) for part, of in found.items()} == {"train": 48, "validation": 32, "test": 16}


def test_parting_by_instrument_puts_every_instrument_into_one_part(corpus, tmp_path):
    found = parts(scan_nsynth(corpus, NSynthFilters(parting="instruments")), tmp_path / "set")
    shared = [one & other for one, other in product(map(set, found.values()), repeat=2) if one != other]
    assert shared.count(set()) == len(shared)
    assert set(found) == {"train", "validation", "test"}


def test_the_gansynth_preset_shuffles_instruments_over_an_80_to_20_split(three_parts, tmp_path):
    scan = scan_nsynth(three_parts, PRESETS["gansynth"].filters)
    found = parts(scan, tmp_path / "set", "gansynth")
    total = len(scan.sources)
    assert set(found) == {"train", "test"}
    # Within each family to within one note.
    assert abs(len(found["test"]) - 0.2 * total) <= 3
    assert set(found["test"]) == set(found["train"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pitch": 128}, "its pitch is 128, but takes 0 to 127"),
        ({"pitch": 60.5}, "its pitch is 60.5"),
        ({"pitch": None}, "its pitch is None"),
        ({"velocity": -1}, "its velocity is -1"),
        ({"instrument_family_str": "kazoo"}, "'kazoo', but takes bass"),
        ({"instrument_source_str": 3}, "but takes acoustic"),
        ({"instrument_str": ""}, "but takes a name"),
        ({"qualities": [1]}, "takes 10 times 0 or 1"),
    ],
)
def test_labels_out_of_range_are_named_and_the_rest_is_used(change, reason, corpus, tmp_path):
    write_corpus(tmp_path, ENTRIES[:4])
    table = {note["note_str"]: note for note in ENTRIES[:4]}
    name = ENTRIES[0]["note_str"]
    table[name] = {**table[name], **change}
    (tmp_path / "examples.json").write_text(json.dumps(table))
    scan = scan_nsynth(tmp_path, NSynthFilters())
    assert len(scan.sources) == 3
    assert [(reject.path, reject.kind) for reject in scan.rejects] == [(name, "failed")]
    assert reason in scan.rejects[0].reason


def test_notes_without_sounds_and_sounds_without_notes_are_named(tmp_path):
    write_corpus(tmp_path, ENTRIES[:5])
    (tmp_path / "audio" / f"{ENTRIES[0]['note_str']}.wav").unlink()
    (tmp_path / "audio" / "stranger.wav").write_bytes(b"")
    table = json.loads((tmp_path / "examples.json").read_text())
    table["../escaped"] = ENTRIES[1]
    table["not-a-note"] = [1, 2]
    (tmp_path / "examples.json").write_text(json.dumps(table))
    scan = scan_nsynth(tmp_path, NSynthFilters())
    assert len(scan.sources) == 4
    told = {reject.path.rpartition("/")[2]: (reject.kind, reject.reason) for reject in scan.rejects}
    assert told[f"{ENTRIES[0]['note_str']}.wav"][0] == "failed"
    assert told["stranger.wav"] == ("passed over", "no note of this name in examples.json")
    assert told["escaped"][1] == "its name is no file's name"
    assert "is no object" in told["not-a-note"][1]


def test_a_missing_sound_that_no_filter_wants_is_no_fault(tmp_path):
    write_corpus(tmp_path, ENTRIES[:5])
    (tmp_path / "audio" / f"{ENTRIES[0]['note_str']}.wav").unlink()
    assert scan_nsynth(tmp_path, NSynthFilters(pitches=(24, 127))).rejects == ()


def test_truncated_and_odd_sounds_are_used_or_named_never_fatal(tmp_path):
    write_corpus(tmp_path, ENTRIES[:4])
    paths = [tmp_path / "audio" / f"{note['note_str']}.wav" for note in ENTRIES[:4]]
    paths[0].write_bytes(paths[0].read_bytes()[:600])
    paths[1].write_bytes(b"RIFF")
    soundfile.write(paths[2], np.full(400, 0.1), 11025)
    made = import_sources(
        scan_nsynth(tmp_path, NSynthFilters()), tmp_path / "set", Cutting(16000, 0.05), corpus="nsynth"
    )
    data = RecordedSet.open(tmp_path / "set")
    assert (made.clips, made.rejected) == (3, {"failed": 1})
    assert made.rejects[0].path == str(paths[1])
    remarks = {clip.source: clip.remarks for clip in data.clips}
    assert remarks[paths[0].name][0].startswith("cut short")
    assert {clip.source: clip.source_rate for clip in data.clips}[paths[2].name] == 11025


def test_a_checksum_that_the_corpus_lists_is_held_against_its_files(tmp_path):
    write_corpus(tmp_path, ENTRIES[:3])
    name = f"audio/{ENTRIES[1]['note_str']}.wav"
    told = {"licence": "CC0", "files": {name: "0" * 64}}
    (tmp_path / "corpus.json").write_text(json.dumps(told))
    scan = scan_nsynth(tmp_path, NSynthFilters())
    made = import_sources(scan, tmp_path / "set", Cutting(16000, 0.05), corpus="nsynth")
    assert (made.clips, made.rejected) == (2, {"failed": 1})
    assert RecordedSet.open(tmp_path / "set").header.options["corpus"]["licence"] == "CC0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file"),
        ("[1, 2]", "not NSynth's"),
        ('{"version": 3}', "not NSynth's"),
        ("\\ud800", "not a JSON file"),
    ],
)
def test_a_json_that_is_not_nsynth_s_is_refused_in_one_line(text, message, tmp_path):
    write_corpus(tmp_path, ENTRIES[:1])
    (tmp_path / "examples.json").write_text(text)
    with pytest.raises(DatasetError, match=message) as caught:
        scan_nsynth(tmp_path, NSynthFilters())
    assert "\n" not in str(caught.value)


def test_a_folder_in_another_layout_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no examples\.json"):
        scan_nsynth(tmp_path, NSynthFilters())
    (tmp_path / "examples.json").write_text("{}")
    with pytest.raises(DatasetError, match="no folder audio/"):
        scan_nsynth(tmp_path, NSynthFilters())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"families": ("bas",)}, "no family 'bas'; did you mean 'bass'"),
        ({"sources": ("acustic",)}, "did you mean 'acoustic'"),
        ({"qualities": ("drak",)}, "did you mean 'dark'"),
        ({"attributes": ("pich",)}, "did you mean 'pitch'"),
        ({"balance": "famly"}, "did you mean 'family'"),
        ({"pitches": (84, 24)}, "not 84 to 24"),
        ({"size": -1}, "not -1"),
    ],
)
def test_impossible_filters_are_refused_with_the_near_miss(wrong, message):
    with pytest.raises(ConfigError, match=message):
        NSynthFilters(**wrong)


def test_an_unknown_preset_offers_the_near_miss():
    with pytest.raises(ConfigError, match="did you mean 'gansynth'"):
        find_preset("gansynt")
