"""The commands `retimbre data envelopes` and `retimbre data maestro`, as they are typed."""

import json

import pytest
import torch
from performances import make_maestro

from retimbre.cli.lists import _repeated
from retimbre.corpora.envelopes.corpus import EnvelopeCorpus, EnvelopeSettings
from retimbre.corpora.envelopes.on_disk import EnvelopeSet

ENVELOPES = ["data", "envelopes", "--size", "5"]


@pytest.mark.parametrize(
    "words",
    [
        ["--attacks", "0", "0.2", "0.4"],
        ["--attacks", "0", ".2", "--attacks", ".4"],
        ["--attacks=0", "0.2", "0.4"],
        ["--attacks", "0,0.2,0.4"],
        ["--attacks=0,0.2", "0.4"],
    ],
)
def test_a_list_option_is_a_list_of_numbers(run, tmp_path, words):
    status, out, _ = run(*ENVELOPES, *words, "--out", tmp_path / "set", "--json")
    assert (status, json.loads(out)["size"]) == (0, 5)
    assert EnvelopeSet.open(tmp_path / "set").settings == EnvelopeSettings()


def test_every_option_of_the_envelope_set_reaches_it(run, tmp_path):
    words = """--attacks 0 0.1 --decays .1 .2 --sustains .5 --releases 0.3 --continuous --length 800
        --sample-rate 8000 --carriers noise wavetable --pitch-low 100 --pitch-high 200
        --jitter 0 --noise 0 --seed 7 --validation 0 --test 0.5"""
    assert run(*ENVELOPES, *words.split(), "--out", tmp_path / "set")[0] == 0
    data = EnvelopeSet.open(tmp_path / "set")
    assert data.settings == EnvelopeSettings(
        num_samples=800,
        sample_rate=8000,
        attacks=(0.0, 0.1),
        decays=(0.1, 0.2),
        sustains=(0.5,),
        releases=(0.3,),
        continuous=True,
        carriers=("noise", "wavetable"),
        cycles=(10.0, 20.0),
        jitter_rad=0.0,
        noise=0.0,
        seed=7,
    )
    assert (data.header.split.validation, data.header.split.test) == (0.0, 0.5)
    target = EnvelopeCorpus(data.settings).batch(torch.arange(5)).target
    torch.testing.assert_close(data.batch(torch.arange(5)).target, target, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attacks", "0", "x"], "Invalid value for '--attacks'"),
        (["--carriers", "sine", "saw"], "there is no carrier 'saw'"),
        (["--attacks", "0.9", "--releases", "0.9"], "take 232 samples"),
        (["--pitch-high", "100"], "needs --pitch-low"),
        (["--sustains", "-0.5"], "0 to 1"),
        (["spare"], "spare"),
    ],
)
def test_a_mistake_ends_with_status_2_and_one_line(run, tmp_path, words, said):
    status, out, err = run(*ENVELOPES, *words, "--out", tmp_path / "set")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("words", "rewritten"),
    [
        ("--a 1 -2 --b x y", "--a 1 --a -2 --b x y"),
        ("--a=3 4 -v 5", "--a 3 --a 4 -v 5"),
        ("--a 1,2 3", "--a 1 --a 2 --a 3"),
        ("--b=1,2 --a --b 3", "--b=1,2 --a --b 3"),
        ("--a 1 --a 2", "--a 1 --a 2"),
    ],
)
def test_words_are_repeated_for_lists_alone(words, rewritten):
    assert " ".join(_repeated(words.split(), {"--a"})) == rewritten


def test_maestro_says_what_it_made_and_fails_in_part_for_what_is_missing(run, tmp_path):
    raw = make_maestro(tmp_path / "raw")
    status, out, _ = run("data", "maestro", raw, "--out", tmp_path / "set", "--year", "2004,2005", "--json")
    made = json.loads(out)
    assert (status, made["pieces"], made["clips"], made["pairs"]) == (0, 2, 7, 5)
    assert (made["labels"], made["splits"]["test"]) == ({"Bach": 3, "Clara Schumann": 4}, 4)
    (raw / "2004/a.wav").unlink()
    status, out, err = run("data", "maestro", raw, "--out", tmp_path / "less")
    assert (status, "from 3 performances" in out) == (1, True)
    assert "failed: 2004/a.wav: its audio file '2004/a.wav' is missing" in err
    assert "1 of 4 performances could not be used" in err


def test_maestro_without_audio_and_without_midi_is_nothing(run, tmp_path):
    raw = make_maestro(tmp_path / "raw")
    status, _, err = run("data", "maestro", raw, "--out", tmp_path / "set", "--midi-only", "--audio-only")
    assert (status, "leave nothing" in err) == (2, True)
    assert run("data", "maestro", raw, "--out", tmp_path / "midi", "--midi-only")[0] == 0
    status, _, err = run("data", "maestro", raw, "--out", tmp_path / "none", "--hours", 0.0001)
    assert (status, "longer than 0.0001 hours" in err) == (2, True)
