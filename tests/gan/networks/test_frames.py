"""Laws of the networks over frames, apart from those of every entry of the catalog."""

from typing import Any

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.frame_backbone import FrameSize, HalvingBlock, TimeFilter
from retimbre.gan.networks.frames import (
    FramesCritic,
    FramesCriticConfig,
    FramesGenerator,
    FramesGeneratorConfig,
)

SMALL: dict[str, Any] = {"width": 8, "depth": 2, "kernel": 3}
CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "string")}
LABELS = {"pitch": torch.tensor([0, 2]), "family": torch.tensor([1, 0])}


def generator(**settings: Any) -> FramesGenerator:
    torch.manual_seed(0)
    built = FramesGeneratorConfig(**SMALL | settings).build(Form((2, 9, 8), CLASSES, 4))
    assert isinstance(built, FramesGenerator)
    return built.eval()


def critic(num_frames: int, **settings: Any) -> FramesCritic:
    torch.manual_seed(0)
    built = FramesCriticConfig(**SMALL | settings).build(Form((2, 9, num_frames), CLASSES))
    assert isinstance(built, FramesCritic)
    return built.eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_a_template_is_added_to_every_frame_of_its_pitch_and_to_no_other() -> None:
    made = generator()
    assert made.template is not None
    latent = noise(2, 4)
    with torch.no_grad():
        before = made(latent, LABELS)
        made.template.weight[2] += noise(18)
        change = made(latent, LABELS) - before
    # A sum of numbers of size 1 in float32.
    torch.testing.assert_close(change[0], torch.zeros(2, 9, 8), atol=0.0, rtol=0.0)
    torch.testing.assert_close(change[1], noise(18).view(2, 9, 1).expand(2, 9, 8), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("classes", [{}, {"family": CLASSES["family"]}])
def test_without_a_pitch_there_is_no_template(classes: dict[str, tuple[str, ...]]) -> None:
    built = FramesGeneratorConfig(width=8, depth=1).build(Form((2, 9, 8), classes, 4))
    assert isinstance(built, FramesGenerator)
    assert built.template is None
    assert generator(template=False).template is None


def test_a_frame_hears_as_far_as_the_filters_of_all_blocks_reach() -> None:
    made = generator()
    frames = noise(1, 8, 8)
    told = torch.zeros(1, 8)

    def blocks(values: Tensor) -> Tensor:
        for block in made.backbone.blocks:
            values = block(values, told)
        return values

    changed = frames.clone()
    changed[:, 3] += 1.0
    with torch.no_grad():
        moved = (blocks(changed) - blocks(frames)).abs().amax(dim=(0, 2))
    # Two blocks with filters of three frames: two frames to either side.
    assert bool((moved[1:6] > 0).all())
    assert bool((moved[[0, 6, 7]] == 0).all())


def test_a_time_filter_is_a_correlation_along_time_with_silence_around() -> None:
    torch.manual_seed(0)
    layer, frames = TimeFilter(3, 5), noise(2, 7, 3)
    padded = torch.nn.functional.pad(frames, (0, 0, 2, 2))
    expected = sum(padded[:, shift : shift + 7] * layer.weight[:, 0, 0, shift] for shift in range(5))
    # Five products of numbers of size 1 in float32.
    torch.testing.assert_close(layer(frames), expected + layer.bias, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("num_frames", "expected"), [(8, 4), (7, 4), (2, 1), (1, 1)])
def test_a_critics_block_halves_the_frames_and_loses_none(num_frames: int, expected: int) -> None:
    torch.manual_seed(0)
    block, frames = HalvingBlock(FrameSize(4, 1, 2, 3)), noise(2, num_frames, 4).requires_grad_()
    halved = block(frames)
    assert halved.shape == (2, expected, 4)
    (slope,) = torch.autograd.grad(halved.square().sum(), frames)
    assert bool((slope.abs().amax(dim=2) > 0).all())


@pytest.mark.parametrize("frames_at_once", [1, 3, 4, 11])
def test_a_critic_that_joins_frames_hears_all_of_them(frames_at_once: int) -> None:
    judge, features = critic(11, frames_at_once=frames_at_once), noise(2, 2, 9, 11).requires_grad_()
    (slope,) = torch.autograd.grad(judge(features, LABELS).score.sum(), features)
    assert bool((slope.abs().amax(dim=(1, 2)) > 0).all())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"width": 0}, "width"),
        ({"kernel": 4}, "kernel"),
        ({"depth": 0}, "depth"),
        ({"expansion": -1}, "expansion"),
    ],
)
def test_a_size_that_cannot_be_is_refused_by_its_name(settings: dict[str, Any], named: str) -> None:
    for config in (FramesGeneratorConfig, FramesCriticConfig):
        with pytest.raises(ConfigError, match=named):
            config(**settings)


def test_joining_no_frames_is_refused() -> None:
    with pytest.raises(ConfigError, match="frames_at_once"):
        FramesCriticConfig(frames_at_once=0)


def test_samples_are_refused_since_they_have_no_bins() -> None:
    with pytest.raises(ConfigError, match="bins"):
        FramesGeneratorConfig().build(Form((1, 100), CLASSES, 4))
    with pytest.raises(ConfigError, match="bins"):
        FramesCriticConfig().build(Form((1, 100), CLASSES))
