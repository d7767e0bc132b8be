"""`retimbre evaluate listener`: shares, confusions, tables, and how it ends."""

import csv
import json
from pathlib import Path

import pytest
import torch

from retimbre.cli.app import run
from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.listening.heard import Heard
from retimbre.listening.listener import Listener, ListenerConfig, load_listener, save_listener
from retimbre.workflows.evaluation.listener import ListenerOptions, evaluate_listener
from retimbre.workflows.evaluation.listener_scores import Answers, attribute_scores, share_of

NAMES = (
    "bass_acoustic_000-048-100",
    "bass_acoustic_000-060-100",
    "flute_acoustic_000-072-050",
    "gong_acoustic_000-060-050",
)


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    save_listener(tmp_path / "ears.safetensors", Listener(ListenerConfig()), facts={})
    return str(tmp_path / "ears.safetensors")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Sines named as NSynth names notes."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    time_s = torch.arange(4000) / 16_000
    for name in NAMES[:3]:
        hz = 440 * 2 ** ((int(name[-7:-4]) - 69) / 12)
        audiofile.write(folder / f"{name}.wav", 0.5 * torch.sin(6.2832 * hz * time_s), 16_000)
    return folder


def test_it_prints_one_json_value_and_writes_the_same_with_its_tables(
    model: str, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", "listener", model, "--real", str(notes), "--out", str(out), "--device", "cpu"]
    assert run([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((out / "scores.json").read_text()) == printed
    assert {"metric", "value", "low", "high", "n", "settings", "remarks"} <= set(printed)
    assert printed["settings"]["listener"] == load_listener(model).identity()
    assert sum(sum(row.values()) for row in printed["confusion"].values()) == 3
    clips = list(csv.DictReader((out / "clips.csv").open()))
    assert [(row["clip"], row["pitch"], row["family"]) for row in clips] == [
        (f"{name}.wav", str(int(name[-7:-4])), name.split("_")[0]) for name in NAMES[:3]
    ]
    confusion = list(csv.reader((out / "confusion.csv").open()))
    assert [row[0] for row in confusion] == ["family", "bass", "flute"]
    assert run(arguments) == 2
    assert "--force replaces them" in capsys.readouterr().err


def test_shares_are_counted_as_a_hand_would(model: str, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of three notes, one is right, one a semitone off and one an octave below its label; all are taken for a bass.
    def answer(self: Listener, audio: torch.Tensor) -> Heard:
        logits = {
            "pitch": torch.nn.functional.one_hot(torch.tensor([48, 61, 60]) - 21, 88).float(),
            "family": torch.nn.functional.one_hot(torch.zeros(3, dtype=torch.int64), 11).float(),
            "velocity": torch.zeros(3, 5),
            "register": torch.zeros(3, 22),
        }
        return Heard(torch.zeros(3, 1), logits, logits)

    monkeypatch.setattr(Listener, "forward", answer)
    told = evaluate_listener(model, ListenerOptions(real=str(notes)))
    assert told["value"] == pytest.approx(2 / 3)
    assert told["attributes"]["pitch"]["value"] == pytest.approx(1 / 3)
    assert told["pitch"]["octave_below"]["value"] == pytest.approx(1 / 3)
    assert told["pitch"]["octave_above"]["value"] == 0.0
    assert told["pitch"]["whatever_octave"]["value"] == 1.0
    assert told["pitch"]["by_family"]["flute"]["octave_below"] == 1
    assert told["attributes"]["family"]["value"] == pytest.approx(2 / 3)
    assert told["attributes"]["family"]["commonest"] == pytest.approx(2 / 3)
    assert told["confusion"]["flute"]["bass"] == 1


def test_a_label_that_is_no_class_is_counted_apart(model: str, notes: Path) -> None:
    (notes / f"{NAMES[0]}.wav").rename(notes / "bass_acoustic_000-012-100.wav")
    told = evaluate_listener(model, ListenerOptions(real=str(notes)))
    assert told["attributes"]["pitch"]["without_class"] == 1
    assert told["n"] == 2
    assert any("pitch of 1 clips is no class" in remark for remark in told["remarks"])


def test_silent_clips_are_counted_apart_and_for_no_share(model: str, notes: Path, tmp_path: Path) -> None:
    # The same sounds are right or wrong whether silent files lie beside them or not; -90 dB is silence, too.
    alone = evaluate_listener(model, ListenerOptions(real=str(notes)))
    for name, level in (("bass_acoustic_001-048-100", 0.0), ("flute_acoustic_001-060-050", 3e-5)):
        audiofile.write(notes / f"{name}.wav", torch.full((4000,), level), 16_000)
    told = evaluate_listener(model, ListenerOptions(real=str(notes)), tmp_path / "out")
    assert (alone["silent"], told["silent"]) == (0, 2)
    for what in ("value", "low", "high", "n", "attributes", "pitch", "confusion"):
        assert told[what] == alone[what]
    assert "2 of 5 clips are silent and count for no share" in told["remarks"]
    heard = {row["clip"]: row["heard_pitch"] for row in csv.DictReader((tmp_path / "out/clips.csv").open())}
    assert [clip for clip, answer in heard.items() if not answer] == [
        "bass_acoustic_001-048-100.wav",
        "flute_acoustic_001-060-050.wav",
    ]


def test_a_set_of_silence_has_no_shares(model: str, tmp_path: Path) -> None:
    audiofile.write(tmp_path / "sounds/bass_acoustic_000-048-100.wav", torch.zeros(4000), 16_000)
    told = evaluate_listener(model, ListenerOptions(real=str(tmp_path / "sounds")))
    assert (told["value"], told["n"], told["silent"]) == (None, 0, 1)
    assert told["confusion"] == {}
    # Through the command, too, with its tables.
    words = [
        "evaluate",
        "listener",
        model,
        "--real",
        str(tmp_path / "sounds"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert run([*words, "--device", "cpu"]) == 0


def test_the_test_part_of_a_corpus_can_be_asked_about(model: str) -> None:
    told = evaluate_listener(model, ListenerOptions(corpus="notes", clips=6, seconds=0.1))
    assert told["n"] == 6
    assert told["settings"]["set"] == "notes"


def test_a_draw_is_said_to_be_one_only_where_something_was_drawn(model: str, notes: Path) -> None:
    # Of a corpus the first notes are taken: a seed that changed nothing would be told as though it did.
    of_corpus = evaluate_listener(model, ListenerOptions(corpus="notes", clips=2, seconds=0.1))["settings"]
    assert (of_corpus["drawn_by_seed"], of_corpus["corpus_seed"]) == (None, 0)
    with pytest.raises(ConfigError, match="--seed 7 draws from the notes of --real; of --corpus notes"):
        ListenerOptions(corpus="notes", clips=2, seed=7)
    everything = evaluate_listener(model, ListenerOptions(real=str(notes), seed=7))["settings"]
    drawn = evaluate_listener(model, ListenerOptions(real=str(notes), clips=2, seed=7))["settings"]
    assert (everything["drawn_by_seed"], drawn["drawn_by_seed"]) == (None, 7)


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_done(
    model: str, notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (notes / f"{NAMES[3]}.wav").write_text("no sound")
    assert run(["evaluate", "listener", model, "--real", str(notes), "--json", "--device", "cpu"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["n"] == 3
    assert NAMES[3] in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL"], "name one of the two"),
        (["MODEL", "--real", "NOTES", "--corpus", "notes"], "name one of the two"),
        (["MODEL", "--corpus", "nsynth"], "takes notes or soundfont"),
        (["MODEL", "--corpus", "notes", "--seed", "6"], "--seed 6 draws from the notes of --real"),
        (["MODEL", "--real", "nowhere"], "nowhere: no such folder"),
        (["nothing", "--real", "NOTES"], "there is no model 'nothing'"),
        (["inversynth-resmel", "--real", "NOTES"], "inversynth-resmel"),
        (["MODEL", "--real", "PLAIN"], "no labels"),
    ],
)
def test_the_users_mistake_is_one_line_and_exit_status_2(
    arguments: list[str],
    message: str,
    model: str,
    notes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.wav").write_bytes((notes / f"{NAMES[0]}.wav").read_bytes())
    places = {"MODEL": model, "NOTES": str(notes), "PLAIN": str(plain)}
    assert run(["evaluate", "listener", *(places.get(word, word) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error:") == 1


def test_of_no_notes_there_is_no_share() -> None:
    # All labels are strange: a share of nothing is absent, never a NaN.
    sounding = torch.zeros(2, dtype=torch.bool)
    answers = Answers({"pitch": torch.tensor([1, 2])}, {"pitch": torch.tensor([-1, -1])}, sounding)
    told = attribute_scores(answers, "pitch")
    assert told["value"] is None
    assert told["commonest"] is None
    assert told["without_class"] == 2


def test_a_share_of_all_has_an_interval_that_knows_how_many_they_were() -> None:
    # Wilson's interval of 276 of 276 in closed form: 1 / (1 + z^2 / n) with z = 1.96; a bootstrap's has no width.
    everything = torch.ones(276, dtype=torch.bool)
    told = share_of(everything, everything)
    assert told["value"] == told["high"] == 1.0
    assert told["low"] == pytest.approx(1 / (1 + 1.959964**2 / 276), rel=1e-6)
    nothing = share_of(~everything, everything)
    assert nothing["value"] == nothing["low"] == 0.0
    assert nothing["high"] == pytest.approx(1 - told["low"], rel=1e-9)
    # 9 of 10, worked by hand from Wilson's formula.
    nine = share_of(torch.arange(10) < 9, torch.ones(10, dtype=torch.bool))
    assert (nine["low"], nine["high"]) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))
