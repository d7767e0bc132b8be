import pytest
import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.data.manifest import Fractions
from retimbre.data.splits import SPLITS, balanced, indices_of, split_by_classes, split_by_name

FRACTIONS = Fractions(validation=0.15, test=0.1)


def vectors(count, seed=0, knobs=23):
    return (random.uniform(seed, "vectors", torch.arange(count), knobs) * 16).long()


def test_every_example_is_in_exactly_one_part():
    parts = split_by_classes(vectors(1000), FRACTIONS)
    rows = torch.cat([indices_of(parts, name) for name in SPLITS])
    assert torch.equal(rows.sort().values, torch.arange(1000))


def test_equal_classes_are_in_the_same_part_whatever_set_they_are_in():
    few = vectors(2000, seed=1, knobs=2)
    parts = split_by_classes(few, FRACTIONS)
    again = split_by_classes(few[torch.arange(1999, -1, -1)], FRACTIONS).flip(0)
    assert torch.equal(parts, again)
    held_out = {tuple(row) for row in few[parts > 0].tolist()}
    assert not held_out & {tuple(row) for row in few[parts == 0].tolist()}


def test_each_part_has_its_fraction():
    parts = split_by_classes(vectors(40_000), FRACTIONS)
    shares = parts.bincount() / 40_000
    # Four standard deviations of a share of 0.15 over 40,000 draws are 0.007.
    torch.testing.assert_close(shares, torch.tensor([0.75, 0.15, 0.1]), rtol=0, atol=0.007)


@pytest.mark.parametrize("knob", [0, 11, 22])
def test_the_part_tells_nothing_about_a_knob(knob):
    classes = vectors(40_000)
    test = classes[split_by_classes(classes, FRACTIONS) == 2, knob]
    # 16 classes over 4,000 clips: 250 each, standard deviation 15.
    assert (test.bincount(minlength=16) - len(test) / 16).abs().max() < 75


def test_neighbouring_vectors_are_parted_independently():
    low = torch.zeros(20_000, 2, dtype=torch.int64)
    low[:, 0] = torch.arange(20_000)
    high = low + torch.tensor([0, 1])
    both = (split_by_classes(low, FRACTIONS) == 2) & (split_by_classes(high, FRACTIONS) == 2)
    # 1 % of 20,000 if independent: 200, standard deviation 14.
    assert 130 < int(both.sum()) < 270


def test_recordings_are_parted_within_each_label_to_within_one():
    names = [f"{label}/{index}.wav" for label in "abc" for index in range(37)]
    labels = [name[0] for name in names]
    parts = split_by_name(names, labels, FRACTIONS)
    for label in "abc":
        mine = [part for part, other in zip(parts, labels, strict=True) if other == label]
        assert abs(mine.count("test") - 3.7) <= 1
        assert abs(mine.count("validation") - 5.55) <= 1


def test_recordings_of_one_name_stay_together_and_each_label_has_its_share_to_within_a_name():
    # Twenty players a label, with 5 to 9 recordings each.
    names = [f"{label}{player}" for label in "ab" for player in range(20) for _ in range(5 + player % 5)]
    labels = [name[0] for name in names]
    parts = split_by_name(names, labels, FRACTIONS)
    assert len({*zip(names, parts, strict=True)}) == 40
    for label in "ab":
        mine = [part for part, other in zip(parts, labels, strict=True) if other == label]
        assert abs(mine.count("test") - 0.1 * len(mine)) <= 9 / 2 + 1
        assert abs(mine.count("validation") - 0.15 * len(mine)) <= 9 / 2 + 1


def test_a_name_with_several_labels_is_still_in_one_part():
    names = [f"speaker {speaker}" for speaker in range(30) for _ in range(10)]
    labels = [str(word) for _ in range(30) for word in range(10)]
    parts = split_by_name(names, labels, FRACTIONS)
    assert len({*zip(names, parts, strict=True)}) == 30
    # 10 % and 15 % of 300, to within half a speaker.
    assert (parts.count("test"), parts.count("validation")) == (30, 50)


def test_labels_with_too_few_names_are_parted_together_so_that_something_is_held_out():
    # Ten instruments, one for each family, as in a small corpus of notes.
    names = [f"instrument {number}" for number in range(10) for _ in range(20)]
    labels = [f"family {number}" for number in range(10) for _ in range(20)]
    parts = split_by_name(names, labels, FRACTIONS)
    assert set(parts) == {"train", "validation", "test"}


def test_two_names_of_any_size_leave_something_to_train_on_and_hold_one_out():
    parts = split_by_name(["large"] * 90 + ["small"] * 10, ["x"] * 100, Fractions(0.1, 0.0))
    assert dict(zip(["large"] * 90 + ["small"] * 10, parts, strict=True)) == {
        "large": "train",
        "small": "validation",
    }


def test_the_order_of_files_does_not_change_their_parts():
    names = [f"{index}.wav" for index in range(50)]
    labels = [""] * 50
    forward = dict(zip(names, split_by_name(names, labels, FRACTIONS), strict=True))
    backward = dict(zip(names[::-1], split_by_name(names[::-1], labels, FRACTIONS), strict=True))
    assert forward == backward


@pytest.mark.parametrize("count", [1, 7, 64, 1000])
def test_balanced_sampling_gives_every_class_its_share_to_within_one(count):
    labels = torch.tensor([0] * 500 + [1] * 20 + [3] * 3 + [9])
    counts = labels[balanced(labels, count, seed=0, step=5)].bincount(minlength=10)[[0, 1, 3, 9]]
    assert int(counts.sum()) == count
    assert int(counts.max() - counts.min()) <= 1


def test_balanced_sampling_uses_all_examples_of_a_class_before_it_repeats_one():
    labels = torch.tensor([0] * 10 + [1] * 4)
    chosen = balanced(labels, 16, seed=0, step=0)
    assert sorted(chosen[chosen >= 10].tolist()) == [10, 10, 11, 11, 12, 12, 13, 13]


def test_balanced_samples_are_a_function_of_seed_and_step():
    labels = torch.arange(100) % 4
    assert torch.equal(balanced(labels, 32, seed=1, step=2), balanced(labels, 32, seed=1, step=2))
    assert not torch.equal(balanced(labels, 32, seed=1, step=2), balanced(labels, 32, seed=1, step=3))


def test_impossible_wishes_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'validation'"):
        indices_of(torch.zeros(3, dtype=torch.int64), "validaton")
    with pytest.raises(ConfigError, match="sum is at most 1"):
        Fractions(validation=0.6, test=0.5)
    with pytest.raises(ConfigError, match="no examples"):
        balanced(torch.zeros(0, dtype=torch.int64), 4, seed=0, step=0)
