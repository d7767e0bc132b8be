"""Principal components and k-means against what they are by definition."""

import pytest
import torch

from retimbre.listening.fitted import first_centres, k_means, nearest, principal_components


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cloud(count: int, width: int) -> torch.Tensor:
    """Vectors of mean zero whose variance falls off by half every four dimensions, turned at random."""
    scales = 2.0 ** (-torch.arange(width) / 8.0)
    turned = torch.linalg.qr(torch.randn(width, width, generator=source(1))).Q
    vectors = torch.randn(count, width, generator=source()) * scales @ turned
    return vectors - vectors.mean(0)


@pytest.mark.parametrize(("count", "width", "kept"), [(400, 60, 10), (30, 60, 10), (400, 60, 60)])
def test_components_explain_what_an_exact_decomposition_explains(count: int, width: int, kept: int) -> None:
    vectors = cloud(count, width)
    found = principal_components(vectors, kept, source())
    exact = torch.linalg.svdvals(vectors.double())
    share = float(exact[:kept].square().sum() / exact.square().sum())
    # 16 directions more than wanted and 4 rounds leave less than a thousandth here.
    assert found.explained == pytest.approx(share, rel=1e-3)
    torch.testing.assert_close(found.basis @ found.basis.T, torch.eye(kept), atol=1e-4, rtol=0)
    spread = (vectors @ found.basis.T).std(0, correction=0)
    torch.testing.assert_close(spread, found.deviations, atol=1e-4, rtol=1e-3)


def test_components_past_the_dimensions_of_the_vectors_are_zero() -> None:
    found = principal_components(cloud(6, 40), 20, source())
    assert not found.basis[6:].any()
    assert found.explained == pytest.approx(1.0, abs=1e-5)


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
