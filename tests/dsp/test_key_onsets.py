"""A listener that says which keys are struck when."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.dsp.key_onsets import find_key_onsets

RATE = 16_000


def strings(strokes: list[tuple[float, int]], seconds: float) -> Tensor:
    """Ten harmonics that fall in amplitude with their number, and away in half a second."""
    sound = torch.zeros(round(seconds * RATE))
    for at_s, key in strokes:
        first = round(at_s * RATE)
        time_s = torch.arange(len(sound) - first) / RATE
        hz = 440.0 * 2.0 ** ((key - 69) / 12)
        for number in range(1, 11):
            if number * hz < 7_000:
                wave = torch.sin(2 * math.pi * number * hz * time_s + number)
                sound[first:] += 0.1 / number * wave * torch.exp(-time_s / 0.5)
    return sound


@pytest.mark.parametrize("keys", [(45,), (60,), (60, 64, 67), (48, 63), (52, 57, 74)])
def test_the_keys_of_a_chord_are_heard_where_they_are_struck(keys: tuple[int, ...]) -> None:
    found = find_key_onsets(strings([(0.5, key) for key in keys], 1.5), RATE)
    assert {each.key for each in found} == set(keys)
    assert all(abs(each.at_s - 0.5) < 0.03 for each in found)


def test_notes_are_heard_one_after_another_though_the_earlier_ring_on() -> None:
    told = [(0.3, 60), (0.8, 64), (1.3, 55), (1.8, 72)]
    found = find_key_onsets(strings(told, 2.5), RATE)
    assert [each.key for each in found] == [key for _, key in told]
    assert max(abs(each.at_s - at_s) for each, (at_s, _) in zip(found, told, strict=True)) < 0.03


def test_silence_has_no_keys() -> None:
    assert find_key_onsets(torch.zeros(RATE), RATE) == []
