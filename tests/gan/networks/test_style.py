"""A style generator: the latent sets the look, chance the noise, and a latent is one sound when it is in use."""

from typing import Any

import torch
from torch import Tensor

from retimbre.gan.base import Form, Generator, Stage
from retimbre.gan.networks.pyramid import Factors
from retimbre.gan.networks.style import StyleGeneratorConfig
from retimbre.training.share import share_of, share_of_batch

FACTORS: Factors = ((4, 4), (2, 2), (1, 1))


def generator(**settings: Any) -> Generator:
    torch.manual_seed(0)
    config = StyleGeneratorConfig(depths=(8, 6, 4), factors=FACTORS, style_dim=8, **settings)
    made = config.build(Form((2, 16, 8), {"family": ("brass", "string")}, 5))
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if name.endswith("noise.weight"):
                weights.fill_(0.5)
    return made


def latent(count: int = 4) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(2))


LABELS = {"family": torch.tensor([0, 1, 0, 1])}


def test_in_use_a_latent_is_always_the_same_sound() -> None:
    made = generator().eval()
    with torch.no_grad():
        assert torch.equal(made(latent(), LABELS), made(latent(), LABELS))


def test_in_training_equal_latents_differ_by_their_noise_alone() -> None:
    same = latent(1).expand(4, 5)
    labels = {"family": torch.zeros(4, dtype=torch.int64)}
    with torch.no_grad():
        made = generator().train()(same, labels)
        still = generator(noise=False).train()(same, labels)
    assert float((made[0] - made[1]).abs().max()) > 1e-2
    # Without noise, equal rows go through equal sums.
    torch.testing.assert_close(still[0], still[1], atol=1e-5, rtol=1e-5)


def test_noise_does_not_depend_on_how_many_processes_share_the_batch() -> None:
    made = generator().train()

    def part(rank: int, count: int) -> Tensor:
        torch.manual_seed(1)
        share = share_of(4, rank, count)
        with share_of_batch(share), torch.no_grad():
            return made(latent()[share.rows], {"family": LABELS["family"][share.rows]})

    parts = torch.cat([part(rank, 3) for rank in range(3)])
    # Float32 sums in another order for another number of rows.
    torch.testing.assert_close(parts, part(0, 1), atol=1e-5, rtol=1e-4)


def test_it_climbs_the_pyramid_of_the_progressive_generator() -> None:
    made = generator().eval()
    sizes = []
    with torch.no_grad():
        for scale in range(3):
            made.grow(Stage(scale))
            sizes.append(tuple(made(latent(), LABELS).shape[2:]))
        before = made(latent(), LABELS)
        made.grow(Stage(2, 1.0))
        assert sizes == [(4, 2), (8, 4), (16, 8)]
        assert not torch.equal(made(latent(), LABELS), before)


def test_the_style_sets_mean_and_deviation_of_every_channel() -> None:
    # Two clips of one latent with other labels have maps of other means, though they begin with the same maps.
    made = generator(noise=False).eval()
    with torch.no_grad():
        first, second = made(latent(1).expand(2, 5), {"family": torch.tensor([0, 1])})
    assert float((first.mean(dim=(1, 2)) - second.mean(dim=(1, 2))).abs().max()) > 1e-3
