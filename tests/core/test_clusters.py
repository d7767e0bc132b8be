"""K-means against what it is by definition."""

import torch

from retimbre.core.clusters import first_centres, k_means, nearest


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cloud(count: int, width: int) -> torch.Tensor:
    """Vectors whose variance falls off by half every four dimensions."""
    return torch.randn(count, width, generator=source()) * 2.0 ** (-torch.arange(width) / 8.0)


def test_centres_find_clusters_that_lie_apart() -> None:
    places = 100.0 * torch.randn(7, 3, generator=source(3))
    labels = torch.arange(700) % 7
    vectors = places[labels] + torch.randn(700, 3, generator=source())
    centres = k_means(vectors, 7, source(), num_rounds=5)
    found = nearest(vectors, centres)
    # Each true cluster is one found cluster, and no two are the same.
    assert len({(int(a), int(b)) for a, b in zip(labels, found, strict=True)}) == 7


def test_a_round_of_lloyd_never_moves_vectors_farther_from_their_centres() -> None:
    vectors = cloud(500, 8)
    distortion = []
    for rounds in range(6):
        centres = k_means(vectors, 20, source(), num_rounds=rounds)
        distortion.append(float((vectors - centres[nearest(vectors, centres)]).square().sum()))
    assert distortion == sorted(distortion, reverse=True)
    assert distortion[-1] < 0.9 * distortion[0]


def test_first_centres_are_distinct_vectors_as_long_as_there_are_any() -> None:
    vectors = cloud(30, 4)
    assert len(first_centres(vectors, 30, source()).unique(dim=0)) == 30
    alike = torch.ones(5, 3)
    assert first_centres(alike, 9, source()).shape == (9, 3)


def test_the_nearest_centre_is_the_nearest() -> None:
    vectors, centres = cloud(50, 6), cloud(9, 6)
    assert torch.equal(nearest(vectors, centres), torch.cdist(vectors, centres).argmin(1))
