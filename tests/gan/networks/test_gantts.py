"""GAN-TTS: lengths through its blocks, and the windows that its critics hear."""

import pytest
import torch
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import CriticConfig, Form, GeneratorConfig
from retimbre.gan.networks.gantts import GanTtsCriticConfig, GanTtsGeneratorConfig
from retimbre.gan.networks.gantts_blocks import DBlock, GBlock, Lengthen
from retimbre.training.devices import restart_random
from retimbre.training.share import share_of, share_of_batch

SMALL = GanTtsCriticConfig(places=24, folds=(1, 2, 4), channels=(4, 6), factors=(1, 3))
FORM = Form((1, 400), {}, 8)


def num_parameters(config: GeneratorConfig | CriticConfig, form: Form) -> int:
    """Counted on the device that keeps no numbers, which takes no time."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in config.build(form).parameters())


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_a_layer_makes_time_longer_by_exactly_its_factor_and_an_impulse_stays_in_its_place(
    factor: int,
) -> None:
    layer = Lengthen(1, factor)
    nn.init.ones_(layer.convolution.weight)
    nn.init.zeros_(layer.convolution.bias)
    impulse = torch.zeros(1, 1, 9)
    impulse[..., 4] = 1.0
    longer = layer(impulse)
    assert longer.shape == (1, 1, 9 * factor)
    # The centre of the kernel comes within half a place of the centre of what the place became.
    centre = float(longer[0, 0].nonzero().double().mean())
    assert centre == pytest.approx(4 * factor + (factor - 1) / 2, abs=0.5)


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_g_block_makes_time_longer_by_its_factor_and_a_d_block_shorter(factor: int) -> None:
    hidden = torch.randn(2, 3, 40)
    assert GBlock(3, 5, factor)(hidden).shape == (2, 5, 40 * factor)
    assert DBlock(3, 5, factor)(hidden).shape == (2, 5, 40 // factor)


def test_a_g_block_hears_as_far_as_its_dilations_reach() -> None:
    torch.manual_seed(0)
    block = GBlock(1, 4, 1).double()
    hidden = torch.rand(1, 1, 101, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(block(hidden)[0, :, 50].sum(), hidden)
    reached = slope[0, 0].nonzero().flatten() - 50
    # Dilations 1, 2, 4 and 8 add up to 15 to either side; the transposed kernel of two taps adds one before.
    assert int(reached.min()) >= -16
    assert int(reached.max()) <= 15
    assert int(reached.max() - reached.min()) > 16


def test_the_networks_of_the_paper_s_size_make_and_judge_a_second() -> None:
    form = Form((1, 16_384), {}, 64)
    generator, critic = GanTtsGeneratorConfig().build(form), GanTtsCriticConfig().build(form)
    # Sizes that the documentation states.
    assert num_parameters(GanTtsGeneratorConfig(), form) / 1e6 == pytest.approx(37.91, abs=5e-3)
    assert num_parameters(GanTtsCriticConfig(), form) / 1e6 == pytest.approx(6.72, abs=5e-3)
    with torch.no_grad():
        made = generator(torch.randn(1, 64), {})
        assert made.shape == (1, 1, 16_384)
        assert bool((made.abs() <= 1.0).all())
        assert critic(made, {}).score.shape == (1,)


def test_the_paper_s_own_factors_make_120_samples_of_a_place() -> None:
    config = GanTtsGeneratorConfig(channels=(8, 8, 4, 4, 4, 2, 2), factors=(1, 1, 2, 2, 2, 3, 5))
    assert config.build(Form((1, 1_200), {}, 8))(torch.randn(2, 8), {}).shape == (2, 1, 1_200)


def windows_heard(critic: nn.Module, clip: Tensor) -> Tensor:
    """Samples whose change would change the score."""
    clip = clip.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(clip, {}).score.sum(), clip)
    return slope[:, 0] != 0


def test_a_critic_in_training_hears_one_window_of_each_length_somewhere_and_in_use_the_whole_clip() -> None:
    torch.manual_seed(0)
    critic = GanTtsCriticConfig(places=24, folds=(2,), channels=(8, 8), factors=(1, 3)).build(FORM)
    clip = torch.rand(30, 1, 400)
    heard = windows_heard(critic, clip)
    first, last = heard.double().argmax(dim=1), 399 - heard.flip(1).double().argmax(dim=1)
    assert int((last - first).max()) < 48
    assert len(set(first.tolist())) > 15  # of 353 places, 30 draws seldom meet
    assert (
        float(windows_heard(critic.eval(), clip).double().mean()) > 0.95
    )  # but for samples behind a dead rectifier


def test_the_score_of_a_clip_is_the_mean_over_the_critics() -> None:
    torch.manual_seed(0)
    critic = SMALL.build(FORM).eval()
    clip = torch.randn(3, 1, 400)
    with torch.no_grad():
        scores = torch.stack([one(clip, {}).score for one in critic.critics])  # pyright: ignore
        # Float32 rounding.
        torch.testing.assert_close(critic(clip, {}).score, scores.mean(dim=0), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_the_windows_of_the_shares_are_the_windows_of_the_batch(num_ranks: int) -> None:
    torch.manual_seed(0)
    critic = SMALL.build(FORM)
    clips = torch.randn(7, 1, 400)

    def scores(rank: int, ranks: int) -> Tensor:
        restart_random(3, "update", 1)
        share = share_of(len(clips), rank, ranks)
        with share_of_batch(share), torch.no_grad():
            return critic(clips[share.rows], {}).score

    parts = torch.cat([scores(rank, num_ranks) for rank in range(num_ranks)])
    torch.testing.assert_close(parts, scores(0, 1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GanTtsGeneratorConfig().build(Form((1, 16_001), {}, 64)),
            "multiple of 128 samples, .* 16000",
        ),
        (lambda: GanTtsGeneratorConfig(channels=(4,)), "channels has 1 and factors 7 entries"),
        (
            lambda: GanTtsGeneratorConfig(channels=(4,), factors=(0,)),
            r"factors is \[0\], but takes 1 or more each",
        ),
        (
            lambda: GanTtsCriticConfig().build(Form((1, 1_024), {})),
            "windows of 3600 samples .* but clips have 1024",
        ),
        (lambda: GanTtsCriticConfig(folds=()), "folds is empty"),
        (lambda: GanTtsCriticConfig(places=10), "places is 10, but takes 15 or more"),
        (lambda: GanTtsCriticConfig(windows=0), "windows is 0, but takes 1 or more"),
        (lambda: GanTtsCriticConfig().build(Form((1, 64, 64), {})), "channels and time"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
