"""Chunks are told what came before them and what their keys did."""

import dataclasses

import pytest
import torch
from small_performances import CHUNK, RATE, make_set

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data.dataset import RecordedSet
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("performances"), count=4, seconds=3.0)


def task(**conditions):
    return GanConfig(
        generator=DenseGeneratorConfig(),
        critics=(CriticEntry(DenseCriticConfig()),),
        sample_rate=RATE,
        num_samples=CHUNK,
        conditions=conditions,
    )


def data(folder, **more):
    return GanDataConfig(set=str(folder), **{"peak": False, **more})


def pool(folder, part="train", most=1_000, **conditions):
    return clip_pool(data(folder), task(**conditions), part, most=most, seed=0)


def test_a_history_is_the_end_of_the_chunk_before(prepared):
    found = pool(prepared, history=300)
    opened = RecordedSet.open(prepared)
    whole = {row: opened.audio(torch.tensor([row]))[0] for row in range(len(opened))}
    rows = [row for row in opened.split("train").tolist() if opened.clips[row].start_s > 0]
    assert len(found) == len(rows)  # the first of each piece are left out
    numbers = torch.arange(len(found))
    told = found.conditions["history"](numbers)
    for place, row in enumerate(rows):
        # 16 bits.
        assert (found.audio(numbers)[place] - whole[row]).abs().max() < 1e-4
        assert (told[place] - whole[row - 1][-300:]).abs().max() < 1e-4


def test_states_are_those_of_the_chunk_with_those_of_the_chunk_before_in_front(prepared):
    alone, both = (pool(prepared, midi=count) for count in (512, 1024))
    rows = torch.arange(len(alone)).view(-1, 1)[:6]
    states, longer = alone.conditions["midi"](rows), both.conditions["midi"](rows)
    assert states.shape == (6, 1, 512, 89)
    assert longer.shape == (6, 1, 1024, 89)
    assert torch.equal(longer[..., 512:, :], states)
    assert torch.equal(longer[1, ..., :512, :], states[0])
    assert not longer[0, ..., :512, :].any()  # before a piece begins there is nothing


def test_parts_share_no_recording(prepared):
    clips = RecordedSet.open(prepared).clips
    sources = {
        part: {clip.source for clip in clips if clip.split == part} for part in ("train", "validation")
    }
    assert not sources["train"] & sources["validation"]
    assert len(pool(prepared, "valid", midi=512)) == sum(clip.split == "validation" for clip in clips)


def test_the_same_seed_chooses_the_same_chunks(prepared):
    first, again = (pool(prepared, most=5, midi=512) for _ in range(2))
    assert len(first) == 5
    assert torch.equal(first.samples, again.samples)


@pytest.mark.parametrize(
    ("told", "change", "says"),
    [
        ({"midi": 512}, {"sample_rate": 8_000}, "sample_rate is 8000, but the chunks .* have 4000"),
        ({"midi": 512}, {"num_samples": 512}, "num_samples is 512, but the chunks .* have 1024"),
        ({"midi": 600}, {}, "'midi' has 600 states; takes 512 of a chunk, or 1024"),
        ({"history": 2_000}, {}, "'history' has 2000 samples; takes 1 to 1024"),
    ],
)
def test_conditions_of_the_wrong_rate_or_length_are_refused(prepared, told, change, says):
    config = dataclasses.replace(task(**told), **change)
    with pytest.raises(ConfigError, match=says):
        clip_pool(data(prepared), config, "train", most=5, seed=0)


@pytest.mark.parametrize("change", [{"peak": True}, {"fade_out": 0.1}])
def test_what_would_tear_chunks_apart_is_refused(prepared, change):
    with pytest.raises(ConfigError, match="would tear each chunk from the one before it"):
        clip_pool(data(prepared, **change), task(history=300), "train", most=5, seed=0)


def test_a_set_without_states_says_so(prepared, tmp_path):
    from retimbre.workflows.dataset.recordings import import_folder

    import_folder([prepared.parent / "raw"], tmp_path / "plain")
    header = RecordedSet.open(tmp_path / "plain").header
    config = dataclasses.replace(
        task(midi=512), sample_rate=header.sample_rate, num_samples=header.num_samples
    )
    with pytest.raises(DatasetError, match="midi_states"):
        clip_pool(data(tmp_path / "plain"), config, "train", most=5, seed=0)
