"""`retimbre study snr-pesq` as a user meets it: what is printed, and how it ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from retimbre.cli.study.snr_pesq import parse_snrs
from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.workflows.study.snr_pesq.speech import vowels

QUICK = ["--representations", "waveform,stft@512-128", "--snr", "0:20:20", "--repeats", "1"]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "vowels.wav"
    audiofile.write(path, vowels(8_000, 0.8).samples, 8_000)
    return path


def test_with_json_the_result_is_one_value_and_the_rest_goes_to_standard_error(run, speech, tmp_path):
    status, out, err = run("study", "snr-pesq", speech, "--out", tmp_path / "out", "--json", *QUICK)
    result = json.loads(out)
    assert status == 0
    assert {row["representation"] for row in result["standings"]} == {"waveform", "stft@512-128"}
    assert [sound["band"] for sound in result["sounds"]] == ["narrow"]
    assert "vowels/waveform/samples" in err


def test_without_sounds_vowels_stand_in_and_it_is_said(run, tmp_path):
    status, out, err = run("study", "snr-pesq", "--seconds", "0.8", "--out", tmp_path / "out", *QUICK)
    assert status == 0
    assert "made, not recorded" in err
    assert "narrow" in out
    assert "wide" in out


def test_some_bad_sounds_are_listed_and_the_rest_is_done(run, speech, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(8_000), 8_000)
    status, out, err = run("study", "snr-pesq", speech, silent, "--out", tmp_path / "out", "--json", *QUICK)
    assert status == 1
    assert len(json.loads(out)["standings"]) == 3
    assert err.splitlines()[-1].startswith("error: 1 sounds or parts of the study failed")
    assert "silent.wav" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--representations", "stft@all,mag-phsae@all"], "mag-phase"),
        (["--representations", "log-mel"], "cannot be turned back"),
        (["--snr", "0-46"], "FROM:TO:STEP"),
        (["--snr", "10:0:2"], "SNRs"),
        (["--seconds", "30"], "20"),
        (["no-such-file.wav"], "no-such-file.wav"),
    ],
)
def test_the_user_s_mistake_is_one_line_and_exit_status_2(words, told, run, tmp_path):
    status, out, err = run("study", "snr-pesq", *words, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert told in err


def test_both_ends_of_the_range_of_snrs_are_in_it():
    assert parse_snrs("0:46:2") == tuple(float(snr) for snr in range(0, 47, 2))
    assert parse_snrs("-5:5:2.5") == (-5.0, -2.5, 0.0, 2.5, 5.0)


@pytest.mark.parametrize(
    "text", ["0:46", "a:b:c", "0:46:0", "46:0:2", "0:46:-2", "nan:1:1", "0:inf:1", "0:1e9:1"]
)
def test_a_range_that_makes_no_grid_is_refused(text):
    with pytest.raises(ConfigError, match="--snr"):
        parse_snrs(text)
