"""The layers of progressive GANs: what each keeps equal, and a deviation that several processes see as one would."""

import math

import pytest
import torch
from several import in_processes
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.networks.equalized import LayerStyle, MinibatchDeviation, PixelNorm, Unfold
from retimbre.training.launch import joined
from retimbre.training.parallel import ALONE
from retimbre.training.share import Share, share_of_batch


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("equalized", [True, False])
@pytest.mark.parametrize("num_in", [8, 512])
def test_layers_begin_by_doubling_the_power_however_many_inputs_they_have(
    num_in: int, equalized: bool
) -> None:
    torch.manual_seed(0)
    style = LayerStyle(equalized=equalized)
    given = noise(1, num_in, seed=1)
    made = style.dense(num_in, 4096)(given / given.square().mean().sqrt()).detach()
    # Power 2 is what a rectifier halves to 1. A mean over 4,096 squares of normals: deviation 2 sqrt(2 / 4096) = 0.044.
    assert float(made.square().mean()) == pytest.approx(2.0, abs=0.2)


def test_equalized_weights_all_begin_at_a_deviation_of_one() -> None:
    torch.manual_seed(0)
    for layer in (LayerStyle().dense(512, 64), LayerStyle().conv(64, 64, (3, 3))):
        assert float(layer.weight.std()) == pytest.approx(1.0, abs=0.02)
        assert float(layer.bias.abs().max()) == 0.0
    plain = LayerStyle(equalized=False).dense(512, 64)
    assert float(plain.weight.std()) == pytest.approx(math.sqrt(2 / 512), rel=0.02)


def test_one_step_of_adam_moves_equalized_outputs_alike_whatever_the_fan_in() -> None:
    moved = []
    for num_in in (16, 1024):
        torch.manual_seed(0)
        layer = LayerStyle().dense(num_in, 1)
        given = torch.ones(1, num_in)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        before = layer(given).detach()
        (-layer(given)).sum().backward()
        optimizer.step()
        moved.append(float(layer(given) - before) / math.sqrt(num_in))
    # Each weight moves by the learning rate; sqrt(2 / n) of n of them is sqrt(2 n). The bias adds 1/sqrt(n) of that.
    assert moved[0] == pytest.approx(moved[1], rel=0.1)


def test_biases_are_scaled_with_the_weights() -> None:
    layer = LayerStyle().dense(50, 1)
    with torch.no_grad():
        layer.bias.fill_(1.0)
    assert float(layer(torch.zeros(1, 50))) == pytest.approx(math.sqrt(2 / 50))
    drawn = LayerStyle(zero_bias=False).dense(50, 400).bias
    assert 0.9 / math.sqrt(50) < float(drawn.abs().max()) <= 1 / math.sqrt(50)


def test_unfolding_a_latent_is_convolving_it_as_one_cell_amid_zeros() -> None:
    torch.manual_seed(0)
    layer = Unfold(5, 3, (4, 2), LayerStyle())
    with torch.no_grad():
        layer.bias.copy_(noise(3))
    latent = noise(2, 5, seed=1)
    padded = nn.functional.pad(latent[:, :, None, None], (1, 1, 3, 3))
    # A convolution meets the kernel from its far end.
    kernel = layer.weight.flip(2, 3) * layer.gain
    wanted = nn.functional.conv2d(padded, kernel, layer.bias * layer.gain)
    assert layer.gain == pytest.approx(math.sqrt(2 / (5 * 4 * 2)))
    torch.testing.assert_close(layer(latent), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 5), (3, 8, 4, 5)])
def test_pixel_norm_gives_every_cell_a_mean_square_of_one(shape: tuple[int, ...]) -> None:
    values = 100.0 * noise(*shape)
    power = PixelNorm()(values).square().mean(dim=1)
    torch.testing.assert_close(power, torch.ones_like(power), atol=1e-5, rtol=0)
    assert torch.equal(PixelNorm(is_on=False)(values), values)
    assert PixelNorm()(torch.zeros(shape)).isfinite().all()


# Minibatch deviation


def test_the_added_channel_is_the_deviation_of_the_group_of_four() -> None:
    maps = noise(8, 3, 4, 5)
    told = MinibatchDeviation(4)(maps)
    assert torch.equal(told[:, :3], maps)
    for first in (0, 4):
        wanted = maps[first : first + 4].double().std(dim=0, correction=0).mean().float()
        torch.testing.assert_close(told[first : first + 4, 3], wanted.expand(4, 4, 5), atol=1e-6, rtol=1e-5)


def test_equal_clips_are_found_out() -> None:
    same = noise(1, 3, 4, 5).expand(4, 3, 4, 5)
    assert float(MinibatchDeviation(4)(same)[:, 3].max()) == pytest.approx(
        1e-4, rel=1e-3
    )  # the root of the floor


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_batch_that_groups_do_not_divide_is_one_group(count: int) -> None:
    maps = noise(count, 2, 3, 3)
    wanted = maps.double().std(dim=0, correction=0).mean().float()
    told = MinibatchDeviation(4)(maps)[:, 2]
    # The root of the floor, where there is no deviation.
    torch.testing.assert_close(told, wanted.expand_as(told), atol=1.001e-4, rtol=0)


def test_parts_of_a_batch_that_hold_whole_groups_are_told_what_the_whole_is() -> None:
    maps = noise(8, 2, 3, 3)
    whole = MinibatchDeviation(4)(maps)
    for world in (None, ALONE):
        with share_of_batch(Share(4, 4, 8), world):
            assert torch.equal(MinibatchDeviation(4)(maps[4:]), whole[4:])


def test_a_part_of_a_batch_that_cuts_a_group_is_refused() -> None:
    with (
        share_of_batch(Share(4, 3, 8)),
        pytest.raises(ConfigError, match="rows 4 to 6 of 8 cut a group of 4"),
    ):
        MinibatchDeviation(4)(noise(3, 2, 3, 3))


def penalized_gradient(first: int, count: int, total: int, world: object) -> tuple[Tensor, list[Tensor]]:
    """Scores, and the gradient of scores and squared slopes over some rows of a batch."""
    torch.manual_seed(0)
    critic = nn.Sequential(
        nn.Conv2d(2, 3, 1), nn.Tanh(), MinibatchDeviation(4), nn.Conv2d(4, 1, 3), nn.Tanh()
    )
    rows = noise(total, 2, 4, 4)[first : first + count].requires_grad_()
    with share_of_batch(Share(first, count, total), world):  # pyright: ignore[reportArgumentType]
        scores = critic(rows).mean(dim=(1, 2, 3))
        (slope,) = torch.autograd.grad(scores.sum(), rows, create_graph=True)
        loss = (scores.sum() + 10.0 * slope.square().sum()) / total
    loss.backward()
    return scores.detach(), [each.grad for each in critic.parameters() if each.grad is not None]


def shared_gradient(total: int) -> tuple[list[float], list[list[float]]]:
    with joined("cpu") as world:
        share = world.share(total)
        scores, gradients = penalized_gradient(share.first, share.count, total, world)
        summed = [world.total(each.flatten()) for each in gradients]
        return scores.tolist(), [each.tolist() for each in summed]


@pytest.mark.parametrize("total", [8, 12, 6])
def test_two_processes_see_the_groups_and_the_penalty_that_one_would(total: int) -> None:
    # 8 rows: a group each. 12: the second group is cut in two. 6: one group over both.
    scores, gradients = penalized_gradient(0, total, total, ALONE)
    outcomes = in_processes(2, shared_gradient, total)
    found = [outcome.value for outcome in outcomes]
    torch.testing.assert_close(torch.tensor(found[0][0] + found[1][0]), scores, atol=1e-6, rtol=1e-5)
    for mine, exact in zip(found[0][1], gradients, strict=True):
        # Sums of float32 numbers in another order.
        torch.testing.assert_close(torch.tensor(mine), exact.flatten(), atol=1e-6, rtol=1e-5)
    assert found[0][1] == found[1][1]
