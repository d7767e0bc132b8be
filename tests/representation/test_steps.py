"""Frames, bins and trainable kernels of the spectrogram that InverSynth hears, and the mel bands."""

import math

import pytest
import torch

from retimbre.representation.steps import DecibelSpectrogram, LogMel, same_padding


def tone(frequency_hz: float, sample_rate: int = 16_384, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency_hz * torch.arange(int(sample_rate * seconds)) / sample_rate)[
        None
    ]


@pytest.mark.parametrize("length", [1, 255, 256, 257, 1000, 16_384])
@pytest.mark.parametrize(("kernel", "stride"), [(512, 256), (3, 2), (4, 3), (26, 26), (3, 1)])
def test_same_padding_gives_one_output_per_stride_begun(length: int, kernel: int, stride: int) -> None:
    before, after = same_padding(length, kernel, stride)
    assert after - before in (0, 1)
    assert (length + before + after - kernel) // stride + 1 == math.ceil(length / stride)


def test_one_second_is_64_frames_of_257_bins() -> None:
    assert DecibelSpectrogram().encode(tone(440.0)).shape == (1, 1, 64, 257)


@pytest.mark.parametrize("frequency_hz", [320.0, 1024.0, 4096.0])
def test_a_tone_is_loudest_in_its_own_bin_in_every_frame(frequency_hz: float) -> None:
    features = DecibelSpectrogram().encode(tone(frequency_hz))[0, 0]
    assert (features.argmax(1) == round(frequency_hz * 512 / 16_384)).all()


def test_half_the_amplitude_is_6_decibels_less() -> None:
    audio = torch.cat([tone(1024.0, seconds=0.5), 0.5 * tone(1024.0, seconds=0.5)], dim=1)
    loudness = DecibelSpectrogram().encode(audio)[0, 0].amax(1)
    # Frames well inside each half; 20 log10(2) dB, and the transform's own rounding.
    assert float(loudness[8] - loudness[56]) == pytest.approx(6.0206, abs=1e-3)


@pytest.mark.parametrize("trainable", [True, False])
def test_the_trainable_flag_really_switches_the_gradients_of_the_kernels(trainable: bool) -> None:
    front_end = DecibelSpectrogram(trainable=trainable).front_end()
    weights = [each for each in front_end.parameters() if each.requires_grad]
    assert bool(weights) == trainable
    if trainable:
        front_end(tone(440.0)).mean().backward()
        assert all(
            each.grad is not None and each.grad.isfinite().all() and each.grad.any() for each in weights
        )


@pytest.mark.parametrize("sample_rate", [8000, 16_384, 44_100])
def test_mel_bands_have_the_same_window_and_hop_in_seconds_at_every_rate(sample_rate: int) -> None:
    features = LogMel().at_rate(sample_rate).encode(tone(440.0, sample_rate))
    # One frame per 1/64 s; the hop is a whole number of samples, so a frame more or less over a second.
    assert features.shape[:3] == (1, 1, 128)
    assert abs(features.shape[3] - 64) <= 1


def test_a_higher_tone_is_in_a_higher_mel_band() -> None:
    loudest = [
        int(LogMel().encode(tone(hz))[0, 0, :, 32].argmax()) for hz in (110.0, 220.0, 440.0, 880.0, 3520.0)
    ]
    assert loudest == sorted(set(loudest))
