"""Every small experiment trains from end to end, can be heard, and beats what it should beat.

Of each GAN in `runs/tiny` the generator is held against held-out clips before and after. The distance of the sounds as
sets has to fall to less than it was; where the networks are told labels, the sounds have to follow them, which those of
a network that learned from shuffled labels cannot. Generators that are told more than labels have laws of their own, in
the tests of these.
"""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from checked_steps import every_tenth_step_checked
from torch import Tensor

from retimbre.cli.app import run
from retimbre.gan.config import GanConfig
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.gan.task import ClipBatch
from retimbre.listening.statistics import BandStatistics
from retimbre.training.journal import read_journal
from retimbre.workflows.training import gan, gan_samples
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.gan_pool import ClipPool, Part, clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig, GanRun
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run


def is_made_of_nothing(run_file: Path) -> bool:
    """Whether a run file is that of a generator that is told labels at most."""
    task = tomllib.loads(run_file.read_text(encoding="utf-8"))["task"]
    return task.get("kind") == "gan" and not task.get("conditions")


TINY = [
    path
    for path in sorted((Path(__file__).parents[2] / "runs/tiny").glob("*.toml"))
    if is_made_of_nothing(path)
]

_made: dict[str, ClipPool] = {}


@pytest.fixture(autouse=True)
def clips_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments and their controls learn from the same few hundred notes, which take seconds to render."""

    def made(data: GanDataConfig, task: GanConfig, part: Part, *, most: int, seed: int) -> ClipPool:
        data = dataclasses.replace(data, shuffled_labels=False)  # which is done to a pool later
        key = repr((data, task.attributes, task.sample_rate, task.num_samples, part, most, seed))
        if key not in _made:
            _made[key] = clip_pool(data, task, part, most=most, seed=seed)
        return _made[key]

    monkeypatch.setattr(gan, "clip_pool", made)
    monkeypatch.setattr(gan_samples, "clip_pool", made)


class Beginning(NamedTuple):
    """A run before its first update."""

    kad: float
    held_out: list[ClipBatch]
    config: GanRun


def beginning(run_file: Path, out: Path) -> Beginning:
    config = read_run(run_file, [])
    assert isinstance(config, GanRun)
    prepared = gan.prepare(config, Session(out, "cpu"))
    held_out = list(prepared.validation())
    return Beginning(prepared.task.validate(held_out)["kad"], held_out, config)


def follows_labels(sounds: SoundGenerator, held_out: list[ClipBatch], attribute: str) -> float:
    """How alike generated and held-out classes lie around the mean of all: 1 for alike, 0 by chance.

    A class is the mean of its sounds, which are vectors of band statistics in deviations of the held-out ones.
    """
    embed = BandStatistics(sounds.sample_rate)
    real, generated, labels = [], [], []
    with torch.no_grad():
        for number, batch in enumerate(held_out):
            told = {name: classes[0] for name, classes in batch.labels.items()}
            latent = sounds.draw_latents(batch.audio.shape[1], seed=number)
            real.append(embed(batch.audio[0]))
            generated.append(embed(sounds(latent, told)))
            labels.append(told[attribute])
    scale = torch.cat(real).std(dim=0).clamp_min(1e-6)
    places = [class_means(torch.cat(each) / scale, torch.cat(labels)) for each in (real, generated)]
    return torch.nn.functional.cosine_similarity(*(each.flatten() for each in places), dim=0).item()


def class_means(vectors: Tensor, labels: Tensor) -> Tensor:
    """The mean of each class that occurs, from the mean of them all."""
    means = torch.stack([vectors[labels == each].mean(dim=0) for each in labels.unique()])
    return means - means.mean(dim=0)


@pytest.mark.slow
@pytest.mark.parametrize("run_file", TINY, ids=lambda path: path.stem)
def test_a_small_experiment_trains_is_heard_and_beats_its_controls(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = beginning(run_file, tmp_path / "run")
    with every_tenth_step_checked() as told:
        manifest = train(run_file, tmp_path / "run", device="cpu", progress=told)
    assert_everything_was_written(tmp_path / "run", begun.config)
    assert manifest["validation"]["kad"] < 0.8 * begun.kad
    assert (
        run(["generate", "random", str(tmp_path / "run"), "--count", "2", "--out", str(tmp_path / "made")])
        == 0
    )
    assert len(list((tmp_path / "made").glob("*.wav"))) == 2
    capsys.readouterr()
    for attribute in learned_attributes(begun.config):
        shuffled = ["data.shuffled_labels=true"]
        with every_tenth_step_checked() as told:
            train(run_file, tmp_path / "control", overrides=shuffled, device="cpu", progress=told)
        ours, control = (
            follows_labels(load_generator(tmp_path / name), begun.held_out, attribute)
            for name in ("run", "control")
        )
        assert ours > control + 0.1
        assert ours > 0.2


def learned_attributes(config: GanRun) -> list[str]:
    """What the sounds have to follow because it was learned: a harmonic generator plays the pitch that it is told."""
    given = ("pitch",) if config.task.generator.kind == "harmonic" else ()
    return [name for name in config.task.attributes if name not in given]


def assert_everything_was_written(out: Path, config: GanRun) -> None:
    """Whatever is due at some step of a run is there."""
    rows = read_journal(out / "journal.csv")
    assert {row.step for row in rows if row.split == "validation"} == due(config, config.train.validate_every)
    assert {row.step for row in rows if row.split == "train"} == due(config, config.train.log_every)
    assert {path.name for path in (out / "checkpoints").iterdir()} == {
        f"{name}.safetensors" for name in ("best", "final", "last")
    }
    samples = {int(path.name.removeprefix("step-")) for path in (out / "samples").iterdir()}
    assert samples == due(config, config.train.samples_every)
    assert json.loads((out / "run.json").read_text())["finished"]


def due(config: GanRun, every: int) -> set[int]:
    """The steps at which something is done that is done every so many steps, and at the last."""
    return {*range(every, config.train.steps + 1, every), config.train.steps}
