"""How far a sound is from the training sounds."""

import pytest
import torch
from scipy.spatial import KDTree
from sets_of_vectors import gaussian, in_windows, normal

from retimbre.core.errors import ConfigError
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.neighbours import nearest_distance


def test_it_is_the_distance_that_scipys_tree_finds() -> None:
    judged, training = normal(300, 5), normal(1300, 5, 1)
    expected = torch.from_numpy(KDTree(training.values.numpy()).query(judged.values.numpy())[0])
    torch.testing.assert_close(nearest_distance(judged, training), expected, rtol=1e-6, atol=0)


def test_a_copy_of_a_training_sound_is_at_no_distance_however_far_from_zero() -> None:
    training = Vectors.of(1e5 + gaussian(40, 7))
    copies = Vectors.of(training.values[[3, 31]])
    assert nearest_distance(copies, training).tolist() == [0.0, 0.0]


def test_windows_of_a_clip_are_averaged() -> None:
    training = Vectors.of(torch.zeros(2, 2, dtype=torch.float64))
    judged = Vectors(
        torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 9.0]], dtype=torch.float64), torch.tensor([0, 0, 1])
    )
    assert nearest_distance(judged, training).tolist() == [3.0, 9.0]


def test_vectors_of_other_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="the training set has 4 numbers per vector, the set judged 3"):
        nearest_distance(in_windows(3, 2, 3), normal(5, 4))
