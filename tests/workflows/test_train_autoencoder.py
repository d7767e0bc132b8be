"""Training a label autoencoder from a run file: on endless labels, on those of a set, on those an inverter hears."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, RetimbreError
from retimbre.data.splits import Folds
from retimbre.dsp import audiofile
from retimbre.matching.autoencoder import load_autoencoder
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.matching.pairs import HELD_OUT
from retimbre.training import checkpoint
from retimbre.training.parallel import World
from retimbre.workflows.catalogs import names
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.training.autoencoder import GivenClasses, classes_of, prepare
from retimbre.workflows.training.fit import rehearse, train
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

TINY = """
seed = 1
[task]
kind = "label-autoencoder"
synth = "fm"
bottleneck = 4
[data]
validation_clips = 40
[train]
steps = 6
batch_size = 8
log_every = 2
validate_every = 3
checkpoint_every = 2
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two recordings of three windows each, one of silence, one that is no sound."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    time_s = torch.arange(3 * 2048) / 16_384
    for name, pitch_hz in (("low", 220.0), ("high", 880.0)):
        audiofile.write(folder / f"{name}.wav", 0.5 * torch.sin(6.2832 * pitch_hz * time_s), 16_384)
    audiofile.write(folder / "silent.wav", torch.zeros(5000), 16_384)
    (folder / "broken.wav").write_text("no sound")
    return folder


@pytest.fixture
def inverter(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_inverter(
        tmp_path / "ears.safetensors", Inverter(InverterConfig("fm", "C1", seconds=0.125)), facts={}
    )
    return tmp_path / "ears.safetensors"


def journal(folder: Path) -> list[list[str]]:
    return [row[:-1] for row in csv.reader((folder / "journal.csv").open())]


def facts_of(folder: Path) -> dict[str, Any]:
    return checkpoint.read_header(folder / "model.safetensors").metadata["facts"]


def test_a_run_leaves_a_model_that_decodes_alone_and_says_what_it_is_worth(
    run_file: Path, tmp_path: Path
) -> None:
    manifest = train(run_file, tmp_path / "run")
    assert set(manifest["validation"]) == {"loss", "exact", "within_one", "perfect"}
    autoencoder = load_autoencoder(tmp_path / "run")
    assert autoencoder.decode(torch.ones(2, 4)).shape == (2, len(autoencoder.space.searched))
    told = facts_of(tmp_path / "run")["data"]
    assert (told["labels"], told["train_vectors"], told["validation_vectors"]) == (
        "drawn evenly",
        "no end",
        40,
    )
    assert set(told["commonest"]) == set(manifest["validation"])


def test_a_stopped_run_that_is_run_again_equals_an_unbroken_one(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "unbroken")
    train(run_file, tmp_path / "broken", overrides=["train.minutes=1e-9"])
    train(run_file, tmp_path / "broken")
    assert journal(tmp_path / "broken") == journal(tmp_path / "unbroken")
    states = [load_autoencoder(tmp_path / name).state_dict() for name in ("broken", "unbroken")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_held_out_vectors_are_never_trained_on(run_file: Path) -> None:
    for folds in ([], ["data.folds=3", "data.fold=1"]):
        source = classes_of(read_run(run_file, folds))
        held_out = set(map(tuple, source.classes(torch.arange(300), "validation").tolist()))
        trained = set(map(tuple, source.classes(torch.arange(2000), "train").tolist()))
        assert held_out
        assert not held_out & trained


def test_the_labels_of_a_set_are_its_classes_in_its_own_parts(run_file: Path, tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", SetOptions("fm", size=80, seconds=0.1))
    config = read_run(run_file, [f"data.folder={tmp_path / 'set'}"])
    source = classes_of(config)
    assert isinstance(source, GivenClasses)
    one_pass = source.classes(torch.arange(source.count("train")), "train")
    assert (HELD_OUT.part(one_pass) == 0).all()
    assert sorted(one_pass.tolist()) == sorted(source.parts["train"].tolist())
    folded = classes_of(
        read_run(run_file, [f"data.folder={tmp_path / 'set'}", "data.folds=4", "data.fold=3"])
    )
    assert (Folds(4, 3).part(folded.classes(torch.arange(10), "validation")) == 1).all()
    train(run_file, tmp_path / "run", overrides=[f"data.folder={tmp_path / 'set'}"])
    assert facts_of(tmp_path / "run")["data"]["train_vectors"] == source.count("train")


def test_labels_are_heard_in_every_audible_window_and_the_last_of_each_recording_is_held_out(
    run_file: Path, sounds: Path, inverter: Path, tmp_path: Path
) -> None:
    overrides = [f"data.folder={sounds}", f"data.labels_from={inverter}"]
    train(run_file, tmp_path / "run", overrides=overrides)
    told = facts_of(tmp_path / "run")["data"]
    assert (told["recordings"], told["windows"]) == (2, 6)
    assert (told["train_vectors"], told["validation_vectors"]) == (4, 2)
    assert len(told["passed_over"]) == 2
    assert any("broken.wav" in line for line in told["passed_over"])
    assert any("silent.wav" in line for line in told["passed_over"])


def test_one_long_recording_is_enough_and_silence_alone_is_not(
    run_file: Path, sounds: Path, inverter: Path
) -> None:
    heard = [f"data.labels_from={inverter}"]
    source = classes_of(read_run(run_file, [f"data.folder={sounds / 'low.wav'}", *heard]))
    assert (source.count("train"), source.count("validation")) == (2, 1)
    with pytest.raises(AudioError, match="takes two windows of sound or more"):
        classes_of(read_run(run_file, [f"data.folder={sounds / 'silent.wav'}", *heard]))


def test_two_processes_share_the_batch_that_one_would_take(run_file: Path, tmp_path: Path) -> None:
    config = read_run(run_file, [])
    alone = prepare(config, Session(tmp_path / "run")).batch_at(3)
    shares = [prepare(config, Session(tmp_path / "run", world=World(rank, 2))).batch_at(3) for rank in (0, 1)]
    assert torch.equal(torch.cat([each.classes for each in shares]), alone.classes)


def test_a_failing_batch_ends_the_run_with_its_error_and_leaves_no_model(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trap 8: an exception of training was caught, and an untrained model was saved.
    def fail(*_: Any) -> torch.Tensor:
        raise RuntimeError("the batch failed")

    monkeypatch.setattr("retimbre.matching.label_task.label_loss", fail)
    monkeypatch.setattr("retimbre.workflows.training.autoencoder.facts", lambda config: {})
    with pytest.raises(RuntimeError, match="the batch failed"):
        train(run_file, tmp_path / "run")
    assert not (tmp_path / "run/model.safetensors").exists()


def test_a_warm_start_takes_the_weights_and_refuses_other_layers(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "first")
    still = ["train.steps=1", "train.learning_rate=1e-12"]
    train(run_file, tmp_path / "second", overrides=still, warm_start=str(tmp_path / "first"))
    states = [load_autoencoder(tmp_path / name).state_dict() for name in ("first", "second")]
    for name in states[0]:
        # Weight decay of one step at this rate.
        torch.testing.assert_close(states[1][name], states[0][name], atol=1e-6, rtol=1e-6)
    with pytest.raises(CheckpointError, match="bottleneck 4"):
        train(
            run_file, tmp_path / "third", overrides=["task.bottleneck=5"], warm_start=str(tmp_path / "first")
        )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.bottlenek=3", r"\[task\] has no option 'bottlenek'; did you mean 'bottleneck'\?"),
        ("task.bottleneck=0", "bottleneck is 0"),
        ("task.kind=label-autoencode", "did you mean 'label-autoencoder'"),
        ("data.shuffled_labels=true", "are for inverters"),
        ("data.labels_from=inversynth-resmel", "labels_from needs a folder"),
        ("data.folder=nowhere", "nowhere"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    override: str, message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, RetimbreError), match=message):
        train(run_file, tmp_path / "run", overrides=[override])
    assert not (tmp_path / "run").exists()


def test_labels_of_another_synthesizer_or_other_levels_are_refused(
    run_file: Path, sounds: Path, inverter: Path, tmp_path: Path
) -> None:
    heard = [f"data.folder={sounds / 'low.wav'}", f"data.labels_from={inverter}"]
    with pytest.raises(ConfigError, match="labels of 'fm', but the run is for 'fm4'"):
        classes_of(read_run(run_file, [*heard, "task.synth=fm4"]))
    with pytest.raises(ConfigError, match="are not the run's: M"):
        classes_of(read_run(run_file, [*heard, "task.levels.M=5"]))
    make_dataset(tmp_path / "set", SetOptions("fm", size=80, seconds=0.1, num_levels=4))
    with pytest.raises(ConfigError, match="are not the run's: A"):
        classes_of(read_run(run_file, [f"data.folder={tmp_path / 'set'}"]))


def test_an_inverter_refuses_labels_that_another_inverter_heard(tmp_path: Path) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text('[task]\nsynth = "fm"\nmodel = "C1"\n[train]\nsteps = 1\n')
    overrides = ["data.folder=sounds", "data.labels_from=inversynth-resmel"]
    with pytest.raises(ConfigError, match="is for a label autoencoder"):
        train(run_file, tmp_path / "run", overrides=overrides)


def test_a_rehearsal_tells_the_sizes_and_writes_nothing(run_file: Path, tmp_path: Path) -> None:
    told = rehearse(read_run(run_file, []), Session(tmp_path / "run"))
    assert told["bottleneck"] == 4
    assert told["outputs"] == 144
    assert not (tmp_path / "run").exists()


def test_the_list_of_models_has_it_with_its_task_and_its_size() -> None:
    row = next(row for row in names("models") if row["task"] == "label-autoencoder")
    assert (row["name"], row["parameters"]) == ("LabelAutoencoder", 26_163)
