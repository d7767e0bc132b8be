"""Ways between latents: where to go in the space of timbres from one point to another.

A generator turns a latent into a sound, and latents that lie close together sound alike, so a path between two of them
is heard as one sound becoming the other. Two properties decide how well that works.

*Length.* Latents are drawn from a normal distribution of many dimensions d, and nearly all of them have a length close
to sqrt(d). The straight line between two of them passes through the middle at about 0.7 of it, where the generator has
rarely been during training, and where sounds tend to be average and dull. The *spherical* path turns from the one
direction to the other at an even rate, and lets the length go evenly from the one to the other.

*Closing.* The *sphere* path goes on past the second latent, all the way around the great circle through both, and
comes back to the first: a loop of timbres, most of which neither of the two sounds tells of.

All paths begin exactly at the first latent and touch the second exactly: not to rounding, but bit for bit, so that the
sound at the end of a path is the sound of the latent itself.

References:
    White (2016), Sampling generative networks, https://arxiv.org/abs/1609.04468
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from retimbre.core.errors import ConfigError

PathKind = Literal["linear", "spherical", "sphere"]
Way = Callable[
    [Float[Tensor, " latent"], Float[Tensor, " latent"], Float[Tensor, " steps"]],
    Float[Tensor, "steps latent"],
]

# Below this sine of the angle between two latents there is no plane to turn in; it is far above float32's rounding.
_SMALLEST_SINE = 1e-4


def linear(
    first: Float[Tensor, " latent"], second: Float[Tensor, " latent"], shares: Float[Tensor, " steps"]
) -> Float[Tensor, "steps latent"]:
    """Points on the straight line; a share of 0 is the first latent, 1 the second."""
    share = shares.double()[:, None]
    return _pinned((1.0 - share) * first.double() + share * second.double(), first, second, shares)


def spherical(
    first: Float[Tensor, " latent"], second: Float[Tensor, " latent"], shares: Float[Tensor, " steps"]
) -> Float[Tensor, "steps latent"]:
    """Points on the way that turns evenly from the one direction to the other; shares as for `linear`.

    Latents of one direction are joined by the straight line, which is the same way. Between opposite ones every plane
    is as good as another, and one is chosen that depends on them alone; with one dimension there is none, and the way
    is the straight line, too.
    """
    angle, along, across = _plane(first, second)
    if angle == 0.0 or len(first) == 1:
        return linear(first, second, shares)
    share = shares.double()[:, None]
    length = (1.0 - share) * first.double().norm() + share * second.double().norm()
    turned = _turned(along, across, angle * share[:, 0])
    return _pinned(length * turned, first, second, shares)


def sphere(
    first: Float[Tensor, " latent"], second: Float[Tensor, " latent"], steps: int
) -> Float[Tensor, "steps latent"]:
    """A closed way: from the first latent through the second, on around the great circle, and back to the first.

    The last point is the first one again. The steps are shared out between the two arcs by their lengths, such that
    the second latent is one of the points.

    Raises:
        ConfigError: There are fewer than 3 steps, or a latent is one number, whose sphere is two points.
    """
    if steps < 3:
        raise ConfigError(f"steps is {steps}, but a closed path takes 3 or more")
    if len(first) < 2:
        raise ConfigError("latents of one number lie on no circle; a path between them is linear")
    angle, along, across = _plane(first, second)
    turns = steps - 1
    there = min(max(round(turns * angle / (2.0 * math.pi)), 1), turns - 1)
    back = torch.arange(1, turns - there + 1) / (turns - there)
    outward = spherical(first, second, torch.arange(there + 1) / there)
    angles = angle + (2.0 * math.pi - angle) * back.double()
    length = (1.0 - back.double()) * second.double().norm() + back.double() * first.double().norm()
    homeward = (length[:, None] * _turned(along, across, angles)).to(first.dtype)
    homeward[-1] = first
    return torch.cat([outward, homeward])


def path(
    kind: PathKind, first: Float[Tensor, " latent"], second: Float[Tensor, " latent"], steps: int
) -> Float[Tensor, "steps latent"]:
    """So many points at equal distances on a way between two latents, both included.

    Raises:
        ConfigError: The latents are the same, or there are too few steps.
    """
    if torch.equal(first, second):
        raise ConfigError("the two latents are the same, so there is no path between them")
    if kind == "sphere":
        return sphere(first, second, steps)
    if steps < 2:
        raise ConfigError(f"steps is {steps}, but a path takes 2 or more")
    return WAYS[kind](first, second, torch.linspace(0.0, 1.0, steps))


def grid(
    corners: Float[Tensor, "4 latent"], rows: int, columns: int, way: Way = spherical
) -> Float[Tensor, "rows columns latent"]:
    """A sheet of latents between four corners: top left, top right, bottom left and bottom right.

    Raises:
        ConfigError: There are fewer than two rows or columns.
    """
    if rows < 2 or columns < 2:
        raise ConfigError(f"a grid of {rows} x {columns} has no four corners; takes 2 x 2 or more")
    down, right = torch.linspace(0.0, 1.0, rows), torch.linspace(0.0, 1.0, columns)
    left_edge, right_edge = way(corners[0], corners[2], down), way(corners[1], corners[3], down)
    return torch.stack([way(left, end, right) for left, end in zip(left_edge, right_edge, strict=True)])


def _plane(
    first: Float[Tensor, " latent"], second: Float[Tensor, " latent"]
) -> tuple[float, Float64[Tensor, " latent"], Float64[Tensor, " latent"]]:
    """The angle between two latents, the direction of the first, and the one at right angles to it in their plane."""
    along, other = _direction(first.double()), _direction(second.double())
    rest = other - (other @ along) * along
    cosine, sine = float(other @ along), float(rest.norm())
    if sine >= _SMALLEST_SINE:
        return math.atan2(sine, cosine), along, rest / sine
    # Any plane will do; this one is spanned with the axis that the first latent has least of.
    axis = torch.zeros_like(along)
    axis[along.abs().argmin()] = 1.0
    across = _direction(axis - (axis @ along) * along)
    return (0.0 if cosine > 0.0 else math.pi), along, across


def _direction(vector: Float64[Tensor, " latent"]) -> Float64[Tensor, " latent"]:
    """A vector of length 1; of the zero vector, the first axis."""
    length = float(vector.norm())
    if length > 0.0:
        return vector / length
    axis = torch.zeros_like(vector)
    axis[0] = 1.0
    return axis


def _turned(
    along: Float64[Tensor, " latent"], across: Float64[Tensor, " latent"], angles: Float64[Tensor, " steps"]
) -> Float64[Tensor, "steps latent"]:
    return angles.cos()[:, None] * along + angles.sin()[:, None] * across


def _pinned(
    points: Float64[Tensor, "steps latent"],
    first: Float[Tensor, " latent"],
    second: Float[Tensor, " latent"],
    shares: Float[Tensor, " steps"],
) -> Float[Tensor, "steps latent"]:
    """Points in the latents' own precision, with the latents themselves where the shares are 0 and 1."""
    rounded = points.to(first.dtype)
    at_second = torch.where(shares[:, None] == 1.0, second, rounded)
    return torch.where(shares[:, None] == 0.0, first, at_second)


WAYS: dict[str, Way] = {"linear": linear, "spherical": spherical}
