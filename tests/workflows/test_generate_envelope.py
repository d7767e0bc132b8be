"""An envelope put on sound files: any length, rate and number of channels, and no seams."""

import json

import numpy as np
import pytest
import soundfile
import torch
from small_envelopes import CLASSES, RATE, envelope_file
from small_generators import generator_file

from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.corpora.envelopes.corpus import envelopes
from retimbre.dsp import audiofile
from retimbre.workflows.generate.envelope import model as envelope_model
from retimbre.workflows.generate.envelope.curve import Curve, Stages, gain_between, read_curve
from retimbre.workflows.generate.envelope.meter import Meter
from retimbre.workflows.generate.envelope.reshape import EnvelopeOptions, generate_envelope, partial_failure

SHAPE = Stages(0.4, 0.0, 0.4, 0.4)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    return envelope_file(tmp_path_factory.mktemp("exact") / "model.safetensors", exact=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return envelope_file(tmp_path_factory.mktemp("drawn") / "model.safetensors")


@pytest.fixture(scope="module")
def classed(tmp_path_factory):
    return envelope_file(tmp_path_factory.mktemp("classed") / "model.safetensors", classes=CLASSES)


def sound_file(path, samples=None, rate=RATE):
    if samples is None:
        samples = 0.5 * np.sin(2 * np.pi * 220 * np.arange(3 * rate // 4) / rate)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def made_of(model, sound, out, wanted=SHAPE, *, pictures=False, **options):
    chosen = EnvelopeOptions(wanted, device="cpu", pictures=pictures, **options)
    return generate_envelope(model, sound, out, chosen)


@pytest.mark.parametrize("length", [1, 2, 7, 128, 1000])
@pytest.mark.parametrize(
    "stages",
    [
        (0.0, 0.0, 1.0, 0.0),
        (0.4, 0.0, 0.4, 0.4),
        (0.2, 0.3, 0.7, 0.1),
        (0.0, 0.0, 0.0, 0.0),
        (0.1, 0.0, 0.5, 0.0),
    ],
)
def test_stages_are_the_formula_of_the_corpus(stages, length):
    attack, decay, _, release = stages
    corners = Stages(*stages).corners(length, RATE)
    gain = gain_between(corners, 0, length)
    # Where the samples that each stage has at least do not fit, the corpus refuses and here the last ones give way.
    if (
        sum(int(part * length) + 1 for part in (attack, release)) + (int(decay * length) + 1) * (decay > 0)
        <= length
    ):
        expected = envelopes(torch.tensor([stages], dtype=torch.float64), length, has_decay=decay > 0)[0]
        torch.testing.assert_close(gain, expected, atol=1e-12, rtol=0)
    assert gain.shape == (length,)
    assert 0.0 <= float(gain.min()) <= float(gain.max()) <= 1.0


@pytest.mark.parametrize("stages", [(1.0, 0.0, 1.0, 0.0), (0.5, 0.0, 0.5, 0.5), (0.4, 0.2, 0.5, 0.4)])
def test_stages_that_fill_the_sound_are_taken(stages):
    for length in (1, 2, 3, 100):
        corners = Stages(*stages).corners(length, RATE)
        places = [place for place, _ in corners]
        assert places == sorted(places)
        assert places[-1] <= length - 1
        assert gain_between(corners, 0, length).isfinite().all()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((0.6, 0.2, 0.5, 0.4), "0.6 \\+ 0.2 \\+ 0.4 = 1.2 of the sound; takes 1 at most"),
        ((-0.1, 0.0, 1.0, 0.0), "attack is -0.1; takes a number from 0 to 1"),
        ((0.0, 0.0, float("nan"), 0.0), "sustain is nan"),
    ],
)
def test_stages_that_are_none_are_refused(stages, message):
    with pytest.raises(ConfigError, match=message):
        Stages(*stages)


def test_a_curve_runs_straight_between_its_points_and_stays_beyond_them():
    spread = gain_between(Curve("c", (0.0, 1.0, 0.5)).corners(5, RATE), 0, 5)
    assert spread.tolist() == [0.0, 0.5, 1.0, 0.75, 0.5]
    timed = Curve("c", (0.2, 1.0), (1 / RATE, 3 / RATE)).corners(6, RATE)
    np.testing.assert_allclose(gain_between(timed, 0, 6), [0.2, 0.2, 0.6, 1.0, 1.0, 1.0], atol=1e-12)
    assert torch.equal(gain_between(timed, 2, 5), gain_between(timed, 0, 6)[2:5])


@pytest.mark.parametrize(
    ("name", "text", "gains", "times_s"),
    [
        ("a.csv", "0\n1\n0.5\n", (0.0, 1.0, 0.5), ()),
        ("a.csv", "time,gain\n0,0\n0.25,1\n", (0.0, 1.0), (0.0, 0.25)),
        ("a.txt", "0 0.5 1", (0.0, 0.5, 1.0), ()),
        ("a.txt", "0;0.5\n\n1;1", (0.5, 1.0), (0.0, 1.0)),
        ("a.json", "[0, 1, 0.5]", (0.0, 1.0, 0.5), ()),
        ("a.json", "[[0, 1], [0.5, 0.25]]", (1.0, 0.25), (0.0, 0.5)),
        ("a.csv", "0.5\n", (0.5,), ()),
    ],
)
def test_curve_files_are_numbers_or_pairs(tmp_path, name, text, gains, times_s):
    (tmp_path / name).write_text(text)
    found = read_curve(tmp_path / name)
    assert (found.gains, found.times_s) == (gains, times_s)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "holds no gains"),
        ("a.csv", "time,gain\n", "holds no gains"),
        ("a.json", "[]", "holds no gains"),
        ("a.csv", "0\n1.5\n", "gain 2 is 1.5; takes numbers from 0 to 1"),
        ("a.csv", "0\n-0.1\n", "gain 2 is -0.1"),
        ("a.csv", "0\nnan\n", "gain 2 is nan"),
        ("a.json", "[0, NaN]", "gain 2 is nan"),
        ("a.csv", "0\nloud\n", "'loud' is not a number"),
        ("a.json", '[0, "loud"]', "'loud' is not a number"),
        ("a.json", "[true]", "'True' is not a number"),
        ("a.json", "{}", "takes a list of gains"),
        ("a.json", "[0,", "is not JSON"),
        ("a.csv", "0,1\n2\n", "not a mixture"),
        ("a.csv", "0,1,1\n2,2,2\n", "takes one gain in each place"),
        ("a.csv", "1,0\n0,1\n", "its times do not ascend"),
        ("a.csv", "-1,0\n0,1\n", "a time is below 0"),
        ("a.wav", "0", "a curve is a .csv, .txt or .json file"),
    ],
)
def test_files_that_are_no_curve_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        read_curve(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_curve_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_curve(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        read_curve(tmp_path / "a.csv")


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_sound_of_any_rate_comes_out_as_long_as_it_was_and_under_its_envelope(exact, tmp_path, rate):
    source = sound_file(tmp_path / "in.wav", rate=rate)
    manifest = made_of(exact, source, tmp_path / "out", pictures=True)
    made, rate_of_made = soundfile.read(tmp_path / "out" / "in.wav")
    sound, _ = soundfile.read(source)
    gain = gain_between(SHAPE.corners(len(sound), rate), 0, len(sound)).numpy()
    assert rate_of_made == rate
    # Float32, and a gain of float32.
    np.testing.assert_allclose(made, sound * gain, atol=1e-6)
    (entry,) = manifest["sounds"]
    assert entry["envelope_error_db"] < 1e-3
    assert (entry["sample_rate"], entry["seconds"]) == (rate, len(sound) / rate)
    assert (tmp_path / "out" / entry["picture"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "generate.json").read_text()) == manifest


@pytest.mark.parametrize("kind", ["drawn", "classed"])
def test_pieces_of_a_long_sound_meet_without_a_seam(request, tmp_path, monkeypatch, kind):
    model = request.getfixturevalue(kind)
    source = sound_file(tmp_path / "in.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 5_003))
    made_of(model, source, tmp_path / "whole")
    monkeypatch.setattr(envelope_model, "_BLOCK_SAMPLES", 700)
    made_of(model, source, tmp_path / "pieces")
    whole, pieces = (soundfile.read(tmp_path / name / "in.wav")[0] for name in ("whole", "pieces"))
    assert len(whole) == len(pieces) == 5_003
    # Float32 sums, which other lengths may order otherwise.
    np.testing.assert_allclose(pieces, whole, atol=2e-6)


@pytest.mark.parametrize("length", [1, 3, 50])
def test_a_sound_of_a_few_samples_or_of_silence_is_a_sound(drawn, classed, tmp_path, length):
    few = sound_file(tmp_path / "few.wav", np.full(length, 0.5))
    silent = sound_file(tmp_path / "silent.wav", np.zeros(length))
    for model in (drawn, classed):
        # A picture of one sample, and one of nothing, are pictures.
        manifest = made_of(model, [few, silent], tmp_path / model.parent.name, pictures=length == 1)
        assert [entry["seconds"] for entry in manifest["sounds"]] == [length / RATE] * 2
        quiet = manifest["sounds"][1]
        assert (quiet["peak"], quiet["envelope_error_db"]) == (0.0, None)
        assert "what comes out is silent" in quiet["remarks"]


def test_stereo_becomes_one_channel_with_a_remark(exact, tmp_path):
    both = np.stack([np.full(100, 0.5), np.full(100, 0.1)], axis=1)
    manifest = made_of(exact, sound_file(tmp_path / "in.wav", both), tmp_path / "out", Stages())
    assert "its 2 channels became one" in manifest["sounds"][0]["remarks"]
    assert soundfile.info(tmp_path / "out" / "in.wav").channels == 1


def test_a_model_of_classes_gets_the_nearest_ones_and_says_so(classed, tmp_path):
    source = sound_file(tmp_path / "in.wav")
    manifest = made_of(classed, source, tmp_path / "out", Stages(0.35, 0.0, 0.7, 0.0))
    assert manifest["envelope"] == {"attack": 0.4, "decay": 0.0, "sustain": 0.7, "release": 0.0}
    assert len(manifest["remarks"]) == 1
    assert "attacks of 0, 0.2, 0.4; 0.35 became 0.4" in manifest["remarks"][0]
    with pytest.raises(ConfigError, match="knows no decay; takes attack, sustain, release"):
        made_of(classed, source, tmp_path / "other", Stages(decay=0.2))
    with pytest.raises(ConfigError, match="is told classes of attack, sustain, release, no curve"):
        made_of(classed, source, tmp_path / "other", Curve("c.csv", (0.5,)))


def test_a_curve_longer_than_the_sound_is_refused(exact, tmp_path):
    source = sound_file(tmp_path / "in.wav")
    with pytest.raises(ConfigError, match=r"curve ends at 2 s, but the sound at 0\.75 s"):
        made_of(exact, source, tmp_path / "out", Curve("c.csv", (0.0, 1.0), (0.0, 2.0)))
    assert not (tmp_path / "out").exists()


def test_a_bad_sound_among_several_is_listed_and_the_others_are_done(exact, tmp_path):
    good = sound_file(tmp_path / "good.wav")
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    manifest = made_of(exact, [good, bad], tmp_path / "out")
    assert [entry["file"] for entry in manifest["sounds"]] == ["good.wav"]
    failure = partial_failure(manifest)
    assert failure is not None
    assert "1 of 2 sounds failed" in str(failure)
    assert "bad.wav" in str(failure)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        made_of(exact, bad, tmp_path / "alone")


def test_sounds_of_one_name_do_not_replace_each_other(exact, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        sound_file(tmp_path / folder / "in.wav")
    manifest = made_of(exact, [tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [entry["file"] for entry in manifest["sounds"]] == ["in.wav", "in_2.wav"]


def test_nothing_is_replaced_unasked_and_an_earlier_run_s_files_go(exact, tmp_path):
    first, second = sound_file(tmp_path / "first.wav"), sound_file(tmp_path / "second.wav")
    made_of(exact, first, tmp_path / "out", pictures=True)
    with pytest.raises(ExistsError, match="--force"):
        made_of(exact, first, tmp_path / "out")
    made_of(exact, second, tmp_path / "out", force=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["generate.json", "second.wav"]


def test_a_generator_of_another_kind_is_refused(tmp_path):
    model = generator_file(tmp_path / "notes.safetensors")
    with pytest.raises(ConfigError, match="a dense generator, which puts no envelope on sounds"):
        made_of(model, sound_file(tmp_path / "in.wav"), tmp_path / "out")


def test_the_meter_finds_a_gain_that_was_put_on_and_how_far_another_is_from_it():
    sound = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    gain = torch.linspace(0.2, 1.0, 16_000)
    meter, louder = Meter(16_000, 16_000), Meter(16_000, 16_000)
    for piece in torch.arange(16_000).split(4_500):
        first = int(piece[0])
        meter.add(first, sound[piece], sound[piece] * gain[piece], gain[piece])
        louder.add(first, sound[piece], 2.0 * sound[piece] * gain[piece], gain[piece])
    levels = meter.levels()
    assert levels.error_db < 1e-3
    # Within 10 ms the gain moves by 0.008.
    torch.testing.assert_close(levels.measured, levels.asked, atol=8e-3, rtol=0)
    assert louder.levels().error_db == pytest.approx(20 * np.log10(2.0), abs=1e-3)


def test_the_samples_that_are_written_are_within_full_scale(exact, tmp_path):
    source = sound_file(tmp_path / "in.wav", np.array([0.25, -1.0, 1.0, 0.5]))
    made_of(exact, source, tmp_path / "out", Curve("c", (1.0,)), integers=True)
    made = audiofile.read(tmp_path / "out" / "in.wav")
    np.testing.assert_allclose(made.samples, [0.25, -1.0, 1.0, 0.5], atol=1 / 32_768)
