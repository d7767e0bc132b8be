"""Principal components against what they are by definition."""

import pytest
import torch

from retimbre.listening.fitted import principal_components


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
