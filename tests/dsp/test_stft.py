import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp.stft import (
    WINDOWS,
    LogMagnitude,
    StftSettings,
    analysis_window,
    frame,
    istft,
    magnitude,
    power,
    stft,
)

SETTINGS = {
    "default": StftSettings(),
    "odd": StftSettings(n_fft=441, hop_length=110),
    "zero_padded": StftSettings(n_fft=512, hop_length=64, win_length=300),
    "reflect": StftSettings(n_fft=256, hop_length=64, pad_mode="reflect"),
    "uncentred": StftSettings(n_fft=256, hop_length=64, center=False, window="hamming"),
    "rectangular": StftSettings(n_fft=128, hop_length=128, window="rectangular"),
}


def noise(num_samples: int, batch: int = 2, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(batch, num_samples, generator=generator(0, "test noise", num_samples), dtype=dtype)


@pytest.mark.parametrize("name", SETTINGS)
def test_synthesis_undoes_analysis(name: str) -> None:
    settings = SETTINGS[name]
    # A length that the uncentred frames cover to the last sample.
    audio = noise(settings.n_fft + 40 * settings.hop_length, dtype=torch.float64)
    back = istft(stft(audio, settings), settings, num_samples=audio.shape[-1])
    torch.testing.assert_close(back, audio, rtol=0, atol=1e-10)


def test_a_hann_window_without_centring_loses_only_the_first_sample() -> None:
    settings = StftSettings(n_fft=256, hop_length=64, center=False)
    audio = noise(256 + 64 * 20, dtype=torch.float64)
    back = istft(stft(audio, settings), settings, num_samples=audio.shape[-1])
    torch.testing.assert_close(back[:, 1:], audio[:, 1:], rtol=0, atol=1e-8)
    assert back[:, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("num_samples", [1, 100, 128, 1000, 4097])
def test_the_number_of_frames_is_what_the_settings_promise(name: str, num_samples: int) -> None:
    settings = SETTINGS[name]
    assert stft(noise(num_samples), settings).shape == (
        2,
        settings.num_bins,
        settings.num_frames(num_samples),
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_the_transform_is_the_windowed_fourier_sum(name: str) -> None:
    settings = SETTINGS[name]
    audio = noise(3 * settings.n_fft, dtype=torch.float64)
    column = 3
    start = column * settings.hop_length - (settings.n_fft // 2 if settings.center else 0)
    index = torch.arange(start, start + settings.n_fft)
    inside = (index >= 0) & (index < audio.shape[-1])
    mirrored = index.abs() if settings.pad_mode == "reflect" else index.clamp(0, audio.shape[-1] - 1)
    samples = torch.where(inside | (settings.pad_mode == "reflect"), audio[:, mirrored], 0.0)
    time = torch.arange(settings.n_fft, dtype=torch.float64)
    bins = torch.arange(settings.num_bins, dtype=torch.float64)
    waves = torch.exp(-2j * math.pi * bins[:, None] * time / settings.n_fft)
    expected = (samples * analysis_window(settings, audio)).to(waves.dtype) @ waves.T
    torch.testing.assert_close(stft(audio, settings)[:, :, column], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_full_scale_sine_peaks_at_half_the_window_sum(window: str) -> None:
    settings = StftSettings(n_fft=1024, hop_length=256, window=window)
    audio = torch.sin(2 * math.pi * 64 / 1024 * torch.arange(8192, dtype=torch.float64))[None]
    middle = magnitude(audio, settings)[0, :, 16]
    assert int(middle.argmax()) == 64
    assert middle[64].item() == pytest.approx(analysis_window(settings, audio).sum().item() / 2, rel=1e-6)


def test_a_clip_does_not_depend_on_its_batch() -> None:
    audio = noise(3000, batch=5)
    torch.testing.assert_close(
        stft(audio, StftSettings())[3:4], stft(audio[3:4], StftSettings()), rtol=0, atol=1e-5
    )


def test_frames_are_the_samples_that_they_say() -> None:
    ramp = torch.arange(10.0)[None]
    assert frame(ramp, 4, 3, center=False)[0].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert frame(ramp, 4, 3)[0, 0].tolist() == [0, 0, 0, 1]


def test_dtype_follows_the_input() -> None:
    for dtype, complex_dtype in ((torch.float32, torch.complex64), (torch.float64, torch.complex128)):
        spectrum = stft(noise(2000, dtype=dtype), StftSettings())
        assert spectrum.dtype == complex_dtype
        assert istft(spectrum, StftSettings(), num_samples=2000).dtype == dtype


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_are_finite_for_silence_and_sound(name: str) -> None:
    audio = torch.stack([torch.zeros(2000), noise(2000)[0]]).requires_grad_()
    level = LogMagnitude(floor_db=-120.0)
    (
        level(magnitude(audio, SETTINGS[name])).sum() + level.of_power(power(audio, SETTINGS[name])).sum()
    ).backward()
    assert bool(audio.grad.isfinite().all())
    assert audio.grad[0].abs().max() == 0.0
    assert audio.grad[1].abs().max() > 0.0


@pytest.mark.parametrize("floor_db", [-160.0, -80.0, -20.0])
def test_log_magnitudes_are_decibels_above_the_floor_and_the_floor_for_silence(floor_db: float) -> None:
    level = LogMagnitude(floor_db=floor_db)
    assert level(torch.zeros(1)).item() == pytest.approx(floor_db, abs=1e-4)
    # 40 dB above the floor, the floor adds 1e-4 of the power: 0.0004 dB.
    magnitude_ = torch.tensor([10.0 ** ((floor_db + 40.0) / 20.0)])
    assert level(magnitude_).item() == pytest.approx(floor_db + 40.0, abs=1e-3)


def test_log_magnitudes_can_be_undone() -> None:
    level = LogMagnitude(floor_db=-80.0)
    magnitudes = torch.logspace(-6, 2, 200, dtype=torch.float64)
    torch.testing.assert_close(level.inverse(level(magnitudes)), magnitudes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_fft": 0}, "at least 1"),
        ({"hop_length": 0}, "at least 1"),
        ({"n_fft": 256, "win_length": 300}, "win_length must lie"),
        ({"window": "han"}, "did you mean 'hann'"),
        ({"pad_mode": "mirror"}, "unknown pad_mode 'mirror'"),
    ],
)
def test_settings_that_define_no_transform_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StftSettings(**settings)


@pytest.mark.parametrize("floor_db", [float("nan"), float("-inf"), -500.0])
def test_a_floor_that_is_none_is_refused(floor_db: float) -> None:
    with pytest.raises(ConfigError, match="floor_db"):
        LogMagnitude(floor_db=floor_db)
