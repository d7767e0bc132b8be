import json
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.dsp.filterbank import dct_matrix, hz_to_mel, mel_filterbank, mel_to_hz

GOLDENS = json.loads((Path(__file__).parents[1] / "golden" / "filterbank.json").read_text(encoding="utf-8"))
DOUBLE = torch.zeros(0, dtype=torch.float64)


def moments(matrix: torch.Tensor) -> torch.Tensor:
    index = torch.arange(matrix.shape[1], dtype=matrix.dtype)
    return torch.stack([matrix.sum(1), matrix @ index, matrix.amax(1)], dim=1)


@pytest.mark.parametrize("golden", GOLDENS["mel"], ids=lambda golden: str(golden["settings"]))
def test_mel_bands_have_the_moments_of_librosas(golden: dict) -> None:
    sample_rate, n_fft, n_mels, f_min_hz, f_max_hz = golden["settings"]
    bands = mel_filterbank(sample_rate, n_fft, n_mels, f_min_hz, f_max_hz, like=DOUBLE)
    # The same formula in the same precision: only rounding differs.
    torch.testing.assert_close(moments(bands), torch.tensor(golden["moments"]).double(), rtol=1e-6, atol=1e-9)


def test_the_cosine_transform_has_the_moments_of_scipys() -> None:
    golden = torch.tensor(GOLDENS["dct_13_of_40"], dtype=torch.float64)
    torch.testing.assert_close(moments(dct_matrix(13, 40, like=DOUBLE)), golden, rtol=1e-9, atol=1e-9)


def test_the_cosine_transform_is_orthonormal() -> None:
    matrix = dct_matrix(32, 32, like=DOUBLE)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(32, dtype=torch.float64), rtol=0, atol=1e-12)


def test_mel_and_hz_undo_each_other_over_the_range_of_hearing() -> None:
    frequencies_hz = torch.linspace(0.0, 22050.0, 1000, dtype=torch.float64)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(frequencies_hz)), frequencies_hz, rtol=1e-12, atol=1e-9)


def test_bands_of_unit_area_make_white_noise_flat() -> None:
    # An area of 1 per Hz, summed over bins of sample_rate / n_fft; wide bands have enough bins for the sum to be exact.
    bands = mel_filterbank(16000, 4096, 20, like=DOUBLE)
    torch.testing.assert_close(
        bands.sum(1) * 16000 / 4096, torch.ones(20, dtype=torch.float64), rtol=2e-3, atol=0
    )


def test_filterbanks_follow_the_dtype_of_the_input_and_are_made_once() -> None:
    single = torch.zeros(0)
    assert mel_filterbank(16000, 512, 40, like=single).dtype == torch.float32
    assert mel_filterbank(16000, 512, 40, like=DOUBLE).dtype == torch.float64
    assert mel_filterbank(16000, 512, 40, like=single) is mel_filterbank(16000, 512, 40, like=single)


def test_a_filterbank_made_in_inference_mode_still_trains() -> None:
    with torch.inference_mode():
        mel_filterbank(16000, 500, 30, like=torch.zeros(0))
    power = torch.ones(251, 4, requires_grad=True)
    (mel_filterbank(16000, 500, 30, like=power) @ power).sum().backward()
    assert power.grad.sum() > 0


@pytest.mark.parametrize("edges_hz", [(-1.0, 4000.0), (5000.0, 4000.0), (0.0, 9000.0)])
def test_band_edges_outside_the_spectrum_are_refused(edges_hz: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="must lie within"):
        mel_filterbank(16000, 512, 40, *edges_hz, like=DOUBLE)


@pytest.mark.parametrize("count", [0, 41])
def test_a_cosine_transform_has_between_one_and_all_coefficients(count: int) -> None:
    with pytest.raises(ConfigError, match="coefficients"):
        dct_matrix(count, 40, like=DOUBLE)
