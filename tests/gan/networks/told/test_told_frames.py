"""Networks over frames that are told a history, the keys or both."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.told.frames import (
    ToldFramesCriticConfig,
    ToldFramesGeneratorConfig,
    keys_in,
)

SHAPE, HISTORY = (2, 9, 16), (2, 9, 8)


def form(**conditions: tuple[int, ...]) -> Form:
    return Form(SHAPE, {}, 4, conditions)


def test_a_fresh_generator_begins_from_the_last_frames_that_were_heard_and_lets_go_of_them() -> None:
    torch.manual_seed(0)
    network = ToldFramesGeneratorConfig(width=8, depth=1, kernel=3).build(form(history=HISTORY))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    heard = torch.randn(1, *HISTORY)
    made = network(torch.zeros(1, 4), {"history": heard})
    last = heard[..., -4:].mean(dim=-1)
    torch.testing.assert_close(made[..., 0], last, atol=1e-6, rtol=1e-5)
    size = made.abs().mean(dim=(0, 1, 2))
    assert (size.diff() < 0).all()


def test_a_critic_hears_a_stroke_at_the_wrong_time() -> None:
    torch.manual_seed(0)
    network = ToldFramesCriticConfig(width=8, depth=2, kernel=3).build(form(midi=(512, 89)))
    clip = torch.randn(1, *SHAPE)
    told = torch.zeros(2, 512, 89)
    told[0, 64:, 40] = told[1, 320:, 40] = 0.7
    early, late = network(clip.expand(2, -1, -1, -1), {"midi": told}).score
    assert (early - late).abs() > 1e-5


def test_a_stroke_is_told_in_its_frame_and_a_key_sounds_from_then_on() -> None:
    told = torch.zeros(1, 512, 89)
    told[0, 100:, 40] = 0.5
    keys = keys_in(told, 16)  # 32 states each
    assert torch.nonzero(keys[0, :, 40]).flatten().tolist() == [3]
    sounding = keys[0, :, 88 + 40]
    assert (sounding[:4] == 0).all()
    assert (sounding[4:] > 0).all()
    assert (sounding[4:].diff() < 0).all()


def test_a_network_without_anything_told_is_refused() -> None:
    for config in (ToldFramesGeneratorConfig(), ToldFramesCriticConfig()):
        with pytest.raises(ConfigError, match="is told a history, MIDI states or both"):
            config.build(form())
