"""The residual networks: what they begin as, the sizes they take, and what labels do."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.residual import (
    ResidualCritic,
    ResidualCriticConfig,
    ResidualGenerator,
    ResidualGeneratorConfig,
)
from retimbre.gan.penalties import gradient_square

CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "string")}
LABELS = {"pitch": torch.tensor([0, 1, 2, 1]), "family": torch.tensor([0, 1, 1, 0])}


def generator(shape: tuple[int, ...] = (2, 16, 8), template: tuple[str, ...] = ()) -> ResidualGenerator:
    torch.manual_seed(0)
    config = ResidualGeneratorConfig(channels=(16, 8), group=4, embedding=4, template=template)
    built = config.build(Form(shape, CLASSES, 8))
    assert isinstance(built, ResidualGenerator)
    return built


def critic(shape: tuple[int, ...] = (2, 16, 8), template: tuple[str, ...] = ()) -> ResidualCritic:
    torch.manual_seed(0)
    built = ResidualCriticConfig(channels=(8, 16), group=4, template=template).build(Form(shape, CLASSES))
    assert isinstance(built, ResidualCritic)
    return built


def woken(network: torch.nn.Module) -> None:
    """Gives the last layers of blocks, which begin at zero, weights as after some training."""
    for name, weights in network.named_parameters():
        if name.endswith("narrow.weight"):
            torch.nn.init.normal_(weights, std=0.1)


def test_every_block_begins_by_changing_nothing() -> None:
    maps = torch.randn(2, 8, 5, 3)
    (block,) = critic().scales[0].children().__next__().children()
    torch.testing.assert_close(block(maps), maps, rtol=0, atol=0)
    woken(block)
    assert not torch.allclose(block(maps), maps)


@pytest.mark.parametrize(
    ("shape", "scales", "patch", "grids"),
    [
        # An axis is halved while it keeps four cells, so a tall spectrogram has a tall start grid.
        ((2, 512, 64), 5, 1, [(512, 64), (256, 32), (128, 16), (64, 8), (32, 4)]),
        ((2, 512, 64), 4, 2, [(256, 32), (128, 16), (64, 8), (32, 4)]),
        ((2, 64, 32), 4, 2, [(32, 16), (16, 8), (8, 4), (4, 4)]),
        # Odd sizes are halved up.
        ((1, 65, 33), 3, 2, [(33, 17), (17, 9), (9, 5)]),
    ],
)
def test_grids_follow_the_shape_of_the_features(
    shape: tuple[int, int, int], scales: int, patch: int, grids: list[tuple[int, int]]
) -> None:
    channels = (4,) * scales
    down = ResidualCriticConfig(channels=channels, group=4, patch=patch).build(Form(shape, {}))
    up = ResidualGeneratorConfig(channels=channels, group=4, patch=patch).build(Form(shape, {}, 3))
    assert isinstance(down, ResidualCritic)
    assert isinstance(up, ResidualGenerator)
    assert down.sizes == grids
    assert up.sizes == grids[::-1]
    with torch.no_grad():
        made = up(torch.randn(2, 3), {})
        assert made.shape == (2, *shape)
        assert down(made, {}).score.shape == (2,)


@pytest.mark.parametrize("shape", [(2, 16, 8), (2, 17, 7), (1, 5, 9)])
def test_a_critic_minds_every_cell(shape: tuple[int, int, int]) -> None:
    judge = critic(shape)
    woken(judge)
    features = torch.randn(4, *shape, requires_grad=True)
    judge(features, LABELS).score.sum().backward()
    assert isinstance(features.grad, Tensor)
    assert bool((features.grad.abs().amax(dim=0) > 0).all())


def test_labels_enter_the_score_as_a_sum_over_attributes() -> None:
    judge = critic()
    woken(judge)
    features = torch.randn(1, 2, 16, 8)

    def score(pitch: int, family: int) -> Tensor:
        return judge(features, {"pitch": torch.tensor([pitch]), "family": torch.tensor([family])}).score

    # What another pitch changes is the same for every family; scores are near 1, so 1e-5 is rounding.
    change = score(2, 0) - score(0, 0)
    assert change.abs().item() > 1e-3
    torch.testing.assert_close(score(2, 1) - score(0, 1), change, rtol=0, atol=1e-5)


def test_a_template_is_added_to_every_frame_of_the_clips_of_its_class() -> None:
    made_by = generator(template=("pitch",))
    latent = torch.randn(4, 8)
    with torch.no_grad():
        before = made_by(latent, LABELS)
        plain = generator()(latent, LABELS)
        spectra = made_by.get_parameter("templates.spectra.pitch")
        torch.testing.assert_close(before, plain)  # they begin at zero
        spectra[1, 0, 3] = 0.1
        change = made_by(latent, LABELS) - before
    # Ten times the weight, so that it learns at ten times the pace.
    expected = torch.zeros(4, 2, 16, 8)
    expected[[1, 3], 0, 3] = 1.0
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-6)


def test_a_critic_is_shown_the_template_of_the_claimed_class_alone() -> None:
    judge = critic(template=("pitch",))
    features = torch.randn(4, 2, 16, 8)
    with torch.no_grad():
        before = judge(features, LABELS).score
        judge.get_parameter("templates.spectra.pitch")[1] += 1.0
        changed = (judge(features, LABELS).score - before).abs() > 1e-6
    assert changed.tolist() == [False, True, False, True]


def test_the_slope_of_a_critic_in_bfloat16_is_that_in_float32() -> None:
    judge = critic(template=("pitch",))
    woken(judge)
    features = torch.randn(4, 2, 16, 8)

    def score(shown: Tensor) -> Tensor:
        return judge(shown, LABELS).score.float()

    exact = gradient_square(score, features)
    with torch.autocast("cpu", torch.bfloat16):
        rough = gradient_square(score, features)
    # Eight bits of mantissa: 0.4 % per product, squared and through a dozen layers; less in the mean of four clips.
    torch.testing.assert_close(rough.float().mean(), exact.mean(), rtol=0.1, atol=0)
    rough.sum().backward()
    begin = judge.get_parameter("begin.weight").grad
    assert begin is not None
    assert bool(begin.isfinite().all())
    assert bool(begin.any())


def test_one_scale_is_enough() -> None:
    up = ResidualGeneratorConfig(channels=(8,), group=8, patch=1).build(Form((1, 6, 5), {}, 2))
    down = ResidualCriticConfig(channels=(8,), group=8, patch=1).build(Form((1, 6, 5), {}))
    features = up(torch.randn(3, 2), {})
    assert features.shape == (3, 1, 6, 5)
    assert down(features, {}).score.shape == (3,)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    for config in (ResidualGeneratorConfig, ResidualCriticConfig):
        with pytest.raises(
            ConfigError, match=r"channels, bins and frames, .* not features of shape \[1, 64\]"
        ):
            config().build(Form((1, 64), {}, 8))
        with pytest.raises(ConfigError, match="channels has 24; takes whole multiples of group = 16"):
            config(channels=(32, 24))
        with pytest.raises(ConfigError, match="channels is empty"):
            config(channels=())
        with pytest.raises(ConfigError, match="patch is 0, but takes 1 or more"):
            config(patch=0)
        with pytest.raises(ConfigError, match=r"template has the attribute 'pich'; .*pitch"):
            config(template=("pich",)).build(Form((2, 16, 8), CLASSES, 8))
        with pytest.raises(
            ConfigError, match="template has the attribute 'pitch'; the networks are told none"
        ):
            config(template=("pitch",)).build(Form((2, 16, 8), {}, 8))
