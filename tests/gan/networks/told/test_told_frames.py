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


def test_what_is_expected_of_a_key_is_where_real_frames_have_more_of_it_than_generated_ones() -> None:
    torch.manual_seed(0)
    config = ToldFramesCriticConfig(width=8, depth=2, kernel=3, expectation=True)
    network = config.build(form(midi=(512, 89)))
    told = torch.zeros(1, 512, 89)
    told[0, :, 40] = 0.5
    generated = 0.1 * torch.randn(1, *SHAPE)
    real = generated.clone()
    real[:, 0, 3] += 0.1
    apart = network(real, {"midi": told}).score - network(generated, {"midi": told}).score
    apart.sum().backward()
    wanted = network.get_parameter("expected.weight").grad
    assert wanted is not None
    spectrum = wanted[:, 88 + 40].view(SHAPE[:2])
    assert spectrum[0, 3] > 0
    # Everywhere else, and of every key that is up, the frames are the same.
    spectrum[0, 3] = 0.0
    wanted[:, [40, 88 + 40]] = 0.0
    assert spectrum.abs().max() < 1e-6
    assert (wanted == 0).all()


def test_a_critic_that_expects_nothing_has_no_weights_for_it() -> None:
    network = ToldFramesCriticConfig(width=8, depth=2, kernel=3).build(form(midi=(512, 89)))
    assert not any(name.startswith("expected") for name, _ in network.named_parameters())


def test_expecting_something_of_keys_that_are_not_told_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no midi"):
        ToldFramesCriticConfig(expectation=True).build(form(history=HISTORY))


def test_a_network_without_anything_told_is_refused() -> None:
    for config in (ToldFramesGeneratorConfig(), ToldFramesCriticConfig()):
        with pytest.raises(ConfigError, match="is told a history, MIDI states or both"):
            config.build(form())
