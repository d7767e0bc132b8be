"""Phase recovery: both ways find sounds with the magnitudes given, whatever the batch, the window and the level."""

import heapq
import math
from itertools import pairwise

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp.phase import (
    GriffinLim,
    PhaseGradients,
    integrated_phases,
    project,
    spectral_convergence_db,
)
from retimbre.dsp.phase_forest import Grid, integrate
from retimbre.dsp.phase_gradient import GAUSSIAN_EQUIVALENTS, edge_slope, phase_increments
from retimbre.dsp.stft import StftSettings, magnitude, stft

METHODS = {
    "griffin-lim": GriffinLim(16),
    "plain griffin-lim": GriffinLim(16, momentum=0.0),
    "pghi": PhaseGradients(0),
    "pghi-1": PhaseGradients(1),
}
SETTINGS = {
    "gaussian": StftSettings(512, 128, window="gaussian"),
    "hann": StftSettings(512, 64),
    "uncentred": StftSettings(256, 64, window="hamming", center=False),
    "reflect": StftSettings(400, 100, 320, window="blackman", pad_mode="reflect"),
    "odd": StftSettings(441, 100, window="gaussian"),
}


def note(num_samples: int = 6000, batch: int = 2) -> torch.Tensor:
    """Decaying harmonic tones of different pitches over a little noise."""
    second = torch.arange(num_samples, dtype=torch.float64) / 16_000
    tones = [
        sum(torch.sin(2 * math.pi * (200.0 + 37.0 * item) * k * second) / k for k in range(1, 8))
        for item in range(batch)
    ]
    decay = torch.exp(-5.0 * second)
    noise = torch.randn(batch, num_samples, generator=generator(0, "note noise", num_samples))
    return (0.2 * torch.stack([torch.as_tensor(each) for each in tones]) * decay).float() + 1e-4 * noise


def heap_phases(grid: Grid, tolerance: float) -> torch.Tensor:
    """The algorithm of the paper as it stands there, for one clip: the reference, in turns."""
    loud = grid.values[0].tolist()
    down, right = grid.down[0].tolist(), grid.right[0].tolist()
    rows, columns = grid.values.shape[1:]
    turns = torch.zeros(rows, columns, dtype=torch.float64)
    left = {
        (row, column) for row in range(rows) for column in range(columns) if loud[row][column] > tolerance
    }
    for start in sorted(left, key=lambda cell: -loud[cell[0]][cell[1]]):
        if start not in left:
            continue
        left.remove(start)
        heap = [(-loud[start[0]][start[1]], start)]
        while heap:
            _, (row, column) = heapq.heappop(heap)
            for cell, growth in (
                ((row + 1, column), down[row][column]),
                ((row - 1, column), -down[row - 1][column]),
                ((row, column + 1), right[row][column]),
                ((row, column - 1), -right[row][column - 1]),
            ):
                if cell in left:
                    left.remove(cell)
                    turns[cell] = turns[row, column] + growth
                    heapq.heappush(heap, (-loud[cell[0]][cell[1]], cell))
    return turns


def test_the_forest_is_as_good_as_the_heap_of_the_paper() -> None:
    settings = StftSettings(512, 128, window="gaussian")
    noise = torch.randn(2, 5000, generator=generator(0, "forest"))
    for audio in (note(5000, batch=8), 0.1 * noise):
        given = magnitude(audio, settings)
        grid = phase_increments(given.mT.contiguous(), settings)
        clips = zip(*(each.split(1) for each in grid), strict=True)
        turns = torch.stack([heap_phases(Grid(*clip), 1e-5) for clip in clips])
        found = [
            project(given, phases, settings, method=GriffinLim(0), num_samples=5000)
            for phases in ((turns.mT * 2 * math.pi).to(given), integrated_phases(given, settings))
        ]
        heap_db, forest_db = (spectral_convergence_db(given, each, settings).mean() for each in found)
        # Both walk along the loudest paths, but take different ones of two equally good turns; the mean evens that out.
        assert forest_db <= heap_db + 0.5


def test_consistent_increments_are_summed_without_error_on_every_island() -> None:
    # A grid whose increments come from phases gives these phases back, up to a constant on each island of loud cells.
    random = generator(0, "islands")
    values = torch.rand(2, 40, 30, generator=random)
    values[:, :, 14] = 1e-9
    phases = 20.0 * torch.rand(2, 40, 30, generator=random)
    down, right = torch.zeros_like(values), torch.zeros_like(values)
    down[:, :-1], right[..., :-1] = phases.diff(dim=1), phases.diff(dim=2)
    turns, active = integrate(Grid(values, down, right), 1e-6)
    assert torch.equal(active, values > 1e-6)
    for item in range(2):
        for island in (slice(0, 14), slice(15, 30)):
            offset = (turns - phases)[item, :, island]
            offset = offset - offset[0, 0]
            # A walk of some hundred steps of up to 20 turns in float32.
            assert (offset - offset.round()).abs().max() < 1e-3


@pytest.mark.parametrize("window", GAUSSIAN_EQUIVALENTS)
def test_a_steady_tone_turns_by_its_own_frequency_from_frame_to_frame(window: str) -> None:
    settings = StftSettings(1024, 128, window=window)
    audio = torch.sin(2 * math.pi * 0.0713 * torch.arange(16_000.0))[None]
    increments = phase_increments(magnitude(audio, settings).mT.contiguous(), settings)
    peak = int(increments.values[0, 60].argmax())
    wrong = float(increments.down[0, 60, peak]) - 0.0713 * 128
    # The fit of a Gaussian to another window is wrong by some percent of a bin, and a bin is 1/8 turn per hop.
    assert abs(wrong - round(wrong)) < 0.01


@pytest.mark.parametrize("place", [2048, 2100, 1990])
def test_an_impulse_delays_its_bins_by_its_place_also_in_the_outermost_frames(place: int) -> None:
    settings = StftSettings(1024, 256, window="gaussian")
    audio = torch.zeros(1, 4096)
    audio[0, place] = 1.0
    given = magnitude(audio, settings)[:, :, 7:10]
    increments = phase_increments(given.mT.contiguous(), settings)
    for frame in range(3):
        # Bin k of frame t turns by -k (place - start of the frame) / n_fft.
        start = (7 + frame) * 256 - 512
        wrong = float(increments.right[0, frame, 200]) + (place - start) / 1024
        assert abs(wrong - round(wrong)) < 1e-3


def test_the_slope_at_an_edge_is_that_of_two_impulses_whose_zeros_are_elsewhere() -> None:
    # A loud and a faint impulse: ripples along frequency, which one-sided differences get wrong.
    settings = StftSettings(1024, 64, window="gaussian")
    audio = torch.zeros(1, 4096)
    audio[0, 2000], audio[0, 2150] = 1.0, 0.3
    log_values = magnitude(audio, settings)[:, :, 31:34].log()
    slope = edge_slope(log_values[..., 1], log_values[..., 2], settings)
    finer = StftSettings(1024, 1, window="gaussian")
    near = magnitude(audio[:, 2048 - 600 : 2048 + 600], finer)[:, :, 599:602].log()
    true_slope = (near[..., 2] - near[..., 0]) / 2.0
    one_sided = (log_values[..., 2] - log_values[..., 1]) / 64.0
    middle = slice(20, -20)
    error, naive = ((each - true_slope)[:, middle].abs().mean() for each in (slope, one_sided))
    assert error < 0.2 * naive


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_sound_much_nearer_than_silence_at_every_setting(name: str, method: str) -> None:
    settings, audio = SETTINGS[name], note()
    given = magnitude(audio, settings)
    found = METHODS[method].recover(given, settings, num_samples=6000)
    assert found.shape == audio.shape
    # Silence has 0 dB. 16 iterations from random phases, or gradients of windows that are no Gaussians, reach -10 dB.
    assert bool((spectral_convergence_db(given, found, settings) < -10.0).all())


def test_the_right_sound_has_a_convergence_of_nothing_but_rounding_and_silence_of_0_db() -> None:
    settings, audio = StftSettings(), note()
    given = magnitude(audio, settings)
    assert bool((spectral_convergence_db(given, audio, settings) < -120.0).all())
    zero = spectral_convergence_db(given, torch.zeros_like(audio), settings)
    torch.testing.assert_close(zero, torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["hann", "gaussian"])
def test_phases_of_the_truth_are_a_fixed_point(name: str) -> None:
    settings, audio = SETTINGS[name], note()
    spectrum = stft(audio, settings)
    found = project(
        spectrum.abs(), spectrum.angle(), settings, method=GriffinLim(4, momentum=0.0), num_samples=6000
    )
    torch.testing.assert_close(found, audio, atol=1e-5, rtol=0)


def test_a_matching_window_recovers_better_than_another_one() -> None:
    # Trap 13: magnitudes under a Hamming window, iterated under a Hann window as librosa's default would.
    settings = StftSettings(512, 128, window="hamming")
    other = StftSettings(512, 128, window="hann")
    audio = note(batch=4)
    given = magnitude(audio, settings)
    # Iterations from random phases have to run until the windows are what limits them.
    for method in (GriffinLim(200), PhaseGradients(1)):
        matching, mismatched = (
            spectral_convergence_db(given, method.recover(given, each, num_samples=6000), settings)
            for each in (settings, other)
        )
        assert matching.mean() < mismatched.mean() - 2.0


def test_projections_never_lead_away_and_momentum_leads_further() -> None:
    settings, audio = StftSettings(512, 128), note()
    given = magnitude(audio, settings)

    def mean_db(method: GriffinLim | PhaseGradients) -> float:
        found = method.recover(given, settings, num_samples=6000)
        return spectral_convergence_db(given, found, settings).mean().item()

    for make in (PhaseGradients, lambda count: GriffinLim(count, momentum=0.0)):
        steps = [mean_db(make(count)) for count in (0, 1, 2, 8)]
        assert all(later <= earlier for earlier, later in pairwise(steps))
    assert mean_db(GriffinLim(32)) < mean_db(GriffinLim(32, momentum=0.0))


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_does_not_depend_on_the_others(method: str) -> None:
    settings, audio = StftSettings(256, 64), note(3000, batch=5)
    given = magnitude(audio, settings)
    alone = METHODS[method].recover(given[3:4], settings, num_samples=3000)
    # Batched transforms round in another order.
    torch.testing.assert_close(
        METHODS[method].recover(given, settings, num_samples=3000)[3:4], alone, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("method", METHODS)
def test_level_scales_the_sound_and_nothing_else(method: str) -> None:
    settings, given = StftSettings(256, 64), magnitude(note(3000), StftSettings(256, 64))
    loud, quiet = (
        METHODS[method].recover(gain * given, settings, num_samples=3000) for gain in (1.0, 2**-10)
    )
    torch.testing.assert_close(quiet * 2**10, loud, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_samples", [1, 100, 3000])
def test_silence_stays_silence_and_short_clips_have_their_length(method: str, num_samples: int) -> None:
    settings = StftSettings(256, 64)
    silence = torch.zeros(2, num_samples)
    assert torch.equal(
        METHODS[method].recover(magnitude(silence, settings) * 0.0, settings, num_samples=num_samples),
        silence,
    )
    back = METHODS[method].recover(magnitude(silence + 0.1, settings), settings, num_samples=num_samples)
    assert back.shape == silence.shape
    assert bool(back.isfinite().all())


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_finite_for_sound_and_silence(method: str) -> None:
    settings = StftSettings(256, 64)
    given = magnitude(note(2000), settings)
    given = torch.stack([given[0], torch.zeros_like(given[0])]).requires_grad_()
    METHODS[method].recover(given, settings, num_samples=2000).square().sum().backward()
    assert bool(given.grad.isfinite().all())
    assert float(given.grad[0].abs().max()) > 0.0


def test_the_seed_decides_the_random_phases() -> None:
    settings, given = StftSettings(256, 64), magnitude(note(2000), StftSettings(256, 64))
    first, again, other = (
        GriffinLim(2, seed=seed).recover(given, settings, num_samples=2000) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_dtypes_are_kept(method: str, dtype: torch.dtype) -> None:
    settings = StftSettings(256, 64)
    given = magnitude(note(2000).to(dtype), settings)
    assert METHODS[method].recover(given, settings, num_samples=2000).dtype == dtype


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GriffinLim(-1), "iterations must be at least 0, got -1"),
        (lambda: GriffinLim(momentum=1.0), r"momentum must lie in \[0, 1\), got 1.0"),
        (lambda: PhaseGradients(-2), "projections must be at least 0, got -2"),
        (lambda: PhaseGradients(tolerance=0.0), "tolerance must lie between 0 and 1"),
        (
            lambda: integrated_phases(torch.ones(1, 129, 4), StftSettings(256, 64, window="rectangular")),
            "window like a Gaussian .* got 'rectangular'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
