"""Functions that are learned: dictionaries of unit energy, and codes in shapes that networks take."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.representation.basis_functions import AnyFunctions, FreeConfig, WindowedConfig

FAMILIES: dict[str, AnyFunctions] = {
    "windowed": WindowedConfig(num_bands=(16, 64, 256)),
    "windowed, one zone": WindowedConfig(num_bands=(8, 32), zones=(), start="flat"),
    "free": FreeConfig(num_functions=20),
    "free, long": FreeConfig(num_functions=8, length=64, stride=8),
}


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, "functions", *shape), dtype=dtype)


def functions_of(name: str) -> torch.nn.Module:
    """Functions with weights that are no longer those of the start, so that zones differ."""
    torch.manual_seed(0)
    functions = FAMILIES[name].build()
    with torch.no_grad():
        for weights in functions.parameters():
            weights += 0.1 * weights.abs().mean() * torch.randn_like(weights)
    return functions


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("num_samples", [1, 100, 1000])
def test_combine_is_the_transpose_of_correlate(name: str, num_samples: int) -> None:
    functions, audio = functions_of(name), drawn(2, num_samples)
    there = functions.correlate(audio)
    codes = drawn(*there.shape)
    back = functions.combine(codes, num_samples=num_samples)
    # Weights are float32, but sound and codes float64: what differs is rounding.
    torch.testing.assert_close((there * codes).sum(), (audio * back).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_codes_fold_to_an_image_or_channels_and_back(name: str) -> None:
    functions = functions_of(name)
    codes = functions.correlate(drawn(2, 1000))
    folded = functions.folded(codes)
    assert folded.ndim == (4 if name.startswith("windowed") else 3)
    assert torch.equal(functions.flat(folded), codes)


@pytest.mark.parametrize("name", FAMILIES)
def test_functions_have_unit_energy(name: str) -> None:
    for group in functions_of(name).functions():
        # A wave whose period is not short against its window has some per cent more or less.
        torch.testing.assert_close(group.norm(dim=1), torch.ones(len(group)), atol=0.08, rtol=0)


def test_rows_are_frequencies_and_columns_times_in_all_channels() -> None:
    functions = WindowedConfig(num_bands=(16, 64, 256), zones=()).build()
    time = torch.arange(4096, dtype=torch.float64)
    place, band = 0.6, 20
    tone = torch.cos(torch.pi / 64 * band * time) * torch.exp(-(((time / 4096 - place) / 0.05) ** 2))
    image = functions.folded(functions.correlate(tone[None]))[0].detach()
    rows, columns = image.shape[1:]
    for cosines, sines in image.unflatten(0, (-1, 2)):
        energy = cosines.square() + sines.square()
        row = float((energy.sum(1) * torch.arange(rows)).sum() / energy.sum())
        column = float((energy.sum(0) * (torch.arange(columns) + 0.5)).sum() / energy.sum()) / columns
        # The finest scale has bands of four rows; the coarsest moments of a quarter of a second of these columns.
        assert row == pytest.approx(band, abs=3.0)
        assert column == pytest.approx(place, abs=0.08)


@pytest.mark.parametrize(
    ("config", "settings", "reason"),
    [
        (WindowedConfig, {"num_bands": (100,)}, "takes ascending powers of two"),
        (WindowedConfig, {"num_bands": (64, 16)}, "takes ascending powers of two"),
        (WindowedConfig, {"zones": (0.5, 0.2)}, "takes ascending shares between 0 and 1"),
        (WindowedConfig, {"num_knots": 1}, "num_knots is 1, but takes 4 to"),
        (FreeConfig, {"length": 30}, "a length that is a multiple of the stride"),
        (FreeConfig, {"num_functions": 0}, "takes 1 or more each"),
        (FreeConfig, {"num_functions": 10**6, "length": 1600}, "in all"),
    ],
)
def test_functions_with_gaps_or_without_end_are_refused(
    config: type[AnyFunctions], settings: dict, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        config(**settings)
