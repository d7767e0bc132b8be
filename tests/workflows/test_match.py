"""Matching over files: what is written, what is refused, and that one bad file never stops the rest."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.dsp import audiofile
from retimbre.matching.audition import Budget
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.synth.patches import load_patch, render_patch
from retimbre.workflows.match.batch import match, summary
from retimbre.workflows.match.files import plan_folders
from retimbre.workflows.match.models import shipped_for
from retimbre.workflows.match.page import key_name
from retimbre.workflows.match.sound import MatchOptions

RATE = 16_000
QUICK = MatchOptions(synth="two-sine", candidates=3, budget=Budget(evaluations=40))


def write_note(path: Path, frequency_hz: float = 440.0, seconds: float = 0.1) -> Path:
    time_s = torch.arange(round(seconds * RATE)) / RATE
    sound = 0.3 * torch.sin(2 * math.pi * frequency_hz * time_s) * torch.exp(-3.0 * time_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    audiofile.write(path, sound, RATE)
    return path


def table_of(folder: Path) -> dict[str, Any]:
    def refuse(text: str) -> float:
        raise AssertionError(f"{text} is in match.json")

    return json.loads((folder / "match.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_a_match_is_a_folder_of_ranked_sounds_patches_a_table_and_a_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = match(write_note(tmp_path / "note.wav"), out, QUICK)
    folder = out / "note"
    assert run.results[0].folder == folder
    assert sorted(path.name for path in out.iterdir()) == ["note"]
    expected = [f"{rank:02}.{kind}" for rank in (1, 2, 3) for kind in ("json", "wav")]
    assert sorted(path.name for path in folder.iterdir()) == [*expected, "match.json", "report.html"]
    table = table_of(folder)
    losses = [candidate["loss"] for candidate in table["candidates"]]
    assert losses == sorted(losses)
    assert table["pitch"]["pitch_hz"] == pytest.approx(440.0, rel=0.01)
    assert set(table["seconds"]) >= {"read", "propose", "refine", "judge"}
    assert table["settings"]["seed"] == 0


def test_a_refined_match_is_no_worse_than_an_unrefined_one_as_written(tmp_path: Path) -> None:
    sound = write_note(tmp_path / "note.wav", 700.0)
    losses = []
    for evaluations in (0, 150):
        options = MatchOptions(synth="fm", candidates=3, budget=Budget(evaluations=evaluations))
        folder = match(sound, tmp_path / str(evaluations), options).results[0].folder
        losses.append(table_of(folder)["candidates"][0]["loss"])
    assert losses[1] <= losses[0]


def test_every_patch_that_is_written_renders_the_sound_beside_it(tmp_path: Path) -> None:
    folder = match(write_note(tmp_path / "note.wav"), tmp_path / "out", QUICK).results[0].folder
    for rank in (1, 2, 3):
        sound = audiofile.read(folder / f"{rank:02}.wav")
        assert torch.equal(render_patch(load_patch(folder / f"{rank:02}.json")), sound.samples)


def test_a_table_says_name_class_value_and_unit_of_every_knob(tmp_path: Path) -> None:
    options = MatchOptions(synth="fm", candidates=2, budget=Budget(evaluations=0))
    folder = match(write_note(tmp_path / "note.wav"), tmp_path / "out", options).results[0].folder
    rows = table_of(folder)["candidates"][0]["parameters"]
    assert [row["name"] for row in rows] == [
        "A",
        "C",
        "D",
        "M",
        "attack",
        "decay",
        "release",
        "sustain",
        "sustain_level",
    ]
    for row in rows:
        assert 0 <= row["class"] <= 15
        assert 0.0 <= row["position"] <= 1.0
        assert row["heard"] in (True, False)
    assert rows[1]["unit"] == "Hz"


@pytest.mark.slow  # each process imports torch
def test_the_same_seed_makes_the_same_patches_in_one_process_or_several(tmp_path: Path) -> None:
    sounds = [write_note(tmp_path / "a.wav", 440.0), write_note(tmp_path / "b.wav", 500.0)]
    match(sounds, tmp_path / "one", QUICK, workers=1)
    match(sounds, tmp_path / "two", QUICK, workers=2)
    for stem in ("a", "b"):
        one, two = (table_of(tmp_path / place / stem)["candidates"] for place in ("one", "two"))
        assert [row["parameters"] for row in one] == [row["parameters"] for row in two]


def test_one_bad_file_never_stops_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    write_note(folder / "good.wav")
    (folder / "bad.wav").write_text("not a sound")
    write_note(folder / "sub" / "too.wav")
    run = match(folder, tmp_path / "out", QUICK, workers=1)
    assert [result.sound.name for result in run.failed] == ["bad.wav"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good", "index.html", "too"]
    assert "bad.wav" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert [row["sound"] for row in summary(run.results)] == ["bad.wav", "good.wav", "too.wav"]


def test_the_only_sound_being_bad_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("not a sound")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        match(tmp_path / "bad.wav", tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()


def test_files_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    paths = [Path(f"{folder}/{name}") for folder in "ab" for name in ("kick.wav", "Kick.flac")]
    folders = plan_folders(paths, tmp_path)
    assert len({str(folder).casefold() for folder in folders.values()}) == 4


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a'b\"c&d",
        "..",
        ". .",
        "CON?*:",
        "🎹 piano",
        "x" * 240,
        "\u202eevil",
        "-rf",
    ],
)
def test_any_name_of_a_file_gives_a_folder_inside_the_output(tmp_path: Path, name: str) -> None:
    stem = name.replace("/", "⁄")
    folder = plan_folders([Path(f"{stem}.wav")], tmp_path)[Path(f"{stem}.wav")]
    folder.mkdir()
    assert folder.parent == tmp_path
    assert folder.resolve().parent == tmp_path.resolve()


def test_a_hostile_name_stays_a_name_in_the_report(tmp_path: Path) -> None:
    sound = write_note(tmp_path / "<b onload=alert(1)>&'\".wav")
    folder = match(sound, tmp_path / "out", QUICK).results[0].folder
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b onload" not in page
    assert table_of(folder)["sound"]["path"] == str(sound)


def test_nothing_is_overwritten_without_force_and_only_matches_with_it(tmp_path: Path) -> None:
    sound, out = write_note(tmp_path / "note.wav"), tmp_path / "out"
    match(sound, out, QUICK)
    with pytest.raises(ExistsError):
        match(sound, out, QUICK)
    (out / "note" / "01.wav").unlink()
    match(sound, out, QUICK, force=True)
    assert (out / "note" / "01.wav").is_file()
    (out / "note" / "match.json").unlink()
    with pytest.raises(ExistsError, match=r"match\.json"):
        match(sound, out, QUICK, force=True)


def test_a_match_that_fails_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("retimbre.workflows.match.batch.write_page", fail)
    with pytest.raises(OSError, match="disk full"):
        match(write_note(tmp_path / "note.wav"), tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_or_foreign_is_one_error_before_any_work(tmp_path: Path) -> None:
    sound = write_note(tmp_path / "note.wav")
    foreign = tmp_path / "model.safetensors"
    foreign.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!")
    for model in ("no-such-model", str(foreign)):
        options = MatchOptions(synth="two-sine", models=(model,))
        with pytest.raises(CheckpointError):
            match(sound, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two untrained networks for the fm voice: one searches all knobs, one holds two of them."""
    folder = tmp_path_factory.mktemp("models")
    for name, fixed in (("all", {}), ("held", {"A": 0.5, "sustain_level": 0.25})):
        inverter = Inverter(InverterConfig(synth="fm", model="Conv1", fixed=fixed))
        save_inverter(folder / f"{name}.safetensors", inverter, facts={})
    return str(folder / "all.safetensors"), str(folder / "held.safetensors")


def test_several_models_stand_side_by_side_in_every_list(tmp_path: Path, models: tuple[str, str]) -> None:
    options = MatchOptions(synth="fm", models=models, candidates=2, budget=Budget(evaluations=80))
    run = match(write_note(tmp_path / "note.wav"), tmp_path / "out", options)
    table = run.results[0].table
    assert sorted(row["model"] for row in table["candidates"]) == ["all", "all", "held", "held"]
    assert [row["rank"] for row in table["candidates"]] == [1, 2, 3, 4]
    assert [row["model"] for row in summary(run.results)] == ["all", "held"]
    assert sum(row["evaluations"] for row in table["models"]) <= 80  # one budget for all
    assert ">held<" in (run.results[0].folder / "report.html").read_text(encoding="utf-8").replace(
        "\n", ""
    ).replace(" ", "")


def test_a_knob_that_a_model_holds_keeps_its_value_in_every_patch(
    tmp_path: Path, models: tuple[str, str]
) -> None:
    options = MatchOptions(synth="fm", models=models[1:], candidates=3, budget=Budget(evaluations=80))
    folder = match(write_note(tmp_path / "note.wav"), tmp_path / "out", options).results[0].folder
    for rank, row in enumerate(table_of(folder)["candidates"], start=1):
        held = {knob["name"]: knob for knob in row["parameters"] if knob["fixed"]}
        assert {name: knob["value"] for name, knob in held.items()} == {"A": 0.5, "sustain_level": 0.25}
        assert load_patch(folder / f"{rank:02}.json").knobs["A"] == 0.5


def test_a_model_of_another_synthesizer_is_refused(tmp_path: Path, models: tuple[str, str]) -> None:
    options = MatchOptions(synth="two-sine", models=models)
    with pytest.raises(CheckpointError, match="'fm', not of 'two-sine'"):
        match(write_note(tmp_path / "note.wav"), tmp_path / "out", options)


def test_an_unknown_synthesizer_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="subtractive"):
        MatchOptions(synth="subtractve")


@pytest.mark.parametrize(
    ("pitch_hz", "name"),
    [
        (440.0, "A4 (MIDI 69)"),
        (261.63, "C4 (MIDI 60)"),
        (445.0, "A4 (MIDI 69) +20 cents"),
        (27.5, "A0 (MIDI 21)"),
    ],
)
def test_a_pitch_is_named_after_the_nearest_key(pitch_hz: float, name: str) -> None:
    assert key_name(pitch_hz) == name


def test_of_several_shipped_inverters_the_preferred_one_is_asked() -> None:
    assert shipped_for("subtractive") == ["subtractive-resmel"]
    assert shipped_for("fm") == ["fm-resmel"]
    assert shipped_for("wavetable") == []
