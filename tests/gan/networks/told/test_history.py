"""GANs that go on from what was heard."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator
from retimbre.gan.networks.catalog import CRITICS, GENERATORS
from retimbre.gan.networks.sizes import SIZES
from retimbre.gan.networks.told.history import HistorySpecGeneratorConfig, HistoryWaveGeneratorConfig


def num_weights(network: Generator | Critic) -> float:
    return sum(weights.numel() for weights in network.parameters()) / 1e6


@pytest.mark.parametrize(
    ("kind", "millions"), [("history-wave", (41.24, 25.09)), ("history-spec", (32.05, 25.12))]
)
def test_the_networks_have_the_numbers_of_weights_of_the_study(
    kind: str, millions: tuple[float, float]
) -> None:
    # Stated in millions with two decimals.
    with torch.device("meta"):
        networks = [catalog[kind]().build(SIZES[kind].form) for catalog in (GENERATORS, CRITICS)]
    for network, stated in zip(networks, millions, strict=True):
        assert num_weights(network) == pytest.approx(stated, abs=0.005)


@pytest.mark.parametrize("frames", [16, 32, 64, 128])
def test_a_generator_of_spectrograms_takes_any_share_of_a_chunk_as_history(frames: int) -> None:
    form = Form((2, 256, 128), {}, 4, {"history": (2, 256, frames)})
    with torch.device("meta"):
        network = HistorySpecGeneratorConfig(channels=2).build(form)
        made = network(torch.zeros(1, 4), {"history": torch.zeros(1, 2, 256, frames)})
    assert made.shape == (1, 2, 256, 128)
    assert num_weights(network) == num_weights(network_for(64))


def network_for(frames: int) -> Generator:
    with torch.device("meta"):
        form = Form((2, 256, 128), {}, 4, {"history": (2, 256, frames)})
        return HistorySpecGeneratorConfig(channels=2).build(form)


@pytest.mark.parametrize("kind", ["history-wave", "history-spec"])
def test_what_was_heard_is_heard_and_argued_about(kind: str) -> None:
    shape, history = {
        "history-wave": ((1, 256), (1, 128)),
        "history-spec": ((1, 32, 16), (1, 32, 8)),
    }[kind]
    form = Form(shape, {}, 4, {"history": history})
    torch.manual_seed(0)
    generator, critic = (catalog[kind](channels=4).build(form) for catalog in (GENERATORS, CRITICS))
    told, other = ({"history": torch.randn(2, *history)} for _ in range(2))
    latent, clip = torch.randn(2, 4), torch.randn(2, *shape)
    assert (generator(latent, told) - generator(latent, other)).abs().max() > 1e-4
    assert (critic(clip, told).score - critic(clip, other).score).abs().min() > 1e-6


def test_the_latent_comes_first_and_the_history_by_its_name() -> None:
    # The study's babble scripts gave the two in the other order, which nothing noticed: both were arrays.
    form = Form((1, 256), {}, 4, {"history": (1, 128)})
    network = HistoryWaveGeneratorConfig(channels=2).build(form)
    assert network(torch.zeros(3, 4), {"history": torch.zeros(3, 1, 128)}).shape == (3, 1, 256)
    with pytest.raises((TypeError, AttributeError, IndexError)):
        network({"history": torch.zeros(3, 1, 128)}, torch.zeros(3, 4))  # pyright: ignore[reportArgumentType]


def test_a_history_that_does_not_fit_is_refused_by_what_it_is() -> None:
    build = HistoryWaveGeneratorConfig(channels=2).build
    with pytest.raises(ConfigError, match=r"is told nothing; takes .*history = 8192"):
        build(Form((1, 256), {}, 4))
    with pytest.raises(ConfigError, match="100 samples is not brought to 16 places; takes one of 16, 32"):
        build(Form((1, 256), {}, 4, {"history": (1, 100)}))
    with pytest.raises(ConfigError, match=r"history of shape \[2, 128\].*differs in its length alone"):
        build(Form((1, 256), {}, 4, {"history": (2, 128)}))
