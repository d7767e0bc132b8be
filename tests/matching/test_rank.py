import math

import pytest
import torch

from retimbre.matching.rank import ALIKE_DB, SAME_DB, Judge, LossWeights, distinct
from retimbre.metrics.suite import multi_scale_spectral

RATE = 16_000


def tone(frequency_hz: float, seconds: float = 0.3) -> torch.Tensor:
    time_s = torch.arange(round(seconds * RATE)) / RATE
    return 0.5 * torch.sin(2 * math.pi * frequency_hz * time_s) * torch.exp(-4.0 * time_s)


def test_a_sound_is_at_no_loss_from_itself_at_any_level() -> None:
    judge = Judge.of(tone(440.0), RATE)
    losses = judge.losses(torch.stack([tone(440.0), 0.01 * tone(440.0)]))
    assert losses.abs().max() < 0.05  # dB: rounding of -40 dB in float32


def test_a_sound_ranks_before_a_louder_one_of_another_pitch() -> None:
    judge = Judge.of(tone(440.0), RATE)
    near, far = judge.losses(torch.stack([0.1 * tone(445.0), tone(660.0)]))
    assert near < far


@pytest.mark.parametrize("broken", [0.0, math.nan, math.inf, 1e-6])
def test_silence_and_what_is_not_a_number_rank_behind_every_sound(broken: float) -> None:
    judge = Judge.of(tone(440.0), RATE)
    sounds = torch.stack([torch.full((4800,), broken), torch.rand(4800) - 0.5])
    losses = judge.losses(sounds)
    assert losses[0] == math.inf
    assert losses[1] < math.inf


@pytest.mark.parametrize("term", ["mss", "mss_active", "sot_audible", "rms"])
def test_every_measure_of_the_loss_counts(term: str) -> None:
    weights = LossWeights(**{name: float(name == term) for name in LossWeights.__dataclass_fields__})
    judge = Judge.of(tone(440.0), RATE, weights)
    assert float(judge.losses(torch.flip(tone(300.0), dims=(0,))[None])) > 0.0


def test_two_patches_that_are_set_and_sound_alike_are_kept_once() -> None:
    settings = torch.tensor([[0.5, 0.5], [0.5, 0.51], [0.9, 0.1]])
    audio = torch.stack([tone(440.0), tone(440.0), tone(600.0)])
    assert distinct(settings, audio, RATE, 2).tolist() == [0, 2]


def test_two_patches_that_sound_the_same_are_kept_once_however_they_are_set() -> None:
    settings = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.9, 0.1]])
    audio = torch.stack([tone(440.0), tone(440.0), tone(600.0)])
    assert distinct(settings, audio, RATE, 2).tolist() == [0, 2]


def test_two_patches_that_sound_nearly_alike_are_both_kept_if_they_are_set_otherwise() -> None:
    audio = torch.stack([tone(440.0), tone(441.0), tone(600.0)])
    between_db = float(multi_scale_spectral(audio[:1], audio[1:2], RATE))
    assert SAME_DB < between_db < ALIKE_DB
    alike, otherwise = (torch.tensor([[0.5, 0.5], [place, 0.5], [0.9, 0.1]]) for place in (0.51, 0.9))
    assert distinct(alike, audio, RATE, 2).tolist() == [0, 2]
    assert distinct(otherwise, audio, RATE, 2).tolist() == [0, 1]


def test_a_list_is_filled_up_with_the_best_of_what_was_passed_over() -> None:
    settings = torch.full((4, 2), 0.5)
    audio = tone(440.0).repeat(4, 1)
    assert distinct(settings, audio, RATE, 3).tolist() == [0, 1, 2]
