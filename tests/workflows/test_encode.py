import json
import math
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import (
    AudioError,
    ConfigError,
    DatasetError,
    ExistsError,
    UserError,
)
from retimbre.dsp import audiofile
from retimbre.representation.catalog import REPRESENTATIONS, representation
from retimbre.representation.standardized import fit_statistics
from retimbre.workflows import encode as encoding
from retimbre.workflows.decode import decode
from retimbre.workflows.encode import EncodeOptions, encode
from retimbre.workflows.feature_file import Cuts, equal_cuts, open_features

RATE = 16_000


def sound_file(path, seconds=0.5, rate=RATE, channels=1):
    second = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 330.0 * second) * np.exp(-2 * second)
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(second))
    soundfile.write(path, np.stack([tone + noise] * channels, axis=1), rate, subtype="FLOAT")
    return path


def samples(path):
    return audiofile.read(path).samples


def snr_db(audio, again):
    return 10 * math.log10(
        float(audio.square().sum() / (again - audio).double().square().sum().clamp_min(1e-40))
    )


@pytest.mark.parametrize("name", sorted(REPRESENTATIONS))
def test_every_representation_goes_into_a_file_and_what_is_invertible_comes_back(name, tmp_path):
    path = sound_file(tmp_path / "a.wav")
    encoded = encode(path, name, tmp_path / "a.npz")
    if not encoded.invertible:
        with pytest.raises(UserError, match="cannot be decoded"):
            decode(tmp_path / "a.npz", tmp_path / "b.wav")
        assert not (tmp_path / "b.wav").exists()
        return
    decode(tmp_path / "a.npz", tmp_path / "b.wav", representation=name)
    again = samples(tmp_path / "b.wav")
    assert len(again) == len(samples(path))
    if encoded.exact:
        assert encoded.snr_db > 110
        assert snr_db(samples(path), again) > 110


@pytest.fixture
def short_segments(monkeypatch):
    """Segments of a tenth of a second that overlap by a fiftieth where they do, so that a second has many."""
    monkeypatch.setattr(encoding, "LONGEST_SEGMENT_S", 0.1)
    monkeypatch.setattr(encoding, "OVERLAP_S", 0.02)


@pytest.mark.parametrize("name", ["waveform", "stft", "mag-if", "mdct", "pqmf"])
@pytest.mark.usefixtures("short_segments")
def test_an_exact_one_joins_its_segments_without_a_seam(name, tmp_path):
    path = sound_file(tmp_path / "a.wav", seconds=1.0001)
    encoded = encode(path, name, tmp_path / "a.npz")
    assert encoded.shape[0] == 11
    decode(tmp_path / "a.npz", tmp_path / "b.wav")
    assert snr_db(samples(path), samples(tmp_path / "b.wav")) > 110


@pytest.mark.usefixtures("short_segments")
def test_an_estimated_one_fades_from_segment_to_segment_without_a_click(tmp_path):
    path = sound_file(tmp_path / "a.wav", seconds=1.0)
    encode(path, "mel-stft", tmp_path / "a.npz")
    decode(tmp_path / "a.npz", tmp_path / "b.wav")
    # A second in one piece has 35 dB; seams would add errors of their own.
    assert snr_db(samples(path), samples(tmp_path / "b.wav")) > 25


def test_segments_whose_phases_were_found_apart_do_not_cancel_where_they_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "LONGEST_SEGMENT_S", 0.5)
    monkeypatch.setattr(encoding, "OVERLAP_S", 0.25)
    second = np.arange(2 * RATE) / RATE
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 330.0 * second), RATE, subtype="FLOAT")
    encoded = encode(tmp_path / "a.wav", "mag", tmp_path / "a.npz")
    assert encoded.shape[0] == 7
    decode(tmp_path / "a.npz", tmp_path / "b.wav")
    blocks = samples(tmp_path / "b.wav")[RATE // 10 : -RATE // 10].unfold(0, RATE // 50, RATE // 50)
    level_db = 20 * torch.log10(blocks.square().mean(dim=1).sqrt() * math.sqrt(2) / 0.3)
    # A tone of opposite sign would leave nothing in the middle of a fade.
    assert float(level_db.min()) > -6.0
    assert float(level_db.median().abs()) < 0.5


@pytest.mark.parametrize("num_samples", [1, 99, 100, 101, 1000, 12_345])
@pytest.mark.parametrize("overlap", [0, 30])
def test_equal_cuts_cover_every_sample_with_segments_no_longer_than_allowed(num_samples, overlap):
    cuts = equal_cuts(num_samples, 100, overlap)
    assert cuts.length <= 100
    assert cuts.overlap == (overlap if num_samples > 100 else 0)
    last = (cuts.num_segments - 1) * cuts.step
    assert last < num_samples <= last + cuts.length


def test_segments_that_would_leave_gaps_are_refused():
    with pytest.raises(ConfigError, match="do not cover a sound"):
        Cuts(100, 10, 11)


def test_settings_rate_and_versions_are_kept_in_the_file(tmp_path):
    path = sound_file(tmp_path / "a.wav", rate=44_100)
    options = EncodeOptions(("n_fft=512", "hop_length=128"), sample_rate=8000)
    encode(path, "stft", tmp_path / "a.npz", options)
    file = open_features(tmp_path / "a.npz")
    assert (file.header.settings, file.header.sample_rate) == ({"n_fft": 512, "hop_length": 128}, 8000)
    assert file.header.identity == representation("stft", 8000, file.header.settings).identity()
    assert file.header.versions.keys() == {"retimbre", "torch"}
    assert file.shape == (1, 2, 257, 32)


def test_numpy_opens_the_file_and_finds_what_encode_gives(tmp_path):
    path = sound_file(tmp_path / "a.wav")
    encode(path, "mdct", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        features, header = arrays["features"], json.loads(str(arrays["header"]))
    assert header["representation"] == "mdct"
    expected = representation("mdct", RATE).encode(samples(path)[None])
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-6)


def test_several_channels_are_made_one_and_that_is_said(tmp_path):
    path = sound_file(tmp_path / "a.wav", channels=2)
    assert encode(path, "stft", tmp_path / "a.npz").remarks == ("its 2 channels were made one",)


def test_one_sample_and_silence_go_there_and_back(tmp_path):
    for name, values in {"one": np.array([0.25]), "silence": np.zeros(RATE)}.items():
        soundfile.write(tmp_path / f"{name}.wav", values, RATE, subtype="FLOAT")
        for kind in ("stft", "mag-if", "mdct", "pqmf", "mel-if"):
            encoded = encode(tmp_path / f"{name}.wav", kind, tmp_path / "a.npz", force=True)
            decode(tmp_path / "a.npz", tmp_path / "b.wav", force=True)
            again = samples(tmp_path / "b.wav")
            assert len(again) == len(values)
            if name == "silence":
                assert encoded.snr_db is None
                assert encoded.remarks == ("it is silent",)
                assert not again.any()


def statistics_of(name, path, out):
    chosen = representation(name, RATE)
    fit_statistics(chosen, [samples(path)[None]]).save(out)
    return out


def test_standardised_features_take_their_statistics_along(tmp_path):
    path = sound_file(tmp_path / "a.wav")
    statistics = statistics_of("mag-if", path, tmp_path / "s.safetensors")
    encoded = encode(path, "mag-if", tmp_path / "a.npz", EncodeOptions(statistics=statistics))
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.abs(arrays["features"]).max() <= 1.0
    statistics.unlink()
    decode(tmp_path / "a.npz", tmp_path / "b.wav")
    assert not encoded.exact  # what lies beyond three deviations is clipped
    assert snr_db(samples(path), samples(tmp_path / "b.wav")) > 3


def test_statistics_of_something_else_are_refused(tmp_path):
    path = sound_file(tmp_path / "a.wav")
    statistics = statistics_of("mag-if", path, tmp_path / "s.safetensors")
    with pytest.raises(ConfigError, match="the statistics are of the representation"):
        encode(path, "stft", tmp_path / "a.npz", EncodeOptions(statistics=statistics))
    with pytest.raises(UserError, match="not a file of feature statistics"):
        encode(path, "stft", tmp_path / "a.npz", EncodeOptions(statistics=path))


# What is refused


def test_bad_sounds_are_refused_in_one_line(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="1 samples are NaN or infinite"):
        encode(tmp_path / "nan.wav", "stft", tmp_path / "a.npz")
    with pytest.raises(AudioError, match="no such file"):
        encode(tmp_path / "missing.wav", "stft", tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("stfft", EncodeOptions(), "did you mean 'stft'"),
        ("stft", EncodeOptions(("n_ftf=3",)), "did you mean 'n_fft'"),
        ("stft", EncodeOptions(("hop_length=5000",)), "uncovered"),
        ("stft", EncodeOptions(sample_rate=0), "0 Hz"),
        ("stft", EncodeOptions(sample_rate=-8000), "-8000 Hz"),
    ],
)
def test_wrong_options_are_refused_with_the_near_miss(name, options, said, tmp_path):
    with pytest.raises(UserError, match=said):
        encode(sound_file(tmp_path / "a.wav"), name, tmp_path / "a.npz", options)


def test_nothing_is_overwritten_unless_forced_and_endings_are_checked(tmp_path):
    path = sound_file(tmp_path / "a.wav")
    encode(path, "stft", tmp_path / "a.npz")
    for again in (
        lambda force: encode(path, "mdct", tmp_path / "a.npz", force=force),
        lambda force: decode(tmp_path / "a.npz", path, force=force),
    ):
        with pytest.raises(ExistsError, match="already there"):
            again(False)
        again(True)
    with pytest.raises(ConfigError, match=r"ends in \.npz, not"):
        encode(path, "stft", tmp_path / "a.npy")
    with pytest.raises(ConfigError, match=r"ends in \.wav or \.flac, not"):
        decode(tmp_path / "a.npz", tmp_path / "a.mp3")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def encoded_file(tmp_path):
    encode(sound_file(tmp_path / "a.wav"), "mdct", tmp_path / "a.npz")
    return tmp_path / "a.npz"


def changed_header(path, **changes):
    """A copy of a feature file with another header, and otherwise as it was."""
    with np.load(path) as arrays:
        header = json.loads(str(arrays["header"])) | changes
        return npz(
            path.with_name("changed.npz"), header=np.array(json.dumps(header)), features=arrays["features"]
        )


def test_another_representation_than_asked_for_is_refused(encoded_file, tmp_path):
    with pytest.raises(DatasetError, match="holds 'mdct', not 'stft'"):
        decode(encoded_file, tmp_path / "b.wav", representation="stft")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"identity": "0" * 16}, "was 0000000000000000 when this was written"),
        ({"format": "retimbre-features-9"}, "this version reads 'retimbre-features-1'"),
        ({"representation": "mdtc"}, "did you mean 'mdct'"),
        ({"cuts": {"num_samples": 90_000, "length": 8000, "step": 8000}}, "do not fit 12 segments"),
        ({"cuts": {"num_samples": 4000, "length": 4000, "step": 4000}}, "have \\(1, 256, 17\\)"),
        ({"colour": "red"}, "no option 'colour'"),
        ({"sample_rate": "many"}, "sample_rate"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_the_reason(encoded_file, tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        decode(changed_header(encoded_file, **changes), tmp_path / "b.wav")


def test_foreign_files_are_refused(encoded_file, tmp_path):
    foreign = {
        "text.npz": lambda path: path.write_text("hello"),
        "numbers.npz": lambda path: npz(path, x=np.zeros(3)),
        "pickled.npz": lambda path: npz(
            path, header=np.array([{}], dtype=object), features=np.zeros((1, 1, 1))
        ),
    }
    for name, write in foreign.items():
        write(tmp_path / name)
        with pytest.raises(DatasetError, match=name):
            decode(tmp_path / name, tmp_path / "b.wav")
    with pytest.raises(DatasetError, match="no such file"):
        decode(tmp_path / "missing.npz", tmp_path / "b.wav")


def test_wherever_a_byte_is_damaged_the_file_is_refused_or_sounds_the_same(encoded_file, tmp_path):
    whole = encoded_file.read_bytes()
    decode(encoded_file, tmp_path / "whole.wav")
    expected = samples(tmp_path / "whole.wav")
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 15).astype(int):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        (tmp_path / "broken.npz").write_bytes(broken)
        try:
            decode(tmp_path / "broken.npz", tmp_path / "broken.wav", force=True)
        except DatasetError:
            refused += 1
        else:
            torch.testing.assert_close(samples(tmp_path / "broken.wav"), expected)
    assert refused > 8  # a few bytes, such as dates, mean nothing


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(encoded_file, tmp_path, share):
    whole = encoded_file.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DatasetError, match=r"cut short|damaged"):
        decode(tmp_path / "cut.npz", tmp_path / "b.wav")


def test_features_that_are_not_numbers_are_refused(encoded_file, tmp_path):
    with np.load(encoded_file) as arrays:
        features, header = arrays["features"], arrays["header"]
    features[0, 0, 3, 5] = np.nan
    with pytest.raises(DatasetError, match="segment 0 holds values that are NaN"):
        decode(npz(tmp_path / "nan.npz", header=header, features=features), tmp_path / "b.wav")
    with pytest.raises(DatasetError, match="an array of int64"):
        decode(
            npz(tmp_path / "int.npz", header=header, features=np.zeros_like(features, dtype=np.int64)),
            tmp_path / "b.wav",
        )


def test_a_sound_too_loud_for_flac_is_refused_there_and_kept_in_a_wav(tmp_path, encoded_file):
    with np.load(encoded_file) as arrays:
        loud = npz(tmp_path / "loud.npz", header=arrays["header"], features=20 * arrays["features"])
    with pytest.raises(AudioError, match="which FLAC cannot hold"):
        decode(loud, tmp_path / "b.flac")
    assert decode(loud, tmp_path / "b.wav").peak > 1


MEMORY_MB = r"""
import pathlib, re, sys
from retimbre.workflows.encode import encode
from retimbre.workflows.decode import decode
encode(sys.argv[1], "mdct", sys.argv[2], force=True)
decode(sys.argv[2], sys.argv[3], force=True)
# Not resource.getrusage, which begins with what the parent had when it forked.
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from Linux's /proc")
def test_ten_minutes_take_no_more_memory_than_one(tmp_path):
    most = {}
    for minutes in (1, 10):
        path = sound_file(tmp_path / f"{minutes}.wav", seconds=60 * minutes)
        words = [sys.executable, "-c", MEMORY_MB, path, tmp_path / "a.npz", tmp_path / "b.wav"]
        printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        most[minutes] = int(printed)
    assert most[10] < most[1] + 30  # megabytes; the features of ten minutes are 37, the samples as many
