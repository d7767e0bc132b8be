"""Laws of the report: one page that fetches nothing, the figures of the single commands, nothing invented."""

import csv
import dataclasses
import io
import json
import math
import re

import pytest
import torch

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.dsp.audiofile import write
from retimbre.workflows.evaluation.report.anchors import ANCHORS, COPY, REAL, SILENCE
from retimbre.workflows.evaluation.report.judging import BY_EMBEDDER, measured_columns
from retimbre.workflows.evaluation.report.page import render_page
from retimbre.workflows.evaluation.report.report import (
    PAGE_FILE,
    SCORES_FILE,
    TABLE_FILE,
    ReportOptions,
    evaluate_report,
)
from retimbre.workflows.evaluation.sets.clips import ClipOptions, HeldClips
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure

RATE = 16_000
OPTIONS = ReportOptions(
    clips=ClipOptions(seconds=0.25), embedders=("statistics",), resamples=20, cache="none", listened=1
)
# Without the measures of notes, which take most of the time.
QUICK = dataclasses.replace(OPTIONS, notes=False)
INSTRUMENTS = ("bell", "reed", "string", "pipe")


def note(midi, brightness, seconds=0.25):
    moments_s = torch.arange(round(seconds * RATE)) / RATE
    pitch_hz = 440.0 * 2 ** ((midi - 69) / 12)
    partials = [
        torch.sin(2 * math.pi * pitch_hz * number * moments_s) / number**brightness for number in range(1, 7)
    ]
    return 0.2 * torch.exp(-4.0 * moments_s) * sum(partials)


def folder_of(place, count, brightness=0.0, name=""):
    """Notes of four instruments that differ in brightness, `bell_060.wav` and so on."""
    place.mkdir()
    for number in range(count):
        instrument = number % len(INSTRUMENTS)
        midi = 48 + number
        sound = note(midi, 0.5 + 0.5 * instrument + brightness)
        write(place / f"{name or INSTRUMENTS[instrument]}_{midi:03d}.wav", sound, RATE)
    return place


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    place = tmp_path_factory.mktemp("sounds")
    return {
        "real": folder_of(place / "real", 16),
        "near": folder_of(place / "near", 10, 0.1),
        "far": folder_of(place / "a <b>far one", 8, 3.0),
        "train": folder_of(place / "train", 9, 0.3),
    }


@pytest.fixture(scope="module")
def report(sounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    models = [str(sounds["near"]), str(sounds["far"])]
    options = dataclasses.replace(OPTIONS, train=str(sounds["train"]))
    return out, evaluate_report(models, sounds["real"], out, options)


def figures(result):
    return [figure for each in result["measures"] for figure in each["figures"].values()]


def test_every_set_stands_in_every_measure(report):
    _, result = report
    names = [row["name"] for row in result["rows"]]
    assert set(ANCHORS) <= set(names)
    assert names[:2] == ["near", "a <b>far one"]
    assert all(list(each["figures"]) == names for each in result["measures"])
    assert {each["metric"] for each in result["measures"]} > {reported.metric for reported in BY_EMBEDDER}


def test_a_figure_has_an_interval_that_holds_it_or_a_reason(report):
    for figure in figures(report[1]):
        if "refused" in figure:
            assert figure["refused"]
            assert "value" not in figure
        else:
            assert math.isfinite(figure["value"])
            assert figure["low"] is None or figure["low"] <= figure["value"] <= figure["high"]


def test_sets_too_small_for_a_frechet_distance_are_refused_and_not_guessed(report):
    fad = next(each for each in report[1]["measures"] if each["metric"] == "fad")
    assert "takes more vectors than dimensions" in fad["figures"][REAL]["refused"]
    assert fad["verdict"]["kind"] == "not judged"


def test_the_tables_hold_what_the_report_returns(report):
    out, result = report
    assert json.loads((out / SCORES_FILE).read_text(encoding="utf-8")) == result
    lines = list(csv.DictReader(io.StringIO((out / TABLE_FILE).read_text(encoding="utf-8"))))
    assert len(lines) == len(figures(result))
    kad = next(each for each in result["measures"] if each["metric"] == "kad")
    told = next(line for line in lines if (line["metric"], line["set"]) == ("kad", "near"))
    assert float(told["value"]) == kad["figures"]["near"]["value"] == result["value"]


def test_the_page_fetches_nothing_and_escapes_what_it_is_given(report):
    page = (report[0] / PAGE_FILE).read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)=["']?([^"'\s>]*)""", page)
    assert [address for address in addresses if not address.startswith("data:")] == []
    assert "default-src &#39;none&#39;" in page
    assert "<b>far" not in page
    assert "a &lt;b&gt;far one" in page


def test_the_page_names_every_set_and_carries_its_sounds(report):
    page = (report[0] / PAGE_FILE).read_text(encoding="utf-8")
    # One clip of each set but silence.
    assert page.count("<audio ") == len(report[1]["rows"]) - 1
    assert all(anchor in page for anchor in ANCHORS)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(sounds, report):
    models = [str(sounds["near"]), str(sounds["far"])]
    again = evaluate_report(
        models, sounds["real"], "", dataclasses.replace(OPTIONS, train=str(sounds["train"]))
    )
    assert again == report[1]


def test_figures_are_those_of_the_single_commands():
    audio = torch.stack([note(50 + number, 1.0 + 0.1 * number) for number in range(16)])
    reference, judged = HeldClips("reference", audio[::2], RATE), HeldClips("judged", audio[1::2], RATE)
    options = MeasureOptions(embedder="statistics", resamples=20, cache="none")
    columns = measured_columns(reference, {REAL: judged}, {"statistics": ""}, options)
    alone = measure("kad", reference, judged, options)
    told = next(column for column in columns if column["metric"] == "kad")["figures"][REAL]
    assert {name: told[name] for name in ("value", "low", "high", "n")} == {
        name: alone[name] for name in ("value", "low", "high", "n")
    }


def test_copies_of_the_training_sounds_are_found_out(report):
    distance = next(each for each in report[1]["measures"] if each["metric"] == "waveform_distance")
    # Correlation by float32 transforms of 8,000 points.
    assert distance["figures"][COPY]["value"] == pytest.approx(0.0, abs=1e-4)
    assert distance["figures"]["near"]["value"] > 1e-3


def test_silence_is_no_good_note_by_any_measure(report):
    seen = [
        each["verdict"]["marks"][SILENCE]["seen"]
        for each in report[1]["measures"]
        if each["verdict"]["marks"]
    ]
    assert "better" not in seen


def test_larger_sets_are_drawn_from_and_smaller_ones_remarked(report):
    rows = {row["name"]: row for row in report[1]["rows"]}
    assert rows["near"]["clips"] == rows[REAL]["clips"] == 8
    assert any("8 of its 10 clips were drawn" in remark for remark in rows["near"]["remarks"])


def test_without_models_the_measures_are_judged_alone(sounds):
    result = evaluate_report([], sounds["real"], "", QUICK)
    assert result["set"] == REAL
    assert [row["kind"] for row in result["rows"]].count("model") == 0
    assert render_page(result, [])


def test_without_labels_the_rest_is_reported(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    for number in range(10):
        write(real / f"sound-{'abcdefghijkl'[number]}.wav", note(50 + number, 1.0), RATE)
    result = evaluate_report([], real, "", QUICK)
    assert "one instrument" in result["left_out"]
    assert "one instrument" in render_page(result, [])


def test_a_model_that_fails_is_named_and_the_rest_is_done(sounds):
    result = evaluate_report([str(sounds["near"]), "no-such-model"], sounds["real"], "", QUICK)
    assert len(result["failed"]) == 1
    assert "no-such-model" in result["failed"][0]
    assert "near" in [row["name"] for row in result["rows"]]


def test_the_only_model_failing_is_the_caller_s_mistake(sounds):
    with pytest.raises(CheckpointError, match="no-such-model"):
        evaluate_report(["no-such-model"], sounds["real"], "", QUICK)


def test_a_set_is_judged_once(sounds):
    with pytest.raises(ConfigError, match="named twice"):
        evaluate_report([str(sounds["near"])] * 2, sounds["real"], "", QUICK)


def test_a_folder_without_real_sounds_is_refused(tmp_path):
    with pytest.raises(AudioError, match="no such folder"):
        evaluate_report([], tmp_path / "nowhere", "", QUICK)


def test_a_report_is_not_overwritten_unasked(sounds, report):
    with pytest.raises(ExistsError, match="--force"):
        evaluate_report([], sounds["real"], report[0], QUICK)


@pytest.mark.parametrize("embedders", [(), ("statistics", "statistics")])
def test_embedders_are_named_once_each(embedders):
    with pytest.raises(ConfigError, match="embedders"):
        ReportOptions(embedders=embedders)


def test_an_unknown_embedder_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'statistics'"):
        ReportOptions(embedders=("statistic",))


def test_an_embedder_that_has_to_learn_first_is_refused():
    with pytest.raises(ConfigError, match="learned from sounds"):
        ReportOptions(embedders=("bag-of-words",))


def test_an_embedder_s_weights_are_read_before_anything_is_measured(tmp_path):
    with pytest.raises(CheckpointError, match="no-such-file"):
        ReportOptions(embedders=(f"clap={tmp_path / 'no-such-file'}",))


def test_identical_real_sounds_are_refused_by_what_cannot_tell_them_apart(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    for number in range(10):
        write(real / f"tone_{60 + number:03d}.wav", note(60, 1.0), RATE)
    result = evaluate_report([], real, "", QUICK)
    assert result["value"] is None
    kad = next(each for each in result["measures"] if each["metric"] == "kad")
    assert "sounds differ" in kad["figures"][REAL]["refused"] or "equal" in kad["figures"][REAL]["refused"]
    assert render_page(result, [])


@pytest.mark.parametrize("pitches", [(60,), (60, 62, 64)])
def test_real_sounds_of_which_next_to_all_are_the_same_judge_no_measure(tmp_path, pitches):
    real = tmp_path / "real"
    real.mkdir()
    for number in range(12):
        write(real / f"tone_{60 + number:03d}.wav", note(pitches[number % len(pitches)], 1.0), RATE)
    result = evaluate_report([], real, "", OPTIONS)
    assert {each["verdict"]["kind"] for each in result["measures"]} == {"not judged"}
    mind = next(each for each in result["measures"] if each["metric"] == "mind")
    assert f"{len(pitches)} different sounds among 6" in mind["verdict"]["says"]


def test_sounds_that_are_one_to_an_embedder_judge_nothing_that_hears_through_it():
    # All of them below what the embedder calls silence.
    audio = torch.zeros(12, 4_000)
    audio[:, 0] = 1e-12 * torch.arange(1, 13)
    reference, other = HeldClips("reference", audio[::2], RATE), HeldClips(REAL, audio[1::2], RATE)
    options = MeasureOptions(resamples=20, cache="none")
    rows = {REAL: other, SILENCE: HeldClips(SILENCE, 0.1 * torch.randn(6, 4_000), RATE)}
    columns = measured_columns(reference, rows, {"statistics": ""}, options)
    mind = next(each for each in columns if each["metric"] == "mind")
    assert mind["verdict"]["kind"] == "not judged"
    assert mind["verdict"]["says"].endswith("has no variety to measure")


def test_no_envelope_error_is_read_off_notes_that_are_compared_with_themselves(report, sounds):
    error = next(each for each in report[1]["measures"] if each["metric"] == "envelope_error")
    assert "other than itself" in error["figures"][REAL]["refused"]
    assert "other than itself" in error["figures"]["one instrument"]["refused"]
    assert error["verdict"]["kind"] == "not judged"
    assert "other than itself" in error["verdict"]["says"]
    # What was done to a note stands beside the note.
    assert error["figures"]["noise"]["value"] > 0


def test_real_sounds_among_the_training_sounds_are_not_taken_for_copies_of_themselves(sounds):
    options = dataclasses.replace(OPTIONS, train=str(sounds["real"]))
    result = evaluate_report([], sounds["real"], "", options)
    found = {each["metric"]: each["figures"] for each in result["measures"]}
    assert found["waveform_distance"][REAL]["value"] > 1e-3
    # A low-passed note is not a copy of the note it was; a training sound handed out is one.
    for row in (REAL, "low-pass", "noise"):
        assert found["near_copies"][row]["value"] < 0.5
    assert found["near_copies"][COPY]["value"] == 1.0
    assert "all are training sounds" in found["training_distance"][REAL]["refused"]
    remarks = next(row["remarks"] for row in result["rows"] if row["name"] == REAL)
    assert any(
        "8 of 8 real/real clips and 8 of 8 reference clips are also training sounds" in each
        for each in remarks
    )


def test_an_embedder_without_its_weights_is_told_the_option_that_gives_them():
    with pytest.raises(ConfigError, match="--embedder vggish=FILE"):
        ReportOptions(embedders=("vggish",))
