from collections import Counter

import pytest

from retimbre.core.errors import ConfigError
from retimbre.corpora.quota import at_most, equal_shares

SIZES = {"a": 40, "b": 25, "c": 31}
CLASSES = {f"{label}-{index}": label for label, count in SIZES.items() for index in range(count)}


@pytest.mark.parametrize("size", [1, 2, 3, 50, 74, 75])
@pytest.mark.parametrize("seed", [0, 7])
def test_shares_are_equal_to_within_one_and_add_up_to_the_size(size, seed):
    # Trap 21: the earlier system's quota was off by one.
    chosen = equal_shares(CLASSES, size, seed=seed)
    counts = Counter(CLASSES[name] for name in chosen)
    shares = [counts[label] for label in SIZES]
    assert sum(shares) == size
    assert max(shares) - min(shares) <= 1


def test_a_class_that_is_too_small_for_its_share_is_named_with_what_would_fit():
    with pytest.raises(ConfigError, match="26 of 'b', but there are 25; the most that is balanced is 75"):
        equal_shares(CLASSES, 78, seed=0)


@pytest.mark.parametrize("choose", [equal_shares, at_most])
def test_the_choice_depends_on_seed_and_names_alone(choose):
    backward = dict(reversed(CLASSES.items()))
    assert choose(CLASSES, 12, seed=1) == choose(backward, 12, seed=1)
    assert choose(CLASSES, 12, seed=1) != choose(CLASSES, 12, seed=2)


def test_a_larger_part_contains_the_smaller_one():
    assert equal_shares(CLASSES, 30, seed=3) < equal_shares(CLASSES, 60, seed=3)
    assert at_most(CLASSES, 10, seed=3) < at_most(CLASSES, 20, seed=3)


def test_a_cap_takes_all_of_a_smaller_class_and_exactly_the_cap_of_a_larger_one():
    chosen = at_most(CLASSES, 30, seed=0)
    assert Counter(CLASSES[name] for name in chosen) == {"a": 30, "b": 25, "c": 30}
