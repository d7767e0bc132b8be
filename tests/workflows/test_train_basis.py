"""Learning a basis from a run file: clips of notes, folders and sets, and what a run leaves."""

import dataclasses
from pathlib import Path

import pytest
import soundfile
import torch
from performances import control, off, on, write_midi

from retimbre.core.errors import AudioError, CheckpointError, ConfigError
from retimbre.core.random import generator
from retimbre.corpora.maestro.scan import MaestroFilters
from retimbre.data.manifest import Fractions
from retimbre.gan.sounds import load_generator
from retimbre.representation.catalog import representation
from retimbre.representation.learned_basis import load_basis
from retimbre.training.journal import read_journal
from retimbre.workflows.dataset.performances import Chunks, import_performances
from retimbre.workflows.dataset.recordings import HowToImport
from retimbre.workflows.training.basis_clips import clips_of
from retimbre.workflows.training.basis_run import BasisDataConfig, BasisRun
from retimbre.workflows.training.fit import rehearse, train
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

RUNS = Path(__file__).resolve().parents[2] / "runs"
RATE = 8000


def read(name: str, *overrides: str) -> BasisRun:
    config = read_run(RUNS / f"{name}.toml", overrides)
    assert isinstance(config, BasisRun)
    return config


def series(folder: Path, split: str, name: str) -> list[float]:
    rows = read_journal(folder / "journal.csv")
    return [row.value for row in rows if (row.split, row.name) == (split, name)]


def write_piano(folder: Path) -> None:
    """Performances of one or two seconds: sine tones of the keys that the MIDI names."""
    time = torch.arange(2 * RATE) / RATE
    for number in range(10):
        keys = [60 + (5 * number + 7 * turn) % 12 for turn in range(4)]
        events, sound = [control(0, 64, 0)], torch.zeros(2 * RATE)
        for turn, key in enumerate(keys):
            events += [on(480 * turn, key, 100), off(480 * turn + 400, key)]
            since = time - 0.5 * turn
            tone = torch.sin(2 * torch.pi * 440.0 * 2.0 ** ((key - 69) / 12) * since) * torch.exp(
                -3.0 * since
            )
            sound += 0.2 * tone * ((since >= 0.0) & (since < 0.42))
        write_midi(folder / f"{number}.midi", events)
        soundfile.write(folder / f"{number}.wav", sound.numpy(), RATE)


@pytest.mark.slow
def test_the_ratio_rises_over_the_epochs_and_the_model_is_a_representation(tmp_path: Path) -> None:
    train(RUNS / "tiny" / "basis.toml", tmp_path / "run", device="cpu")
    ratios = series(tmp_path / "run", "validation", "snr_db")
    # The windows begin as ones: three decibels are to be had, and half of one is beyond doubt.
    assert ratios[-1] > ratios[0] + 0.5
    basis, facts = load_basis(tmp_path / "run")
    assert facts["quality"]["snr_db"] == pytest.approx(max(ratios))
    learned = representation(
        "learned-basis", 4000, {"weights": str(tmp_path / "run"), "nonzeros_per_s": 500.0}
    )
    clips = clips_of(read("tiny/basis").data, read("tiny/basis").task, "validation", 0).read(torch.arange(4))
    codes = learned.encode(clips)
    assert codes.shape[1:] == (4, 128, 16)
    assert int((codes != 0.0).flatten(1).sum(1).max()) <= round(500 * 2048 / 4000)
    error = (learned.decode(codes, num_samples=2048) - clips).square().sum() / clips.square().sum()
    assert float(error) < 0.2
    assert basis.config.sample_rate == 4000


@pytest.mark.slow
def test_the_cross_entropy_of_keys_falls_on_a_set_with_midi_states(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_piano(tmp_path / "raw")
    how = HowToImport(split=Fractions(0.2, 0.1))
    import_performances(tmp_path / "raw", tmp_path / "set", MaestroFilters(), Chunks(RATE, 8192), how)
    train(
        RUNS / "tiny" / "basis-classifier.toml",
        tmp_path / "run",
        overrides=[f"data.set={tmp_path / 'set'}"],
        device="cpu",
    )
    entropies = series(tmp_path / "run", "validation", "key_bce")
    assert entropies[-1] < 0.5 * entropies[0]
    assert (
        series(tmp_path / "run", "validation", "snr_db")[-1]
        > series(tmp_path / "run", "validation", "snr_db")[0]
    )


def test_a_run_with_a_critic_takes_clips_for_each_of_its_updates(tmp_path: Path) -> None:
    manifest = train(RUNS / "tiny" / "basis-critic.toml", tmp_path / "run", device="cpu")
    assert manifest["clips_seen"] == 20 * 4 * 5
    assert len(series(tmp_path / "run", "train", "penalty")) == 4
    ratios = series(tmp_path / "run", "validation", "snr_db")
    assert ratios[-1] > ratios[0]


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    run = RUNS / "tiny" / "basis-critic.toml"
    short = ["train.checkpoint_every=2", "train.log_every=1", "train.validate_every=4", "data.notes=24"]
    train(run, tmp_path / "whole", overrides=[*short, "train.steps=4"], device="cpu")
    train(run, tmp_path / "parts", overrides=[*short, "train.steps=2"], device="cpu")
    train(run, tmp_path / "parts", overrides=[*short, "train.steps=4"], device="cpu")
    whole, parts = (read_journal(tmp_path / name / "journal.csv") for name in ("whole", "parts"))
    wanted = [(row.step, row.name, row.value) for row in whole if row.split == "train" and row.step > 2]
    assert [
        (row.step, row.name, row.value) for row in parts if row.split == "train" and row.step > 2
    ] == wanted


def test_every_epoch_goes_through_all_clips_in_an_order_of_its_own() -> None:
    config = read("tiny/basis")
    clips = clips_of(dataclasses.replace(config.data, notes=24), config.task, "train", 0)
    drawn = torch.cat([clips.drawn(config, step, 8) for step in range(1, 7)])
    first, second = drawn[: clips.count], drawn[clips.count : 2 * clips.count]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(clips.count))
    assert first.tolist() != second.tolist()


def test_files_of_a_folder_are_in_one_part_each(tmp_path: Path) -> None:
    for number in range(10):
        sound = 0.1 * torch.randn(5000, generator=generator(number, "folder"))
        soundfile.write(tmp_path / f"{number}.wav", sound.numpy(), 4000)
    task = read("tiny/basis").task
    data = BasisDataConfig(folder=str(tmp_path))
    parts = {part: clips_of(data, task, part, 0) for part in ("train", "validation", "test")}
    # Three clips of 2,048 samples each.
    assert [parts[part].count for part in ("train", "validation", "test")] == [24, 3, 3]
    heard = [clips.read(torch.arange(clips.count))[:, 0].tolist() for clips in parts.values()]
    assert len({first for part in heard for first in part}) == 30


@pytest.mark.parametrize(
    ("overrides", "error", "reason"),
    [
        (["data.folder=nowhere"], AudioError, "nowhere: no such file"),
        (["data.set=a", "data.folder=b"], ConfigError, "takes one of them at most"),
        (["task.classifier.weight=1.0"], ConfigError, "takes code = 'rectified'"),
        (["task.loss=mse"], ConfigError, "loss"),
        (["task.basis.functions.kind=fixed"], ConfigError, "no kind 'fixed'"),
    ],
)
def test_runs_that_cannot_be_are_refused_in_a_line(
    overrides: list[str], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        rehearse(read("tiny/basis", *overrides), Session(Path("unused"), device="cpu"))


def test_a_classifier_without_a_set_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[task.classifier\] reads keys, but \[data\] names no set"):
        read("tiny/basis-classifier", "data.set=")


def test_a_warm_start_from_functions_of_another_shape_is_refused(tmp_path: Path) -> None:
    train(
        RUNS / "tiny" / "basis-critic.toml",
        tmp_path / "run",
        overrides=["train.steps=1", "data.notes=8"],
        device="cpu",
    )
    with pytest.raises(CheckpointError, match="the run's have other shapes"):
        rehearse(read("tiny/basis"), Session(Path("unused"), device="cpu", warm_start=str(tmp_path / "run")))


@pytest.mark.parametrize(
    "name", ["basis", *(f"interns2020/learned-basis{end}" for end in ("", "-classifier", "-critic"))]
)
def test_the_published_runs_can_be_read_and_the_earlier_ones_are_as_they_were(name: str) -> None:
    config = read(name)
    if name != "basis":
        functions = config.task.basis.functions
        assert dataclasses.astuple(functions) == ("free", 512, 32, 16)
        assert (config.task.noise, config.task.loss, config.task.basis.code) == (0.05, "l1", "rectified")
        assert (config.train.batch_size, config.train.learning_rate) == (64, 1e-4)
    assert config.task.critic.updates() == (5 if name.endswith("critic") else 0)


@pytest.mark.slow
def test_a_gan_makes_and_hears_the_codes_of_a_basis(tmp_path: Path) -> None:
    train(
        RUNS / "tiny" / "basis.toml",
        tmp_path / "basis",
        overrides=["train.steps=2", "data.notes=16"],
        device="cpu",
    )
    settings = f'{{ weights = "{tmp_path / "basis"}", nonzeros_per_s = 500.0, rounds = 2 }}'
    overrides = [
        "task.representation=learned-basis",
        f"task.settings={settings}",
        "task.num_samples=1024",
        'task.generator={ kind = "dense", width = 16 }',
        'task.critics=[{ network = { kind = "dense", width = 16 } }, { network = { kind = "dense", width = 8 }, '
        f'representation = "learned-basis", settings = {settings} }}]',
        "data.notes=24",
        "data.validation_clips=8",
        "train.steps=3",
        "train.log_every=1",
        "train.validate_every=3",
        "train.checkpoint_every=3",
        "train.samples_every=0",
    ]
    train(RUNS / "tiny" / "wave-gan.toml", tmp_path / "gan", overrides=overrides, device="cpu")
    sounds = load_generator(tmp_path / "gan")
    with torch.no_grad():
        audio = sounds(torch.randn(2, 16, generator=generator(0, "latent")), {})
    assert audio.shape == (2, 1024)
    assert audio.isfinite().all()
    assert (audio.std(dim=1) > 0.0).all()
