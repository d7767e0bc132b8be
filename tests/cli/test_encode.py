import json

import numpy as np
import pytest
import soundfile


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(np.arange(8000) / 5), 16_000, subtype="FLOAT")
    return path


def test_a_sound_goes_there_and_back_and_the_figures_are_said(run, tmp_path, tone):
    status, out, _ = run("encode", tone, "--representation", "stft", "--out", tmp_path / "a.npz", "--json")
    result = json.loads(out)
    assert (status, result["shape"], result["exact"]) == (0, [1, 2, 513, 32], True)
    assert result["snr_db"] > 110
    status, out, _ = run("decode", tmp_path / "a.npz", "--out", tmp_path / "b.wav", "--json")
    assert (status, json.loads(out)["num_samples"]) == (0, 8000)
    again, rate = soundfile.read(tmp_path / "b.wav")
    assert rate == 16_000
    np.testing.assert_allclose(again, soundfile.read(tone)[0], atol=1e-6)


def test_settings_and_rate_reach_the_representation(run, tmp_path, tone):
    words = ["--set", "num_bands=64", "--set", "ends=wrap", "--sample-rate", 8000]
    _, out, _ = run("encode", tone, "--representation", "mdct", *words, "--out", tmp_path / "a.npz", "--json")
    result = json.loads(out)
    assert result["settings"] == {"num_bands": 64, "ends": "wrap"}
    assert (result["sample_rate"], result["shape"]) == (8000, [1, 1, 64, 63])


def test_a_reader_gets_one_line_for_each(run, tmp_path, tone):
    _, out, _ = run("encode", tone, "--representation", "mdct", "--out", tmp_path / "a.npz")
    assert out.startswith(f"{tmp_path / 'a.npz'}: mdct, 1 x 1 x 256 x 33, decoded again with 1")
    _, out, _ = run("decode", tmp_path / "a.npz", "--out", tmp_path / "b.flac")
    assert out == f"{tmp_path / 'b.flac'}: mdct, 0.5 s at 16000 Hz, peak 0.5\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["encode", "missing.wav", "--representation", "stft", "--out", "{0}/x.npz"],
            "missing.wav: no such file",
        ),
        (
            ["encode", "{0}/tone.wav", "--representation", "stfft", "--out", "{0}/x.npz"],
            "did you mean 'stft'",
        ),
        (["encode", "{0}/tone.wav", "--representation", "stft", "--out", "{0}/x.wav"], "ends in .npz"),
        (
            ["encode", "{0}/tone.wav", "--representation", "stft", "--set", "a", "--out", "{0}/x.npz"],
            "not 'a'",
        ),
        (["decode", "{0}/tone.wav", "--out", "{0}/x.wav"], "not an .npz file of features"),
        (["decode", "missing.npz", "--out", "{0}/x.wav"], "missing.npz: no such file"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_status_2(run, tmp_path, tone, words, said):
    status, out, err = run(*(word.format(tmp_path) for word in words))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == [tone]
