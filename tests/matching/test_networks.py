"""Laws of every network in the catalog, and the parameter counts that the InverSynth paper states."""

import itertools

import pytest
import torch
from torch import nn

from retimbre.core.errors import ConfigError
from retimbre.matching.networks.catalog import (
    ALIASES,
    MODELS,
    PAPER_OUTPUTS,
    PAPER_SAMPLES,
    canonical_name,
    num_trainable,
)
from retimbre.matching.networks.dense import DENSE_LAYERS
from retimbre.matching.networks.layers import NOTE_FEATURES
from retimbre.matching.networks.paper import WaveNetwork
from retimbre.representation.catalog import representation

NAMES = sorted(MODELS)

# Section 4 of the paper, in millions: "1.2M", "2.3M" and "1.9M"; three digits by its table of layers padded 'same'.
PAPER_MILLIONS = {
    "Conv1": 1.175,
    "Conv2": 1.157,
    "Conv3": 1.156,
    "Conv4": 1.155,
    "Conv5": 1.155,
    "Conv6": 1.155,
    "Conv6XL": 2.280,
    "E2E": 1.917,
}

# By section V's sizes of layers over 1,000 features; the paper states 1.2 million.
PAPER_BASELINES = {
    "FCLinear": 1_190_029,
    "FC1": 1_188_660,
    "FC2": 1_189_115,
    "FC3": 1_189_028,
    "HC": 1_190_029,
    "HC3": 1_189_028,
}

# One affine map each, by the paper's design.
LINEAR = {name for name, config in DENSE_LAYERS.items() if config.linear}


def features(name: str, count: int, num_samples: int = PAPER_SAMPLES) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    if MODELS[name].takes_vectors:
        return torch.randn(count, 1000, generator=source)
    audio = 0.1 * torch.randn(count, num_samples, generator=source)
    return representation(MODELS[name].representation, PAPER_SAMPLES).encode(audio)


def network(name: str, num_outputs: int = 20, num_samples: int = PAPER_SAMPLES) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name].build(features(name, 1, num_samples), num_outputs).eval()


@pytest.mark.parametrize("name", sorted(PAPER_MILLIONS))
def test_the_trainable_parameters_are_as_many_as_the_paper_states(name: str) -> None:
    assert MODELS[name].num_parameters() / 1e6 == pytest.approx(PAPER_MILLIONS[name], abs=5e-4)


@pytest.mark.parametrize("name", sorted(PAPER_BASELINES))
def test_a_baseline_has_as_many_parameters_as_the_convolutions_it_is_compared_with(name: str) -> None:
    assert MODELS[name].num_parameters() == PAPER_BASELINES[name]


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_a_linear_baseline_is_one_affine_map(name: str) -> None:
    built, batch, notes = network(name), features(name, 2), torch.zeros(1, NOTE_FEATURES)
    with torch.no_grad():
        middle = built(0.5 * (batch[:1] + batch[1:]), notes)
        average = 0.5 * (built(batch[:1], notes) + built(batch[1:], notes))
    torch.testing.assert_close(middle, average, atol=1e-5, rtol=1e-5)  # float32 rounding


@pytest.mark.parametrize("name", sorted(DENSE_LAYERS))
def test_units_are_dropped_in_training_only(name: str) -> None:
    built, batch, notes = network(name), features(name, 1), torch.zeros(1, NOTE_FEATURES)
    with torch.no_grad():
        assert torch.equal(built(batch, notes), built(batch, notes))
        built.train()
        assert not torch.equal(built(batch, notes), built(batch, notes))


def test_the_residual_network_fits_into_ten_megabytes_at_16_bits() -> None:
    for seconds in (1, 2, 4):
        built = MODELS["ResMel"].build(features("ResMel", 1, seconds * PAPER_SAMPLES), PAPER_OUTPUTS)
        assert 2 * num_trainable(built) < 10e6


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_clip_does_not_depend_on_its_batch(name: str) -> None:
    built, batch, notes = network(name), features(name, 3), torch.randn(3, NOTE_FEATURES)
    with torch.no_grad():
        together, alone = built(batch, notes), built(batch[1:2], notes[1:2])
    # Matrix products of another size sum in another order: float32 rounding.
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_learns_from_one_batch(name: str) -> None:
    built, batch, notes = network(name), features(name, 2), torch.randn(2, NOTE_FEATURES)
    for _ in range(2):  # blocks that begin as nothing pass a gradient on from the second step
        built.zero_grad()
        built(batch, notes).square().sum().backward()
        with torch.no_grad():
            for weights in built.parameters():
                weights -= 1e-3 * weights.grad / (weights.grad.norm() + 1e-6)
    without = [key for key, weights in built.named_parameters() if not weights.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LINEAR])
def test_a_network_is_not_one_affine_map(name: str) -> None:
    built, batch, notes = network(name), features(name, 2), torch.zeros(1, NOTE_FEATURES)
    first, second = batch[:1], batch[1:]
    with torch.no_grad():
        middle = built(0.5 * (first + second), notes)
        average = 0.5 * (built(first, notes) + built(second, notes))
    # An affine map takes the middle of two clips to the middle of their outputs, up to rounding.
    assert float((middle - average).abs().max()) > 1e-3 * float(average.abs().max())


@pytest.mark.parametrize("name", sorted(PAPER_MILLIONS))
def test_every_convolution_of_the_paper_is_followed_by_a_relu(name: str) -> None:
    for part in network(name).modules():
        if isinstance(part, nn.Sequential):
            kinds = [type(module) for module in part]
            for kind, after in itertools.pairwise(kinds):
                assert not issubclass(kind, nn.Conv1d | nn.Conv2d) or after is nn.ReLU


def test_the_end_to_end_network_learns_a_map_of_64_frames_and_257_bins() -> None:
    built = network("E2E")
    assert isinstance(built, WaveNetwork)
    assert built.learned_map(features("E2E", 1)).shape == (1, 1, 64, 257)


def test_the_end_to_end_network_is_blind_to_level() -> None:
    built, batch, notes = network("E2E"), features("E2E", 1), torch.zeros(1, NOTE_FEATURES)
    with torch.no_grad():
        torch.testing.assert_close(built(batch, notes), built(0.01 * batch, notes), atol=1e-4, rtol=1e-4)


def test_the_residual_network_hears_the_note() -> None:
    built, batch = network("ResMel"), features("ResMel", 1)
    with torch.no_grad():
        change = built(batch, torch.zeros(1, 2)) - built(batch, torch.ones(1, 2))
    assert float(change.abs().max()) > 1e-3


@pytest.mark.parametrize(("alias", "name"), [*ALIASES.items(), *((name, name) for name in MODELS)])
def test_names_and_aliases_lead_to_their_network_in_any_case(alias: str, name: str) -> None:
    assert {canonical_name(spelling) for spelling in (alias, alias.lower(), alias.upper())} == {name}


def test_an_unknown_network_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'Conv6XL'"):
        canonical_name("Conv6XXL")
