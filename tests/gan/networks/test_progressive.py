"""Progressive networks: their published sizes, every option, and scales that come without a jump in both networks."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator, Stage
from retimbre.gan.networks.progressive import ProgressiveCriticConfig, ProgressiveGeneratorConfig
from retimbre.gan.networks.pyramid import Factors
from retimbre.training.ema import ExponentialMovingAverage

PITCHES = {"pitch": tuple(str(pitch) for pitch in range(44, 71))}
DEPTHS = (8, 6, 4)
FACTORS: Factors = ((4, 4), (2, 3), (1, 1))
SHAPES = {"picture": (2, 17, 10), "waveform": (1, 37)}
# Sizes at the three scales: rounded up.
SIZES = {"picture": [(5, 3), (9, 4), (17, 10)], "waveform": [(10,), (13,), (37,)]}


def generator(shape: tuple[int, ...] = SHAPES["picture"], **settings: Any) -> Generator:
    torch.manual_seed(0)
    config = ProgressiveGeneratorConfig(depths=DEPTHS, factors=FACTORS, **settings)
    return config.build(Form(shape, {"family": ("brass", "string")}, 5))


def critic(shape: tuple[int, ...] = SHAPES["picture"], **settings: Any) -> Critic:
    torch.manual_seed(1)
    config = ProgressiveCriticConfig(depths=DEPTHS, factors=FACTORS, **settings)
    return config.build(Form(shape, {"family": ("brass", "string"), "pitch": ("60", "61", "62")}))


def latent(count: int = 4) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(2))


LABELS = {"family": torch.tensor([0, 1, 0, 1]), "pitch": torch.tensor([0, 1, 2, 0])}


def weights_in(network: torch.nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def test_the_setting_of_the_widely_used_fork_has_its_published_size() -> None:
    form = Form((2, 512, 64), PITCHES, 64)
    assert weights_in(ProgressiveGeneratorConfig(start="gansynth").build(form)) == 2_073_098
    assert weights_in(ProgressiveCriticConfig().build(form)) == 2_536_924


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_sizes_are_rounded_up_and_both_networks_agree_on_them(kind: str) -> None:
    made, judge = generator(SHAPES[kind]), critic(SHAPES[kind])
    full = torch.randn(4, *SHAPES[kind])
    for scale, size in enumerate(SIZES[kind]):
        for fade in (0.0, 0.4, 1.0):
            made.grow(Stage(scale, fade))
            judge.grow(Stage(scale, fade))
            features = made(latent(), LABELS)
            assert features.shape[2:] == size
            assert judge.reduce(full).shape[2:] == size
            assert made.enlarge(features).shape == full.shape
            assert judge(features, LABELS).score.shape == (4,)


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("scale", [1, 2])
def test_a_new_scale_is_not_seen_at_first_in_the_generator(kind: str, scale: int) -> None:
    made = generator(SHAPES[kind])
    made.grow(Stage(scale - 1))
    before = made(latent(), LABELS)
    made.grow(Stage(scale, 1.0))
    new = made(latent(), LABELS)
    repeated = torch.nn.functional.interpolate(before, SIZES[kind][scale], mode="nearest")
    torch.testing.assert_close(new, repeated, atol=1e-6, rtol=1e-5)
    made.grow(Stage(scale, 0.0))
    alone = made(latent(), LABELS)
    assert float((alone - new).abs().max()) > 1e-2
    made.grow(Stage(scale, 0.25))
    mixture = 0.25 * new + 0.75 * alone
    torch.testing.assert_close(made(latent(), LABELS), mixture, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("reduction", ["nearest", "area"])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_new_scale_is_not_seen_at_first_in_the_critic(kind: str, reduction: str, scale: int) -> None:
    judge = critic(SHAPES[kind], reduction=reduction)
    full = torch.randn(4, *SHAPES[kind], generator=torch.Generator().manual_seed(3))
    judge.grow(Stage(scale))
    seen = judge.reduce(full)
    judge.grow(Stage(scale, 1.0))
    fine = seen.clone().requires_grad_()
    new = judge(fine, LABELS).score
    (slope,) = torch.autograd.grad(new.sum(), fine)
    # What the scale before makes of the same features, made smaller by hand; and how it would have them changed.
    judge.grow(Stage(scale - 1))
    by_hand = seen.clone().requires_grad_()
    before = judge(shrunk(by_hand, SIZES[kind][scale - 1], reduction), LABELS).score
    (slope_before,) = torch.autograd.grad(before.sum(), by_hand)
    torch.testing.assert_close(new, before, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(slope, slope_before, atol=1e-6, rtol=1e-5)
    assert float(slope.abs().max()) > 1e-3


def shrunk(features: Tensor, size: tuple[int, ...], reduction: str) -> Tensor:
    if reduction == "nearest":
        for axis, wanted in zip(range(2, features.ndim), size, strict=True):
            places = (torch.arange(wanted) * features.shape[axis] / wanted).floor().long()
            features = features.index_select(axis, places)
        return features
    maps = features if features.ndim == 4 else features.unsqueeze(2)
    high, wide = (1, *size)[-2:]
    return torch.nn.functional.adaptive_avg_pool2d(maps, (high, wide)).view(*features.shape[:2], *size)


def test_real_clips_are_mixed_as_generated_ones_are() -> None:
    judge, full = critic(), torch.randn(2, *SHAPES["picture"])
    judge.grow(Stage(2, 1.0))
    coarse = judge.reduce(full)
    judge.grow(Stage(1))
    before = judge.reduce(full)
    enlarged = torch.nn.functional.interpolate(before, SIZES["picture"][2], mode="nearest")
    torch.testing.assert_close(coarse, enlarged)
    judge.grow(Stage(2, 0.3))
    torch.testing.assert_close(judge.reduce(full), 0.3 * coarse + 0.7 * full)


GENERATOR_TOGGLES: dict[str, dict[str, Any]] = {
    "as published": {},
    "gansynth": {"start": "gansynth"},
    "no pixel norm": {"pixel_norm": False},
    "no pixel norm, gansynth": {"pixel_norm": False, "start": "gansynth"},
    "not equalized": {"equalized": False, "zero_bias": False},
    "other leak": {"leak": 0.02},
    "tanh": {"output": "tanh"},
}
CRITIC_TOGGLES: dict[str, dict[str, Any]] = {
    "as published": {},
    "no deviation": {"minibatch_group": 0},
    "pairs": {"minibatch_group": 2},
    "not equalized": {"equalized": False, "zero_bias": False},
    "projection": {"projection": True},
    "area": {"reduction": "area"},
}


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("toggle", sorted(GENERATOR_TOGGLES))
def test_every_option_of_the_generator_works_and_changes_what_it_makes(toggle: str, kind: str) -> None:
    made = generator(SHAPES[kind], **GENERATOR_TOGGLES[toggle])(latent(), LABELS)
    assert made.isfinite().all()
    if toggle == "tanh":
        assert float(made.abs().max()) <= 1.0
    if toggle != "as published":
        assert not torch.equal(made, generator(SHAPES[kind])(latent(), LABELS))


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("toggle", sorted(CRITIC_TOGGLES))
def test_every_option_of_the_critic_works_and_changes_what_it_says(toggle: str, kind: str) -> None:
    features = torch.randn(4, *SHAPES[kind], generator=torch.Generator().manual_seed(4))
    judge = critic(SHAPES[kind], **CRITIC_TOGGLES[toggle])
    verdict = judge(features, LABELS)
    assert verdict.score.isfinite().all()
    assert {name: logits.shape for name, logits in verdict.classes.items()} == {
        "family": (4, 2),
        "pitch": (4, 3),
    }
    if toggle != "as published":
        assert not torch.equal(verdict.score, critic(SHAPES[kind])(features, LABELS).score)


def test_the_critic_sees_a_generator_that_makes_one_clip_only() -> None:
    # The deviation is the only way in which rows of a batch are compared.
    same = torch.randn(1, *SHAPES["picture"]).expand(4, *SHAPES["picture"])
    others = torch.cat([same[:1], torch.randn(3, *SHAPES["picture"])])
    for group, is_seen in ((4, True), (0, False)):
        judge = critic(minibatch_group=group)
        difference = float((judge(same, LABELS).score[0] - judge(others, LABELS).score[0]).abs())
        # Without it, float32 sums in the same order for the row of interest.
        assert (difference > 1e-3) is is_seen


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_scales_that_are_not_in_use_get_no_gradient(scale: int) -> None:
    made = generator()
    made.grow(Stage(scale))
    made(latent(), LABELS).square().mean().backward()
    used = {name for name, weights in made.named_parameters() if weights.grad is not None}
    for other in range(3):
        assert any(name.startswith(f"scales.{other}.") for name in used) is (other <= scale)
        assert any(name.startswith(f"to_features.{other}.") for name in used) is (other == scale)


def test_averages_and_optimizers_go_on_when_networks_grow() -> None:
    # System C's average began anew with each scale, so that it was the raw network.
    made = generator()
    average = ExponentialMovingAverage(made, decay=0.9)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    made.grow(Stage(0))
    kept: set[str] = set()
    for step in range(8):
        if step == 4:
            made.grow(Stage(1, 0.5))
            kept = set(average.state_dict()["averages"])
        optimizer.zero_grad()
        made(latent(), LABELS).square().mean().backward()
        optimizer.step()
        average.update()
    averages = average.state_dict()["averages"]
    assert averages.keys() == kept
    raw = made.state_dict()["scales.0.layers.0.weight"]
    assert not torch.equal(averages["scales.0.layers.0.weight"], raw)
    state = optimizer.state[made.get_parameter("scales.0.layers.0.weight")]
    assert int(state["step"]) == 8
    assert int(optimizer.state[made.get_parameter("scales.1.layers.0.weight")]["step"]) == 4


def test_features_of_another_scale_and_stages_beyond_the_last_are_refused() -> None:
    judge = critic()
    judge.grow(Stage(1))
    with pytest.raises(ConfigError, match=r"a critic at scale 1 takes \(9, 4\) cells, not \(17, 10\)"):
        judge(torch.zeros(4, *SHAPES["picture"]), LABELS)
    for network in (judge, generator()):
        with pytest.raises(ConfigError, match="scales 0 to 2 cannot grow to scale 3"):
            network.grow(Stage(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": (4, 4)}, "depths has 2 scales and factors 5"),
        ({"depths": (4,) * 4 + (0,)}, r"depths is \[4, 4, 4, 4, 0\]"),
        ({"factors": ((2, 2),) * 5}, r"the last of factors is \[2, 2\]; takes \[1, 1\]"),
        ({"factors": ((2, 2), (4, 2), (2, 2), (2, 2), (1, 1))}, r"\[2, 2\] before \[4, 2\]"),
        ({"leak": 1.5}, "leak is 1.5"),
    ],
)
def test_settings_that_make_no_pyramid_are_refused(settings: dict[str, Any], message: str) -> None:
    for config in (ProgressiveGeneratorConfig(), ProgressiveCriticConfig()):
        with pytest.raises(ConfigError, match=message):
            dataclasses.replace(config, **settings).build(Form((2, 16, 16), {}, 3))
