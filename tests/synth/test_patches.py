import dataclasses
import json

import pytest
import torch

from retimbre.core import random
from retimbre.core.errors import PatchError
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import (
    Patch,
    PatchNote,
    load_patch,
    patch_from_knobs,
    patch_knobs,
    patch_to_table,
    render_patch,
    save_patch,
)


def drawn(name, seconds=0.05):
    synth = SYNTHS[name]
    uniform = random.uniform(7, "patch", torch.arange(3), len(synth.space.searched))
    knobs = synth.space.from_classes(synth.space.draw_classes(uniform))
    note = PatchNote(pitch_hz=330.3, velocity=0.7, gate_s=0.03, noise_seed=5).batch(3)
    return knobs, note, patch_from_knobs(synth, knobs, note, seconds=seconds, item=1)


@pytest.fixture
def table():
    return patch_to_table(Patch("fm", {"C": 783.991, "M": 12.6}, 16384, seconds=0.1))


@pytest.fixture
def written(tmp_path):
    def write(value):
        path = tmp_path / "patch.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


@pytest.mark.parametrize("name", SYNTHS)
def test_a_patch_comes_back_from_its_file_as_it_was_saved(name, tmp_path):
    _, _, patch = drawn(name)
    save_patch(tmp_path / "patch.json", patch)
    assert load_patch(tmp_path / "patch.json") == patch


@pytest.mark.parametrize("name", SYNTHS)
def test_a_patch_has_the_very_knobs_it_was_made_from(name):
    knobs, _, patch = drawn(name)
    again = patch_knobs(patch, SYNTHS[name])
    for knob, values in knobs.items():
        assert torch.equal(again[knob][0], values[1]), knob


@pytest.mark.parametrize("name", SYNTHS)
def test_a_loaded_patch_sounds_as_the_knobs_it_was_made_from(name, tmp_path):
    knobs, note, patch = drawn(name)
    save_patch(tmp_path / "patch.json", patch)
    alone = {knob: values[1:2] for knob, values in knobs.items()}
    with torch.no_grad():
        expected = SYNTHS[name].render(alone, note[1:2], num_samples=patch.num_samples)[0]
    assert torch.equal(render_patch(load_patch(tmp_path / "patch.json")), expected)


def test_numbers_in_a_patch_are_as_short_as_they_were_written():
    synth = SYNTHS["fm"]
    knobs = synth.space.from_values({"attack": 0.1, "C": 783.991})
    patch = patch_from_knobs(synth, knobs, PatchNote().batch(), seconds=1.0)
    assert (patch.knobs["attack"], patch.knobs["C"]) == (0.1, 783.991)


def test_knobs_that_are_left_out_stand_at_their_defaults(table, written):
    table["knobs"] = {}
    knobs = patch_knobs(load_patch(written(table)), SYNTHS["fm"])
    defaults = {knob.name: knob.default for knob in SYNTHS["fm"].space.parameters}
    # What is saved is text of a float64, what is rendered float32: a relative step of 6e-8.
    assert {name: float(value) for name, value in knobs.items()} == pytest.approx(defaults, rel=1e-7)


def test_a_gain_of_minus_20_db_is_a_tenth(table, written):
    loud = render_patch(load_patch(written(table)))
    quiet = render_patch(load_patch(written({**table, "gain_db": -20.0})))
    torch.testing.assert_close(quiet, 0.1 * loud, rtol=1e-6, atol=0)


def test_a_curve_that_stands_still_sounds_as_the_value(table, written):
    steady = render_patch(load_patch(written(table)))
    table["knobs"]["C"] = [783.991, 783.991, 783.991]
    # The curve is summed sample by sample, the steady tone in closed form: float32 phases, -80 dB apart at most.
    torch.testing.assert_close(render_patch(load_patch(written(table))), steady, rtol=0, atol=1e-4)


def test_a_curve_survives_its_file_and_is_heard(table, written, tmp_path):
    steady = render_patch(load_patch(written(table)))
    table["knobs"]["C"] = [440.0, 880.0]
    patch = load_patch(written(table))
    save_patch(tmp_path / "again.json", patch)
    assert load_patch(tmp_path / "again.json") == patch
    assert (render_patch(patch) - steady).abs().max() > 0.1


def test_another_rate_keeps_the_length_in_seconds(table, written):
    table["sample_rate"] = 44100
    assert render_patch(load_patch(written(table))).shape == (4410,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2, but this program reads version 1"),
        ({"format": "midi"}, "not a patch"),
        ({"synth": "fmm"}, "no synth 'fmm'; did you mean"),
        ({"knobs": {"atack": 0.1}}, "no knob 'atack'; did you mean 'attack'?"),
        ({"knobs": {"M": 31.0}}, "M is 31, but takes 1 to 30 Hz"),
        ({"knobs": {"M": "fast"}}, "M takes a number, not 'fast'"),
        ({"knobs": {"attack": [0.1, 0.2]}}, "attack cannot vary"),
        ({"knobs": {"C": [440.0]}}, "a curve takes two or more"),
        ({"knobs": {"C": [440.0, 9999.0]}}, "C is 9999"),
        ({"sampel_rate": 1}, "no option 'sampel_rate'; did you mean 'sample_rate'?"),
        ({"sample_rate": 0}, "sample rate is 0 Hz"),
        ({"sample_rate": "high"}, "sample_rate"),
        ({"seconds": 1e9}, "seconds is 1e+09"),
        ({"seconds": -1.0}, "seconds is -1"),
        ({"gain_db": 900.0}, "gain_db is 900"),
        ({"note": {"pitch_hz": 0.0}}, "pitch is 0 Hz"),
        ({"note": {"velocity": 2.0}}, "velocity is 2"),
        ({"note": {"gate_s": -1.0}}, "gate is -1 s"),
    ],
)
def test_what_is_not_a_fitting_patch_is_refused_in_one_line_that_names_file_and_fault(
    table, written, change, message
):
    path = written({**table, **change})
    with pytest.raises(PatchError) as caught:
        load_patch(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": NaN}', "[" * 100_000])
def test_what_is_not_a_patch_file_at_all_is_refused(written, text):
    with pytest.raises(PatchError):
        load_patch(written(text))


def test_bytes_that_are_no_text_and_missing_files_are_refused(tmp_path):
    (tmp_path / "noise.json").write_bytes(b"\xff\xfe\x00\x80")
    for name in ("noise.json", "missing.json", "."):
        with pytest.raises(PatchError, match=r"patch|JSON|read"):
            load_patch(tmp_path / name)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_knob_that_is_not_a_number_is_refused(table, written, value):
    text = json.dumps(table).replace("12.6", value)
    with pytest.raises(PatchError):
        load_patch(written(text))


def test_a_patch_that_does_not_fit_is_never_saved(tmp_path):
    patch = Patch("fm", {"M": float("nan")}, 16384)
    with pytest.raises(PatchError):
        save_patch(tmp_path / "patch.json", patch)
    assert list(tmp_path.iterdir()) == []


def test_a_change_of_any_part_of_a_patch_is_a_change_of_its_file(table):
    patch = Patch("fm", {"C": 440.0}, 16384)
    changes = [
        {"synth": "fm4"},
        {"knobs": {"C": 441.0}},
        {"sample_rate": 8000},
        {"seconds": 2.0},
        {"gain_db": 1.0},
        {"note": PatchNote(noise_seed=1)},
    ]
    tables = [patch_to_table(dataclasses.replace(patch, **change)) for change in changes]
    assert patch_to_table(patch) not in tables
