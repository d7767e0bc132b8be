"""Ways between latents: they begin and end where they should, exactly, and go somewhere in between."""

import math

import pytest
import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.workflows.generate.latents import WAYS, grid, linear, path, spherical

KINDS = ["linear", "spherical", "sphere"]


def drawn(count: int, dim: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dim, generator=random.generator(seed, "test latents", count, dim))


def angle(first: torch.Tensor, second: torch.Tensor) -> float:
    return math.acos(float(torch.cosine_similarity(first.double(), second.double(), dim=0).clamp(-1, 1)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [2, 3, 64])
@pytest.mark.parametrize("steps", [3, 10, 31])
def test_a_path_begins_at_the_first_latent_and_meets_the_second_bit_for_bit(kind, dim, steps):
    for seed in range(5):
        first, second = drawn(2, dim, seed)
        points = path(kind, first, second, steps)
        assert points.shape == (steps, dim)
        assert torch.equal(points[0], first)
        if kind == "sphere":
            assert torch.equal(points[-1], first)
            assert any(torch.equal(point, second) for point in points[1:-1])
        else:
            assert torch.equal(points[-1], second)


@pytest.mark.parametrize("kind", KINDS)
def test_no_point_of_a_path_is_met_twice(kind):
    first, second = drawn(2)
    points = path(kind, first, second, 30)
    inner = points[:-1] if kind == "sphere" else points
    distances = torch.cdist(inner.double(), inner.double()) + torch.eye(len(inner))
    # Neighbours on a circle of radius 4 in 30 steps are 0.8 apart; on the line about 0.2.
    assert distances.min() > 0.1


@pytest.mark.parametrize("steps", [5, 24, 101])
def test_the_sphere_path_is_a_great_circle_through_both_gone_around_once(steps):
    first, second = drawn(2)
    points = path("sphere", first, second, steps).double()
    plane = torch.linalg.qr(torch.stack([first, second]).double().T).Q
    assert (points - points @ plane @ plane.T).abs().max() < 1e-5  # float32 rounding of latents of length 4
    turns = [angle(points[i], points[i + 1]) for i in range(steps - 1)]
    assert sum(turns) == pytest.approx(2 * math.pi, abs=1e-3)
    # The two arcs have each their own even step, and differ by the rounding of the number of steps.
    assert max(turns) < 2.5 * min(turns)


def test_the_spherical_path_turns_evenly_and_keeps_its_length():
    first, second = drawn(2, 64)
    second = second * (first.norm() / second.norm())
    points = path("spherical", first, second, 9)
    turns = torch.tensor([angle(points[i], points[i + 1]) for i in range(8)])
    assert (turns - angle(first, second) / 8).abs().max() < 1e-4
    assert (points.norm(dim=1) / first.norm() - 1).abs().max() < 1e-6
    # The straight line between latents at about a right angle cuts the corner: cos 45 degrees is 0.71.
    middle = linear(first, second, torch.tensor([0.5]))[0].norm() / first.norm()
    assert middle == pytest.approx(math.cos(angle(first, second) / 2), abs=1e-6)
    assert middle < 0.85


@pytest.mark.parametrize("opposite", [-1.0, -2.5])
def test_opposite_latents_are_joined_by_a_turn_through_neither_of_them_nor_zero(opposite):
    first = drawn(1)[0]
    points = path("spherical", first, opposite * first, 7)
    assert points.isfinite().all()
    assert points.norm(dim=1).min() > 0.99 * first.norm()
    assert angle(points[3], first) == pytest.approx(math.pi / 2, abs=1e-5)
    assert torch.equal(points, path("spherical", first, opposite * first, 7))


def test_latents_of_one_direction_are_joined_by_the_line():
    first = drawn(1)[0]
    assert torch.allclose(
        path("spherical", first, 2 * first, 5), path("linear", first, 2 * first, 5), atol=1e-6
    )
    zero = torch.zeros(16)
    for kind in ("linear", "spherical"):
        assert path(kind, zero, first, 5).isfinite().all()


def test_a_path_that_goes_nowhere_is_refused():
    first, second = drawn(2)
    with pytest.raises(ConfigError, match="the same, so there is no path"):
        path("linear", first, first.clone(), 5)
    with pytest.raises(ConfigError, match="steps is 1, but a path takes 2"):
        path("spherical", first, second, 1)
    with pytest.raises(ConfigError, match="closed path takes 3"):
        path("sphere", first, second, 2)
    with pytest.raises(ConfigError, match="lie on no circle"):
        path("sphere", torch.tensor([1.0]), torch.tensor([2.0]), 5)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_grid_has_its_latents_at_the_corners_and_paths_along_its_edges(way):
    corners = drawn(4)
    sheet = grid(corners, 3, 5, WAYS[way])
    assert sheet.shape == (3, 5, 16)
    assert torch.equal(sheet[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    assert torch.equal(sheet[0], path(way, corners[0], corners[1], 5))
    assert torch.equal(sheet[:, 0], path(way, corners[0], corners[2], 3))
    assert torch.equal(sheet[:, -1], path(way, corners[1], corners[3], 3))
    flat = sheet.flatten(0, 1)
    assert (torch.cdist(flat, flat) + torch.eye(15)).min() > 0.1


def test_a_share_is_one_point_of_the_whole_path():
    first, second = drawn(2)
    shares = torch.linspace(0, 1, 6)
    together = spherical(first, second, shares)
    for place, share in enumerate(shares):
        assert torch.equal(spherical(first, second, share[None])[0], together[place])
