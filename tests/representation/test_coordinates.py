"""Laws of every way to write complex numbers as real channels."""

import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.representation.coordinates import (
    Cartesian,
    Compressed,
    Coordinates,
    InstantaneousFrequency,
    Polar,
)
from retimbre.representation.turns import running_phase, turns_of

ALL: list[Coordinates] = [
    Cartesian(),
    Compressed(),
    Compressed(exponent=1.0),
    Polar(),
    Polar(floor=1e-10, radians=True),
    InstantaneousFrequency(),
    InstantaneousFrequency(radians=True),
    InstantaneousFrequency(gate_db=-43.4),
]


def spectrum(bins: int = 5, frames: int = 40, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    """Complex noise whose level falls by 100 dB over the frames, as a decaying note's does."""
    drawn = torch.randn(2, bins, frames, dtype=dtype, generator=generator(0, "spectrum", frames))
    return 10.0 * drawn * torch.logspace(0, -5, frames, dtype=drawn.real.dtype)


@pytest.mark.parametrize("coordinates", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("by_frame", [False, True])
def test_channels_turn_back_into_their_spectrum(
    coordinates: Coordinates, dtype: torch.dtype, by_frame: bool
) -> None:
    given = spectrum(dtype=dtype)
    if by_frame:  # the order in memory that a short-time transform leaves
        given = given.mT.contiguous().mT
    channels = coordinates.to_channels(given)
    assert channels.shape == (2, coordinates.num_channels, *given.shape[1:])
    assert channels.dtype == given.real.dtype
    back = coordinates.to_spectrum(channels)
    # Per cell, as a share of the loudest: rounding only.
    tolerance = 1e-6 if dtype == torch.complex64 else 1e-14
    assert float((back - given).abs().max()) <= tolerance * float(given.abs().max())


@pytest.mark.parametrize("coordinates", ALL, ids=str)
def test_channels_in_any_memory_layout_mean_the_same(coordinates: Coordinates) -> None:
    channels = coordinates.to_channels(spectrum())
    expected = coordinates.to_spectrum(channels)
    for layout in (channels.contiguous(), channels.mT.contiguous().mT, channels.flip(-1).flip(-1)):
        assert torch.equal(coordinates.to_spectrum(layout), expected)
    shifted = torch.cat([torch.zeros(1, dtype=channels.dtype), channels.movedim(1, -1).flatten()])[1:]
    assert torch.equal(
        coordinates.to_spectrum(shifted.view_as(channels.movedim(1, -1)).movedim(-1, 1)), expected
    )


@pytest.mark.parametrize("coordinates", ALL, ids=str)
def test_silence_is_silence_with_finite_gradients_both_ways(coordinates: Coordinates) -> None:
    parts = torch.zeros(2, 1, 3, 4, requires_grad=True)
    channels = coordinates.to_channels(torch.complex(parts[0], parts[1]))
    back = coordinates.to_spectrum(channels)
    assert float(back.detach().abs().max()) <= 1e-12
    (channels.square().sum() + torch.view_as_real(back).sum()).backward()
    assert parts.grad.isfinite().all()


@pytest.mark.parametrize("coordinates", ALL, ids=str)
def test_any_channels_make_a_finite_spectrum(coordinates: Coordinates) -> None:
    # What an untrained generator may say: magnitudes below the floor, and turns of any size.
    wild = 5.0 * torch.randn(2, 2, 5, 40, generator=generator(0, "wild"))
    assert coordinates.to_spectrum(wild).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spare_bits", [0, 2])
def test_a_phase_has_not_drifted_after_a_hundred_thousand_frames(dtype: torch.dtype, spare_bits: int) -> None:
    phase = 2.0 * torch.rand(2, 100_000, dtype=dtype, generator=generator(0, "phase")) - 1.0
    turns = turns_of(phase, spare_bits=spare_bits)
    assert float(turns.min()) >= -1.0
    assert float(turns.max()) < 1.0
    # Half of the angle that phases are multiples of, and nothing that grows with the frames.
    grid = 2.0 ** (spare_bits - (23 if dtype == torch.float32 else 52))
    error = (running_phase(turns, spare_bits=spare_bits) - phase + 1.0).remainder(2.0) - 1.0
    assert float(error.abs().max()) <= 0.5 * grid + torch.finfo(dtype).eps


def test_compression_raises_magnitudes_to_its_power_and_keeps_phases() -> None:
    given = spectrum()
    channels = Compressed(exponent=0.3).to_channels(given)
    made = torch.complex(channels[:, 0], channels[:, 1])
    # Rounding of float64.
    assert float((made.abs() / given.abs() ** 0.3 - 1.0).abs().max()) < 1e-12
    assert float((made / made.abs() - given / given.abs()).abs().max()) < 1e-12


def test_a_gate_halves_turns_at_its_level_and_leaves_the_loudest() -> None:
    levels_db = torch.tensor([0.0, -20.0, -60.0, -100.0], dtype=torch.float64)
    magnitude = 10.0 ** (levels_db / 20.0)
    phases = torch.arange(6) * 0.5  # radians: a steady turn of 0.16 pi
    given = torch.polar(magnitude[:, None], phases.double()[None]).expand(4, 6)[None]
    turns = InstantaneousFrequency(gate_db=-60.0, floor=1e-12).to_channels(given)[0, 1, :, 1:]
    share = turns[:, 0] / (0.5 / math.pi)
    assert share[0].item() == pytest.approx(1.0, abs=2e-3)  # 60 dB above the gate: 1 / (1 + e ** -6.9)
    assert share[2].item() == pytest.approx(0.5, abs=1e-6)
    assert share[3].item() == pytest.approx(0.01, abs=2e-3)  # 40 dB below: a hundredth


@pytest.mark.parametrize("sigma", [0.001, 0.01])
def test_taking_the_gate_off_does_not_make_errors_of_turns_worse(sigma: float) -> None:
    """What a generator says is never quite right; the gate must not turn its errors into louder ones."""
    given = spectrum(bins=64, frames=64)
    error = sigma * torch.randn(2, 64, 64, generator=generator(0, "error"), dtype=torch.float64)

    def snr_db(coordinates: Coordinates) -> float:
        channels = coordinates.to_channels(given)
        noisy = torch.stack([channels[:, 0], channels[:, 1] + error], dim=1)
        missed = (coordinates.to_spectrum(noisy) - given).abs().square().sum()
        return float(10.0 * torch.log10(given.abs().square().sum() / missed))

    # 3 dB: the loud cells have their errors either way, and the soft ones hardly count.
    gated, plain = snr_db(InstantaneousFrequency(gate_db=-43.4)), snr_db(InstantaneousFrequency())
    assert gated > plain - 3.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Compressed(exponent=0.0), "between 0.1 and 1, got 0.0"),
        (lambda: Compressed(exponent=1.5), "between 0.1 and 1, got 1.5"),
        (lambda: Polar(floor=0.0), "floor must be a positive magnitude"),
        (lambda: Polar(floor=math.nan), "floor must be a positive magnitude"),
        (lambda: InstantaneousFrequency(floor=-1.0), "floor must be a positive magnitude"),
        (lambda: InstantaneousFrequency(floor=4.0), "between 1e-15 and 0.001, got 4: .* drowns soft sounds"),
        (lambda: Polar(floor=1e-40), "between 1e-15 and 0.001, got 1e-40: .* no finite gradient"),
        (lambda: InstantaneousFrequency(gate_db=6.0), "gate_db must be a negative number"),
        (lambda: InstantaneousFrequency(gate_db=-math.inf), "gate_db must be a negative number"),
    ],
)
def test_settings_without_sense_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
