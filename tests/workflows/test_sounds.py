"""Recordings beside pairs: what is heard, what is passed over, and runs that stay functions of their file."""

import csv
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.data.folder import Cutting
from retimbre.dsp import audiofile
from retimbre.matching.inverter import load_inverter, read_inverter
from retimbre.training.parallel import World
from retimbre.workflows.dataset.recordings import import_folder
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.inversion import prepare
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run
from retimbre.workflows.training.sounds import (
    RECORD_FILE,
    Recordings,
    SoundsConfig,
    check_unchanged,
    fingerprint_of,
    keep_record,
    recordings_of,
)

RATE, NUM_SAMPLES = 8_000, 2_000

TINY = """
seed = 1
[task]
synth = "fm"
model = "C1"
seconds = 0.25
sample_rate = 8000
[data]
validation_clips = 4
[sounds]
folder = "{folder}"
validation = 0.25
[sounds.loss]
batch_size = 2
[train]
steps = 4
batch_size = 2
log_every = 1
validate_every = 2
checkpoint_every = 1
"""


def tone(path: Path, pitch_hz: float, *, rate: int = 16_000, seconds: float = 0.4) -> Path:
    time_s = torch.arange(round(rate * seconds)) / rate
    samples = 0.5 * torch.sin(2 * math.pi * pitch_hz * time_s) * torch.exp(-3.0 * time_s)
    audiofile.write(path, samples, rate)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight notes of two instruments, at several rates and lengths."""
    path = tmp_path / "notes"
    for number in range(8):
        name = f"{'brass' if number % 2 else 'reed'}_{number}.wav"
        tone(
            path / name,
            220.0 + 30.0 * number,
            rate=(16_000, 44_100)[number % 3 == 0],
            seconds=0.15 + 0.1 * number,
        )
    return path


def heard_in(folder: Path, *patterns: str, validation: float = 0.25) -> Recordings:
    config = SoundsConfig(folder=str(folder), held_out=patterns, validation=validation)
    return recordings_of(config, RATE, NUM_SAMPLES)


def test_notes_of_any_rate_and_length_come_at_the_rate_and_length_of_the_inverter(folder: Path) -> None:
    found = heard_in(folder)
    assert (found.train.audio.shape, found.validation.audio.shape) == ((6, NUM_SAMPLES), (2, NUM_SAMPLES))
    pitches = torch.cat([found.train.pitch_hz, found.validation.pitch_hz]).sort().values
    # Pitches of decaying tones, to a tenth of a semitone.
    torch.testing.assert_close(pitches, 220.0 + 30.0 * torch.arange(8.0), rtol=0.006, atol=0)


def test_what_is_held_out_is_never_looked_at(folder: Path) -> None:
    found = heard_in(folder, "brass_*")
    assert {Path(name).stem.split("_")[0] for name in found.heard} == {"reed"}
    brass = {fingerprint_of(path) for path in folder.glob("brass_*")}
    assert not brass & set(found.fingerprints)


def test_train_and_validation_have_no_recording_in_common(folder: Path) -> None:
    found = heard_in(folder)
    rows = {tuple(clip.tolist()) for clip in found.train.audio}
    assert not rows & {tuple(clip.tolist()) for clip in found.validation.audio}


def test_silent_empty_and_foreign_files_are_named_and_passed_over(folder: Path) -> None:
    audiofile.write(folder / "silent.wav", torch.zeros(4_000), RATE)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound")
    found = heard_in(folder)
    assert len(found.train) + len(found.validation) == 8
    assert len(found.passed_over) == 3
    for name in ("silent.wav", "empty.wav", "text.wav"):
        assert any(name in line and "\n" not in line for line in found.passed_over)


def test_a_folder_without_sounds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(AudioError, match="no sound files"):
        heard_in(tmp_path / "nothing")


def test_a_folder_of_which_nothing_is_left_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 and 0 are left, 0 cannot be used"):
        heard_in(folder, "*")
    audiofile.write(tmp_path / "silent/one.wav", torch.zeros(4_000), RATE)
    with pytest.raises(ConfigError, match=r"1 cannot be used; the first: .*one\.wav: silent"):
        heard_in(tmp_path / "silent")


def test_without_recordings_for_validation_a_run_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="one for validation, but 8 and 0 are left"):
        heard_in(folder, validation=0.0)
    with pytest.raises(ConfigError, match="under 1"):
        SoundsConfig(folder=str(folder), validation=1.0)


def test_a_data_set_of_recordings_gives_its_own_parts_and_not_its_test_part(
    folder: Path, tmp_path: Path
) -> None:
    import_folder([folder], tmp_path / "set", Cutting(sample_rate=RATE, seconds=0.25))
    found = heard_in(tmp_path / "set")
    lines = [json.loads(line) for line in (tmp_path / "set/clips.jsonl").read_text().splitlines()]
    assert len(found.train) == sum(line["split"] == "train" for line in lines)
    assert len(found.validation) == sum(line["split"] == "validation" for line in lines)
    test = {line["sha256"][:16] for line in lines if line["split"] == "test"}
    assert test
    assert not test & set(found.fingerprints)


def journal(run: Path) -> list[list[str]]:
    return [row[:-1] for row in csv.reader((run / "journal.csv").open())]


def test_a_stopped_run_with_sounds_that_is_run_again_equals_an_unbroken_one(
    folder: Path, tmp_path: Path
) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(TINY.format(folder=folder))
    train(run_file, tmp_path / "unbroken")
    train(run_file, tmp_path / "broken", overrides=["train.minutes=1e-9"])
    train(run_file, tmp_path / "broken")
    assert journal(tmp_path / "broken") == journal(tmp_path / "unbroken")
    weights = [load_inverter(tmp_path / name).state_dict() for name in ("broken", "unbroken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_loss_reported_is_the_weighted_sum_of_its_parts_and_the_model_knows_what_it_heard(
    folder: Path, tmp_path: Path
) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(TINY.format(folder=folder))
    overrides = ["sounds.loss.weight=0.5", "sounds.loss.parameter_weight=2.0", 'sounds.held_out=["brass_*"]']
    manifest = train(run_file, tmp_path / "run", overrides=overrides)
    figures = manifest["validation"]
    expected = 2.0 * figures["parameter_loss"] + 0.5 * figures["sound_distance"]
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    _, facts = read_inverter(tmp_path / "run")
    assert set(facts["sounds"]["heard"]) == {fingerprint_of(path) for path in folder.glob("reed_*")}


def test_sounds_alone_are_a_training_set(folder: Path, tmp_path: Path) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(TINY.format(folder=folder))
    train(run_file, tmp_path / "run", overrides=["sounds.loss.parameter_weight=0.0"])
    steps = [
        row for row in journal(tmp_path / "run") if row[1] == "train" and row[2] in ("loss", "sound_distance")
    ]
    by_name = {
        name: [float(row[3]) for row in steps if row[2] == name] for name in ("loss", "sound_distance")
    }
    assert by_name["loss"] == pytest.approx([0.3 * each for each in by_name["sound_distance"]], rel=1e-5)
    assert len(set(by_name["loss"])) > 1


def begun(folder: Path, tmp_path: Path) -> Path:
    """The file of a run that was begun and stopped, in the folder `run` beside it."""
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(TINY.format(folder=folder))
    train(run_file, tmp_path / "run", overrides=["train.minutes=1e-9"])
    return run_file


def changes(folder: Path) -> dict[str, Callable[[], object]]:
    """Everything that may happen to one of the recordings that are learned from."""
    name = learned_from(folder)
    return {
        "removed": lambda: (folder / name).unlink(),
        "edited": lambda: tone(folder / name, 700.0),
        "added": lambda: tone(folder / "more" / "new.wav", 700.0),
    }


def learned_from(folder: Path) -> str:
    """A recording whose removal leaves the others in their parts."""
    whole = heard_in(folder).by_part
    for name in heard_in(folder).heard:
        fingerprint = fingerprint_of(folder / name)
        rest = heard_in(folder, name).by_part
        if all(
            rest[part] == tuple(each for each in whole[part] if each != fingerprint)
            for part in ("train", "validation")
        ):
            return name
    raise LookupError


# An edited recording is one that is gone and one that is new.
@pytest.mark.parametrize(("change", "num_changed"), [("removed", 1), ("edited", 2), ("added", 1)])
def test_a_run_whose_recordings_changed_since_it_began_is_refused_and_left_as_it_was(
    folder: Path, tmp_path: Path, change: str, num_changed: int
) -> None:
    run_file = begun(folder, tmp_path)
    _, before = read_inverter(tmp_path / "run")
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    changes(folder)[change]()
    with pytest.raises(
        ExistsError, match=rf"run: {num_changed} of the recordings .* have changed .*--out"
    ) as error:
        train(run_file, tmp_path / "run", overrides=["train.steps=6"])
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == files
    train(run_file, tmp_path / "other", overrides=["train.minutes=1e-9"])
    _, after = read_inverter(tmp_path / "other")
    assert before["sounds"]["heard"] != after["sounds"]["heard"]


def test_a_recording_that_moves_between_training_and_validation_counts_as_changed(
    folder: Path, tmp_path: Path
) -> None:
    found = heard_in(folder)
    keep_record(tmp_path, found)
    check_unchanged(tmp_path, found)
    train_part, validation = found.by_part["train"], found.by_part["validation"]
    swapped = {"train": (validation[0], *train_part[1:]), "validation": (train_part[0], *validation[1:])}
    with pytest.raises(ExistsError, match="2 of the recordings"):
        check_unchanged(tmp_path, dataclasses.replace(found, by_part=swapped))


def test_a_run_from_before_there_were_records_gets_one_and_keeps_it(folder: Path, tmp_path: Path) -> None:
    run_file = begun(folder, tmp_path)
    record = tmp_path / "run" / RECORD_FILE
    written = record.read_text()
    assert {part: len(each) for part, each in json.loads(written).items()} == {"train": 6, "validation": 2}
    record.unlink()
    train(run_file, tmp_path / "run", overrides=["train.minutes=1e-9"])
    assert record.read_text() == written
    (folder / learned_from(folder)).unlink()
    with pytest.raises(ExistsError, match="1 of the recordings"):
        train(run_file, tmp_path / "run")


def test_only_the_first_of_several_processes_writes_the_record(folder: Path, tmp_path: Path) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(TINY.format(folder=folder))
    config = read_run(run_file, [])
    for rank, written in ((1, False), (0, True)):
        prepare(config, Session(tmp_path / "run", world=World(rank, 2))).validation()
        assert (tmp_path / "run" / RECORD_FILE).exists() is written


@pytest.mark.parametrize("text", ["", "[]", '{"train": 1}'])
def test_a_damaged_record_is_named_in_one_line(folder: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r"sounds\.json: the record .* is damaged"):
        check_unchanged(tmp_path, heard_in(folder))


def test_a_run_that_begins_with_a_model_has_heard_what_the_model_heard(folder: Path, tmp_path: Path) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(TINY.format(folder=folder))
    train(run_file, tmp_path / "first")
    deaf = tmp_path / "deaf.toml"
    deaf.write_text(TINY.format(folder=""))
    train(deaf, tmp_path / "second", warm_start=str(tmp_path / "first"))
    train(deaf, tmp_path / "second", overrides=["train.steps=6"])
    heard = {where: read_inverter(tmp_path / where)[1]["sounds"]["heard"] for where in ("first", "second")}
    assert heard["second"] == heard["first"]
    assert len(heard["first"]) == 8
