"""SpecGAN: its size as published, the pictures that it takes, and the tanh at its end."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.gan.base import CriticConfig, Form, GeneratorConfig
from retimbre.gan.networks.specgan import SpecGanCriticConfig, SpecGanGeneratorConfig, depth_of
from retimbre.representation.catalog import representation

# What system D's four representations make of 16,384 samples: channels of 256 bins and 128 frames.
CHANNELS = {"interns2020-mag": 1, "interns2020-mag-phase": 2, "interns2020-mag-if": 2, "interns2020-stft": 2}


def num_parameters(config: GeneratorConfig | CriticConfig, form: Form) -> int:
    """Counted on the device that keeps no numbers, which takes no time."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in config.build(form).parameters())


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_the_networks_are_as_large_as_the_ones_they_are_made_after(name: str) -> None:
    shape = tuple(representation(name, 16_000).encode(torch.zeros(1, 16_384)).shape[1:])
    assert shape == (CHANNELS[name], 256, 128)
    # 27.20 and 25.10 million; each further channel adds 36 x 64 weights, to the generator a bias too.
    further = CHANNELS[name] - 1
    assert num_parameters(SpecGanGeneratorConfig(), Form(shape, {}, 64)) == 27_200_705 + 2_305 * further
    assert num_parameters(SpecGanCriticConfig(), Form(shape, {})) == 25_104_577 + 2_304 * further


@pytest.mark.parametrize(
    ("bins", "frames", "depth"),
    [(256, 128, 5), (64, 32, 3), (512, 64, 4), (16, 16, 2), (48, 20, 2), (128, 1024, 5)],
)
def test_pictures_are_halved_while_both_sides_are_even_and_four_cells_are_left(
    bins: int, frames: int, depth: int
) -> None:
    assert depth_of((2, bins, frames)) == depth
    form = Form((2, bins, frames), {}, 4)
    with torch.no_grad():
        made = SpecGanGeneratorConfig(channels=1).build(form)(torch.randn(2, 4), {})
        assert made.shape == (2, 2, bins, frames)
        assert SpecGanCriticConfig(channels=1).build(form)(made, {}).score.shape == (2,)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 257, 128),
            "multiples of 4 from 16 for bins and frames, not 257 x 128; the nearest are 256 x 128",
        ),
        ((2, 64, 8), "not 64 x 8; the nearest are 64 x 16"),
        ((1, 4096), r"channels, bins and frames, as of an STFT, not of shape \[1, 4096\]"),
    ],
)
def test_other_pictures_are_refused_with_the_nearest_that_would_do(
    shape: tuple[int, ...], message: str
) -> None:
    for config in (SpecGanGeneratorConfig(), SpecGanCriticConfig()):
        with pytest.raises(ConfigError, match=message):
            config.build(Form(shape, {}, 64))


def test_standardized_pictures_stay_in_range_and_those_of_an_stft_need_not() -> None:
    form = Form((1, 16, 16), {}, 4)
    for tanh, bounded in ((False, False), (True, True)):
        torch.manual_seed(0)
        loud = SpecGanGeneratorConfig(channels=4, tanh=tanh).build(form)(1e4 * torch.randn(8, 4), {})
        assert bool((loud.abs() <= 1.0).all()) is bounded
