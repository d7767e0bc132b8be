"""The path through a trellis is the cheapest there is, and levels are compared whatever their order."""

import itertools

import pytest
import torch

from retimbre.matching.trellis import Trellis, cheapest_path, levels_distance, sorted_bands

RATE = 16_384


def random_trellis(seed: int, windows: int = 5, candidates: int = 4, knobs: int = 2) -> Trellis:
    chance = torch.Generator().manual_seed(seed)
    place = 15.0 * torch.rand(windows, candidates, knobs, generator=chance)
    return Trellis(place, 3.0 * torch.rand(windows, candidates, generator=chance))


def price(trellis: Trellis, path: tuple[int, ...], per_class: float) -> float:
    own = sum(float(trellis.cost[window, choice]) for window, choice in enumerate(path))
    places = [trellis.place[window, choice] for window, choice in enumerate(path)]
    jumps = sum(float((after - before).abs().mean()) for before, after in itertools.pairwise(places))
    return own + per_class * jumps


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_class", [0.0, 0.25, 4.0])
def test_no_path_is_cheaper_than_the_one_found(seed: int, per_class: float) -> None:
    trellis = random_trellis(seed)
    found = tuple(cheapest_path(trellis, per_class).tolist())
    least = min(price(trellis, path, per_class) for path in itertools.product(range(4), repeat=5))
    assert price(trellis, found, per_class) == pytest.approx(least, abs=1e-4)


def test_one_window_takes_its_cheapest_candidate() -> None:
    trellis = random_trellis(0, windows=1)
    assert cheapest_path(trellis, 1.0).tolist() == [int(trellis.cost[0].argmin())]


def vibrato(depth: float, phase: float) -> torch.Tensor:
    time_s = torch.arange(RATE, dtype=torch.float64) / RATE
    frequency_hz = 500.0 * (1.0 + depth * torch.sin(2 * torch.pi * (5.0 * time_s + phase)))
    return torch.sin(2 * torch.pi * frequency_hz.cumsum(0) / RATE).float()[None]


@pytest.mark.parametrize("phase", [0.25, 0.5, 0.75])
def test_a_vibrato_out_of_step_is_nearer_than_no_vibrato(phase: float) -> None:
    target = sorted_bands(vibrato(0.1, 0.0), RATE)
    out_of_step = levels_distance(target, sorted_bands(vibrato(0.1, phase), RATE))
    still = levels_distance(target, sorted_bands(vibrato(0.0, 0.0), RATE))
    assert float(out_of_step) < float(still) / 3.0


def test_a_sound_is_no_distance_from_itself_reversed() -> None:
    sound = vibrato(0.1, 0.0)
    forth, back = sorted_bands(sound, RATE), sorted_bands(sound.flip(1), RATE)
    # Frames of a reversed sound lie a sample beside those of the sound.
    assert float(levels_distance(forth, back)) < 0.5
