"""The clips that a GAN learns from: where they come from, and which are in which batch."""

import dataclasses

import pytest
import torch

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.gan.config import CriticEntry, GanConfig, LossConfig
from retimbre.gan.growth import Growth
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.training.parallel import World
from retimbre.workflows.training.gan_checks import check_conditions
from retimbre.workflows.training.gan_clips import GanClips
from retimbre.workflows.training.gan_pool import ClipPool, clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig, GanRun
from retimbre.workflows.training.settings import TrainConfig

CPU = torch.device("cpu")
TASK = GanConfig(
    generator=DenseGeneratorConfig(),
    critics=(CriticEntry(DenseCriticConfig()),),
    sample_rate=4000,
    num_samples=500,
    attributes=("pitch", "velocity", "family"),
    loss=LossConfig(critic_steps=2),
)
DATA = GanDataConfig(
    notes=60,
    instruments=4,
    families=("brass", "reed"),
    lowest_pitch=60,
    highest_pitch=63,
    velocities=(50, 100),
)
RUN = GanRun(TASK, TrainConfig(steps=4, batch_size=64), DATA, seed=1)


@pytest.fixture(scope="module")
def pool() -> ClipPool:
    return clip_pool(DATA, TASK, "train", most=60, seed=1)


def test_classes_are_those_of_the_run_file_in_its_order(pool: ClipPool) -> None:
    assert pool.classes == {
        "pitch": ("60", "61", "62", "63"),
        "velocity": ("50", "100"),
        "family": ("brass", "reed"),
    }
    assert all(bool((pool.labels[name] < len(names)).all()) for name, names in pool.classes.items())


def test_clips_of_the_corpora_have_one_length_and_a_peak_of_one(pool: ClipPool) -> None:
    audio = pool.audio(torch.arange(len(pool)))
    assert audio.shape == (len(pool), 500)
    torch.testing.assert_close(audio.abs().amax(dim=1), torch.ones(len(pool)), rtol=0, atol=1e-4)


def test_what_validates_is_of_other_instruments(pool: ClipPool) -> None:
    held_out = clip_pool(DATA, TASK, "valid", most=60, seed=1)
    trained = {tuple(row) for row in pool.samples.tolist()}
    assert not any(tuple(row) in trained for row in held_out.samples.tolist())


def test_two_processes_draw_the_batch_of_one(pool: ClipPool) -> None:
    alone = GanClips(pool, RUN, World()).part(3, CPU)
    shares = [GanClips(pool, RUN, World(rank, 2)).part(3, CPU) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([each.audio for each in shares], dim=1), alone.audio, rtol=0, atol=0)
    for name, classes in alone.labels.items():
        assert torch.equal(torch.cat([each.labels[name] for each in shares], dim=1), classes)


def test_every_update_of_the_critics_has_clips_of_its_own_and_labels_that_belong_to_them(
    pool: ClipPool,
) -> None:
    """Trap 21: a batch larger than the number of classes crashed; here 64 clips have 2 to 4 classes."""
    batch = GanClips(pool, RUN, World()).part(1, CPU)
    assert batch.audio.shape == (2, 64, 500)
    assert not torch.equal(batch.audio[0], batch.audio[1])
    known = {tuple(row): place for place, row in enumerate(pool.samples.tolist())}
    for update in range(2):
        for row, audio in enumerate(batch.audio[update]):
            place = known[tuple((audio * 32_767).round().to(torch.int16).tolist())]
            assert all(batch.labels[name][update, row] == pool.labels[name][place] for name in pool.classes)


def test_steps_differ_and_are_the_same_again(pool: ClipPool) -> None:
    clips = GanClips(pool, RUN, World())
    assert not torch.equal(clips.part(1, CPU).audio, clips.part(2, CPU).audio)
    assert torch.equal(clips.part(2, CPU).audio, clips.part(2, CPU).audio)


def test_shuffled_labels_are_the_same_labels_elsewhere(pool: ClipPool) -> None:
    shuffled = dataclasses.replace(RUN, data=dataclasses.replace(DATA, shuffled_labels=True))
    clips = GanClips(pool, shuffled, World())
    assert torch.equal(clips.part(1, CPU).audio, GanClips(pool, RUN, World()).part(1, CPU).audio)
    everywhere = torch.arange(len(pool))
    assert torch.equal(clips.labelled.sort().values, everywhere)
    assert not torch.equal(clips.labelled, everywhere)


def numbered(pool: ClipPool) -> ClipPool:
    """The clips, told their own numbers as what came before."""
    return dataclasses.replace(pool, conditions={"history": lambda rows: rows[..., None].float()})


def row_of(pool: ClipPool, audio: torch.Tensor) -> int:
    """Which clip of a pool a sound is."""
    return pool.samples.tolist().index((audio * 32_767).round().to(torch.int16).tolist())


def test_clips_come_with_their_conditions_and_shuffled_ones_with_those_of_others(pool: ClipPool) -> None:
    told = numbered(pool)
    shuffled = dataclasses.replace(RUN, data=dataclasses.replace(DATA, shuffled_labels=True))
    for config in (RUN, shuffled):
        batch = GanClips(told, config, World()).part(1, CPU)
        rows = [row_of(pool, audio) for audio in batch.audio[0]]
        own = batch.labels["history"][0, :, 0].long().tolist()
        assert (own == rows) == (config is RUN)
        # Labels and conditions of a clip are from the same clip, whichever it is.
        assert torch.equal(batch.labels["pitch"][0], pool.labels["pitch"][own])


def test_what_is_to_be_generated_is_drawn_apart_where_it_should_be_and_is_else_what_the_clips_have(
    pool: ClipPool,
) -> None:
    told = numbered(pool)
    assert GanClips(told, RUN, World()).part(1, CPU).wanted is None
    task = dataclasses.replace(TASK, loss=LossConfig(independent_conditions=True))
    config = dataclasses.replace(RUN, task=task)
    alone = GanClips(told, config, World()).part(1, CPU)
    assert alone.wanted is not None
    assert not torch.equal(alone.wanted["history"], alone.labels["history"])
    wanted = alone.wanted["history"][0, :, 0].long()
    assert torch.equal(alone.wanted["pitch"][0], pool.labels["pitch"][wanted])
    shares = [GanClips(told, config, World(rank, 2)).part(1, CPU).wanted for rank in (0, 1)]
    together = torch.cat([share["history"] for share in shares if share], dim=1)
    assert torch.equal(together, alone.wanted["history"])


def test_conditions_that_the_clips_do_not_have_are_refused(pool: ClipPool) -> None:
    task = dataclasses.replace(TASK, conditions={"midi": 4})
    with pytest.raises(
        ConfigError, match=r"names 'midi', which the clips of \[data\] do not have: they have none"
    ):
        check_conditions(dataclasses.replace(RUN, task=task), pool)
    with pytest.raises(ConfigError, match="do not have: they have history"):
        check_conditions(dataclasses.replace(RUN, task=task), numbered(pool))


def test_batches_have_the_size_of_their_scale(pool: ClipPool) -> None:
    growing = dataclasses.replace(RUN, growth=Growth(steps=(2, 2), batch_sizes=(8, 4)))
    clips = GanClips(pool, growing, World())
    assert [clips.part(step, CPU).audio.shape[1] for step in (1, 2, 3, 4)] == [8, 8, 4, 4]


def test_held_out_clips_come_all_of_them_dealt_out_among_processes(pool: ClipPool) -> None:
    held = [GanClips(pool, RUN, World(rank, 2)).held_out(pool, CPU) for rank in (0, 1)]
    rows = sorted(row for batches in held for batch in batches for row in range(60)[batch.share.rows])  # pyright: ignore
    assert rows == list(range(len(pool)))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="no attribute 'instrumnt'"):
        clip_pool(DATA, dataclasses.replace(TASK, attributes=("instrumnt",)), "train", most=4, seed=0)
    with pytest.raises(DatasetError, match="nowhere"):
        clip_pool(dataclasses.replace(DATA, set="nowhere"), TASK, "train", most=4, seed=0)
    with pytest.raises(ConfigError, match="fade_out is 2"):
        GanDataConfig(fade_out=2.0)
