"""WaveGAN: its size as published, the lengths that it takes, and what its options do."""

import pytest
import torch
from torch import nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import CriticConfig, Form, GeneratorConfig
from retimbre.gan.networks.wavegan import (
    WaveGanCriticConfig,
    WaveGanGenerator,
    WaveGanGeneratorConfig,
    depth_of,
)

FULL = Form((1, 16_384), {}, 64)
NOTES = {"pitch": tuple(str(pitch) for pitch in range(24, 85))}


def num_parameters(config: GeneratorConfig | CriticConfig, form: Form) -> int:
    """Counted on the device that keeps no numbers, which takes no time."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in config.build(form).parameters())


def test_the_networks_are_as_large_as_the_ones_they_are_made_after() -> None:
    # Layer by layer: a dense one of 64 x 16,384 and convolutions of 36 taps, with biases; 26.14 and 25.08 million.
    assert num_parameters(WaveGanGeneratorConfig(), FULL) == 26_135_745
    assert num_parameters(WaveGanCriticConfig(), FULL) == 25_076_929


def test_labels_add_a_row_of_the_first_layer_and_a_vector_of_the_last_for_each_class() -> None:
    told = Form(FULL.shape, NOTES, 64)
    assert num_parameters(WaveGanGeneratorConfig(), told) == 26_135_745 + 61 * 16_384
    assert num_parameters(WaveGanCriticConfig(), told) == 25_076_929 + 61 * 5 * 1_024


@pytest.mark.parametrize(
    ("length", "depth", "places"),
    [
        (64, 1, 16),
        (1024, 3, 16),
        (4096, 4, 16),
        (8192, 4, 32),
        (15_872, 4, 62),
        (16_384, 5, 16),
        (65_536, 6, 16),
    ],
)
def test_clips_of_four_times_the_length_take_one_layer_more(length: int, depth: int, places: int) -> None:
    assert depth_of((1, length)) == depth
    form = Form((1, length), {}, 4)
    generator, critic = (
        WaveGanGeneratorConfig(channels=1).build(form),
        WaveGanCriticConfig(channels=1).build(form),
    )
    assert isinstance(generator, WaveGanGenerator)
    assert generator.start == (2 ** (depth - 1), places)
    with torch.no_grad():
        made = generator(torch.randn(2, 4), {})
        assert made.shape == (2, 1, length)
        assert critic(made, {}).score.shape == (2,)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 16_000),
            "multiple of 256 samples at about this length, not 16000; the nearest are 15872 and 16128",
        ),
        ((1, 63), "64 samples or more, not 63"),
        ((1, 256, 128), r"channels and time, as of the waveform, not of shape \[1, 256, 128\]"),
    ],
)
def test_other_lengths_are_refused_with_the_nearest_that_would_do(
    shape: tuple[int, ...], message: str
) -> None:
    for config in (WaveGanGeneratorConfig(), WaveGanCriticConfig()):
        with pytest.raises(ConfigError, match=message):
            config.build(Form(shape, {}, 64))


def test_every_sample_hears_of_the_layer_below_through_the_same_number_of_taps() -> None:
    # A kernel of 36 taps at a stride of 4 reaches each sample nine times; with 25 taps it would be six or seven. Ones
    # go through ones, and within the clip all samples are equal.
    layer = nn.ConvTranspose1d(1, 1, 36, 4, 16, bias=False)
    nn.init.ones_(layer.weight)
    inside = layer(torch.ones(1, 1, 64))[0, 0, 20:-20]
    assert inside.unique().tolist() == [9.0]


def test_without_a_tanh_samples_are_not_bounded_and_with_it_they_are() -> None:
    form = Form((1, 256), {}, 4)
    for tanh, bounded in ((False, False), (True, True)):
        torch.manual_seed(0)
        loud = WaveGanGeneratorConfig(channels=4, tanh=tanh).build(form)(1e4 * torch.randn(8, 4), {})
        assert bool((loud.abs() <= 1.0).all()) is bounded


def test_a_critic_with_phase_shuffle_scores_a_clip_otherwise_every_time_and_in_use_always_the_same() -> None:
    torch.manual_seed(0)
    critic = WaveGanCriticConfig(channels=2, phase_shuffle=2).build(Form((1, 1024), {}))
    clip = torch.randn(1, 1, 1024)
    with torch.no_grad():
        assert len({float(critic(clip, {}).score) for _ in range(20)}) > 10
        critic.eval()
        assert len({float(critic(clip, {}).score) for _ in range(5)}) == 1


def test_a_network_without_channels_is_refused() -> None:
    for config in (WaveGanGeneratorConfig, WaveGanCriticConfig):
        with pytest.raises(ConfigError, match="channels is 0, but takes 1 or more"):
            config(channels=0)
