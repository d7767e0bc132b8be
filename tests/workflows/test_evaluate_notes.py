"""Measures of notes from folders to figures."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from note_sounds import RATE, noise, oddities, times_s, tone
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.dsp.audiofile import write
from retimbre.metrics.notes.catalog import NOTE_MEASURES
from retimbre.workflows.evaluation.note_readings import read_notes
from retimbre.workflows.evaluation.note_scores import NoteSets, evaluate_notes
from retimbre.workflows.evaluation.notes import NoteOptions, note_measures
from retimbre.workflows.evaluation.sets.clips import ClipLabels, ClipOptions, HeldClips, open_clips

FEW = NoteOptions(resamples=50, cache="none")
KEYS = range(57, 69, 2)


def note(midi: int, *, cents: float = 0.0, db_per_s: float = -20.0, partials: int = 8) -> Tensor:
    pitch_hz = 440 * 2 ** ((midi - 69 + cents / 100) / 12)
    return (tone(pitch_hz, partials) * 10 ** (db_per_s * times_s() / 20)).float()


def scale(folder: Path, name: str = "lead", **knobs: Any) -> Path:
    for midi in KEYS:
        write(folder / f"{name}_{midi:03d}.wav", note(midi, **knobs), RATE)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = scale(tmp_path_factory.mktemp("fake"))
    return scale(folder, "dull", partials=2, db_per_s=-60.0)


def test_a_scale_has_the_properties_that_it_was_made_with(folder: Path) -> None:
    found = note_measures(open_clips(folder), FEW)
    assert found["pitch_in_tune"]["value"] == 1.0
    assert found["pitch_error"]["value"] < 2.0
    # Six notes at -20 and six at -60 dB/s.
    assert found["decay_slope"]["value"] == pytest.approx(-40.0, abs=2.0)
    assert found["phase_coherence"]["value"] > 0.99
    # By chance it is 0.
    assert found["timbral_consistency"]["value"] > 0.4
    # Two partials tell no stretching.
    assert (found["inharmonicity"]["n"], found["inharmonicity"]["unmeasured"]) == (6, 6)
    for figure in found.values():
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["n"] + figure["unmeasured"] == 12


def test_real_notes_stand_beside_with_the_same_measures(folder: Path, tmp_path: Path) -> None:
    real = scale(tmp_path, db_per_s=-30.0)
    found = note_measures(open_clips(folder), FEW, reference=open_clips(real))
    assert found["decay_slope"]["reference"]["value"] == pytest.approx(-30.0, abs=1.0)
    # The six of the same names fade by 10 dB more over the second: from 0 to 10 dB, 5.8 dB in RMS.
    assert found["envelope_error"]["n"] == 6
    assert found["envelope_error"]["value"] == pytest.approx(10 / 3**0.5, abs=0.5)
    assert "reference" not in found["envelope_error"]


def test_copies_of_training_notes_are_counted(folder: Path, tmp_path: Path) -> None:
    train = tmp_path / "train"
    for number, sound in enumerate(noise(30, seed=3)):
        write(train / f"{number}.wav", sound, RATE)
    fake = tmp_path / "fake"
    for number, sound in enumerate(torch.cat([noise(30, seed=3)[:6] * 0.5, noise(6, seed=4)])):
        write(fake / f"{number}.wav", sound, RATE)
    found = note_measures(open_clips(fake), FEW, training=open_clips(train))
    assert found["near_copies"]["value"] == 0.5
    assert found["waveform_distance"]["n"] == found["training_distance"]["n"] == 12


def test_a_set_that_is_the_training_set_is_all_copies_and_its_real_notes_say_so(folder: Path) -> None:
    clips = open_clips(folder)
    found = note_measures(clips, FEW, training=clips)
    assert found["near_copies"]["value"] == 1.0
    beside = note_measures(clips, FEW, reference=clips, training=clips)["waveform_distance"]
    assert beside["value"] < 1e-5 < beside["reference"]["value"]


def test_what_was_not_labelled_is_left_out_with_a_remark(tmp_path: Path) -> None:
    for number, sound in enumerate([note(60), note(62)]):
        write(tmp_path / "fake" / f"sound{'ab'[number]}.wav", sound, RATE)
    result = evaluate_notes(NoteSets(str(tmp_path / "fake")), options=FEW)
    assert "pitch_error" not in result["measures"]
    assert "timbral_consistency" not in result["measures"]
    assert result["headline"] == "pitch_unpitched"
    assert sum("labels" in remark for remark in result["remarks"]) == 2


def test_sounds_that_are_no_notes_are_counted_and_nothing_is_ever_not_a_number(tmp_path: Path) -> None:
    for number, sound in enumerate(oddities().values()):
        write(tmp_path / "fake" / f"odd_{60 + number:03d}.wav", sound, RATE)
    write(tmp_path / "fake" / "odd_070.wav", torch.ones(1), RATE)
    sets = NoteSets(str(tmp_path / "fake"), train=str(tmp_path / "fake"))
    result = evaluate_notes(sets, tmp_path / "out", FEW)
    json.dumps(result, allow_nan=False)
    assert result["measures"]["pitch_unpitched"]["value"] >= 5 / 8
    assert "nan" not in (tmp_path / "out" / "clips.csv").read_text().lower()


def test_silence_alone_has_figures_only_of_what_it_lacks(tmp_path: Path) -> None:
    for midi in (60, 61):
        write(tmp_path / f"silent_{midi:03d}.wav", torch.zeros(RATE), RATE)
    result = evaluate_notes(NoteSets(str(tmp_path)), options=FEW)
    assert (result["headline"], result["value"]) == ("pitch_in_tune", 0.0)
    assert result["measures"]["pitch_unpitched"]["value"] == 1.0
    for name in ("attack_time", "decay_slope", "phase_coherence", "pitch_error"):
        assert result["measures"][name]["value"] is None
        assert f"{name}: 2 of 2 clips cannot be measured" in result["remarks"]


def test_one_clip_has_figures_without_an_interval(tmp_path: Path) -> None:
    write(tmp_path / "lead_060.wav", note(60), RATE)
    result = evaluate_notes(NoteSets(str(tmp_path)), options=FEW)
    assert (result["value"], result["low"], result["high"], result["n"]) == (1.0, None, None, 1)
    assert any("no interval" in remark for remark in result["remarks"])


def test_files_hold_the_result_and_a_row_per_clip(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    result = evaluate_notes(NoteSets(str(folder), real=str(folder)), out, FEW)
    assert json.loads((out / "scores.json").read_text()) == result
    assert (out / "scores.txt").read_text().startswith("pitch_in_tune: 1 (0.7575 to 1) 1, share of 12")
    with (out / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    dull = next(row for row in rows if row["clip"] == "dull_059.wav")
    assert float(dull["pitch_hz"]) == pytest.approx(246.94, rel=1e-3)
    assert dull["inharmonicity"] == ""
    assert set(result["measures"]) < set(dull)
    with pytest.raises(ExistsError, match=r"scores\.json"):
        evaluate_notes(NoteSets(str(folder)), out, FEW)


def test_the_settings_say_everything_that_figures_depend_on(folder: Path) -> None:
    sets = NoteSets(str(folder), clips=ClipOptions(sample_rate=8_000, seconds=0.5))
    settings = evaluate_notes(sets, options=FEW)["settings"]
    assert (settings["sample_rate"], settings["seconds"], settings["resamples"]) == (8_000, 0.5, 50)
    assert settings["fake"]["clips"] == 12


def test_an_unreadable_file_is_passed_over_and_told(tmp_path: Path) -> None:
    scale(tmp_path)
    (tmp_path / "lead_090.wav").write_bytes(b"no sound")
    result = evaluate_notes(NoteSets(str(tmp_path)), options=FEW)
    assert result["n"] == 6
    assert "lead_090.wav" in result["passed_over"][0]


def test_a_folder_without_sounds_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no sound files"):
        evaluate_notes(NoteSets(str(tmp_path)))


def test_sets_of_two_rates_or_lengths_are_refused() -> None:
    clips = HeldClips("fake", noise(2), RATE)
    with pytest.raises(ConfigError, match="at 8000 Hz, fake at 16000 Hz"):
        read_notes(clips, HeldClips("real", noise(2), 8_000))
    with pytest.raises(ConfigError, match="clips of 16000 samples at 16000 Hz, train of 100"):
        note_measures(clips, FEW, training=HeldClips("train", noise(2, 100), RATE))


def test_a_note_has_its_readings_whatever_else_is_in_the_set() -> None:
    sounds = torch.stack([note(60), note(64, cents=30.0), noise()[0]])
    together = read_notes(HeldClips("all", sounds, RATE, ClipLabels(pitch=(60, 64, 70))))
    alone = read_notes(HeldClips("one", sounds[1:2], RATE, ClipLabels(pitch=(64,))))
    for name, readings in alone.items():
        assert bool(readings.measured[0]) == bool(together[name].measured[1])
        # Transforms of batches sum in another order.
        assert float(together[name].values[1]) == pytest.approx(float(readings.values[0]), rel=1e-6, abs=1e-9)


def test_none_of_twelve_notes_out_of_tune_is_no_proof(folder: Path) -> None:
    found = note_measures(open_clips(folder), FEW)
    for name in ("pitch_in_tune", "pitch_octave_errors", "pitch_unpitched"):
        figure = found[name]
        assert (figure["statistic"], figure["interval"]) == ("share", "Wilson")
        # Wilson's bound of a share of 0 or 1 is z^2 / (n + z^2) from it.
        assert figure["high"] - figure["low"] == pytest.approx(1.96**2 / (12 + 1.96**2), rel=1e-3)
    assert (found["decay_slope"]["statistic"], found["decay_slope"]["interval"]) == ("median", "bootstrap")


def test_vectors_of_the_nearest_note_are_kept_and_found_again(folder: Path, tmp_path: Path) -> None:
    clips = open_clips(folder)
    options = NoteOptions(resamples=50, cache=str(tmp_path / "kept"))
    first = note_measures(clips, options, training=clips)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert len(kept) == 1
    assert note_measures(clips, options, training=clips) == first == note_measures(clips, FEW, training=clips)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()} == kept


def test_one_folder_in_two_parts_is_remarked_on_once(folder: Path, tmp_path: Path) -> None:
    real = scale(tmp_path / "real")
    (real / "lead_090.wav").write_bytes(b"no sound")
    options = ClipOptions(seconds=0.5)
    sets = NoteSets(str(folder), real=str(real), train=str(real), clips=options)
    result = evaluate_notes(sets, options=FEW)
    assert sum("longer, and cut" in remark for remark in result["remarks"]) == 2
    assert len(result["passed_over"]) == 1
    assert len(set(result["remarks"])) == len(result["remarks"])
    assert "cache" not in result["settings"]


def test_every_measure_of_the_catalog_is_computed_when_all_is_given(folder: Path) -> None:
    clips = open_clips(folder)
    assert set(note_measures(clips, FEW, reference=clips, training=clips)) == set(NOTE_MEASURES)


def test_one_training_note_is_no_measure_of_what_is_suspicious(tmp_path: Path) -> None:
    write(tmp_path / "train" / "lead_060.wav", note(60), RATE)
    scale(tmp_path / "fake")
    result = evaluate_notes(NoteSets(str(tmp_path / "fake"), train=str(tmp_path / "train")), options=FEW)
    assert "near_copies" not in result["measures"]
    assert result["measures"]["waveform_distance"]["n"] == len(KEYS)
    assert any("near copies are not counted" in remark for remark in result["remarks"])
