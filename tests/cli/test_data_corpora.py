import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from retimbre.cli.app import run

NOTES = [
    (f"{family}_acoustic_{number:03d}", family, pitch)
    for number, family in enumerate(("bass", "flute"))
    for pitch in (24, 60, 84)
]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "audio").mkdir(parents=True)
    table = {}
    for instrument, family, pitch in NOTES:
        name = f"{instrument}-{pitch:03d}-100"
        soundfile.write(tmp_path / "raw" / "audio" / f"{name}.wav", np.sin(np.arange(4000) / 9) / 2, 16000)
        table[name] = {
            "pitch": pitch,
            "velocity": 100,
            "instrument_str": instrument,
            "instrument_family_str": family,
            "instrument_source_str": "acoustic",
        }
    (tmp_path / "raw" / "examples.json").write_text(json.dumps(table))
    return tmp_path / "raw"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    for word in ("one", "two"):
        (tmp_path / "speech" / word).mkdir(parents=True)
        for speaker in "abc":
            sound = np.sin(np.arange(3000) / 9) / 2
            soundfile.write(tmp_path / "speech" / word / f"{speaker}_nohash_0.wav", sound, 8000)
    return tmp_path / "speech"


def told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict:
    assert run([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_filters_of_nsynth_are_lists_and_ranges(notes, tmp_path, capsys):
    arguments = ["data", "nsynth", str(notes), "--out", str(tmp_path / "set"), "--seconds", "0.1"]
    made = told(capsys, [*arguments, "--family", "bass,flute", "--pitch", "24-60", "--size", "4"])
    assert (made["clips"], made["labels"]) == (4, {"bass": 2, "flute": 2})
    census = told(capsys, ["data", "check", str(tmp_path / "set")])
    assert census["attributes"]["pitch"] == {"24": 2, "60": 2}
    assert census["licence"].startswith("CC BY 4.0")


def test_a_preset_is_a_start_that_each_option_overrides(notes, tmp_path, capsys):
    arguments = ["data", "nsynth", str(notes), "--preset", "sony2020", "--seconds", "0.1"]
    made = told(capsys, [*arguments, "--out", str(tmp_path / "as it is")])
    assert made["labels"] == {"bass": 3}
    made = told(capsys, [*arguments, "--out", str(tmp_path / "other"), "--family", "all", "--pitch", "60"])
    assert made["labels"] == {"bass": 1, "flute": 1}


def test_the_length_may_be_said_in_frames(notes, tmp_path, capsys):
    arguments = ["data", "nsynth", str(notes), "--out", str(tmp_path / "set"), "--frames", "10"]
    told(capsys, [*arguments, "--hop", "64"])
    assert told(capsys, ["data", "check", str(tmp_path / "set")])["num_samples"] == 10 * 64 - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--family", "kazoo"], "no family 'kazoo'"),
        (["--pitch", "low-high"], "takes a range such as 24-84"),
        (["--velocity", "25;50"], "takes whole numbers with commas"),
        (["--preset", "gansinth"], "did you mean 'gansynth'"),
        (["--size", "100"], "the most that is balanced is 6"),
        (["--pitch", "0-3"], "filters let no recording through"),
    ],
)
def test_impossible_wishes_are_one_line_and_leave_nothing(options, message, notes, tmp_path, capsys):
    assert run(["data", "nsynth", str(notes), "--out", str(tmp_path / "set"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_spoken_words_are_made_to_clips_of_16384_samples(words, tmp_path, capsys):
    arguments = ["data", "speech-commands", str(words), "--out", str(tmp_path / "set"), "--words", "one,two"]
    made = told(capsys, [*arguments, "--cap", "2"])
    assert (made["labels"], made["seconds_each"]) == ({"one": 2, "two": 2}, 1.024)


def test_files_that_fail_are_listed_up_to_a_limit_and_the_exit_status_says_so(notes, tmp_path, capsys):
    for path in sorted((notes / "audio").iterdir())[:2]:
        path.write_bytes(b"RIFF")
    for number in range(30):
        (notes / "audio" / f"stranger-{number}.wav").touch()
    assert run(["data", "nsynth", str(notes), "--out", str(tmp_path / "set"), "--seconds", "0.1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "error: 2 of 36 files could not be used; the rest is done"
    assert lines[-2] == "warning: failed 2, passed over 30 in all; rejects.jsonl lists them"
    assert len(lines) == 22


def test_odd_recordings_are_said_in_one_line_by_every_import_and_by_the_check(words, tmp_path, capsys):
    line = "of the recordings: 6 at 8000 Hz\n"
    commands = (["speech-commands", str(words), "--words", "all"], ["folder", str(words)])
    for number, command in enumerate(commands):
        out = str(tmp_path / str(number))
        assert run(["data", *command, "--out", out]) == 0
        assert line in capsys.readouterr().out
        assert run(["data", "check", out]) == 0
        assert line in capsys.readouterr().out


def test_the_check_shows_lengths_as_a_range_and_every_rate_with_its_count(notes, capsys):
    soundfile.write(notes / "audio" / "bass_acoustic_000-024-100.wav", np.sin(np.arange(900) / 9) / 2, 8000)
    assert run(["data", "check", str(notes)]) == 0
    assert "  900 to 4000 samples each; 5 at 16000 Hz, 1 at 8000 Hz; shards: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["name", "instrument_str"])
@pytest.mark.parametrize("mark", ["\n", "\x1b", "\x00", "\u2028", "\ud800"])
def test_a_note_whose_name_would_break_the_line_is_left_out_on_one_line(field, mark, notes, capsys):
    table = json.loads((notes / "examples.json").read_text())
    entry = dict(next(iter(table.values())))
    name = f"with{mark}nl" if field == "name" else "of_an_instrument"
    table[name] = entry if field == "name" else {**entry, field: f"with{mark}nl"}
    (notes / "examples.json").write_text(json.dumps(table))
    assert run(["data", "check", str(notes)]) == 1
    out, err = capsys.readouterr()
    line = next(line for line in out.splitlines() if "failed:" in line)
    assert ("with" in line, "nl" in line, mark in line) == (True, True, False)
    assert (err.count("\n"), mark in err.rstrip("\n")) == (1, False)


def test_a_set_of_other_files_or_options_is_refused_with_their_names(notes, tmp_path, capsys):
    arguments = ["data", "nsynth", str(notes), "--seconds", "0.1", "--out", str(tmp_path / "set")]
    assert run(arguments) == 0
    capsys.readouterr()
    assert run([*arguments, "--pitch", "24-60", "--test", "0.2"]) == 2
    said = "holds a set of other files or options (split.test, filters.pitches, files); --force"
    assert said in capsys.readouterr().err
