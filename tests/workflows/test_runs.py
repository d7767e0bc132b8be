"""Every run file that comes with the program can be read, and the networks of those that train a GAN fit together.

Most of them take a GPU or a set that is not at hand, so no test trains them. But what they say is built here, on the
device that keeps shapes and no numbers: a generator makes what its representation takes, each of its critics judges it,
at every scale that they grow through.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from retimbre.gan.base import Critic, Form, Generator, Labels, Stage
from retimbre.gan.conditions import condition_shapes
from retimbre.gan.hearing import critic_representation
from retimbre.gan.sounds import own_representation, shape_of
from retimbre.workflows.training.gan_checks import check_labels
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.run import read_run

RUNS = Path(__file__).resolve().parents[2] / "runs"
FILES = sorted(RUNS.rglob("*.toml"))
FOLDERS = {"", "interns2020", "paper", "sony2020", "tiny", "toy"}
META = torch.device("meta")


def device_of(config: GanRun) -> torch.device:
    """Where networks are built: some compute from pitches or keys in float32 alone, which takes numbers."""
    kinds = ("harmonic", "midi-harmonic", "midi-spectra")
    return torch.device("cpu") if config.task.generator.kind in kinds else META


def classes_of(config: GanRun) -> dict[str, tuple[str, ...]]:
    """Those of the corpora's notes; of attributes that only a prepared set has, three."""
    data = config.data
    known = {
        "pitch": tuple(map(str, range(data.lowest_pitch, data.highest_pitch + 1))),
        "velocity": tuple(map(str, data.velocities)),
        "family": data.families,
    }
    return {name: known.get(name, ("a", "b", "c")) for name in config.task.attributes}


def networks_of(config: GanRun) -> tuple[Generator, list[tuple[Critic, bool]]]:
    """The generator and its critics, without numbers; of each critic also whether it hears what the generator makes."""
    task, classes = config.task, classes_of(config)
    own = own_representation(task, None)
    made = shape_of(own, task.num_samples)
    heard = [critic_representation(task, entry) for entry in task.critics]
    shapes = [made if each is None else shape_of(each, task.num_samples) for each in heard]
    told = [condition_shapes(task.conditions, own if each is None else each) for each in heard]
    of_own = condition_shapes(task.conditions, own)
    with device_of(config):
        generator = task.generator.build(Form(made, classes, task.latent_dim, of_own))
        networks = [
            entry.network.build(Form(shape, classes, conditions=conditions))
            for entry, shape, conditions in zip(task.critics, shapes, told, strict=True)
        ]
    critics = [(critic, each is None) for critic, each in zip(networks, heard, strict=True)]
    return generator, critics


def labels_of(network: Generator | Critic, rows: int) -> Labels:
    """The first class of everything, and conditions that say nothing."""
    form = network.form
    classes = {name: torch.zeros(rows, dtype=torch.int64) for name in form.classes}
    return classes | {name: torch.zeros(rows, *shape) for name, shape in form.conditions.items()}


def stages_of(config: GanRun) -> Iterator[tuple[Stage | None, int]]:
    """Every scale when it has taken over and in its fade, with the clips of an update there."""
    if config.growth is None:
        yield None, 4
        return
    step = 1
    for scale in range(config.growth.start_scale, len(config.growth.steps)):
        for fade in (0.0, 0.5):
            yield Stage(scale, fade), config.batch_size_at(step)
        step += config.growth.steps[scale]


def name_of(path: Path) -> str:
    return path.relative_to(RUNS).with_suffix("").as_posix()


def read_gan(path: Path) -> GanRun:
    config = read_run(path, [])
    assert isinstance(config, GanRun)
    return config


GANS = [path for path in FILES if isinstance(read_run(path, []), GanRun)]
every_gan = pytest.mark.parametrize("path", GANS, ids=name_of)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_run_file_can_be_read_and_writes_down_each_of_its_steps(path: Path) -> None:
    config = read_run(path, [])
    assert config.fit_config().steps == config.train.steps > 0
    assert config.clips_after(config.train.steps) > 0


def test_run_files_of_every_folder_are_among_them() -> None:
    assert {path.parent.relative_to(RUNS).as_posix().strip(".") for path in FILES} == FOLDERS
    assert len(GANS) > len(FOLDERS)


@every_gan
def test_the_networks_of_a_gan_fit_what_they_make_and_hear_at_every_scale(path: Path) -> None:
    config = read_gan(path)
    check_labels(config)
    generator, critics = networks_of(config)
    device = device_of(config)
    for stage, rows in stages_of(config):
        if stage is not None:
            generator.grow(stage)
        with device:
            made = generator(torch.zeros(rows, config.task.latent_dim), labels_of(generator, rows))
        assert generator.enlarge(made).shape == (rows, *generator.form.shape)
        for critic, shares in critics:
            if stage is not None and shares:
                critic.grow(stage)
            with device:
                shown = critic.reduce(torch.zeros(rows, *critic.form.shape))
                assert not shares or shown.shape == made.shape
                assert critic(shown, labels_of(critic, rows)).score.shape == (rows,)


@every_gan
def test_a_gan_that_grows_has_time_for_every_scale(path: Path) -> None:
    config = read_gan(path)
    if config.growth is not None:
        assert config.growth.total_steps <= config.train.steps
