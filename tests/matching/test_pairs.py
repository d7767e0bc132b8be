"""Pairs are functions of their address, labels are those of the sound, and the splits share no class vector."""

import dataclasses
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.data.dataset import RenderedSet
from retimbre.matching.pairs import FileSource, NoteRange, PairSource
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.compiled import CompiledRenderer
from retimbre.synth.parameters import Knobs
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset

NOTES = NoteRange(110.0, 880.0, 0.1, 0.3)
CPU = torch.device("cpu")


def source(name: str = "fm", *, seed: int = 0, draw: str = "classes", num_samples: int = 2048) -> PairSource:
    synth = SYNTHS[name]
    return PairSource(synth, synth.space, num_samples, NOTES, draw=draw, seed=seed)


def vectors(classes: torch.Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, classes.tolist()))


@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_a_pair_depends_on_its_number_alone(draw: str) -> None:
    pairs = source(draw=draw)
    together, alone = pairs.pairs(torch.arange(8), "train"), pairs.pairs(torch.tensor([5]), "train")
    assert torch.equal(together.classes[5:6], alone.classes)
    assert torch.equal(together.note.pitch_hz[5:6], alone.note.pitch_hz)
    # Vectorised sines round differently at another alignment: -100 dB.
    torch.testing.assert_close(together.audio[5:6], alone.audio, atol=1e-5, rtol=0)


def test_batches_are_consecutive_numbers_whatever_their_size() -> None:
    pairs = source()
    small = [pairs.batch(step, 4, "train", CPU).classes for step in (1, 2)]
    assert torch.equal(torch.cat(small), pairs.batch(1, 8, "train", CPU).classes)


@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_no_two_splits_share_a_class_vector_even_with_other_seeds(draw: str) -> None:
    # 4 knobs with 3, 3, 3 and 3 classes or so: a space small enough that splits would surely meet.
    seen = {
        split: set().union(
            *(
                vectors(source("two-sine", seed=seed, draw=draw).patches(torch.arange(500), split)[0])
                for seed in (0, 1)
            )
        )
        for split in ("train", "validation", "test")
    }
    assert all(seen.values())
    assert not seen["train"] & seen["validation"]
    assert not seen["train"] & seen["test"]
    assert not seen["validation"] & seen["test"]


@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_labels_decode_to_the_knobs_that_rendered_the_sound(draw: str) -> None:
    pairs = source(draw=draw)
    batch = pairs.pairs(torch.arange(4), "train")
    again = pairs.synth.render(pairs.space.from_unit(batch.unit), batch.note, num_samples=2048)
    torch.testing.assert_close(batch.audio, again, atol=1e-5, rtol=0)
    assert torch.equal(pairs.space.to_classes(pairs.space.from_unit(batch.unit)), batch.classes)


def test_drawn_classes_are_even_and_notes_fill_their_ranges() -> None:
    pairs = source()
    classes, _ = pairs.patches(torch.arange(4000), "train")
    for knob, count in enumerate(pairs.space.class_counts):
        share = torch.bincount(classes[:, knob], minlength=count) / 4000
        # Binomial: three standard deviations of a share of 1/count over 4,000 draws, with room for 16 classes at once.
        assert float((share * count - 1).abs().max()) < 4.5 * (count / 4000) ** 0.5
    note = pairs.pairs(torch.arange(256), "train").note
    assert 110.0 <= float(note.pitch_hz.min()) < 120.0
    assert 800.0 < float(note.pitch_hz.max()) <= 880.0
    assert 0.1 <= float(note.gate_s.min()) < float(note.gate_s.max()) <= 0.3


def test_the_option_to_compile_reaches_the_renderer_and_the_labels_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What compiled loops sound like is tested in tests/synth/test_compiled.py, without the shape checks."""
    asked: list[int] = []

    def render(self: CompiledRenderer, knobs: Knobs, note: Note, *, num_samples: int) -> torch.Tensor:
        asked.append(num_samples)
        return self.synth.render_in_chunks(knobs, note, num_samples=num_samples)

    monkeypatch.setattr(CompiledRenderer, "render", render)
    pairs = source("two-sine")
    compiled = dataclasses.replace(pairs, compiled=True).pairs(torch.arange(4), "train")
    assert asked == [2048]
    eager = pairs.pairs(torch.arange(4), "train")
    assert torch.equal(compiled.classes, eager.classes)
    assert torch.equal(compiled.audio, eager.audio)


def test_other_seeds_and_splits_are_other_pairs() -> None:
    first = source().patches(torch.arange(32), "train")[0]
    assert not torch.equal(first, source(seed=1).patches(torch.arange(32), "train")[0])
    assert not torch.equal(first, source().patches(torch.arange(32), "test")[0])


def test_a_space_without_class_vectors_for_a_split_says_so() -> None:
    synth = SYNTHS["two-sine"]
    only = synth.space.with_fixed({each.name: each.default for each in synth.space.parameters[1:]})
    pairs = dataclasses.replace(source("two-sine"), space=only)
    # Three class vectors cannot fill three splits of 80, 10 and 10 %: by their hashes these miss the test split.
    with pytest.raises(ConfigError, match="3 class vectors of two-sine leave none for the test split"):
        pairs.patches(torch.arange(1), "test")


@pytest.mark.parametrize("notes", [(880.0, 110.0, 0.1, 0.2), (0.0, 10.0, 0.1, 0.2), (110.0, 220.0, 0.3, 0.1)])
def test_impossible_notes_are_refused(notes: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="takes an ascending range"):
        NoteRange(*notes)


def test_a_balanced_pass_over_a_data_set_hears_every_class_of_the_knob_equally_often(tmp_path: Path) -> None:
    made = tmp_path / "set"
    make_dataset(made, SetOptions(synth="two-sine", size=120, seconds=0.01))
    data = RenderedSet.open(made)
    pairs = FileSource(data, seed=0, balance="f1")
    size = len(data.split("train"))
    classes = pairs.pairs(torch.arange(size), "train").classes[:, data.columns.knobs.index("f1")]
    counts = torch.bincount(classes, minlength=3)
    assert int(counts.max() - counts.min()) <= 1
    with pytest.raises(ConfigError, match="no knob 'f3' is searched"):
        FileSource(data, seed=0, balance="f3")
