import json

import numpy as np
import pytest
import soundfile
import torch

from retimbre.data.dataset import RecordedSet
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Statistics, fit_statistics


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


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 93889622800 bytes"),
            "there is",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 88.00 GiB. GPU 0 has"), "the GPU has"),
    ],
)
def test_features_beyond_the_memory_are_one_line_and_status_1(run, tmp_path, tone, monkeypatch, error, whose):
    def too_much(*_, **__):
        raise error

    monkeypatch.setattr("retimbre.representation.spectral.stft", too_much)
    status, _, err = run("encode", tone, "--representation", "stft", "--out", tmp_path / "a.npz")
    assert (status, err) == (1, f"error: this takes more memory than {whose}\n")


@pytest.fixture
def set_folder(run, tmp_path):
    """A set of twelve clips at 8 kHz."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        noise = 0.1 * np.random.default_rng(number).standard_normal(2000)
        soundfile.write(folder / f"{number}.wav", noise, 8000, subtype="FLOAT")
    words = ["--out", tmp_path / "set", "--sample-rate", 8000, "--seconds", 0.25, "--validation", 0.5]
    assert run("data", "folder", folder, *words)[0] == 0
    return tmp_path / "set"


def test_statistics_of_a_set_are_measured_on_its_training_clips_and_scale_a_sound(
    run, tmp_path, tone, set_folder
):
    file = tmp_path / "s.safetensors"
    chosen = ["--representation", "mag-if", "--set", "n_fft=256", "--set", "hop_length=64"]
    status, out, _ = run("encode", set_folder, *chosen, "--fit-statistics", "bin", "--out", file, "--json")
    result = json.loads(out)
    data = RecordedSet.open(set_folder)
    training = data.audio(data.split("train"))
    assert (status, result["num_clips"], result["shape"]) == (0, len(training), [2, 129, 1])
    assert len(training) < 12
    inner = representation("mag-if", 8000, {"n_fft": 256, "hop_length": 64})
    assert Statistics.load(file).content_hash == fit_statistics(inner, [training]).content_hash
    words = ["--sample-rate", 8000, "--statistics", file, "--out", tmp_path / "a.npz"]
    status, _, _ = run("encode", tone, *chosen, *words)
    with np.load(tmp_path / "a.npz") as arrays:
        assert (status, float(np.abs(arrays["features"]).max())) == (0, 1.0)


def test_statistics_per_cell_have_the_shape_of_a_clip_s_features_and_are_told_in_one_line(
    run, tmp_path, set_folder
):
    file = tmp_path / "s.safetensors"
    _, out, _ = run(
        "encode", set_folder, "--representation", "mdct", "--fit-statistics", "cell", "--out", file
    )
    statistics = Statistics.load(file)
    assert out == f"{file}: statistics of mdct per cell, of {statistics.num_clips} clips at 8000 Hz\n"
    assert statistics.mean.shape == (1, 256, 9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{0}/set", "--out", "{0}/s.npz"], "ends in .safetensors"),
        (["{0}/set", "--out", "{0}/s.safetensors", "--statistics", "x"], "excludes --statistics"),
        (["{0}/set", "--out", "{0}/s.safetensors", "--sample-rate", "16000"], "is at 8000 Hz, not 16000 Hz"),
        (["{0}/set", "--out", "{0}/s.safetensors", "--set", "n_ftf=3"], "did you mean 'n_fft'"),
        (["{0}/in", "--out", "{0}/s.safetensors"], "dataset.json"),
        (["{0}/tone.wav", "--out", "{0}/s.safetensors"], "tone.wav"),
    ],
)
def test_statistics_of_what_is_no_set_or_with_wrong_options_are_refused_in_one_line(
    run, tmp_path, tone, set_folder, words, said
):
    words = [word.format(tmp_path) for word in words]
    status, out, err = run("encode", *words, "--representation", "stft", "--fit-statistics", "bin")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not list(tmp_path.glob("s.*"))


def test_a_set_without_clips_for_training_is_refused(run, tmp_path, set_folder):
    words = ["--sample-rate", 8000, "--seconds", 0.25, "--validation", 1.0, "--test", 0.0]
    run("data", "folder", tmp_path / "in", "--out", tmp_path / "none", *words)
    words = ["--representation", "stft", "--fit-statistics", "bin", "--out", tmp_path / "s.safetensors"]
    status, _, err = run("encode", tmp_path / "none", *words)
    assert (status, err) == (
        2,
        f"error: {tmp_path / 'none'}: its train split is empty; make a larger set, or hold less of it out\n",
    )


def test_coordinates_are_chosen_by_name_and_the_file_remembers_them(run, tmp_path, tone):
    words = ["--set", "coordinates.kind=polar", "--set", "coordinates.floor=1e-4"]
    _, out, _ = run("encode", tone, "--representation", "erb", *words, "--out", tmp_path / "a.npz", "--json")
    assert json.loads(out)["settings"] == {"coordinates": {"kind": "polar", "floor": 1e-4}}
    assert json.loads(out)["snr_db"] > 110
    assert run("decode", tmp_path / "a.npz", "--out", tmp_path / "b.wav")[0] == 0
    np.testing.assert_allclose(soundfile.read(tmp_path / "b.wav")[0], soundfile.read(tone)[0], atol=1e-5)


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
        (
            [
                *[
                    "encode",
                    "{0}/tone.wav",
                    "--representation",
                    "cqt",
                    "--out",
                    "{0}/x.npz",
                    "--set",
                    "bins=12",
                ],
                *["--set", "bins_per_octave=48", "--set", "f_min_hz=8"],
            ],
            "more than 16,384 bands only",
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
