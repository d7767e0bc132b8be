"""What strings do follows from the states of the keys and the pedal."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.told.keyboard import check_midi, strikes_in, strings_at

KEY = 39  # middle C, as a column


def states(count: int = 1024) -> Tensor:
    return torch.zeros(1, count, 89)


def test_a_string_is_as_old_as_its_last_stroke_and_as_hard() -> None:
    told = states()
    told[0, 512 + 128 :, KEY] = 0.5
    strings = strings_at(told, 5)  # at the ends of four quarters of the chunk
    assert strings.velocity[0, :, KEY].tolist() == [0.0, 0.5, 0.5, 0.5, 0.5]
    # The last moment shows the last state, one before the end.
    assert strings.age[0, 1:, KEY].tolist() == [0.0, 0.25, 0.5, (511 - 128) / 512]
    assert strings.velocity[0, :, :KEY].abs().sum() == 0.0


def test_a_key_that_is_struck_again_is_young_again() -> None:
    told = states()
    told[0, 512:600, KEY] = 0.5
    told[0, 600:640, KEY] = 0.75  # without coming up
    told[0, 700:, KEY] = 0.25
    strings = strings_at(told, 512)
    assert strings.velocity[0, [10, 100, 300], KEY].tolist() == [0.5, 0.75, 0.25]
    assert (512 * strings.age[0, [10, 100, 300], KEY]).tolist() == [10, 12, 112]


@pytest.mark.parametrize("pedal", [0.0, 1.0])
def test_a_string_is_damped_when_the_key_is_up_unless_the_pedal_is_down(pedal: float) -> None:
    told = states()
    told[0, 500:520, KEY] = 0.5
    told[0, :, 88] = pedal
    damped = 512 * strings_at(told, 512).damped[0, :, KEY]
    assert damped[5] == 0.0
    assert damped[100] == (0.0 if pedal else 512 + 100 - 519)


def test_the_damper_that_is_lifted_again_does_not_bring_the_sound_back() -> None:
    told = states()
    told[0, 512:520, KEY] = 0.5
    told[0, 552:, 88] = 1.0
    damped = 512 * strings_at(told, 512).damped[0, :, KEY]
    assert damped[[20, 60, 400]].tolist() == [13, 32, 32]


def test_what_was_struck_in_the_chunk_before_is_known_only_where_that_is_told() -> None:
    told = states()
    told[0, 300:600, KEY] = 0.5
    assert 512 * strings_at(told, 512).age[0, 0, KEY] == 212
    # Down from the first state on: half a chunk is supposed.
    assert 512 * strings_at(told[:, 512:], 512).age[0, 0, KEY] == 256


def test_strokes_lie_in_their_frames_and_none_is_lost() -> None:
    told = states()
    told[0, 512 + 33, KEY] = 0.5  # down for one state
    told[0, 512 + 34, KEY + 1] = 0.25
    strikes = strikes_in(told, 16)  # 32 states each
    assert strikes[0, 1, [KEY, KEY + 1]].tolist() == [0.5, 0.25]
    assert strikes.sum() == 0.75


@pytest.mark.parametrize("conditions", [{}, {"midi": (512, 88)}, {"midi": (600, 89)}])
def test_other_states_are_refused_with_what_is_taken(conditions: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ConfigError, match=r"midi = 512.*1024"):
        check_midi(Form((1, 64), {}, 4, conditions), "midi-wave")
